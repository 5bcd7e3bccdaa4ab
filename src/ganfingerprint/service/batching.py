"""Pictures of many requests through one engine, some at a time, from a queue that has an end.

One thread owns the engine. It takes what waits, a few milliseconds long for more, and judges it in one call, so that
sixteen clients cost little more than one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ganfingerprint.detector import Detector, Prepared
from ganfingerprint.errors import GanFingerprintError
from ganfingerprint.types import Prediction


class BusyError(GanFingerprintError):
    """As many pictures wait as may; come again later."""

    code = "busy"


class StoppedError(GanFingerprintError):
    """The service is ending and takes no more."""

    code = "stopping"


@dataclass(slots=True)
class _Job:
    """A picture, or anything else that needs the engine's thread, and who waits for it."""

    picture: Prepared | None
    call: Callable[[], Any] | None = None
    done: Future[Any] = field(default_factory=Future)


class Batcher:
    """The engine's thread and its queue. Close it: what waits is finished first."""

    def __init__(self, detector: Detector, *, windows: int = 16, wait_s: float = 0.004, most: int = 256) -> None:
        self.detector, self.windows, self.wait_s = detector, windows, wait_s
        self.batches = self.judged = 0  # calls of the engine, and windows in them
        self._queue: queue.Queue[_Job | None] = queue.Queue(most)
        self._closing, self._entrance = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._queue.qsize()

    @property
    def is_alive(self) -> bool:
        """Whether it takes pictures."""
        return self._thread.is_alive() and not self._closing.is_set()

    def judge(self, picture: Prepared) -> Future[Prediction]:
        """The answer for a picture, in a while.

        Raises:
            BusyError: the queue is full.
            StoppedError: it is being closed.
        """
        return self._put(_Job(picture))

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """What a function gives that uses the engine by itself, such as a heat map; raises as `judge`."""
        return self._put(_Job(None, function))

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        with self._entrance:
            if self._closing.is_set():
                return
            self._closing.set()
        self._queue.put(None)  # behind all that waits
        self._thread.join()

    def _put(self, job: _Job) -> Future[Any]:
        with self._entrance:  # nothing may come behind the end
            if self._closing.is_set():
                raise StoppedError("the service is ending")
            try:
                self._queue.put_nowait(job)
            except queue.Full:
                raise BusyError("too many pictures wait already") from None
        return job.done

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.picture is None:
                _settle(job)
            elif self._judge(self._gathered(job)):
                return

    def _gathered(self, first: _Job) -> list[_Job | None]:
        """The first job and those that come within the time, until a batch is full."""
        jobs: list[_Job | None] = [first]
        windows, end = _windows(first), time.monotonic() + self.wait_s
        while windows < self.windows:
            try:
                more = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            jobs.append(more)
            if more is None or more.picture is None:
                break
            windows += _windows(more)
        return jobs

    def _judge(self, jobs: list[_Job | None]) -> bool:
        """Judge the pictures in one call, then whatever else was taken; whether the end was among it."""
        pictures = [job for job in jobs if job is not None and job.picture is not None]
        wanted = [job for job in pictures if job.done.set_running_or_notify_cancel()]
        prepared = [job.picture for job in wanted if job.picture is not None]
        try:
            answers = self.detector.judge(prepared)
        except Exception as problem:  # whatever it was, whoever waits has to be told
            for job in wanted:
                job.done.set_exception(problem)
        else:
            self.batches += 1
            self.judged += sum(_windows(job) for job in wanted)
            for job, answer in zip(wanted, answers, strict=True):
                job.done.set_result(answer)
        for entry in jobs:
            if entry is not None and entry.picture is None:
                _settle(entry)
        return None in jobs


def _windows(job: _Job) -> int:
    return 0 if job.picture is None else len(job.picture.windows.pixels)


def _settle(job: _Job) -> None:
    if job.call is None or not job.done.set_running_or_notify_cancel():
        return
    try:
        job.done.set_result(job.call())
    except Exception as problem:  # as above
        job.done.set_exception(problem)
