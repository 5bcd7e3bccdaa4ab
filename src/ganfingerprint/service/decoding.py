"""Bytes of strangers are decoded in processes that may die: one that does, or takes too long, costs an answer only."""

from __future__ import annotations

import itertools
import queue
from dataclasses import replace

from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import Prepared
from ganfingerprint.scan.decoders import Decoders
from ganfingerprint.scan.item import Item
from ganfingerprint.types import Failure


class DecodingPool:
    """As many processes as may decode at once, each lent to one request. Close it when nobody asks any more.

    Raises:
        ScanError: a process cannot start.
    """

    def __init__(self, policy: WindowConfig, *, workers: int, timeout_s: float) -> None:
        self._policy, self._timeout_s = policy, timeout_s
        self._numbers = itertools.count()
        self._idle: queue.Queue[Decoders | None] = queue.Queue()  # None: one that is to be started
        try:
            for _ in range(workers):
                self._idle.put(self._started())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes."""
        while not self._idle.empty():
            decoders = self._idle.get()
            if decoders is not None:
                decoders.close()

    def prepare(self, data: bytes, name: str) -> Prepared | Failure:
        """The windows of a picture, or why there are none. Blocks until a process is free.

        Raises:
            ScanError: a process cannot start in the place of one that died; the next call tries again.
        """
        decoders = self._idle.get()
        try:
            decoders = decoders or self._started()
            path = f"request {next(self._numbers)}"  # of its own: many clients send an image.jpg
            ((_, result),) = decoders.ready(iter([Item(path=path, file=path, payload=data)]))
            return replace(result, source=name)
        except BaseException:  # what it holds now is of a request that is over
            if decoders is not None:
                decoders.close()
                decoders = None
            raise
        finally:
            self._idle.put(decoders)

    def _started(self) -> Decoders:
        return Decoders(self._policy, workers=1, timeout_s=self._timeout_s)
