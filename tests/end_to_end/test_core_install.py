"""The wheel alone, with what it requires and nothing else: pictures are judged, scanned and explained without torch."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a fresh environment with the wheel, its core requirements, and matplotlib for the drawing."""
    folder = tmp_path_factory.mktemp("core")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)], check=True
    )
    (wheel,) = folder.glob("ganfingerprint-*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    subprocess.run([*pip, "install", str(wheel), "--no-deps", "--no-index", "--target", str(site)], check=True)
    wheel.unlink()
    (own,) = importlib.metadata.distributions(path=[str(site)])
    for name in closure(own.requires or [], extras={"report"}):
        link(name, site)
    return folder / "env" / "bin" / "python"


def closure(requirements: list[str], *, extras: set[str]) -> set[str]:
    """The distributions that the requirements name, and those that these require."""
    found, waiting = set(), [(text, extras) for text in requirements]
    while waiting:
        text, extras = waiting.pop()
        needed = Requirement(text)
        wanted = needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (*extras, ""))
        if wanted and needed.name not in found:
            found.add(needed.name)
            waiting += [(text, needed.extras) for text in importlib.metadata.requires(needed.name) or ()]
    return found


def link(name: str, site: Path) -> None:
    """Put an installed distribution into another environment."""
    distribution = importlib.metadata.distribution(name)
    for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
        place = Path(str(distribution.locate_file(top)))
        if place.exists() and not (site / top).exists():
            (site / top).symlink_to(place)


def ask(python: Path, *arguments: str) -> str:
    finished = subprocess.run(
        [python, "-I", "-m", "ganfingerprint.cli.main", *arguments], capture_output=True, text=True, check=False
    )
    assert finished.returncode in (0, 2), finished.stderr
    return finished.stdout


def test_the_samples_are_judged_and_explained_without_torch(python: Path, tmp_path: Path) -> None:
    absent = subprocess.run([python, "-I", "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in absent.stderr
    some = [str(ROOT / "samples" / name) for name in ("real/cat.jpg", "real/coffee.jpg", "fake/palace-span.jpg")]
    text = ask(python, "predict", *some, "--gradcam", "--output-dir", str(tmp_path), "--format=json")
    found = json.loads(text)
    assert found["detector"]["engine"] == "openvino"
    assert len(found["answers"]) == 3
    assert {answer["verdict"] for answer in found["answers"]} >= {"fake", "real"}
    assert len(list(tmp_path.glob("*.png"))) == len(found["answers"])


def test_a_scan_needs_no_torch_either(python: Path, tmp_path: Path) -> None:
    ask(python, "scan", str(ROOT / "samples" / "fake"), "--out", str(tmp_path / "scan"))
    rows = json.loads(ask(python, "results", str(tmp_path / "scan"), "--format", "json"))["rows"]
    assert len(rows) == 10
    assert all(row["error_code"] is None for row in rows)


def test_what_needs_torch_says_so(python: Path) -> None:
    finished = subprocess.run(
        [python, "-I", "-m", "ganfingerprint.cli.main", "predict", str(ROOT / "samples"), "-r", "--engine", "torch"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "pip install 'ganfingerprint[train]'" in finished.stderr


def test_a_report_needs_no_torch_either(python: Path, tmp_path: Path) -> None:
    ask(python, "report", str(ROOT / "samples" / "real" / "cat.jpg"), "--out", str(tmp_path / "case.html"))
    content = json.loads((tmp_path / "case.json").read_text(encoding="utf-8"))
    assert content["pictures"][0]["images"]["heat"]
    assert "torch" not in content["software"]
