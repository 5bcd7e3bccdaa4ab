"""A scan from its inputs to its table."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganfingerprint.detector import Detector, Prepared
from ganfingerprint.errors import UsageError
from ganfingerprint.scan.decoders import Ready, decode_apart, decode_here
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.schema import ANSWERED, row_of, shown
from ganfingerprint.scan.sources import count, items
from ganfingerprint.scan.writer import ShardWriter, key_of
from ganfingerprint.types import Failure, Verdict

TIMEOUT_S = 120.0  # for one file, read and decoded
KEPT = (*(name for name in ANSWERED if name != "sha256"), "verdict")
REMEMBERED = 200_000  # answers for equal bytes; the oldest are forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """How to scan; only `recursive` and `dedup` have a say in what the table holds of a file."""

    recursive: bool = False
    workers: int = 1  # processes that decode; 0 does it in this one
    batch_size: int = 16  # windows that are judged at once
    shard_size: int = 1000  # rows a file of the table
    dedup: bool = True  # equal bytes are judged once
    restart: bool = False
    retry_failed: bool = False  # files that have a row with an error are judged again
    timeout_s: float = TIMEOUT_S  # where other processes decode: this one cannot be stopped

    def __post_init__(self) -> None:
        if self.workers < 0 or min(self.batch_size, self.shard_size) < 1:
            raise UsageError("a scan needs workers >= 0, batch_size >= 1 and shard_size >= 1")


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a scan is; given to `report` after every file."""

    earlier: int = 0  # rows of runs before this one
    earlier_failed: int = 0
    listed: int = 0  # of all that the inputs name, earlier ones too
    total: int | None = None  # that will be listed; None where it is not known, or not yet
    done: int = 0  # of this run, failures too
    failed: int = 0
    fakes: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Files a second in this run."""
        return self.done / max(1e-9, time.monotonic() - self.started)

    @property
    def seconds_left(self) -> float | None:
        """At this rate, if no more of them have a row already; None where the total is not known."""
        return None if self.total is None or not self.done else max(0, self.total - self.listed) / self.rate


Report = Callable[[Progress], None]


def scan(
    detector: Detector,
    inputs: Sequence[str],
    out: Path,
    settings: ScanSettings | None = None,
    *,
    report: Report = lambda progress: None,
) -> Progress:
    """Judge everything that the inputs name, a row each, into the table in `out`; continues an earlier run.

    Memory grows with the number of files by some hundred bytes each, the answers for equal bytes (of at most
    `REMEMBERED`) included. Where it stops, killed or not, what was written stays, and the same call goes on from
    there. With `workers` it starts processes: a script that calls it needs Python's `if __name__ == "__main__":`.

    Args:
        detector: judges.
        inputs: files, folders, globs, lists (.txt, .csv and .parquet with a column `path`), zip and tar archives.
        out: folder of the table.
        settings: how; None for the defaults.
        report: called after every file, from the thread that scans.

    Raises:
        ScanError: another scan writes to `out`, or it holds a table of another detector, of other inputs or settings.
        UsageError: no inputs.
    """
    settings = ScanSettings() if settings is None else settings
    deciding = {
        "detector_id": detector.detector_id,
        "engine": "fake" if detector.engine.name == "fake" else "of the network",  # the others give equal answers
        "precision": detector.engine.precision,
        "inputs": list(inputs),
        "folder": os.getcwd(),  # that inputs and paths are relative to
        "recursive": settings.recursive,
        "dedup": settings.dedup,
    }
    with ShardWriter(
        out,
        deciding,
        shard_size=settings.shard_size,
        restart=settings.restart,
        retry_failed=settings.retry_failed,
    ) as writer:
        run = _Run(detector, settings, writer, report)
        with _counting(run.progress, inputs, recursive=settings.recursive):
            run.go(items(inputs, recursive=settings.recursive))
        return run.progress


@contextlib.contextmanager
def _counting(progress: Progress, inputs: Sequence[str], *, recursive: bool) -> Iterator[None]:
    """Lists the inputs once more, beside the scan, to learn how much there is."""
    over = threading.Event()

    def find_total() -> None:
        progress.total = count(inputs, recursive=recursive, stop=over.is_set)

    thread = threading.Thread(target=find_total, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        progress.total = progress.listed


class _Run:
    """The state of one scan: what waits for the engine, and what is known already."""

    def __init__(self, detector: Detector, settings: ScanSettings, writer: ShardWriter, report: Report) -> None:
        self.detector, self.settings, self.writer, self.report = detector, settings, writer, report
        self.progress = Progress()
        self._seen: set[bytes] = set()  # keys of paths that have a row
        self._known: OrderedDict[bytes, tuple[Any, ...]] = OrderedDict()  # answers by sha256, as KEPT
        self._waiting: list[tuple[str, Prepared]] = []
        self._twins: dict[str, list[str]] = {}  # sha256 of one that waits → paths of equal bytes
        self._windows = 0
        for row in writer.earlier(["path", *ANSWERED, "verdict", "error_code"]):
            self._seen.add(key_of(row["path"]))
            self.progress.earlier += 1
            self.progress.earlier_failed += row["error_code"] is not None
            self._remember(row)

    def go(self, found: Iterator[Item]) -> None:
        settings = self.settings
        fresh = self._fresh(found)
        policy = self.detector.window
        if settings.workers:
            ready = decode_apart(fresh, policy, workers=settings.workers, timeout_s=settings.timeout_s)
        else:
            ready = decode_here(fresh, policy)
        with contextlib.closing(ready):  # ends the processes, whatever happens here
            for entry in ready:
                self._take(entry)
                if self._windows >= settings.batch_size:
                    self._judge()
                self.report(self.progress)
        self._judge()
        self.report(self.progress)

    def _fresh(self, found: Iterator[Item]) -> Iterator[Item]:
        """The items that have no row yet; one that is named twice comes once."""
        for item in found:
            self.progress.listed += 1
            key = key_of(shown(item.path))
            if key not in self._seen:
                self._seen.add(key)
                yield item

    def _take(self, entry: Ready) -> None:
        item, result = entry
        if isinstance(result, Failure):
            self._add(row_of(item.path, result))
            return
        if self.settings.dedup:
            answer = self._known.get(bytes.fromhex(result.sha256))
            if answer is not None:
                self._add({"path": shown(item.path), **dict(zip(KEPT, answer, strict=True)), "sha256": result.sha256})
                return
            if result.sha256 in self._twins:
                self._twins[result.sha256].append(item.path)
                self._windows += 1  # it costs none, and must not wait for ever
                return
            self._twins[result.sha256] = []
        self._waiting.append((item.path, result))
        self._windows += len(result.windows.pixels)

    def _judge(self) -> None:
        """All that waits."""
        answers = self.detector.judge([prepared for _, prepared in self._waiting])
        for (path, prepared), answer in zip(self._waiting, answers, strict=True):
            row = row_of(path, answer)
            self._add(row)
            self._remember(row)
            for twin in self._twins.get(prepared.sha256, ()):
                self._add({**row, "path": shown(twin), "latency_ms": None})
        self._waiting, self._twins, self._windows = [], {}, 0

    def _remember(self, row: dict[str, Any]) -> None:
        if self.settings.dedup and row.get("sha256"):
            self._known[bytes.fromhex(row["sha256"])] = tuple(row[name] for name in KEPT)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _add(self, row: dict[str, Any]) -> None:
        self.writer.add(row)
        self.progress.done += 1
        self.progress.failed += row.get("error_code") is not None
        self.progress.fakes += row.get("verdict") == Verdict.FAKE.value
