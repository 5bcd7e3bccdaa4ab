"""Nobody need read what a scan tells: it judges all the same, and says by its exit code what happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
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
@pytest.mark.parametrize("stream", ["closed", "all closed", "a pipe whose reader has had enough"])
def test_a_scan_whose_stderr_nobody_reads_ends_as_any_other(
    pictures: Path, detector: Path, tmp_path: Path, stream: str, more: tuple[str, ...]
) -> None:
    into = {"closed": "2>&-", "all closed": "0<&- 2>&-"}.get(stream, "2> >(head -1 >/dev/null)")
    call = '"$@" ' + into + "; exit $?"
    command = [sys.executable, "-m", "ganfingerprint", "scan", str(pictures), "--out", str(tmp_path / "scan")]
    command += ["--detector", str(detector), "--engine", "fake", "--workers", "1", *more]
    done = subprocess.run(["bash", "-c", call, "bash", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.strip() == str(tmp_path / "scan")
    (table,) = (tmp_path / "scan").glob("*.parquet")
    assert pq.read_table(table)["error_code"].to_pylist() == [None] * 3


def test_a_scan_that_finds_nothing_says_so(tmp_path: Path, detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pictures" / "within").mkdir(parents=True)
    arguments = ["scan", str(tmp_path / "pictures"), "--out", str(tmp_path / "scan"), "--detector", str(detector)]
    assert main([*arguments, "--engine", "fake", "--workers", "0"]) == 0
    assert "folders within folders are searched with --recursive" in capsys.readouterr().err


def test_a_scan_that_is_stopped_says_where_it_goes_on(
    pictures: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ganfingerprint.scan.run.scan", stop)
    arguments = ["scan", str(pictures), "--out", str(tmp_path / "scan"), "--detector", str(detector)]
    assert main([*arguments, "--engine", "fake"]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert main([*arguments, "--engine", "fake", "--log-json"]) == 130
    assert '"event": "stopped"' in capsys.readouterr().err


def test_names_that_are_no_text_are_refused_for_ray(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["scan", "bad-\udcff.jpg", "--out", str(tmp_path / "scan"), "--detector", str(detector)]
    assert main([*arguments, "--engine", "fake", "--ray"]) == 1
    assert "names that are not UTF-8" in capsys.readouterr().err
