"""Processes that decode and cut windows. A file that kills one, or keeps it too long, is a failure and nothing more.

Each process has at most `DEPTH` items at a time, so that nothing piles up where the engine is the slower one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import Prepared, prepare
from ganfingerprint.errors import DecoderCrashedError, ImageTooLargeError, InputError, ScanError, TooSlowError
from ganfingerprint.scan.item import Item
from ganfingerprint.types import Failure

DEPTH = 2
START_S = 120.0  # in which a process has to be ready
Ready = tuple[Item, Prepared | Failure]


def decoded(item: Item, policy: WindowConfig) -> Prepared | Failure:
    """One item, or why not."""
    if item.problem is not None:
        return Failure(source=item.path, code=item.problem[0], error=item.problem[1])
    try:
        return prepare(item.read(), policy, name=item.path)
    except InputError as problem:
        return Failure(source=item.path, code=problem.code, error=problem.reason)
    except MemoryError:
        return Failure(source=item.path, code=ImageTooLargeError.code, error="there is not enough memory to read it")


def decode_here(items: Iterator[Item], policy: WindowConfig) -> Generator[Ready]:
    """The items one after the other, in this process."""
    for item in items:
        yield item, decoded(item, policy)


class Decoders:
    """`workers` processes that decode one stream of items after the other. Close it.

    Raises:
        ScanError: a process cannot start.
    """

    def __init__(self, policy: WindowConfig, *, workers: int, timeout_s: float) -> None:
        self.policy, self.timeout_s = policy, timeout_s
        self._pool: list[_Worker] = []
        self._again: deque[Item] = deque()  # that stood behind one which stopped its process
        self._crashed: set[str] = set()
        try:
            self._pool.extend(_Worker(policy) for _ in range(workers))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes."""
        for worker in self._pool:
            worker.stop()

    def ready(self, items: Iterator[Item]) -> Generator[Ready]:
        """The items as they are ready, in no order.

        Raises:
            ScanError: a process cannot start in the place of one that died.
        """
        exhausted = False
        while True:
            for worker in self._pool:
                while not exhausted or self._again:
                    item = self._again.popleft() if self._again else next(items, None)
                    if item is None:
                        exhausted = True
                        break
                    if not worker.accepts(item):
                        self._again.appendleft(item)
                        break
                    worker.send(item)
            if exhausted and not self._again and not any(worker.waiting for worker in self._pool):
                return
            yield from self._results()

    def _results(self) -> Iterator[Ready]:
        """What has become ready; processes that died or were too slow are replaced."""
        busy = {worker.pipe: worker for worker in self._pool if worker.waiting}
        for pipe in wait(list(busy), timeout=0.5):
            worker = busy[pipe]  # type: ignore[index]
            try:
                yield worker.receive()
            except (EOFError, OSError):
                worker.process.join()
                code = worker.process.exitcode
                culprit = self._replace(worker)
                if culprit.path not in self._crashed:  # anything may have killed it, such as a system short of memory
                    self._crashed.add(culprit.path)
                    self._again.append(culprit)
                    continue
                said = f"reading it ended the decoder twice (exit code {code})"
                yield culprit, Failure(source=culprit.path, code=DecoderCrashedError.code, error=said)
        for worker in list(self._pool):
            if worker.waiting and time.monotonic() - worker.since > self.timeout_s and not worker.pipe.poll():
                culprit = self._replace(worker)
                said = f"reading it took more than {self.timeout_s:g} seconds"
                yield culprit, Failure(source=culprit.path, code=TooSlowError.code, error=said)

    def _replace(self, worker: _Worker) -> Item:
        """A new process in the place of one, and what that one was at."""
        culprit = worker.waiting.popleft()
        self._again.extend(worker.waiting)
        worker.stop()
        self._pool[self._pool.index(worker)] = _Worker(self.policy)
        return culprit


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, and the items that it has."""

    policy: WindowConfig
    pipe: Connection = field(init=False)
    process: BaseProcess = field(init=False)
    waiting: deque[Item] = field(init=False, default_factory=deque)
    since: float = field(init=False, default=0.0)  # the first of them has been worked on

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the engine's threads
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.policy), daemon=True)
        self.process.start()
        other.close()
        # An item may end a process; one that ends before it has any would make a failure of every item.
        if not self.pipe.poll(START_S) or not self._is_ready():
            self.stop()
            raise ScanError(
                'a process that decodes cannot start; a script that scans needs `if __name__ == "__main__":`, and '
                "with workers=0 no other process is needed"
            )

    def _is_ready(self) -> bool:
        try:
            return self.pipe.recv() is None
        except (EOFError, OSError):
            return False

    def accepts(self, item: Item) -> bool:
        """Bytes go to an idle process alone: a busy one may be waiting for us to read, and we for it."""
        return len(self.waiting) < (1 if item.payload is not None else DEPTH)

    def send(self, item: Item) -> None:
        if not self.waiting:
            self.since = time.monotonic()
        self.waiting.append(item)
        with suppress(OSError):  # it has died: reading from it will say so
            self.pipe.send(item)

    def receive(self) -> Ready:
        result: Prepared | Failure = self.pipe.recv()
        self.since = time.monotonic()
        return self.waiting.popleft(), result

    def stop(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _serve(pipe: Connection, policy: WindowConfig) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _mute_libraries()
    pipe.send(None)
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):  # the scan is over
            return
        result = decoded(item, policy)
        with suppress(BrokenPipeError):
            pipe.send(result)


def _end_with_parent() -> None:
    """A scan that was killed leaves no process behind that decodes on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _mute_libraries() -> None:
    """Decoders in C tell stderr what they think of a file, amid the lines of progress; Python keeps a stderr."""
    with suppress(OSError):  # there may be none
        sys.stderr = os.fdopen(os.dup(2), "w", errors="backslashreplace", closefd=False)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
