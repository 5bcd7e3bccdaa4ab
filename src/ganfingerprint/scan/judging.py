"""Items to rows: decoded, judged some windows at a time, equal bytes once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator
from typing import Any

from ganfingerprint.attribution import Gallery, attribute
from ganfingerprint.detector import Detector, Prepared
from ganfingerprint.scan.decoders import Decoders, decode_here
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.schema import ANSWERED, Row, row_of, shown
from ganfingerprint.scan.settings import ScanSettings
from ganfingerprint.types import Failure

KEPT = (*(name for name in ANSWERED if name != "sha256"), "verdict", "generator", "generator_probability")
REMEMBERED = 200_000  # answers for equal bytes; the oldest are forgotten


class Answers:
    """What is known of bytes that were judged, by their sha256."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Any, ...]] = OrderedDict()  # as KEPT

    def remember(self, row: Row) -> None:
        """Keep the answer in a row, if there is one."""
        if row["sha256"]:
            self._known[bytes.fromhex(row["sha256"])] = tuple(row.get(name) for name in KEPT)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def row(self, path: str, sha256: str) -> Row | None:
        """The row of another file of equal bytes; None where these are not known."""
        answer = self._known.get(bytes.fromhex(sha256))
        if answer is None:
            return None
        return {"path": shown(path), "sha256": sha256, **dict(zip(KEPT, answer, strict=True))}


class Judge:
    """Makes rows of items; what waits for the engine, and the answers and processes that it keeps. Close it.

    With a gallery, which has to be of the detector, the rows say which generator it was, too.

    Raises:
        ScanError: a process that decodes cannot start.
    """

    def __init__(
        self, detector: Detector, settings: ScanSettings, answers: Answers, gallery: Gallery | None = None
    ) -> None:
        self.detector, self.settings, self.answers, self.gallery = detector, settings, answers, gallery
        self._waiting: list[tuple[str, Prepared]] = []
        self._twins: dict[str, list[str]] = {}  # sha256 of one that waits → paths of equal bytes
        self._windows = 0
        self._decoders = Decoders(detector.window, workers=settings.workers, timeout_s=settings.timeout_s)

    def close(self) -> None:
        """End the processes."""
        self._decoders.close()

    def rows(self, found: Iterator[Item]) -> Generator[Row]:
        """A row for each item, as they are ready, in no order."""
        ready = self._decoders.ready(found) if self.settings.workers else decode_here(found, self.detector.window)
        for item, result in ready:
            yield from self._taken(item, result)
            if self._windows >= self.settings.batch_size:
                yield from self._judged()
        yield from self._judged()

    def _taken(self, item: Item, result: Prepared | Failure) -> Iterator[Row]:
        """The row of an item that needs no engine; any other waits."""
        if isinstance(result, Failure):
            yield row_of(item.path, result)
            return
        if self.settings.dedup:
            row = self.answers.row(item.path, result.sha256)
            if row is not None:
                yield row
                return
            if result.sha256 in self._twins:
                self._twins[result.sha256].append(item.path)
                self._windows += 1  # it costs none, and must not wait for ever
                return
            self._twins[result.sha256] = []
        self._waiting.append((item.path, result))
        self._windows += len(result.windows.pixels)

    def _judged(self) -> Iterator[Row]:
        """The rows of all that waits."""
        answers = self.detector.judge([prepared for _, prepared in self._waiting])
        found = [None] * len(answers) if self.gallery is None else attribute(answers, self.gallery, neighbours=0)
        for (path, prepared), answer, attribution in zip(self._waiting, answers, found, strict=True):
            row = row_of(path, answer, attribution)
            yield row
            if self.settings.dedup:
                self.answers.remember(row)
            for twin in self._twins.get(prepared.sha256, ()):
                yield {**row, "path": shown(twin), "latency_ms": None}
        self._waiting, self._twins, self._windows = [], {}, 0
