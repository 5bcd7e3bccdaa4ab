"""The words of a report: what is claimed, and no more than the calibration supports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import WindowConfig, to_mapping
from ganfingerprint.decode import decode
from ganfingerprint.delivery import Delivery
from ganfingerprint.report import wording
from ganfingerprint.types import Image, ImageFacts, Prediction, Verdict

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
CALIBRATION = replace(
    Calibration.unfitted(), log10_lr_bound=2.5, n_real=300, n_fake=300, false_alarm_rate=0.01, miss_rate=0.05
)
CARD = Card(
    architecture={},
    window=to_mapping(WindowConfig()),
    calibration=CALIBRATION.to_mapping(),
    scores={"photographs": [-3.0, -2.0, -1.0], "fakes": [0.8, 1.2, 4.0]},
    figures={"test": {"false_alarm_rate_shipped": {"value": 0.004}}, "validation (chose all)": {}},
)


def prediction(**changes: object) -> Prediction:
    usual = Prediction(
        source="a.jpg", sha256="0" * 64, format="JPEG", size_bytes=9, width=400, height=300, logit=1.0, prob_fake=0.8,
        log10_lr=0.6, verdict=Verdict.UNCERTAIN, boxes=np.array([[0, 0, 224, 224]], np.int32),
        window_prob_fake=np.array([0.8]), embedding=np.zeros(4, np.float32), detector_id="x", latency_ms=1.0,
    )  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]


def image(pixels: np.ndarray) -> Image:
    height, width = pixels.shape[:2]
    facts = ImageFacts(size_bytes=9, format="JPEG", mode="RGB", width=width, height=height)
    return Image(source="a.jpg", pixels=pixels, sha256="0" * 64, facts=facts)


NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("log10_lr", "step", "words"),
    [
        (0.01, "none", "supports neither"),
        (0.6, "weak", "about 4.0 times as likely if the picture was made by a generator"),
        (-0.6, "weak", "about 4.0 times as likely if the picture is a photograph"),
        (1.5, "moderate", "about 32 times"),
        (2.2, "moderately strong", "about 158 times"),
        (2.5, "moderately strong", "about 316 times"),
    ],
)
def test_evidence_is_a_ratio_of_two_propositions_and_bounded(log10_lr: float, step: str, words: str) -> None:
    found = wording.evidence(prediction(log10_lr=log10_lr), CALIBRATION)
    assert found["step"] == step
    assert words in found["sentence"]
    assert found["at_bound"] == (log10_lr == 2.5)
    assert ("the most that" in found["sentence"]) == found["at_bound"]


def test_a_probability_is_said_of_pictures_with_this_score() -> None:
    found = wording.probability(prediction(), CARD)
    assert "about 80 in 100 were generated" in found["sentence"]
    assert found["counts"] == {"photographs": {"near": 0, "all": 3}, "fakes": {"near": 2, "all": 3}}
    assert wording.probability(prediction(), CARD.replaced(scores={}))["counts"]["fakes"] == {"near": 0, "all": 0}


def test_a_threshold_stands_with_rates_of_pictures_that_did_not_choose_it() -> None:
    said = wording.threshold(CARD)
    assert "at most 1 % of the calibration photographs" in said
    assert "Measured on others (test: 0.4 %)" in said
    assert "No rate" in wording.threshold(CARD.replaced(calibration=Calibration.unfitted().to_mapping()))


WHOLE = np.array([[0, 0, 200, 300], [200, 0, 400, 300]], np.int32)  # two windows that see all of it


def test_limits_of_this_picture_come_before_those_of_all() -> None:
    always = wording.limits(image(NOISE), prediction(boxes=WHOLE), None, CARD)
    assert len(always) == 3
    assert "proves nothing" in always[1]
    small = wording.limits(image(NOISE[:100, :100]), prediction(boxes=np.array([[-62, -62, 162, 162]])), 40, CARD)
    assert "small (100 x 100)" in small[0]
    assert "One window alone" in small[1]
    assert "about 40" in small[2]
    assert small[3:] == always
    boxes = np.array([[0, 0, 224, 224], [10, 0, 234, 224]], np.int32)
    assert wording.limits(image(NOISE), prediction(boxes=boxes), 90, CARD) == [
        "Only 44 % of its area was examined, in 2 windows.", *always
    ]  # fmt: skip


def test_one_frame_of_many_is_said() -> None:
    moving = replace(image(NOISE), facts=replace(image(NOISE).facts, frames=12))
    assert wording.limits(moving, prediction(boxes=WHOLE), None, CARD)[0] == (
        "The first of its 12 frames alone was examined."
    )


@pytest.mark.parametrize(
    ("deliveries", "quality", "beyond"),
    [
        ("web, hard, social", 39, True),
        ("web, hard, social", 40, False),
        ("web", 59, True),
        ("web-768, hard-512", 39, True),
        ("", 5, False),
        ("of another version", 5, False),
    ],
)
def test_compression_beyond_the_deliveries_of_the_calibration_is_said(
    deliveries: str, quality: int, beyond: bool
) -> None:
    card = CARD.replaced(calibration=replace(CALIBRATION, deliveries=deliveries).to_mapping())
    said = wording.limits(image(NOISE), prediction(boxes=WHOLE), quality, card)
    assert any("its rates may not hold here" in text for text in said) == beyond


def chart() -> np.ndarray:
    """Bars and axes on white."""
    pixels = np.full((300, 400, 3), 255, np.uint8)
    for number in range(9):
        pixels[280 - 25 * number : 280, 20 + 40 * number : 45 + 40 * number] = (30, 90, 160)
    pixels[280:282, 10:390] = 0
    return pixels


def saved(pixels: np.ndarray, quality: int) -> np.ndarray:
    return Delivery(codec="JPEG", quality=quality)(pixels, np.random.default_rng(0))


@pytest.mark.parametrize("quality", [95, 80, 60, 40])
def test_a_chart_is_told_to_hold_little_and_a_photograph_is_not(quality: int) -> None:
    for pixels in (chart(), saved(chart(), quality)):
        assert "are equal" in wording.limits(image(pixels), prediction(boxes=WHOLE), None, CARD)[0]
    for place in sorted((SAMPLES / "real").glob("*.jpg")):
        pixels = decode(place).pixels
        for photograph in (pixels, saved(pixels, quality)):
            limits = wording.limits(image(photograph), prediction(boxes=WHOLE), None, CARD)
            assert not any("are equal" in text for text in limits), place


def test_generators_that_it_does_not_see_are_named_from_the_card() -> None:
    figures = {
        "auc.generator.new-one": {"value": 0.58},
        "auc.generator.newest": {"value": 0.471},
        "auc.generator.old": {"value": 0.9},
        "auc": {"value": 0.6},
        "miss_rate_shipped": {"value": 0.402},
    }
    said = wording.limits(image(NOISE), prediction(boxes=WHOLE), None, CARD.replaced(figures={"external": figures}))
    assert (
        said[1]
        == "Of pictures by generators that it never learnt from, 40 % were called “no trace of generation found”."
    )
    assert said[2].endswith(": newest (0.47), new-one (0.58).")
    assert len(said) == 5


def test_the_distribution_is_of_each_class_by_itself() -> None:
    found = wording.histogram(CARD, bins=7)
    assert found["edges"] == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    assert found["photographs"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0], abs=1e-3)
    assert sum(found["fakes"]) == pytest.approx(1, abs=1e-3)
    assert wording.histogram(CARD.replaced(scores={})) == {}
