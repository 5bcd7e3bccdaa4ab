"""The page in a browser, where this system has one: from a file, without network, and with nothing to complain of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from ganfingerprint.cli.main import main

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NO_HOST = "--host-resolver-rules=MAP * ~NOTFOUND"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="this system has no Chromium")


def opened(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The page as the browser has it after its script ran, and what it wrote to its console."""
    finished = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", NO_HOST,
            "--enable-logging=stderr", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return finished.stdout, re.findall(r"CONSOLE.*", finished.stderr)


@pytest.fixture(scope="module")
def case(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a scan of the samples by the arithmetic engine, two of them examined."""
    folder = tmp_path_factory.mktemp("case")
    of = ["--detector", str(detector), "--engine", "fake"]
    main(["scan", str(SAMPLES), "--recursive", "--out", str(folder / "scan"), "--workers", "0", *of])
    assert main(["report", str(folder / "scan"), "--out", str(folder / "case.html"), "--pictures", "2", *of]) == 0
    return folder / "case.html"


def test_it_opens_without_a_complaint_and_shows_the_table(case: Path, tmp_path: Path) -> None:
    shown, console = opened(case, tmp_path / "profile")
    assert console == []
    content = json.loads(case.with_suffix(".json").read_text(encoding="utf-8"))
    cells = re.findall(r'data-value="([^"]+)">([^<]+)</td><td class="number"', shown)  # its second number follows
    assert [float(value) for value, _ in cells] == [row["prob_fake"] for row in content["rows"]]
    assert [text for _, text in cells] == [f"{row['prob_fake']:.3f}" for row in content["rows"]]
    assert all(row["source"] in unescape(shown) for row in content["rows"])


def test_its_script_chooses_and_sorts_rows(case: Path, tmp_path: Path) -> None:
    """A second script presses its buttons; the page's own rules would not let one be loaded from elsewhere."""
    press = (
        "<script>document.querySelector('#name').value = 'fake/cat'; document.querySelector('#name')"
        ".dispatchEvent(new Event('input')); document.querySelector('th button[data-column=\"1\"]').click()</script>"
    )
    pressed = tmp_path / "pressed.html"
    pressed.write_text(case.read_text(encoding="utf-8").replace("</body>", press + "</body>"), encoding="utf-8")
    shown, console = opened(pressed, tmp_path / "profile")
    assert console == []
    rows = re.findall(r"<tr data-verdict=\"\w+\"( hidden=\"\")?>.*?<bdi>(.*?)</bdi>", shown)
    names = [name for _, name in rows]
    assert names == sorted(names, reverse=True)
    assert {Path(name).stem for hidden, name in rows if not hidden} == {
        place.stem for place in (SAMPLES / "fake").glob("cat*")
    }


def test_the_check_would_hear_a_complaint(case: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    worse = '<img src="https://a.example/x.png"><script>nothing.here()</script></body>'
    bad.write_text(case.read_text(encoding="utf-8").replace("</body>", worse), encoding="utf-8")
    _, console = opened(bad, tmp_path / "profile")
    assert any("Content Security Policy" in line for line in console)
    assert any("nothing is not defined" in line for line in console)
