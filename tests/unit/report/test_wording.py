"""The words of a report: what is claimed, and no more than the calibration supports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import WindowConfig, to_mapping
from ganfingerprint.report import wording
from ganfingerprint.types import Image, ImageFacts, Prediction, Verdict

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


def test_limits_of_this_picture_come_before_those_of_all() -> None:
    always = wording.limits(image(NOISE), prediction(boxes=np.array([[0, 0, 400, 300]], np.int32)), None, side=224)
    assert len(always) == 3
    assert "proves nothing" in always[1]
    small = wording.limits(image(NOISE[:100, :100]), prediction(boxes=np.array([[-62, -62, 162, 162]])), 40, side=224)
    assert "small (100 x 100)" in small[0]
    assert "about 40" in small[1]
    assert small[2:] == always
    unseen = wording.limits(image(NOISE), prediction(), 90, side=224)
    assert unseen[0] == "Only 42 % of its area was examined, in 1 windows."
    chart = np.full((300, 400, 3), 255, np.uint8)
    assert "flat colour" in wording.limits(image(chart), prediction(), None, side=224)[-4]


def test_the_distribution_is_of_each_class_by_itself() -> None:
    found = wording.histogram(CARD, bins=7)
    assert found["edges"] == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    assert found["photographs"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0], abs=1e-3)
    assert sum(found["fakes"]) == pytest.approx(1, abs=1e-3)
    assert wording.histogram(CARD.replaced(scores={})) == {}
