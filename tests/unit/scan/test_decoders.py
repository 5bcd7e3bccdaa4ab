"""Processes that decode: everything comes back, whatever a file does to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import Prepared
from ganfingerprint.errors import DecoderCrashedError, ScanError, TooSlowError
from ganfingerprint.scan import decoders
from ganfingerprint.scan.decoders import Decoders, Ready, decode_here
from ganfingerprint.scan.item import Item
from ganfingerprint.types import Failure

POLICY = WindowConfig(size=96)


class Killer(Item):
    """An item that ends the process which reads it."""

    __slots__ = ()

    def read(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


class KilledOnce(Item):
    """An item during which the system kills the process, once."""

    __slots__ = ()

    def read(self) -> str:
        with suppress(FileExistsError):
            Path(f"{self.file}.seen").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file


class Sleeper(Item):
    """An item that never comes back."""

    __slots__ = ()

    def read(self) -> str:
        time.sleep(600)
        return ""


@pytest.fixture
def pictures(tmp_path: Path) -> list[Item]:
    found = []
    for number in range(9):
        path = tmp_path / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (100, 120, 3), dtype=np.uint8)
        PilImage.fromarray(pixels).save(path)
        found.append(Item(path=str(path), file=str(path)))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    return [*found, Item(path=str(tmp_path / "bad.png"), file=str(tmp_path / "bad.png"))]


def decode_apart(items: Iterator[Item], policy: WindowConfig, *, workers: int, timeout_s: float) -> Iterator[Ready]:
    with closing(Decoders(policy, workers=workers, timeout_s=timeout_s)) as decoders:
        yield from decoders.ready(items)


def by_path(ready: Iterator[tuple[Item, Prepared | Failure]]) -> dict[str, Prepared | Failure]:
    found = list(ready)
    assert len({item.path for item, _ in found}) == len(found)
    return {item.path: result for item, result in found}


@pytest.mark.parametrize("workers", [1, 3])
def test_other_processes_find_what_this_one_finds(pictures: list[Item], workers: int) -> None:
    here = by_path(decode_here(iter(pictures), POLICY))
    apart = by_path(decode_apart(iter(pictures), POLICY, workers=workers, timeout_s=60))
    assert apart.keys() == here.keys() == {item.path for item in pictures}
    for path, expected in here.items():
        found = apart[path]
        if isinstance(expected, Failure):
            assert found == expected
        else:
            assert isinstance(found, Prepared)
            assert found.sha256 == expected.sha256
            np.testing.assert_array_equal(found.windows.pixels, expected.windows.pixels)


def test_a_file_that_ends_its_decoder_is_one_failure(pictures: list[Item]) -> None:
    there = [*pictures[:4], Killer(path="killer", file=""), *pictures[4:], Killer(path="another", file="")]
    found = by_path(decode_apart(iter(there), POLICY, workers=2, timeout_s=60))
    assert found.keys() == {item.path for item in there}
    for name in ("killer", "another"):
        failure = found[name]
        assert isinstance(failure, Failure)
        assert failure.code == DecoderCrashedError.code
    assert sum(isinstance(result, Prepared) for result in found.values()) == 9


def test_a_decoder_that_something_else_ended_costs_no_file(pictures: list[Item]) -> None:
    there = [*pictures[:4], KilledOnce(path=pictures[4].path, file=pictures[4].file), *pictures[5:]]
    found = by_path(decode_apart(iter(there), POLICY, workers=2, timeout_s=60))
    assert found.keys() == {item.path for item in there}
    assert sum(isinstance(result, Prepared) for result in found.values()) == 9


def test_the_processes_serve_one_stream_after_the_other(pictures: list[Item]) -> None:
    with closing(Decoders(POLICY, workers=2, timeout_s=60)) as decoders:
        first = by_path(decoders.ready(iter([*pictures, Killer(path="killer", file="")])))
        again = by_path(decoders.ready(iter(pictures)))
    assert again.keys() | {"killer"} == first.keys()


def test_a_file_that_takes_more_memory_than_there_is_is_one_failure() -> None:
    class Greedy(Item):
        __slots__ = ()

        def read(self) -> str:
            raise MemoryError

    ((_, failure),) = decode_here(iter([Greedy(path="greedy", file="")]), POLICY)
    assert isinstance(failure, Failure)
    assert failure.code == "too_large"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_no_decoder_outlives_a_scan_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from ganfingerprint.scan.decoders import _Worker\n"
        "from ganfingerprint.config import WindowConfig\n"
        "from tests_sleeper import Sleeper\n"
        "if __name__ == '__main__':\n"
        "    worker = _Worker(WindowConfig(size=96))\n"
        "    worker.send(Sleeper(path='sleeper', file=''))\n"
        "    print(worker.process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    sleeper = (
        "import time\n"
        "from ganfingerprint.scan.item import Item\n"
        "class Sleeper(Item):\n"
        "    __slots__ = ()\n"
        "    def read(self):\n"
        "        time.sleep(600)\n"
    )
    (tmp_path / "tests_sleeper.py").write_text(sleeper)
    (tmp_path / "scan.py").write_text(code)
    with subprocess.Popen([sys.executable, str(tmp_path / "scan.py")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        decoder = Path("/proc") / process.stdout.readline().strip()
        assert decoder.exists()
        process.kill()
    end = time.monotonic() + 20
    while decoder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not decoder.exists()


def test_a_file_that_takes_too_long_is_one_failure(pictures: list[Item]) -> None:
    there = [Sleeper(path="sleeper", file=""), *pictures]
    found = by_path(decode_apart(iter(there), POLICY, workers=1, timeout_s=4))
    failure = found["sleeper"]
    assert isinstance(failure, Failure)
    assert (failure.code, sum(isinstance(result, Prepared) for result in found.values())) == (TooSlowError.code, 9)


def test_bytes_larger_than_a_pipe_holds_do_not_lock_both_ends(pictures: list[Item]) -> None:
    content = Path(pictures[0].file).read_bytes()
    assert len(content) > 30_000
    there = [Item(path=f"{number}", file="", payload=content + bytes(10**6)) for number in range(12)]
    found = by_path(decode_apart(iter(there), WindowConfig(size=512), workers=2, timeout_s=60))
    assert sum(isinstance(result, Prepared) for result in found.values()) == 12


def test_no_more_is_listed_than_the_processes_can_hold(pictures: list[Item]) -> None:
    listed = 0

    def counted() -> Iterator[Item]:
        nonlocal listed
        for item in pictures * 5:
            listed += 1
            yield item

    ready = decode_apart(counted(), POLICY, workers=1, timeout_s=60)
    next(ready)
    assert listed <= 2 * decoders.DEPTH
    ready.close()  # type: ignore[attr-defined]


def test_processes_that_cannot_start_stop_the_scan(pictures: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_serve", print)  # ends at once, without a word
    with pytest.raises(ScanError, match="cannot start"):
        list(decode_apart(iter(pictures), POLICY, workers=1, timeout_s=60))
