"""What a table of scores makes of a detector's verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.calibrate import Calibration, fit_calibration
from ganfingerprint.catalog import PROXY_FAMILY, Sample
from ganfingerprint.errors import DataError
from ganfingerprint.evaluation.fit import evaluated_under, fit_table, fitting_rows, fitting_scores, judged_under
from ganfingerprint.evaluation.measure import Evaluation, Facts, measure
from ganfingerprint.evaluation.protocol import ScoreTable, score_table
from ganfingerprint.types import Answer, Failure, Label, Prediction, Verdict

REAL, FAKE, PROXY = "photo", "gan", PROXY_FAMILY
OLD = Calibration.unfitted()


def answer(score: float | None) -> Answer:
    if score is None:
        return Failure(source="x", code="unreadable_image", error="cut short")
    return Prediction(
        source="x", sha256="0" * 64, format="PNG", size_bytes=1, width=8, height=8, logit=score,
        prob_fake=float(OLD.prob_fake(score)), log10_lr=float(OLD.log10_lr(score)), verdict=OLD.verdict(score),
        boxes=np.zeros((1, 4), np.int32), window_prob_fake=np.zeros(1), embedding=np.zeros(4, np.float32),
        detector_id="old", latency_ms=1.0,
    )  # fmt: skip


def table(*rows: tuple[str, float | None]) -> ScoreTable:
    """A table of (family, raw score); two rows after one another share a group."""
    samples = [
        Sample(
            path=Path(f"{number}.png"), label=Label.REAL if family == REAL else Label.FAKE, generator="",
            family=family, split="validation", group=str(number // 2), source="",
        )
        for number, (family, _) in enumerate(rows)
    ]  # fmt: skip
    return score_table(samples, [answer(score) for _, score in rows], Path())


REALS = [-4.0, -3.0, -2.5, -2.0, -1.0, 0.5]
FAKES = [-1.5, 0.0, 1.0, 2.0, 3.0, 4.0]
PLAIN = [*((REAL, score) for score in REALS), *((FAKE, score) for score in FAKES)]


def fitted(rows: ScoreTable) -> Calibration:
    return fit_table(rows, false_alarm_rate=0.1, miss_rate=0.1)


def test_a_fit_to_deliveries_takes_every_version_and_counts_pictures_once() -> None:
    weaker = table(*((family, score / 2) for family, score in PLAIN))
    calibration = fit_table(table(*PLAIN), {"web": weaker}, false_alarm_rate=0.1, miss_rate=0.1)
    scores = np.array([*REALS, *FAKES])
    groups = [str(number // 2) for number in range(12)] * 2
    both = fit_calibration(
        np.concatenate([scores, scores / 2]), ([False] * 6 + [True] * 6) * 2, groups=groups,
        false_alarm_rate=0.1, miss_rate=0.1,
    )  # fmt: skip
    assert calibration.slope == both.slope
    assert (calibration.fake_threshold, calibration.real_threshold) == (both.fake_threshold, both.real_threshold)
    assert (calibration.n_real, calibration.n_fake, calibration.deliveries) == (6, 6, "web")
    assert calibration.log10_lr_bound == pytest.approx(np.log10(4))  # a picture delivered twice is one picture


def test_the_scores_for_a_card_are_those_that_were_fitted() -> None:
    rows = table((REAL, 1.234), (REAL, -4.0), (FAKE, 2.0), (PROXY, 9.0), (FAKE, None))
    assert fitting_scores(rows) == {"photographs": [-4.0, 1.23], "fakes": [2.0]}


def test_the_fit_is_the_one_of_the_scores_truths_and_groups() -> None:
    calibration = fitted(table(*PLAIN))
    groups = [str(number // 2) for number in range(12)]
    assert calibration == fit_calibration(
        [*REALS, *FAKES], [False] * 6 + [True] * 6, groups=groups, false_alarm_rate=0.1, miss_rate=0.1
    )
    assert calibration.log10_lr_bound == pytest.approx(np.log10(4))  # three groups of each class, not six pictures
    assert (calibration.n_real, calibration.n_fake) == (6, 6)


def test_neither_proxies_nor_what_could_not_be_read_have_a_say() -> None:
    more = table(*PLAIN, (PROXY, -9.0), (PROXY, -8.0), (REAL, None), (FAKE, None))
    assert fitted(more) == fitted(table(*PLAIN))
    assert fitting_rows(more).path.tolist() == [f"{number}.png" for number in range(12)]


@pytest.mark.parametrize("rows", [[(REAL, 0.0), (PROXY, 1.0)], [(FAKE, 0.0), (REAL, None)], []])
def test_without_both_classes_there_is_no_fit(rows: list[tuple[str, float | None]]) -> None:
    with pytest.raises(DataError, match="both classes"):
        fitted(table(*rows))


def test_the_same_scores_get_the_evidence_and_verdicts_of_the_new_calibration() -> None:
    before = table(*PLAIN, (PROXY, 9.0), (FAKE, None))
    calibration = fitted(before)
    after = judged_under(before, calibration)
    np.testing.assert_array_equal(after.logit, before.logit)
    expected = [calibration.verdict(score).value for score in [*REALS, *FAKES, 9.0]]
    assert after.verdict.tolist() == [*expected, ""]
    assert set(expected) == {verdict.value for verdict in Verdict}
    np.testing.assert_array_equal(after.prob_fake[:-1], calibration.prob_fake(after.logit[:-1]))
    np.testing.assert_array_equal(after.log10_lr[:-1], calibration.log10_lr(after.logit[:-1]))
    assert np.isnan(after.prob_fake[-1])
    assert np.isnan(after.log10_lr[-1])


def test_an_evaluation_under_its_own_fit_says_that_its_pictures_chose_the_verdicts() -> None:
    rows = table(*PLAIN)
    facts = Facts(
        detector_id="old", detector_name="d", data="data", layout="reference", split="validation", seed=3, samples=10,
        command="c", package_version="0", calibration=OLD.to_mapping(),
    )  # fmt: skip
    before = Evaluation(facts=facts, table=rows, measurement=measure(rows, by=(), seed=3, samples=10))
    calibration = fitted(rows)
    after = evaluated_under(before, calibration, detector_id="new", by=("family",))
    assert after.facts.split == "validation (chose calibration and thresholds)"
    assert (after.facts.detector_id, after.facts.calibration) == ("new", calibration.to_mapping())
    recall = after.measurement.headline.figures["recall_shipped"].value
    assert recall == pytest.approx(np.mean([score > calibration.fake_threshold for score in FAKES]))
    assert recall != before.measurement.headline.figures["recall_shipped"].value
    assert after.measurement.headline.figures["auc"] == before.measurement.headline.figures["auc"]
    assert list(after.measurement.groups) == ["family"]
