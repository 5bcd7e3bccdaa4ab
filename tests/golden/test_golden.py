"""Every stage still makes of four samples what it made of them when the detector was shipped."""

from __future__ import annotations

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

EXPECTED: dict[str, Any] = json.loads(stages.GOLDEN.read_text(encoding="utf-8"))
# A JPEG decoder may round a pixel otherwise, and a processor a product: nothing else may move.
RELATIVE, ABSOLUTE = 2e-3, 5e-3


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return stages.all_stages()  # type: ignore[no-any-return]


def test_the_golden_numbers_are_those_of_the_shipped_detector(found: dict[str, Any]) -> None:
    assert found["detector_id"] == EXPECTED["detector_id"], "a new detector needs: python tests/golden/stages.py"


@pytest.mark.parametrize("sample", stages.SAMPLES)
@pytest.mark.parametrize("stage", sorted(EXPECTED[stages.SAMPLES[0]]))
def test_a_stage_gives_its_golden_numbers(found: dict[str, Any], sample: str, stage: str) -> None:
    assert_close(found[sample][stage], EXPECTED[sample][stage], stage)


def assert_close(value: Any, expected: Any, where: str) -> None:
    if isinstance(expected, dict):
        assert value.keys() == expected.keys()
        for name in expected:
            assert_close(value[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, float) or (isinstance(expected, list) and any(isinstance(v, float) for v in expected)):
        assert value == pytest.approx(expected, rel=RELATIVE, abs=ABSOLUTE), where
    else:
        assert value == expected, where
