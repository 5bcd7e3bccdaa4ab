"""Many requests, few calls of the engine, and nobody left waiting."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image as PilImage

from ganfingerprint.detector import Detector, Prepared, prepare
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import DetectorError
from ganfingerprint.service.batching import Batcher, BusyError, StoppedError
from ganfingerprint.types import Outputs, Prediction, UInt8Array


class SlowEngine(FakeEngine):
    """Arithmetic that waits to be let go, and remembers how much it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()

    def run(self, windows: UInt8Array) -> Outputs:
        self.sizes.append(len(windows))
        assert self.go.wait(10)
        return super().run(windows)


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@pytest.fixture
def batcher(bright_detector: Detector, engine: SlowEngine) -> Iterator[Batcher]:
    made = Batcher(replace_engine(bright_detector, engine), windows=4, wait_s=0.05, most=6)
    yield made
    engine.go.set()
    made.close()


def replace_engine(detector: Detector, engine: Any) -> Detector:
    return Detector(engine=engine, card=detector.card)


def picture(detector: Detector, shade: int) -> Prepared:
    stream = io.BytesIO()
    PilImage.new("RGB", (96, 96), (shade,) * 3).save(stream, "PNG")
    return prepare(stream.getvalue(), detector.window)


def until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_what_waits_is_judged_in_one_call_and_everybody_gets_his_own(batcher: Batcher, engine: SlowEngine) -> None:
    detector = batcher.detector
    first = batcher.judge(picture(detector, 10))
    until(lambda: engine.sizes == [1])  # the engine is busy with it; more come meanwhile
    others = [batcher.judge(picture(detector, shade)) for shade in (60, 110, 160, 210, 250)]
    engine.go.set()
    answers = [future.result(10) for future in (first, *others)]
    assert [round(answer.logit * 16 + 128) for answer in answers] == [10, 60, 110, 160, 210, 250]
    assert engine.sizes == [1, 4, 1]
    assert (batcher.batches, batcher.judged) == (3, 6)


def test_a_full_queue_refuses_and_what_waits_is_kept(batcher: Batcher, engine: SlowEngine) -> None:
    futures: list[Future[Prediction]] = [batcher.judge(picture(batcher.detector, 10))]
    until(lambda: engine.sizes == [1])
    futures += [batcher.judge(picture(batcher.detector, 20)) for _ in range(6)]
    with pytest.raises(BusyError):
        batcher.judge(picture(batcher.detector, 30))
    assert batcher.waiting == 6
    engine.go.set()
    assert len([future.result(10) for future in futures]) == 7


def test_closing_finishes_what_waits_and_takes_no_more(batcher: Batcher, engine: SlowEngine) -> None:
    futures = [batcher.judge(picture(batcher.detector, shade)) for shade in (10, 20, 30)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    until(lambda: not batcher.is_alive)
    with pytest.raises(StoppedError):
        batcher.judge(picture(batcher.detector, 40))
    engine.go.set()
    closing.join(10)
    assert not closing.is_alive()
    assert all(future.done() for future in futures)
    batcher.close()  # again: nothing happens


def test_an_engine_that_fails_tells_everybody_and_goes_on(bright_detector: Detector) -> None:
    class Broken(FakeEngine):
        fails = True

        def run(self, windows: UInt8Array) -> Outputs:
            if self.fails:
                raise DetectorError("no memory")
            return super().run(windows)

    engine = Broken()
    batcher = Batcher(replace_engine(bright_detector, engine), wait_s=0.05)
    try:
        futures = [batcher.judge(picture(bright_detector, shade)) for shade in (10, 20)]
        for future in futures:
            with pytest.raises(DetectorError, match="no memory"):
                future.result(10)
        engine.fails = False
        assert batcher.judge(picture(bright_detector, 10)).result(10).windows == 1
    finally:
        batcher.close()


def test_other_work_of_the_engine_takes_its_turn(batcher: Batcher, engine: SlowEngine) -> None:
    engine.go.set()
    thread = batcher.call(threading.get_ident).result(10)
    assert thread not in (threading.get_ident(), None)
    assert batcher.call(threading.get_ident).result(10) == thread
    with pytest.raises(ZeroDivisionError):
        batcher.call(lambda: 1 // 0).result(10)
    mixed = [batcher.judge(picture(batcher.detector, 10)), batcher.call(lambda: "look")]
    assert mixed[1].result(10) == "look"
    assert mixed[0].result(10).windows == 1


def test_who_no_longer_waits_is_not_judged(batcher: Batcher, engine: SlowEngine) -> None:
    batcher.judge(picture(batcher.detector, 10))
    until(lambda: engine.sizes == [1])
    gone, stays = (batcher.judge(picture(batcher.detector, shade)) for shade in (20, 30))
    assert gone.cancel()
    engine.go.set()
    assert round(stays.result(10).logit * 16 + 128) == 30
    assert replace(stays.result(), latency_ms=0.0).windows == 1
    assert engine.sizes == [1, 1]
