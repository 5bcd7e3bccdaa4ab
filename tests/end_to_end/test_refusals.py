"""Words and numbers that mean nothing, and files that may not be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image as PilImage

from ganfingerprint.cli.main import main


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    PilImage.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize(
    ("option", "words"),
    [("--precision=fp8", "precision 'fp8' is not known"), ("--device=gpu", "device 'gpu' is not known")],
)
def test_words_that_no_engine_knows_are_called_so(
    picture: Path, detector: Path, option: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(picture), "--detector", str(detector), option]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_row(picture: Path, detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture.chmod(0)
    assert main(["predict", str(picture), "--detector", str(detector), "--engine", "fake", "--format", "csv"]) == 2
    assert "unreadable_image" in capsys.readouterr().out


def test_rates_out_of_range_are_refused_with_or_without_a_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--data-root", str(tmp_path), "--output-dir", str(tmp_path / "out")]
    assert main([*arguments, "--miss-rate", "2"]) == 1
    assert "--miss-rate" in capsys.readouterr().err


def test_networks_that_are_not_there_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fakes", str(tmp_path), "--out", str(tmp_path / "out"), "--networks", str(tmp_path / "none")]) == 1
    assert "no such folder of networks" in capsys.readouterr().err


def test_photographs_within_the_output_are_told(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fakes", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "lies within the output folder" in capsys.readouterr().err
