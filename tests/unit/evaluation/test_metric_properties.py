"""What must hold of every metric whatever the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfingerprint.config import ScoreConfig
from ganfingerprint.evaluation import metrics

QUICK = settings(deadline=None, database=None, max_examples=40)
SHARES = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "false_alarm_rate", "auc", "average_precision",
    "tpr_at_fpr_1", "tpr_at_fpr_5", "brier", "ece",
)  # fmt: skip

# few distinct values, so that ties are the rule; both classes at least once
BOTH = st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1, max_size=40).map(
    lambda rows: [(True, 6), (False, 4), *rows]
)


def columns(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([fake for fake, _ in rows]), np.array([value / 10 for _, value in rows])


@QUICK
@given(BOTH)
def test_shares_lie_between_nought_and_one(rows: list[tuple[bool, int]]) -> None:
    found = metrics.compute_metrics(*columns(rows))
    assert all(0.0 <= getattr(found, name) <= 1.0 for name in SHARES)
    assert found.cllr >= 0.0
    assert found.tpr_at_fpr_1 <= found.tpr_at_fpr_5


@QUICK
@given(BOTH)
def test_ranks_alone_decide_auc_average_precision_and_recall_at_a_rate(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    stretched = np.exp(7 * scores) - 1000
    for function in (metrics.auc, metrics.average_precision, lambda y, s: metrics.tpr_at_fpr(y, s, 0.05)):
        assert function(fake, stretched) == pytest.approx(function(fake, scores))


@QUICK
@given(BOTH)
def test_turning_scores_or_labels_round_turns_auc_round(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    assert metrics.auc(fake, -scores) == pytest.approx(1 - metrics.auc(fake, scores))
    assert metrics.auc(~fake, scores) == pytest.approx(1 - metrics.auc(fake, scores))
    assert metrics.auc(~fake, -scores) == pytest.approx(metrics.auc(fake, scores))


@QUICK
@given(BOTH, st.randoms(use_true_random=False))
def test_the_order_of_the_pictures_changes_nothing(rows: list[tuple[bool, int]], random) -> None:
    before = metrics.compute_metrics(*columns(rows))
    random.shuffle(rows)
    after = metrics.compute_metrics(*columns(rows))
    assert after.as_dict() == pytest.approx(before.as_dict())


@QUICK
@given(BOTH)
def test_copies_of_every_picture_change_no_metric(rows: list[tuple[bool, int]]) -> None:
    once, thrice = metrics.compute_metrics(*columns(rows)), metrics.compute_metrics(*columns(rows * 3))
    for name in (*SHARES, "cllr"):
        assert getattr(thrice, name) == pytest.approx(getattr(once, name)), name


@QUICK
@given(BOTH, st.integers(2, 5))
def test_what_is_measured_within_a_class_does_not_know_how_many_the_other_has(
    rows: list[tuple[bool, int]], times: int
) -> None:
    more = rows + [row for row in rows if row[0]] * (times - 1)  # each fake `times` times
    once, with_more = metrics.compute_metrics(*columns(rows)), metrics.compute_metrics(*columns(more))
    for name in ("auc", "recall", "false_alarm_rate", "balanced_accuracy", "tpr_at_fpr_1", "tpr_at_fpr_5", "cllr"):
        assert getattr(with_more, name) == pytest.approx(getattr(once, name)), name
    assert with_more.precision >= once.precision - 1e-12  # and precision does: more fakes make it easier


@QUICK
@given(BOTH)
def test_the_area_below_the_roc_curve_is_the_auc(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    curve = metrics.get_roc_curve_data(fake, scores)
    area = np.sum(np.diff(curve.fpr) * (curve.tpr[1:] + curve.tpr[:-1]) / 2)
    assert area == pytest.approx(metrics.auc(fake, scores))
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(curve.fpr) >= 0)
    assert np.all(np.diff(curve.thresholds) < 0)


@QUICK
@given(BOTH, st.floats(0, 1))
def test_a_point_of_the_curves_is_what_its_threshold_gives(rows: list[tuple[bool, int]], share: float) -> None:
    fake, scores = columns(rows)
    roc, precision_recall = (
        metrics.get_roc_curve_data(fake, scores),
        metrics.get_precision_recall_curve_data(fake, scores),
    )
    point = 1 + int(share * (len(roc.thresholds) - 2))
    found = metrics.compute_metrics(fake, scores, float(roc.thresholds[point]))
    assert (roc.tpr[point], roc.fpr[point]) == pytest.approx((found.recall, found.false_alarm_rate))
    assert precision_recall.precision[point] == pytest.approx(found.precision)
    assert precision_recall.recall[point] == pytest.approx(found.recall)


@QUICK
@given(BOTH, st.floats(0, 1), st.floats(0, 1))
def test_more_false_alarms_allowed_never_means_less_recall(
    rows: list[tuple[bool, int]], one: float, other: float
) -> None:
    fake, scores = columns(rows)
    low, high = sorted((one, other))
    assert metrics.tpr_at_fpr(fake, scores, low) <= metrics.tpr_at_fpr(fake, scores, high)
    assert metrics.operating_threshold(fake, scores, low) >= metrics.operating_threshold(fake, scores, high)


@QUICK
@given(BOTH)
def test_reliability_loses_no_picture_and_keeps_both_means(rows: list[tuple[bool, int]]) -> None:
    fake, probs = columns(rows)
    mean_probability, share_fake, pictures = metrics.get_reliability_data(fake, probs)
    filled = pictures > 0
    assert pictures.sum() == len(fake)
    assert np.isnan(mean_probability[~filled]).all()
    assert np.average(mean_probability[filled], weights=pictures[filled]) == pytest.approx(probs.mean())
    assert np.average(share_fake[filled], weights=pictures[filled]) == pytest.approx(fake.mean())


@QUICK
@given(BOTH)
def test_telling_the_share_of_fakes_of_each_bin_is_perfectly_calibrated(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    told = np.array([fake[scores == score].mean() for score in scores])
    assert metrics.expected_calibration_error(fake, told) == pytest.approx(0.0, abs=1e-12)
    assert metrics.brier_score(fake, told) <= metrics.brier_score(fake, scores) + 1e-12


@QUICK
@given(BOTH)
def test_evidence_turned_round_is_judged_as_the_labels_turned_round(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    evidence = 4 * scores - 2
    assert metrics.cllr(~fake, -evidence) == pytest.approx(metrics.cllr(fake, evidence))
    assert metrics.cllr(fake, 0 * evidence) == pytest.approx(1.0)


@QUICK
@given(BOTH)
def test_cllr_of_probabilities_is_that_of_their_evidence(rows: list[tuple[bool, int]]) -> None:
    fake, probs = columns(rows)
    evidence = np.log10(probs / (1 - probs))
    assert metrics.compute_metrics(fake, probs).cllr == pytest.approx(metrics.cllr(fake, evidence))


@QUICK
@given(BOTH, st.floats(0.01, 0.5))
def test_published_error_06_no_constant_beats_a_detector_that_finds_a_fake(
    rows: list[tuple[bool, int]], rate: float
) -> None:
    """Whatever the mix of classes: at the operating threshold a constant finds nothing."""
    fake, scores = columns(rows)
    if metrics.tpr_at_fpr(fake, scores, rate) <= rate or metrics.auc(fake, scores) < 0.5:
        return  # at chance or below it: nothing is claimed
    constant = metrics.selection_score(fake, np.zeros(len(fake)), ScoreConfig(), rate)
    assert metrics.selection_score(fake, scores, ScoreConfig(), rate) > constant


@QUICK
@given(BOTH, st.sampled_from(metrics.THRESHOLD_METRICS))
def test_an_optimal_threshold_does_not_move_with_the_order_of_pictures(
    rows: list[tuple[bool, int]], metric: str
) -> None:
    fake, scores = columns(rows)
    threshold = metrics.find_optimal_threshold(fake, scores, metric)
    assert threshold == metrics.find_optimal_threshold(fake[::-1], scores[::-1], metric)
    assert scores.min() <= threshold <= math.nextafter(scores.max(), math.inf)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.int8, np.float32])
def test_labels_may_be_of_any_kind_that_is_nought_or_one(dtype: type) -> None:
    fake = np.array([0, 1, 1, 0, 1], dtype=dtype)
    scores = np.array([0.1, 0.6, 0.4, 0.5, 0.9], dtype=np.float32)
    assert metrics.auc(fake, scores) == pytest.approx(5 / 6)
    assert metrics.auc(fake.tolist(), scores.tolist()) == pytest.approx(5 / 6)
    assert metrics.compute_confusion_matrix(fake, scores > 0.45).tolist() == [[1, 1], [1, 2]]
