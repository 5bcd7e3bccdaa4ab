"""What an attribution and a comparison are in words, the same wherever people read them."""

from __future__ import annotations

from collections.abc import Sequence

from ganfingerprint.attribution.gallery import PHOTOGRAPH, UNKNOWN
from ganfingerprint.types import Attribution, Comparison, Prediction, Verdict

LEAD = (
    "A lead and no proof: attacks that remove fingerprints and attacks that forge them succeed in the literature, and "
    "a generator that is not enrolled can be near one that is."
)
PRIORS = (
    "The probabilities hold where half of the pictures are photographs, a quarter are of enrolled generators and a "
    "quarter of others."
)
RULE = "The answer is photograph only where that is likelier than all generators together."
IF_GENERATED = (
    "The detector does not say that a generator made this picture. What stands here is which one it would be if one "
    "had; nearness to photographs is no sign that it is genuine."
)
DISAGREE = (
    "The verdict is that the picture looks generated, and its fingerprint lies nearest to those of photographs: the "
    "two disagree, and no generator can be named."
)
GENERATED_ONLY = "The comparison holds for generated pictures alone."
NOT_FOR_PHOTOGRAPHS = "The detector takes a whole side for photographs: the comparison says nothing of those."
COMPARED = f"{GENERATED_ONLY} {LEAD}"
_NO_DIRECTION = 1.05  # a ratio nearer to 1 speaks for neither


def answer_sentence(found: Attribution, verdict: Verdict) -> str:
    """The answer with its probability; where the verdict is not that one made it, the name comes with an "if"."""
    of = f"(probability {found.probability:.2f})"
    if_made = f"(probability {found.probability / max(1 - found.prob_photograph, found.probability):.2f} if so)"
    if found.answer == PHOTOGRAPH:
        return f"Nearest to photographs: no generator can be named {of}."
    if verdict is Verdict.FAKE:
        maker = "a generator that is not enrolled" if found.answer == UNKNOWN else found.answer
        return f"Likeliest: {maker} made it {of}."
    likeliest = "one that is not enrolled" if found.answer == UNKNOWN else found.answer
    return f"If a generator made it, {likeliest} is the likeliest {if_made}."


def reservation(verdict: Verdict, found: Attribution) -> str:
    """What has to be said beside an attribution that does not go with the verdict; empty where it does."""
    if verdict is not Verdict.FAKE:
        return IF_GENERATED
    return DISAGREE if found.answer == PHOTOGRAPH else ""


def comparison_sentence(found: Comparison, bound: float) -> str:
    """How much likelier the fingerprints are under which of the two origins.

    Args:
        found: the comparison.
        bound: log10 of the largest ratio that the gallery supports.
    """
    times, (first, second) = 10 ** abs(found.log10_lr), found.counts
    told = (
        f"(P(one generator) {found.prob_same:.3f} at even odds; distance {found.distance:.3f}; bounded at "
        f"{10**bound:.0f} times)"
    )
    fingerprints = (
        "The two fingerprints" if first == second == 1 else f"The fingerprints of {first} and {second} pictures"
    )
    if times < _NO_DIRECTION:
        return f"{fingerprints} are about as likely if they are of one generator as if they are of two {told}."
    which = "one generator" if found.log10_lr > 0 else "two generators"
    return f"{fingerprints} are about {times:.1f} times as likely if they are of {which} {told}."


def not_all_fake(predictions: Sequence[Prediction]) -> str:
    """How many pictures got which verdict; empty where all are *fake*."""
    verdicts = [item.verdict for item in predictions]
    if all(verdict is Verdict.FAKE for verdict in verdicts):
        return ""
    return ", ".join(
        f"{verdicts.count(v)} {v.value}" for v in (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL) if v in verdicts
    )


def side_reservation(side: str, predictions: Sequence[Prediction]) -> str:
    """What limits a comparison: verdicts other than *fake* on one side; empty where there are none."""
    said = not_all_fake(predictions)
    if not said:
        return ""
    photographs = all(item.verdict is Verdict.REAL for item in predictions)
    return f"Of the {side} side the detector says: {said}.{f' {NOT_FOR_PHOTOGRAPHS}' if photographs else ''}"
