"""What is said of an attribution goes with the verdict beside it."""

from __future__ import annotations

import pytest

from ganfingerprint.attribution import PHOTOGRAPH, UNKNOWN
from ganfingerprint.attribution.words import answer_sentence
from ganfingerprint.types import Attribution, Verdict


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        ("reds", Verdict.FAKE, "Likeliest: reds made it (probability 0.81)."),
        ("reds", Verdict.UNCERTAIN, "If a generator made it, reds is the likeliest (probability 0.85 if so)."),
        ("reds", Verdict.REAL, "If a generator made it, reds is the likeliest (probability 0.85 if so)."),
        (UNKNOWN, Verdict.FAKE, "Likeliest: a generator that is not enrolled made it (probability 0.81)."),
        (
            UNKNOWN,
            Verdict.REAL,
            "If a generator made it, one that is not enrolled is the likeliest (probability 0.85 if so).",
        ),
        (PHOTOGRAPH, Verdict.REAL, "Nearest to photographs: no generator can be named (probability 0.81)."),
    ],
)
def test_a_name_comes_with_an_if_where_the_verdict_is_not_fake(answer: str, verdict: Verdict, said: str) -> None:
    found = Attribution(
        source="a.png", answer=answer, probability=0.812, prob_photograph=0.05, prob_unknown=0.05, candidates=(),
        nearest=(), gallery_id="g", detector_id="d",
    )  # fmt: skip
    assert answer_sentence(found, verdict) == said
