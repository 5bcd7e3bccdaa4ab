"""`predict` that is stopped keeps what it has judged; `predict` that is repeated judges what it judged before."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image as PilImage

from ganfingerprint.cli.main import main
from ganfingerprint.engines.base import ENGINES


def draw(folder: Path, *names: str) -> list[str]:
    """Dark pictures, which the arithmetic engine calls real."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        PilImage.new("RGB", (100, 100), (40, 40, 40)).save(folder / name)
    return [str(folder / name) for name in names]


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_repeated_run_does_not_judge_what_the_first_one_drew(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, "a.png", "b.png")
    monkeypatch.chdir(tmp_path)
    default = "ganfingerprint-output"  # where --gradcam draws when nobody says where; so it is never searched
    for arguments in (["--output-dir", default], ["--output-dir", default], []):
        common = [".", "-r", "--detector", str(detector), "--engine", "fake", "--format", "json"]
        assert main(["predict", *common, *arguments]) == 0
        answers = json.loads(capsys.readouterr().out)["answers"]
        assert [row["path"] for row in answers] == ["a.png", "b.png"]
    assert len(list((tmp_path / default).glob("*.png"))) == 2


def test_an_error_keeps_the_rows_that_were_judged_before_it(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, out = draw(tmp_path, "a.png", "b.png", "c.png"), tmp_path / "out"
    (out / "b.png.png" / "in the way").mkdir(parents=True)
    assert main(["predict", *pictures, "--detector", str(detector), "--engine", "fake", "--output-dir", str(out)]) == 1
    err = capsys.readouterr().err
    assert "error [system]" in err
    assert f"Stopped: 2 of 3 pictures were judged; their rows are in {out / 'predictions.csv'}" in err
    assert [(row["path"], row["verdict"]) for row in rows(out)] == [(path, "real") for path in pictures[:2]]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert (summary["listed"], summary["pictures"]) == (3, 2)


STOPPING = """
from ganfingerprint.engines import fake_engine

class Stopping(fake_engine.FakeEngine):
    name = "stopping"
    left = 3
    def run(self, windows):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().run(windows)

def build(card, folder, *, device, precision):
    return Stopping()
"""


@pytest.fixture
def stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An engine of its own file and row, during whose fourth call the user presses Ctrl-C."""
    (tmp_path / "stopping_engine.py").write_text(STOPPING, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ENGINES, "stopping", "stopping_engine:build")
    return "stopping"


def test_ctrl_c_keeps_the_rows_that_were_judged_before_it(
    detector: Path, stopping: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, out = draw(tmp_path, *(f"{number}.png" for number in range(9))), tmp_path / "out"
    arguments = [*pictures, "--detector", str(detector), "--engine", stopping, "--batch-size", "1"]
    assert main(["predict", *arguments, "--output-dir", str(out)]) == 130
    assert [row["path"] for row in rows(out)] == pictures[:3]
    captured = capsys.readouterr()
    assert "Stopped: 3 of 9 pictures were judged" in captured.err
    assert captured.out == ""  # they are in the folder that was asked for


def test_ctrl_c_prints_the_rows_that_were_judged_where_there_is_no_folder(
    detector: Path, stopping: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = draw(tmp_path, *(f"{number}.png" for number in range(9)))
    arguments = [*pictures, "--detector", str(detector), "--engine", stopping, "--batch-size", "1", "--format", "csv"]
    assert main(["predict", *arguments]) == 130
    captured = capsys.readouterr()
    assert [row["path"] for row in csv.DictReader(io.StringIO(captured.out))] == pictures[:3]
    assert captured.err.splitlines()[-1] == "Stopped: 3 of 9 pictures were judged; their rows are above"
