"""What `attribute` prints for people."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ganfingerprint.attribution.words import IF_GENERATED, RULE
from ganfingerprint.cli.attribute import _print
from ganfingerprint.types import Attribution, Candidate, Prediction, Verdict

KNOWN = cast(Any, SimpleNamespace(generators=("reds",), gallery_id="0123456789ab"))


def judged(verdict: Verdict) -> Prediction:
    return Prediction(
        source="a.png", sha256="0" * 64, format="PNG", size_bytes=1, width=96, height=96, logit=0.0, prob_fake=0.5,
        log10_lr=0.0, verdict=verdict, boxes=np.zeros((1, 4), np.int32), window_prob_fake=np.array([0.5]),
        embedding=np.zeros(2, np.float32), detector_id="d", latency_ms=1.0,
    )  # fmt: skip


def attributed(answer: str, probability: float, photograph: float) -> Attribution:
    reds = Candidate(name="reds", probability=0.28, log10_lr=0.5, references=25)
    return Attribution(
        source="a.png", answer=answer, probability=probability, prob_photograph=photograph, prob_unknown=0.2,
        candidates=(reds,), nearest=(), gallery_id=KNOWN.gallery_id, detector_id="d",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "probability", "photograph", "told"),
    [("reds", 0.28, 0.44, True), ("reds", 0.5, 0.3, False), ("photograph", 0.6, 0.6, False)],
)
def test_the_rule_is_told_where_an_answer_is_not_the_likeliest_of_its_row(
    answer: str, probability: float, photograph: float, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    _print([(judged(Verdict.FAKE), attributed(answer, probability, photograph))], KNOWN)
    assert (RULE in capsys.readouterr().out) is told


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_other_than_fake_comes_with_its_if(verdict: Verdict, capsys: pytest.CaptureFixture[str]) -> None:
    _print([(judged(verdict), attributed("reds", 0.5, 0.3))], KNOWN)
    said = capsys.readouterr().out
    assert (IF_GENERATED.split(".")[0] in said) is (verdict is not Verdict.FAKE)
    assert "reds" in said
