"""`report` as its users call it, with a network that has places to show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

from ganfingerprint.cli.main import main
from ganfingerprint.scan.writer import SETTINGS

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def test_samples_and_a_broken_file_become_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no")
    out = tmp_path / "out" / "case.html"
    arguments = ["report", str(SAMPLES / "real" / "cat.jpg"), str(broken), "--out", str(out), "--case", "7", "--pdf"]
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
    printed = PdfReader(out.with_suffix(".pdf"))
    assert len(printed.pages) >= 3
    words = " ".join(" ".join(paper.extract_text() for paper in printed.pages).split())
    assert cat["probability"]["sentence"] in words
    assert cat["sha256"] in words


def test_a_page_has_to_be_called_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(SAMPLES / "real" / "cat.jpg"), "--out", str(tmp_path / "case.pdf")]) == 1
    assert "name it like case.html" in capsys.readouterr().err


def test_the_folder_of_a_scan_becomes_one_page(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the table to the page by the commands; the arithmetic engine is quick."""
    of = ["--detector", str(detector), "--engine", "fake"]
    table, out = tmp_path / "scan", tmp_path / "case.html"
    main(["scan", str(SAMPLES), "--recursive", "--out", str(table), "--workers", "0", *of])
    capsys.readouterr()
    assert main(["results", str(table), "--format", "json", "--where", "width > 100", "--top", "5"]) == 0
    expected = json.loads(capsys.readouterr().out)["rows"]
    arguments = ["report", str(table), "--out", str(out), *of]
    assert main([*arguments, "--where", "width > 100", "--top", "5", "--pictures", "2"]) == 0
    content = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    shown = [(row["source"], row["score"], row["prob_fake"], row["verdict"]) for row in content["rows"]]
    assert shown == [(row["path"], row["logit"], row["prob_fake"], row["verdict"]) for row in expected]
    assert [picture["source"] for picture in content["pictures"]] == [row["path"] for row in expected[:2]]
    capsys.readouterr()
    assert main(["report", str(table), "--out", str(out)]) == 1  # the shipped detector is another
    assert "Answers of two are not mixed" in capsys.readouterr().err


def test_options_of_a_scan_need_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cat = str(SAMPLES / "real" / "cat.jpg")
    for option in (["--where", "1=1"], ["--top", "3"], ["--pictures", "0"]):
        assert main(["report", cat, "--out", str(tmp_path / "a.html"), *option]) == 1
        assert "name the folder that it wrote" in capsys.readouterr().err
    (tmp_path / SETTINGS).write_text("{}")
    assert main(["report", str(tmp_path), cat, "--out", str(tmp_path / "a.html")]) == 1
    assert "of one scan alone" in capsys.readouterr().err
    assert main(["report", cat, "--out", str(tmp_path / "a.html"), "--trust", str(tmp_path / SETTINGS)]) == 1
    assert "holds certificates as PEM" in capsys.readouterr().err


def test_a_pdf_without_its_library_is_refused_before_anything_is_examined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ganfingerprint.report.pdf", raising=False)
    monkeypatch.setitem(sys.modules, "fpdf", None)
    arguments = ["report", str(SAMPLES / "real" / "cat.jpg"), "--out", str(tmp_path / "case.html")]
    assert main([*arguments, "--pdf"]) == 1
    assert "a PDF needs fpdf2 with uharfbuzz: pip install 'ganfingerprint[report]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
