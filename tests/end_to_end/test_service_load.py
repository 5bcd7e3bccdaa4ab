"""The benchmark of the service: it counts what fails, and its figures are those of the requests."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("torch")  # of its tiny detector

from processes import alive
from service_load import Load, crops, load, measured, ratio, tenths


def test_requests_of_many_clients_are_counted(served: Any) -> None:
    found = Load()
    pictures = [*crops(96, seed=1)[:3], b"no picture"]
    for numbers in (list(range(20)), list(range(20, 24))):
        load(found, served.port, pictures, numbers, clients=4, session=served.process.pid, key=served.key)
    assert sorted(found.statuses) == [200] * 18 + [422] * 6
    assert found.errors == 6
    assert len(found.milliseconds) == 24
    assert 0 < found.seconds < 60
    assert served.process.pid in alive(served.process.pid)
    assert all(held > 50 for _, held in found.memory)


def test_requests_with_a_wrong_key_are_all_errors(served: Any) -> None:
    found = Load()
    load(found, served.port, [b"x"], [0, 1, 2], clients=2, key="another")
    assert found.statuses == [401] * 3
    assert found.errors == 3


def test_the_row_says_what_was_measured() -> None:
    found = Load(statuses=[200] * 99 + [0], milliseconds=[float(number) for number in range(1, 101)], seconds=20.0)
    found.memory = [(number, 100.0 + number) for number in range(100)]
    assert tenths(found) == [104.5 + 10 * tenth for tenth in range(10)]
    row = measured(found, "tiny", clients=4)
    assert (row["requests"], row["errors"], row["requests_per_s"]) == (100, 1, 5.0)
    assert (row["p50_ms"], row["p95_ms"], row["p99_ms"]) == (50, 95, 99)
    assert (row["mib_second_tenth"], row["mib_last_tenth"], row["mib_peak"]) == ("114", "194", "199")
    shares = ratio(row, [10.0, 30.0], windows=2.0)
    assert (shares["engine_per_s"], shares["share_of_engine"]) == (10.0, 0.5)
    assert (shares["engine_least_per_s"], shares["engine_most_per_s"]) == (5.0, 15.0)


def test_a_tenth_that_nobody_looked_at_is_no_number() -> None:
    found = Load(statuses=[200] * 10, memory=[(0, 1.0), (9, 2.0)])
    assert tenths(found)[0] == 1.0
    assert math.isnan(tenths(found)[4])
