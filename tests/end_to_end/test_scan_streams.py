"""Nobody need read what a scan tells: it judges all the same, and says by its exit code what happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as PilImage

from ganfingerprint.cli.main import main


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        PilImage.new("RGB", (64, 64), (60 * number,) * 3).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("more", [(), ("--log-json",)])
@pytest.mark.parametrize("stream", ["closed", "a pipe whose reader has had enough"])
def test_a_scan_whose_stderr_nobody_reads_ends_as_any_other(
    pictures: Path, detector: Path, tmp_path: Path, stream: str, more: tuple[str, ...]
) -> None:
    into = "2>&-" if stream == "closed" else "2> >(head -1 >/dev/null)"
    call = '"$@" ' + into + "; exit $?"
    command = [sys.executable, "-m", "ganfingerprint", "scan", str(pictures), "--out", str(tmp_path / "scan")]
    command += ["--detector", str(detector), "--engine", "fake", "--workers", "0", *more]
    done = subprocess.run(["bash", "-c", call, "bash", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.strip() == str(tmp_path / "scan")
    assert len(list((tmp_path / "scan").glob("*.parquet"))) == 1


def test_a_scan_that_finds_nothing_says_so(tmp_path: Path, detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pictures" / "within").mkdir(parents=True)
    arguments = ["scan", str(tmp_path / "pictures"), "--out", str(tmp_path / "scan"), "--detector", str(detector)]
    assert main([*arguments, "--engine", "fake", "--workers", "0"]) == 0
    assert "folders within folders are searched with --recursive" in capsys.readouterr().err
