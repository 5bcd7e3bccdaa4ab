"""What a report says in words: the verdict, what the number means, how far the evidence reaches, and its limits.

The evidence is worded as the ENFSI guideline for evaluative reporting (2015) asks: how much more likely the finding is
under one proposition than under the other, never how likely a proposition is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.explain.overlay import WORDING
from ganfingerprint.types import Float64Array, Image, Prediction, Verdict

WORDS: Mapping[Verdict, str] = {verdict: look.words for verdict, look in WORDING.items()}
PROPOSITIONS = (
    "the picture was made by a generator of the kinds that the detector was calibrated on",
    "the picture is a photograph of the kinds that it was calibrated on",
)
_STEPS = ((10, "weak"), (100, "moderate"), (1000, "moderately strong"), (10_000, "strong"))  # ratio below → word
_NO_DIRECTION = 1.05  # a ratio nearer to 1 supports neither
NEAR = 0.5  # of the raw score: validation pictures within it are alike
STRONG_JPEG, MOSTLY_UNSEEN, FLAT = 60, 0.5, 0.5


def evidence(prediction: Prediction, calibration: Calibration) -> dict[str, Any]:
    """The likelihood ratio, its verbal step and a sentence; whether it stands at the bound."""
    ratio = 10 ** abs(prediction.log10_lr)
    at_bound = abs(prediction.log10_lr) >= calibration.log10_lr_bound
    if ratio < _NO_DIRECTION:
        sentence = "The finding is about as likely under both propositions: it supports neither."
        return {"ratio": 1.0, "step": "none", "at_bound": False, "sentence": sentence}
    step = next((word for limit, word in _STEPS if ratio < limit), "very strong")
    first, second = PROPOSITIONS if prediction.log10_lr > 0 else PROPOSITIONS[::-1]
    sentence = f"The finding is about {_number(ratio)} times as likely if {first} than if {second}: {step} support."
    if at_bound:
        sentence += " That is the most that the number of calibration pictures can support."
    return {"ratio": ratio, "step": step, "at_bound": at_bound, "sentence": sentence}


def probability(prediction: Prediction, card: Card) -> dict[str, Any]:
    """What the calibrated probability means, and how the calibration pictures with a score like this one were."""
    near = {}
    for name in ("photographs", "fakes"):
        scores = np.asarray(card.scores.get(name, ()), dtype=np.float64)
        near[name] = {"near": int(np.sum(np.abs(scores - prediction.logit) <= NEAR)), "all": len(scores)}
    return {"prob_fake": prediction.prob_fake, "sentence": share(prediction), "within": NEAR, "counts": near}


def share(prediction: Prediction) -> str:
    """The calibrated probability in words."""
    return (
        f"Of calibration pictures with this score, half of all being photographs and half generated, about "
        f"{100 * prediction.prob_fake:.0f} in 100 were generated."
    )


def threshold(card: Card) -> str:
    """For which rate an accusation was chosen, and what the rate was on pictures that had no part in it."""
    calibration = Calibration.from_mapping(card.calibration)
    if calibration.false_alarm_rate is None:
        return "No rate of false accusations stands behind this detector's verdicts."
    said = (
        f"“{WORDS[Verdict.FAKE]}” is said above a score of {calibration.fake_threshold:.2f}, chosen so that at most "
        f"{100 * calibration.false_alarm_rate:g} % of the calibration photographs are called so."
    )
    measured = [
        f"{split}: {100 * entry['value']:.1f} %"
        for split, figures in card.figures.items()
        if "(chose" not in split and (entry := figures.get("false_alarm_rate_shipped"))
    ]
    return said + (f" Measured on others ({'; '.join(measured)})." if measured else "")


def limits(image: Image, prediction: Prediction, quality: int | None, *, side: int) -> list[str]:
    """What makes this answer worth less than the figures say; the first ones are of this picture alone.

    `side` is that of the detector's windows.
    """
    found = []
    if min(image.width, image.height) < side:
        found.append(f"The picture is small ({image.width} x {image.height}): it was padded by its mirror image.")
    if quality is not None and quality < STRONG_JPEG:
        found.append(f"It is strongly compressed (JPEG quality about {quality}): traces of a generator may be gone.")
    seen = _share_seen(image, prediction)
    if seen < MOSTLY_UNSEEN:
        found.append(f"Only {100 * seen:.0f} % of its area was examined, in {prediction.windows} windows.")
    if _share_flat(image) > FLAT:
        found.append("Most of it is flat colour: a drawing, a chart or a screenshot gets an answer that means nothing.")
    return [
        *found,
        "Generators that the detector was not calibrated on may leave no trace that it knows.",
        "That no trace was found proves nothing; editing by hand, staging and wrong captions leave none.",
        "Photographs enlarged or retouched by an AI carry a generator's trace without being generated.",
    ]


def histogram(card: Card, bins: int = 40) -> dict[str, Any]:
    """How the scores of the calibration pictures lie: share of each class in each bin."""
    classes = {name: np.asarray(card.scores.get(name, ()), dtype=np.float64) for name in ("photographs", "fakes")}
    known = np.concatenate(list(classes.values()))
    if not known.size:
        return {}
    edges = np.linspace(np.floor(known.min()), np.ceil(known.max()), bins + 1)
    return {"edges": edges.round(3).tolist(), **{name: _shares(scores, edges) for name, scores in classes.items()}}


def _shares(scores: Float64Array, edges: Float64Array) -> list[float]:
    counts, _ = np.histogram(scores, edges)
    shares: list[float] = (counts / max(1, len(scores))).round(4).tolist()
    return shares


def _share_seen(image: Image, prediction: Prediction) -> float:
    seen = np.zeros((image.height, image.width), dtype=np.bool_)
    for left, top, right, bottom in prediction.boxes.tolist():
        seen[max(top, 0) : bottom, max(left, 0) : right] = True
    return float(seen.mean())


def _share_flat(image: Image) -> float:
    """Share of pixels that equal their right-hand neighbour: noise makes them differ in photographs."""
    pixels = image.pixels
    return float(np.mean((pixels[:, 1:] == pixels[:, :-1]).all(axis=2)))


def _number(ratio: float) -> str:
    digits: Sequence[tuple[float, str]] = ((10, f"{ratio:.1f}"), (1000, f"{ratio:.0f}"))
    return next((text for limit, text in digits if ratio < limit), f"{ratio:,.0f}")
