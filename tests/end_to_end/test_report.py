"""`report` as its users call it, with a network that has places to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganfingerprint.cli.main import main

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def test_samples_and_a_broken_file_become_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no")
    out = tmp_path / "out" / "case.html"
    arguments = ["report", str(SAMPLES / "real" / "cat.jpg"), str(broken), "--out", str(out), "--case", "7"]
    assert main(arguments) == 2
    assert capsys.readouterr().out.strip() == str(out)
    content = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    cat, unread = content["pictures"]
    assert cat["verdict"] == "real"
    assert cat["images"]["heat"].startswith("data:image/jpeg")
    assert cat["probability"]["counts"]["photographs"]["all"] > 400
    assert unread["error"]["code"] == "unreadable_image"
    page = out.read_text(encoding="utf-8")
    assert "no trace of generation found" in page
    assert "Where the score of this picture lies" in page


def test_a_page_has_to_be_called_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(SAMPLES / "real" / "cat.jpg"), "--out", str(tmp_path / "case.pdf")]) == 1
    assert "name it like case.html" in capsys.readouterr().err
