"""A scan meets everything that nobody wants to meet: a row for each, the right code, and nothing else happens."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from hostile_check import check
from hostile_folder import build


@pytest.mark.skipif(sys.platform != "linux", reason="pipes, devices and names as Linux has them")
def test_a_scan_survives_a_hostile_folder(tmp_path: Path) -> None:
    made = build(tmp_path / "hostile", seed=1)
    outcomes = Counter(made.expected.values())
    assert sum(outcomes.values()) > 500
    assert outcomes.keys() > {"judged", "unreadable_image", "too_large", "too_small", "not_found"}
    outcome = check(tmp_path, made, ["--engine", "fake", "--workers", "2"], within_s=300)
    assert outcome.wrong == []
    assert len(outcome.rows) == len(made.expected)
