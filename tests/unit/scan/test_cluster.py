"""A scan on a Ray cluster of two machines that are this one: the table of a scan without, whatever the files do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from typer.main import get_command

from ganfingerprint.artifact import write_files
from ganfingerprint.attribution import Gallery
from ganfingerprint.cli.main import app, main
from ganfingerprint.detector import Detector
from ganfingerprint.errors import DecoderCrashedError, ScanError, UsageError
from ganfingerprint.scan import cluster as scan_cluster
from ganfingerprint.scan.cluster import Cluster
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.judging import Answers
from ganfingerprint.scan.query import ask
from ganfingerprint.scan.run import Progress, scan
from ganfingerprint.scan.schema import SCHEMA
from ganfingerprint.scan.settings import ScanSettings

STEADY = [name for name in SCHEMA.names if name != "latency_ms"]
SMALL = ScanSettings(workers=0, batch_size=1)  # blocks of eight


@pytest.fixture(scope="module")
def detector(bright_detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """The bright one in a folder, as a cluster needs it."""
    folder = tmp_path_factory.mktemp("bright") / "detector"
    write_files(folder, {"model.bin": b"none"}, {}, bright_detector.card)
    return Detector.from_pretrained(folder, engine="fake")


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """Two, one of which says that it has two GPUs: that makes three workers."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Machines

    machines = Machines(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    machines.add_node(num_cpus=2, num_gpus=2)
    yield machines
    machines.shutdown()


@pytest.fixture
def cluster(machines: Any) -> Iterator[Cluster]:
    with Cluster(machines.address, engine="fake") as connected:
        yield connected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, dark to bright, two of them equal bytes, and two files that are none."""
    root = tmp_path_factory.mktemp("in")
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 20, (100, 130, 3)) + 6 * number
        PilImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"{number:02}.png")
    (root / "copy.png").write_bytes((root / "03.png").read_bytes())
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.png").write_text("no picture")
    return root


@pytest.fixture
def items(folder: Path) -> list[Item]:
    """The pictures."""
    return [Item(path=path.name, file=str(path)) for path in sorted(folder.glob("[0-9]*.png"))]


def rows(out: Path) -> list[dict[str, Any]]:
    found = ask(out).select(STEADY).to_pylist()
    for row in found:  # its last digits depend on how many are weighed at once
        row["generator_probability"] = row["generator_probability"] and round(row["generator_probability"], 9)
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_the_table_is_that_of_a_scan_without_a_cluster(
    detector: Detector, cluster: Cluster, folder: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch,
    tint_gallery: Callable[[str], Gallery],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder.parent)  # workers are elsewhere
    gallery = tint_gallery(detector.detector_id)
    settings = ScanSettings(workers=workers, batch_size=1)
    here = scan(detector, [folder.name], tmp_path / "here", SMALL, gallery=gallery)
    there = scan(detector, [folder.name], tmp_path / "there", settings, gallery=gallery, cluster=cluster)
    assert rows(tmp_path / "there") == rows(tmp_path / "here")
    assert sum(row["generator"] is not None for row in rows(tmp_path / "there")) == 41
    assert (there.done, there.failed, there.fakes) == (here.done, here.failed, here.fakes) == (43, 2, here.fakes)
    assert (
        scan(detector, [folder.name], tmp_path / "there", settings, gallery=gallery).done == 0
    )  # each goes on with the other's


class Killer(Item):
    """An item that ends the process which reads it."""

    __slots__ = ()

    def read(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


class Slow(Item):
    """An item that takes its time."""

    __slots__ = ()

    def read(self) -> str:
        time.sleep(0.1)
        return self.file


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_ends_its_process_is_one_row(
    detector: Detector, cluster: Cluster, items: list[Item], workers: int
) -> None:
    there = [*items[:10], Killer(path="killer", file=""), *items[10:]]
    found = list(cluster.rows(iter(there), detector, ScanSettings(workers=workers, batch_size=1), Answers()))
    assert sorted(row["path"] for row in found) == sorted(item.path for item in there)
    failed = [(row["path"], row["error_code"]) for row in found if row.get("error_code")]
    assert failed == [("killer", DecoderCrashedError.code)]


def test_nothing_is_listed_before_a_worker_has_room(detector: Detector, cluster: Cluster, items: list[Item]) -> None:
    listed = 0

    def counted() -> Iterator[Item]:
        nonlocal listed
        for item in items * 5:
            listed += 1
            yield item

    found = cluster.rows(counted(), detector, SMALL, Answers())
    next(found)
    assert listed == 3 * scan_cluster.DEPTH * scan_cluster.BLOCK_BATCHES
    found.close()


def test_a_stopped_scan_goes_on(detector: Detector, cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(detector, [str(folder)], tmp_path / "out", SMALL, cluster=cluster, report=stop)
    assert len(rows(tmp_path / "out")) == 20
    progress = scan(detector, [str(folder)], tmp_path / "out", SMALL, cluster=cluster)
    assert (progress.earlier, progress.done) == (20, 23)
    scan(detector, [str(folder)], tmp_path / "here", SMALL)
    assert rows(tmp_path / "out") == rows(tmp_path / "here")


def test_answers_of_earlier_runs_reach_the_workers(detector: Detector, cluster: Cluster, items: list[Item]) -> None:
    (row,) = cluster.rows(iter(items[:1]), detector, SMALL, Answers())
    answers = Answers()
    answers.remember({**row, "logit": 99.0})
    (again,) = cluster.rows(iter(items[:1]), detector, SMALL, answers)
    assert again["logit"] == 99.0


def test_a_worker_that_cannot_start_stops_the_scan(
    detector: Detector, cluster: Cluster, items: list[Item], tmp_path: Path
) -> None:
    shutil.copytree(str(detector.folder), tmp_path / "detector")
    damaged = Detector.from_pretrained(tmp_path / "detector", engine="fake")
    (tmp_path / "detector" / "card.json").write_text("{}")
    with pytest.raises(ScanError, match=r"no worker can start on .*DetectorFormatError"):
        next(cluster.rows(iter(items), damaged, SMALL, Answers()))


def test_a_detector_that_cannot_be_sent_is_refused(bright_detector: Detector, detector: Detector) -> None:
    with pytest.raises(UsageError, match="from a folder"):
        next(Cluster(engine="fake").rows(iter(()), bright_detector, SMALL, Answers()))
    with pytest.raises(UsageError, match="own engine"):
        next(Cluster().rows(iter(()), detector, SMALL, Answers()))


def test_blocks_end_before_they_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_cluster, "BLOCK_BYTES", 10)
    along = [Item(path=f"{number}", file="", payload=bytes(number)) for number in range(9)]
    assert [len(block) for block in scan_cluster._blocks(iter(along), 4)] == [4, 3, 2]


def test_the_command_scans_on_a_cluster(
    machines: Any, detector: Detector, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["scan", str(folder), "--detector", str(detector.folder), "--engine", "fake", "--ray"]
    assert main([*command, machines.address, "--out", str(tmp_path / "out")]) == 2
    assert "43 files" in capsys.readouterr().err
    assert len(rows(tmp_path / "out")) == 43
    assert main([*command, "127.0.0.1:9", "--out", str(tmp_path / "none")]) == 1
    assert "no Ray cluster can be used at '127.0.0.1:9'" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_machine_that_goes_takes_no_row_with_it(
    detector: Detector, cluster: Cluster, machines: Any, items: list[Item]
) -> None:
    third = machines.add_node(num_cpus=1)
    slow = [Slow(path=item.path, file=item.file) for item in items * 2]
    found = cluster.rows(iter(slow), detector, SMALL, Answers())
    names = [next(found)["path"]]
    machines.remove_node(third, allow_graceful=False)
    names += [row["path"] for row in found]
    assert sorted(names) == sorted(item.path for item in slow)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (["--ray", "photos/", "more.zip"], "local"),
        (["photos/", "more.zip", "--ray"], "local"),
        (["photos/", "--ray", "auto", "more.zip"], "auto"),
        (["photos/", "more.zip", "--ray=10.0.0.1:6379"], "10.0.0.1:6379"),
        (["photos/", "--ray", "head.cluster:6379", "more.zip"], "head.cluster:6379"),
        (["photos/", "more.zip"], None),
    ],
)
def test_an_address_may_follow_the_option(words: list[str], address: str | None) -> None:
    command = get_command(app).commands["scan"]  # type: ignore[attr-defined]
    found = command.make_context("scan", [*words, "--out", "scan/"]).params
    assert (found["ray"], found["inputs"]) == (address, ["photos/", "more.zip"])


def test_without_ray_the_answer_is_what_to_install(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["scan", str(folder), "--out", str(tmp_path / "out"), "--engine", "fake", "--ray"]) == 1
    assert "pip install 'ganfingerprint[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_cluster_of_our_own_ends_with_the_scan_even_if_it_is_killed(
    detector: Detector, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    before = ray_processes()
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", "--ray", str(folder)]
    command += ["--detector", str(detector.folder), "--engine", "fake", "--batch-size", "1", "--log-json"]
    with subprocess.Popen([*command, "--out", str(tmp_path / "out")], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"progress" not in process.stderr.readline():
            pass
        process.kill()
    finished = subprocess.run([*command, "--out", str(tmp_path / "out")], check=False, capture_output=True)
    assert finished.returncode == 2
    assert len(rows(tmp_path / "out")) == 43
    until = time.monotonic() + 60
    while ray_processes() - before and time.monotonic() < until:
        time.sleep(1)
    assert ray_processes() - before == set()


def ray_processes() -> set[int]:
    listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return {int(line.split()[0]) for line in listed.splitlines() if "ray::" in line or "/ray/" in line}
