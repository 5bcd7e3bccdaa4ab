"""Bytes of strangers are decoded in processes that may die: one that does, or takes too long, costs an answer only."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager

from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import Prepared
from ganfingerprint.scan.decoders import Decoders
from ganfingerprint.scan.item import Item
from ganfingerprint.types import Failure


class DecodingPool:
    """As many processes as may decode at once, each lent to one request. Close it.

    Raises:
        ScanError: a process cannot start.
    """

    def __init__(self, policy: WindowConfig, *, workers: int, timeout_s: float) -> None:
        self._idle: queue.Queue[Decoders] = queue.Queue()
        self._all: list[Decoders] = []
        try:
            for _ in range(workers):
                self._all.append(Decoders(policy, workers=1, timeout_s=timeout_s))
                self._idle.put(self._all[-1])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes."""
        for decoders in self._all:
            decoders.close()

    def prepare(self, data: bytes, name: str) -> Prepared | Failure:
        """The windows of a picture, or why there are none. Blocks until a process is free."""
        with self._lent() as decoders:
            ((_, result),) = decoders.ready(iter([Item(path=name, file=name, payload=data)]))
            return result

    @contextmanager
    def _lent(self) -> Iterator[Decoders]:
        decoders = self._idle.get()
        try:
            yield decoders
        finally:
            self._idle.put(decoders)
