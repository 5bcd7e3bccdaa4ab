"""A scan from its inputs to its table."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganfingerprint.attribution import Gallery
from ganfingerprint.detector import Detector
from ganfingerprint.scan.cluster import Cluster
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.judging import KEPT, Answers, Judge
from ganfingerprint.scan.schema import Row, shown
from ganfingerprint.scan.settings import ScanSettings
from ganfingerprint.scan.sources import count, items
from ganfingerprint.scan.writer import ShardWriter, key_of
from ganfingerprint.types import Verdict


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
        """At this rate, if the rows of earlier runs are of files that are still there; None without a total."""
        if self.total is None or not self.done:
            return None
        return max(0, min(self.total - self.listed, self.total - self.earlier - self.done)) / self.rate


Report = Callable[[Progress], None]


def scan(
    detector: Detector,
    inputs: Sequence[str],
    out: Path,
    settings: ScanSettings | None = None,
    *,
    gallery: Gallery | None = None,
    cluster: Cluster | None = None,
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
        gallery: of the detector; the rows then say which generator it was, too.
        cluster: whose machines decode and judge; None for this one. The table is the same.
        report: called after every file, from the thread that scans.

    Raises:
        GalleryError: the gallery is of another detector.
        ScanError: another scan writes to `out`, it holds a table of another detector, of other inputs or settings, or
            the processes or machines that decode and judge cannot start.
        UsageError: no inputs.
    """
    settings = ScanSettings() if settings is None else settings
    if gallery is not None:
        gallery.require(detector.detector_id)
    deciding = {
        "detector_id": detector.detector_id,
        "engine": "fake" if detector.engine.name == "fake" else "of the network",  # the others give equal answers
        "precision": detector.engine.precision,
        "inputs": list(inputs),
        "folder": os.getcwd(),  # that inputs and paths are relative to
        "recursive": settings.recursive,
        "dedup": settings.dedup,
        "gallery_id": None if gallery is None else gallery.gallery_id,
    }
    with ShardWriter(
        out,
        deciding,
        shard_size=settings.shard_size,
        restart=settings.restart,
        retry_failed=settings.retry_failed,
    ) as writer:
        run = _Run(settings, writer, report)
        fresh = run.fresh(items(inputs, recursive=settings.recursive))
        with _counting(run.progress, inputs, recursive=settings.recursive):
            if cluster is None:
                with contextlib.closing(Judge(detector, settings, run.answers, gallery)) as judge:
                    run.keep(judge.rows(fresh))
            else:
                with contextlib.closing(cluster.rows(fresh, detector, settings, run.answers, gallery)) as rows:
                    run.keep(rows)
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
    """What one scan knows: the paths that have a row, the answers of earlier runs, and how far it is."""

    def __init__(self, settings: ScanSettings, writer: ShardWriter, report: Report) -> None:
        self.writer, self.report = writer, report
        self.progress = Progress()
        self.answers = Answers()
        self._seen: set[bytes] = set()  # keys of paths that have a row
        for row in writer.earlier(["path", "sha256", *KEPT, "error_code"]):
            self._seen.add(key_of(row["path"]))
            self.progress.earlier += 1
            self.progress.earlier_failed += row["error_code"] is not None
            if settings.dedup:
                self.answers.remember(row)

    def fresh(self, found: Iterator[Item]) -> Iterator[Item]:
        """The items that have no row yet; one that is named twice comes once."""
        for item in found:
            self.progress.listed += 1
            key = key_of(shown(item.path))
            if key not in self._seen:
                self._seen.add(key)
                yield item

    def keep(self, rows: Iterator[Row]) -> None:
        """Write the rows, and report each."""
        for row in rows:
            self.writer.add(row)
            self.progress.done += 1
            self.progress.failed += row.get("error_code") is not None
            self.progress.fakes += row.get("verdict") == Verdict.FAKE.value
            self.report(self.progress)
        self.report(self.progress)
