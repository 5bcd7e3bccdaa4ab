"""What a scan tells of how far it is: a line for people, lines of JSON for programs."""

from __future__ import annotations

import json
import time

import pytest

from ganfingerprint.cli import scan as command
from ganfingerprint.scan.run import Progress


def progress() -> Progress:
    return Progress(earlier=5, listed=105, total=405, done=100, failed=2, fakes=3, started=time.monotonic() - 10)


def test_people_read_how_much_there_is_and_how_long_it_takes() -> None:
    line = command._line(progress())
    assert line.startswith("100 files (5 were there before), 3 called fake, 2 failed, 10.0 files/s, 105 of 405 listed")
    assert line.endswith(("0:00:30 left", "0:00:31 left"))


@pytest.mark.parametrize("changes", [{"total": None}, {"total": 105}, {"done": 0}])
def test_what_is_not_known_or_over_is_not_told(changes: dict[str, int | None]) -> None:
    changed = progress()
    for name, value in changes.items():
        setattr(changed, name, value)
    assert command._line(changed).endswith("files/s")


def test_programs_read_the_same() -> None:
    event = json.loads(command._event("progress", progress()))
    assert event["event"] == "progress"
    assert (event["listed"], event["total"], event["done"], event["earlier"]) == (105, 405, 100, 5)
    assert event["seconds_left"] == pytest.approx(30, rel=0.1)
    assert json.loads(command._event("progress", Progress()))["seconds_left"] is None


def test_after_a_resumption_earlier_rows_take_no_time() -> None:
    resumed = Progress(earlier=900, listed=20, total=1000, done=10, started=time.monotonic() - 10)
    assert resumed.seconds_left == pytest.approx(90, rel=0.1)  # ninety files, one a second
    assert Progress(earlier=2, listed=12, total=12, done=8).seconds_left == 0  # two were named twice
