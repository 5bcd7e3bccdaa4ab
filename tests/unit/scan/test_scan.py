"""A scan: one row a file, nothing lost, nothing twice, and a table that can be asked."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as PilImage

from ganfingerprint.cli.main import main
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ScanError, UsageError
from ganfingerprint.scan import judging, writer
from ganfingerprint.scan.query import ask
from ganfingerprint.scan.run import Progress, scan
from ganfingerprint.scan.schema import SCHEMA
from ganfingerprint.scan.settings import ScanSettings
from ganfingerprint.scan.writer import LOCK, SETTINGS, SHARDS

HERE = ScanSettings(workers=0, batch_size=4, shard_size=5)
STEADY = [name for name in SCHEMA.names if name != "latency_ms"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, dark to bright, two of them equal bytes, and two files that are none."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 20, (100, 130, 3)) + 20 * number
        PilImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"{number:02}.png")
    shutil.copy(root / "03.png", root / "copy.png")
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.png").write_text("no picture")
    return root


def rows(out: Path) -> list[dict[str, Any]]:
    return ask(out).select(STEADY).to_pylist()


def test_a_row_for_every_file_with_the_answers_of_predict(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    progress = scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    found = {Path(row["path"]).name: row for row in rows(tmp_path / "out")}
    assert found.keys() == {path.name for path in folder.iterdir()}
    assert (progress.done, progress.failed, progress.earlier) == (15, 2, 0)
    for path in folder.glob("[0-9]*.png"):
        answer, row = bright_detector.predict(path), found[path.name]
        assert row["logit"] == pytest.approx(answer.logit, abs=1e-6)
        assert (row["verdict"], row["sha256"], row["windows"]) == (answer.verdict, answer.sha256, answer.windows)
        assert (row["width"], row["height"], row["format"], row["error"]) == (130, 100, "PNG", None)
    assert found["empty.jpg"]["error_code"] == found["text.png"]["error_code"] == "unreadable_image"
    assert found["empty.jpg"]["logit"] is None
    assert progress.fakes == sum(row["verdict"] == "fake" for row in found.values()) > 0


def test_shards_are_of_the_schema_and_no_longer_than_asked(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    shards = sorted((tmp_path / "out").glob(SHARDS))
    assert [pq.read_metadata(path).num_rows for path in shards] == [5, 5, 5]
    assert all(pq.read_schema(path).equals(SCHEMA, check_metadata=True) for path in shards)
    assert json.loads((tmp_path / "out" / SETTINGS).read_text())["settings"]["inputs"] == [str(folder)]


@pytest.mark.parametrize("settings", [ScanSettings(workers=2, batch_size=3), ScanSettings(workers=0, dedup=False)])
def test_how_it_is_done_does_not_change_the_table(
    bright_detector: Detector, folder: Path, tmp_path: Path, settings: ScanSettings
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "one", HERE)
    scan(bright_detector, [str(folder)], tmp_path / "two", settings)
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


class Counting:
    """Counts the windows that reach the engine, and may stop after some."""

    name = "fake"  # as the one within
    precision = "fp32"

    def __init__(self, detector: Detector, stop_after: int = 10**9) -> None:
        self.engine, self.windows, self.stop_after = detector.engine, 0, stop_after

    def run(self, windows: Any) -> Any:
        self.windows += len(windows)
        if self.windows > self.stop_after:
            raise KeyboardInterrupt
        return self.engine.run(windows)


@pytest.mark.parametrize(("dedup", "judged"), [(True, 12), (False, 13)])
def test_equal_bytes_are_judged_once(
    bright_detector: Detector, folder: Path, tmp_path: Path, dedup: bool, judged: int
) -> None:
    engine = Counting(bright_detector)
    detector = Detector(engine=engine, card=bright_detector.card)
    scan(detector, [str(folder)], tmp_path / "out", ScanSettings(workers=0, batch_size=2, dedup=dedup))
    assert engine.windows == judged
    found = {Path(row["path"]).name: row for row in rows(tmp_path / "out")}
    assert {**found["copy.png"], "path": ""} == {**found["03.png"], "path": ""}


def test_a_stopped_scan_goes_on_and_nothing_is_judged_again(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "whole", HERE)
    stopped = Counting(bright_detector, stop_after=6)
    with pytest.raises(KeyboardInterrupt):
        scan(Detector(engine=stopped, card=bright_detector.card), [str(folder)], tmp_path / "out", HERE)
    there = len(rows(tmp_path / "out"))
    assert 0 < there < 15
    rest = Counting(bright_detector)
    progress = scan(Detector(engine=rest, card=bright_detector.card), [str(folder)], tmp_path / "out", HERE)
    assert (progress.earlier, progress.done) == (there, 15 - there)
    assert rest.windows == 12 - 4
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert scan(bright_detector, [str(folder)], tmp_path / "out", HERE).done == 0


def test_new_files_of_a_folder_join_its_table(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    shutil.copy(folder / "05.png", folder / "new.png")
    engine = Counting(bright_detector)
    assert scan(Detector(engine=engine, card=bright_detector.card), [str(folder)], tmp_path / "out", HERE).done == 1
    assert engine.windows == 0  # its bytes were judged in the run before


def test_a_scan_of_other_settings_is_refused_until_it_begins_anew(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    other = Detector(
        engine=bright_detector.engine,
        card=bright_detector.card.replaced(calibration={**bright_detector.card.calibration, "slope": 2.0}),
    )
    with pytest.raises(ScanError, match=r"detector_id: \w+ is now \w+.*--restart"):
        scan(other, [str(folder)], tmp_path / "out", HERE)
    engine = type("OfNetwork", (Counting,), {"name": "openvino"})(bright_detector)
    of_network = Detector(engine=engine, card=bright_detector.card)
    with pytest.raises(ScanError, match="engine: fake is now of the network"):
        scan(of_network, [str(folder)], tmp_path / "out", HERE)
    with pytest.raises(ScanError, match="inputs"):
        scan(bright_detector, [str(folder / "00.png")], tmp_path / "out", HERE)
    again = ScanSettings(workers=0, restart=True)
    assert scan(other, [str(folder)], tmp_path / "out", again).done == 15
    assert len(rows(tmp_path / "out")) == 15


def test_a_second_scan_on_one_folder_is_told(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    with filelock.FileLock(tmp_path / "out" / LOCK), pytest.raises(ScanError, match="another scan"):
        scan(bright_detector, [str(folder)], tmp_path / "out", HERE)


def test_a_folder_of_something_else_is_left_alone(bright_detector: Detector, folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(ScanError, match="left alone"):
        scan(bright_detector, [str(folder)], folder, HERE)
    assert sorted(folder.iterdir()) == before


def test_lists_of_different_folders_may_name_alike(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    for name, number in (("a", 1), ("b", 11)):
        (tmp_path / name).mkdir()
        shutil.copy(folder / f"{number:02}.png", tmp_path / name / "same.png")
        (tmp_path / name / "list.txt").write_text("same.png\n")
    scan(bright_detector, [str(tmp_path / name / "list.txt") for name in "ab"], tmp_path / "out", HERE)
    assert [row["path"] for row in rows(tmp_path / "out")] == [str(tmp_path / name / "same.png") for name in "ab"]


def test_another_spelling_of_the_inputs_doubles_nothing(
    bright_detector: Detector, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert scan(bright_detector, ["in", str(folder / "00.png")], tmp_path / "out", HERE).done == 15
    with pytest.raises(ScanError, match="inputs"):
        scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    monkeypatch.chdir(folder)
    with pytest.raises(ScanError, match="folder"):
        scan(bright_detector, ["in", str(folder / "00.png")], tmp_path / "out", HERE)


def test_rows_of_equal_bytes_are_written_as_they_come(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    for number in range(40):
        shutil.copy(folder / "03.png", folder / f"z{number:02}.png")
    seen: list[int] = []
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE, report=lambda progress: seen.append(progress.done))
    assert max(np.diff(seen)) <= HERE.batch_size + 1


def test_rows_are_written_after_a_while_however_few(
    bright_detector: Detector, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FLUSH_S", (0.0, 0.0))
    scan(bright_detector, [str(folder)], tmp_path / "out", ScanSettings(workers=0, batch_size=1))
    assert len(list((tmp_path / "out").glob(SHARDS))) > 5


@pytest.mark.parametrize("damage", ["part-000000.parquet", SETTINGS, "part-abc.parquet"])
def test_a_damaged_folder_is_refused_until_it_begins_anew(
    bright_detector: Detector, folder: Path, tmp_path: Path, damage: str
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    (tmp_path / "out" / damage).write_bytes(b"junk")
    with pytest.raises(ScanError, match="is damaged"):
        scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    assert scan(bright_detector, [str(folder)], tmp_path / "out", ScanSettings(workers=0, restart=True)).done == 15


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"batch_size": 0}, {"shard_size": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        ScanSettings(**wrong)  # type: ignore[arg-type]


def test_one_file_named_twice_has_one_row(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    progress = scan(bright_detector, [str(folder), str(folder / "00.png"), f"{folder}/0*.png"], tmp_path / "out", HERE)
    assert progress.done == 15


def test_a_name_that_is_no_text_has_a_row(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "00.png", os.fsencode(folder) + b"/\xff.png")
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    (row,) = (row for row in rows(tmp_path / "out") if "\\" in row["path"])
    assert row["path"].endswith("\\udcff.png")
    assert row["verdict"] is not None
    assert scan(bright_detector, [str(folder)], tmp_path / "out", HERE).done == 0


def test_a_name_with_the_text_of_another_ones_bytes_has_a_row_too(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    for name in (b"\xff.png", b"\\udcff.png", b"\\\\udcff.png", b"\\\xff.png"):
        shutil.copy(folder / "00.png", os.fsencode(folder) + b"/" + name)
    assert scan(bright_detector, [str(folder)], tmp_path / "out", HERE).done == 19
    assert len({row["path"] for row in rows(tmp_path / "out")}) == 19
    assert scan(bright_detector, [str(folder)], tmp_path / "out", HERE).done == 0


def test_failed_files_are_judged_again_when_asked(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    shutil.copy(folder / "07.png", folder / "text.png")
    retry = replace(HERE, retry_failed=True)
    progress = scan(bright_detector, [str(folder)], tmp_path / "out", retry)
    assert (progress.earlier, progress.earlier_failed, progress.done, progress.failed) == (13, 0, 2, 1)
    scan(bright_detector, [str(folder)], tmp_path / "whole", HERE)
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert scan(bright_detector, [str(folder)], tmp_path / "out", HERE).done == 0


def test_a_retry_that_is_killed_in_between_loses_nothing(
    bright_detector: Detector, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = replace(HERE, shard_size=1)
    scan(bright_detector, [str(folder)], tmp_path / "out", each)
    before = rows(tmp_path / "out")
    write, written = writer._write, []

    def stop_at_the_second(table: Any, path: Path) -> None:
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt
        write(table, path)

    monkeypatch.setattr(writer, "_write", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        scan(bright_detector, [str(folder)], tmp_path / "out", replace(each, retry_failed=True))
    monkeypatch.undo()
    assert len(rows(tmp_path / "out")) == 14
    assert scan(bright_detector, [str(folder)], tmp_path / "out", each).done == 1
    assert rows(tmp_path / "out") == before


def test_answers_are_forgotten_before_memory_grows(
    bright_detector: Detector, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "REMEMBERED", 2)
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    found = {Path(row["path"]).name: row for row in rows(tmp_path / "out")}
    assert found["copy.png"]["logit"] == found["03.png"]["logit"]  # judged again, and alike


def test_progress_is_reported(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE, report=lambda progress: seen.append(progress.done))
    assert seen == sorted(seen)
    assert seen[-1] == 15
    assert Progress(done=3, started=time.monotonic() - 1).rate == pytest.approx(3, rel=0.2)


def test_the_total_and_the_time_left_are_known_while_it_runs(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(f"{folder / '00.png'}\n{tmp_path / 'absent.png'}\n")
    seen: list[tuple[int, int | None]] = []
    start = time.monotonic()

    def report(progress: Progress) -> None:
        while progress.total is None and time.monotonic() < start + 30:
            time.sleep(0.001)  # in which they are counted
        seen.append((progress.listed, progress.total))

    progress = scan(bright_detector, [str(folder), str(tmp_path / "list.txt")], tmp_path / "out", HERE, report=report)
    assert seen[0] == (4, 17)  # the first batch
    assert (progress.listed, progress.total, progress.done, progress.seconds_left) == (17, 17, 16, 0)
    half = Progress(listed=30, total=50, done=10, started=time.monotonic() - 1)
    assert half.seconds_left == pytest.approx(2, rel=0.2)
    assert Progress(done=1).seconds_left is Progress(total=1).seconds_left is None


def test_the_command_scans_and_answers(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    arguments = ["scan", str(folder), "--out", out, "--engine", "fake", "--workers", "0", "--log-json"]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    warning, *lines = captured.err.splitlines()
    assert "arithmetic for tests" in warning
    *before, last = [json.loads(line) for line in lines]
    assert {line["event"] for line in before} == {"progress"}
    assert (last["event"], last["done"], last["failed"]) == ("done", 15, 2)
    assert main(arguments[:-1]) == 2  # what failed before is still not read
    assert "0 files (15 were there before)" in capsys.readouterr().err
    assert main(["results", out, "--format", "csv", "--where", "windows = 1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 14
    assert main(["results", out, "--top", "1", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["path"].endswith("11.png")
    assert main(["results", out]) == 0
    assert "15 pictures: " in capsys.readouterr().out
    assert main(["results", out, "--format", "parquet", "--output", str(tmp_path / "all.parquet")]) == 0
    assert pq.read_metadata(tmp_path / "all.parquet").num_rows == 15
    assert main(["results", out, "--format", "parquet"]) == 1


@pytest.mark.slow
def test_a_scan_that_is_killed_again_and_again_loses_and_doubles_nothing(folder: Path, tmp_path: Path) -> None:
    for number in range(200):
        shutil.copy(folder / f"{number % 12:02}.png", folder / f"n{number:03}.png")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", str(folder), "--out", str(out)]
    command += ["--engine", "fake", "--shard-size", "7", "--batch-size", "3", "--no-dedup"]
    draw = random.Random(1)
    for _ in range(8):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(1.0, 3.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, check=False, capture_output=True).returncode in (0, 2)
    whole = subprocess.run([*command[:6], str(tmp_path / "whole"), *command[7:]], check=False, capture_output=True)
    assert whole.returncode == 2
    assert rows(out) == rows(tmp_path / "whole")
    assert len(rows(out)) == 215
