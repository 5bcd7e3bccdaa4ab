"""An answer after mild re-encodings: what agrees, what flips, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ganfingerprint.decode import decode
from ganfingerprint.delivery import encoded
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ImageTooSmallError
from ganfingerprint.stability import MILD, Stability, check_stability, settled
from ganfingerprint.types import Prediction, UInt8Array, Verdict

FAKE, UNCERTAIN, REAL = Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL


@pytest.fixture
def prediction(bright_detector: Detector, draw_picture: Callable[..., UInt8Array]) -> Prediction:
    return bright_detector.predict(encoded(draw_picture(1), "JPEG", 95))


def after(prediction: Prediction, *verdicts: Verdict) -> dict[str, Prediction]:
    return {str(number): replace(prediction, verdict=verdict) for number, verdict in enumerate(verdicts)}


@pytest.mark.parametrize(
    ("first", "others", "agreeing", "flips"),
    [
        (FAKE, (FAKE, FAKE, FAKE), 3, False),
        (FAKE, (FAKE, UNCERTAIN, FAKE), 2, False),
        (FAKE, (FAKE, REAL, FAKE), 2, True),
        (REAL, (REAL, UNCERTAIN, FAKE), 1, True),
        (UNCERTAIN, (FAKE, FAKE, UNCERTAIN), 1, False),
        (UNCERTAIN, (FAKE, REAL, UNCERTAIN), 1, True),
    ],
)
def test_only_the_opposite_is_a_flip(
    prediction: Prediction, first: Verdict, others: tuple[Verdict, ...], agreeing: int, flips: bool
) -> None:
    stability = Stability(verdict=first, after=after(prediction, *others))
    assert (stability.agreeing, stability.flips) == (agreeing, flips)
    assert str(stability) == f"{agreeing} of 3"
    settled_answer = settled(replace(prediction, verdict=first), stability)
    assert settled_answer.verdict is (UNCERTAIN if flips else first)
    assert replace(settled_answer, verdict=prediction.verdict) == prediction  # nothing else has changed


def test_each_re_encoding_is_judged(bright_detector: Detector, draw_picture: Callable[..., Any]) -> None:
    image = decode(encoded(draw_picture(1, height=200, width=300), "JPEG", 95), name="drawn")
    answer = bright_detector.predict(image)
    stability = check_stability(bright_detector, image, answer)
    assert list(stability.after) == list(MILD)
    assert stability.after["scaled to 0.9"].width == 270
    assert all(abs(found.logit - answer.logit) < 0.5 for found in stability.after.values())  # as bright as before
    assert {found.logit for found in stability.after.values()} != {answer.logit}
    assert stability.after["JPEG 75"].source == "drawn"


def test_a_picture_that_becomes_too_small_is_an_error(
    bright_detector: Detector, draw_picture: Callable[..., Any]
) -> None:
    image = decode(encoded(draw_picture(1, height=64, width=64)[:50, :50], "JPEG", 95))
    with pytest.raises(ImageTooSmallError):
        check_stability(bright_detector, image, bright_detector.predict(image))
