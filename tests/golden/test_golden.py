"""Every stage still makes of four samples what it made of them when the detector was shipped."""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location("golden_stages", Path(__file__).with_name("stages.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
stages = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(stages)

# A JPEG decoder may round a pixel otherwise, and a processor a product: nothing else may move.
OF_SPREAD = 0.01  # of a stage's standard deviation, whatever its scale
SCORE_RELATIVE, SCORE_ABSOLUTE = 2e-3, 0.02


@functools.cache
def golden() -> dict[str, Any]:
    if not stages.GOLDEN.is_file():
        pytest.fail("There are no golden numbers (golden.json); write them with: python tests/golden/stages.py")
    return json.loads(stages.GOLDEN.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@functools.cache
def found() -> dict[str, Any]:
    return stages.all_stages()  # type: ignore[no-any-return]


def test_the_golden_numbers_are_those_of_the_shipped_detector() -> None:
    assert golden()["detector_id"] == found()["detector_id"], "a new detector needs: python tests/golden/stages.py"


@pytest.mark.parametrize("sample", stages.SAMPLES)
def test_every_stage_gives_its_golden_numbers(sample: str) -> None:
    expected, value = golden()[sample], found()[sample]
    assert expected.keys() == value.keys() == set(stages.STAGES)
    assert [line for stage in stages.STAGES for line in differences(value[stage], expected[stage], stage)] == []


def differences(value: Any, expected: Any, stage: str) -> list[str]:
    """What of a stage is not as it was, in words."""
    if isinstance(expected, dict):
        room = OF_SPREAD * expected["std"]
        close = {name: pytest.approx(expected[name], rel=0, abs=room) for name in ("mean", "std")}
        as_it_was = {**expected, **close}
    else:
        value, as_it_was = {stage: value}, {stage: expected}
        if stage in stages.SCORES:
            as_it_was = {stage: pytest.approx(expected, rel=SCORE_RELATIVE, abs=SCORE_ABSOLUTE)}
    assert value.keys() == as_it_was.keys()
    return [f"{stage} {name}: {value[name]}, was {as_it_was[name]}" for name in value if value[name] != as_it_was[name]]


QUIET = {"shape": [9, 512], "mean": 0.004, "std": 0.002}  # a stage of small numbers


@pytest.mark.parametrize(
    ("value", "expected", "stage", "same"),
    [
        ({**QUIET, "mean": 0.004015}, QUIET, "embedding", True),
        ({**QUIET, "mean": 0.00403}, QUIET, "embedding", False),
        ({**QUIET, "std": 0.00205}, QUIET, "embedding", False),
        ({**QUIET, "shape": [8, 512]}, QUIET, "embedding", False),
        ({**QUIET, "boxes": [[0, 0, 9, 9]]}, {**QUIET, "boxes": [[0, 0, 9, 8]]}, "windows", False),
        ([1.0, -9.015], [1.015, -9.0], "network_logits", True),
        ([1.0, -9.03], [1.0, -9.0], "network_logits", False),
        (100.15, 100.0, "logit", True),
        (100.25, 100.0, "logit", False),
        ("fake", "uncertain", "verdict", False),
    ],
)
def test_what_may_move_is_little_on_the_scale_of_its_stage(value: Any, expected: Any, stage: str, same: bool) -> None:
    assert (differences(value, expected, stage) == []) is same
