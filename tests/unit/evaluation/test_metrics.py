"""Every metric against scikit-learn or an independent few lines."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from ganfingerprint.config import ScoreConfig
from ganfingerprint.evaluation import metrics

MANY = settings(deadline=None, database=None)
FEWER = settings(MANY, max_examples=25)

# few distinct values, so that ties are the rule; both classes at least once
BOTH = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=40).map(
    lambda rows: [(True, 5), (False, 3), *rows]
)


def columns(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([fake for fake, _ in rows]), np.array([value / 8 for _, value in rows])


@MANY
@given(BOTH)
def test_auc_counts_pairs_and_half_of_ties(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[fake] for b in scores[~fake]]
    assert metrics.auc(fake, scores) == pytest.approx(np.mean(pairs))
    assert metrics.auc(fake, scores) == pytest.approx(sk.roc_auc_score(fake, scores))


@MANY
@given(BOTH)
def test_average_precision_is_that_of_sklearn(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    assert metrics.average_precision(fake, scores) == pytest.approx(sk.average_precision_score(fake, scores))


@MANY
@given(BOTH, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_threshold_metrics_are_those_of_sklearn(rows: list[tuple[bool, int]], threshold: float) -> None:
    fake, probs = columns(rows)
    called = probs >= threshold
    found = metrics.compute_metrics(fake, probs, threshold)
    assert found.accuracy == pytest.approx(sk.accuracy_score(fake, called))
    assert found.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(fake, called))
    assert found.precision == pytest.approx(sk.precision_score(fake, called, zero_division=0))
    assert found.recall == pytest.approx(sk.recall_score(fake, called))
    assert found.f1 == pytest.approx(sk.f1_score(fake, called, zero_division=0))
    assert found.false_alarm_rate == pytest.approx(1 - sk.recall_score(fake, called, pos_label=False))
    assert found.brier == pytest.approx(sk.brier_score_loss(fake, probs))
    assert (found.n_real, found.n_fake, found.threshold) == (np.sum(~fake), np.sum(fake), threshold)


@MANY
@given(BOTH)
def test_confusion_matrix_has_rows_of_truth_as_in_sklearn(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    expected = sk.confusion_matrix(fake, scores >= 0.5, labels=[False, True])
    assert metrics.compute_confusion_matrix(fake, scores >= 0.5).tolist() == expected.tolist()


@MANY
@given(BOTH)
def test_roc_curve_is_that_of_sklearn(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    expected = sk.roc_curve(fake, scores, drop_intermediate=False)
    for ours, theirs in zip(metrics.get_roc_curve_data(fake, scores), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


@MANY
@given(BOTH)
def test_precision_recall_curve_is_that_of_sklearn_from_the_other_end(rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    precision, recall, thresholds = sk.precision_recall_curve(fake, scores)
    curve = metrics.get_precision_recall_curve_data(fake, scores)
    np.testing.assert_allclose(curve.precision, precision[::-1])
    np.testing.assert_allclose(curve.recall, recall[::-1])
    np.testing.assert_allclose(curve.thresholds[1:], thresholds[::-1])


@MANY
@given(BOTH, st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.5, 1.0]))
def test_tpr_at_fpr_never_exceeds_the_rate_and_is_the_best_that_does_not(
    rows: list[tuple[bool, int]], rate: float
) -> None:
    fake, scores = columns(rows)
    allowed = [np.mean(scores[fake] >= t) for t in (*scores, 2.0) if np.mean(scores[~fake] >= t) <= rate]
    assert metrics.tpr_at_fpr(fake, scores, rate) == pytest.approx(max(allowed))
    threshold = metrics.operating_threshold(fake, scores, rate)
    assert np.mean(scores[~fake] >= threshold) <= rate
    assert np.mean(scores[fake] >= threshold) == pytest.approx(max(allowed))


def test_tpr_at_fpr_allows_exactly_one_in_a_hundred() -> None:
    scores = np.concatenate([np.arange(100.0), np.arange(100.0) + 0.5])
    fake = np.arange(200) >= 100
    assert metrics.tpr_at_fpr(fake, scores, 0.01) == pytest.approx(0.02)  # 98.5 and 99.5 lie above the second highest
    assert metrics.tpr_at_fpr(fake, scores, 0.0099) == pytest.approx(0.01)
    assert metrics.tpr_at_fpr(fake, scores, 0.29) == pytest.approx(0.30)  # .29 * 100 is 28.999999999999996


@pytest.mark.parametrize("metric", metrics.THRESHOLD_METRICS)
@FEWER
@given(rows=BOTH)
def test_optimal_threshold_is_as_good_as_any_cut(metric: str, rows: list[tuple[bool, int]]) -> None:
    fake, scores = columns(rows)
    score = {
        "f1": lambda called: sk.f1_score(fake, called, zero_division=0),
        "accuracy": lambda called: sk.accuracy_score(fake, called),
        "precision": lambda called: sk.precision_score(fake, called, zero_division=0),
        "recall": lambda called: sk.recall_score(fake, called),
        "balanced_accuracy": lambda called: sk.balanced_accuracy_score(fake, called),
    }[metric]
    best = max(score(scores >= cut) for cut in (*scores, 2.0))
    assert score(scores >= metrics.find_optimal_threshold(fake, scores, metric)) == pytest.approx(best)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("recall", 0.25),  # all fakes found, and no photograph more than that costs
        ("precision", 0.75),  # nothing but fakes, and as many of them as that allows
        ("accuracy", 0.75),  # as many right as at .25, and fewer photographs accused
        ("balanced_accuracy", 0.75),
        ("f1", 0.25),
    ],
)
def test_optimal_threshold_breaks_ties_by_balanced_accuracy(metric: str, expected: float) -> None:
    fake = [False, False, True, False, True, True, True]
    scores = [0.0, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0]
    assert metrics.find_optimal_threshold(fake, scores, metric) == pytest.approx(expected)


def test_optimal_threshold_needs_a_known_metric_and_both_classes() -> None:
    with pytest.raises(ValueError, match=r"metric must be one of f1, accuracy.*got 'auc'"):
        metrics.find_optimal_threshold([0, 1], [0.1, 0.9], "auc")
    with pytest.raises(ValueError, match="needs both classes, got 2 real and 0 fake"):
        metrics.find_optimal_threshold([0, 0], [0.1, 0.9])


def test_optimal_threshold_separates_neighbouring_floats_and_constant_scores() -> None:
    above = math.nextafter(0.5, 1.0)
    assert metrics.find_optimal_threshold([0, 1], [0.5, above]) == above
    constant = metrics.find_optimal_threshold([0, 0, 1], [0.5, 0.5, 0.5], "accuracy")
    assert constant > 0.5  # calling nothing fake is right twice of three times


@MANY
@given(BOTH)
def test_calibration_error_is_that_of_an_independent_loop(rows: list[tuple[bool, int]]) -> None:
    fake, probs = columns(rows)
    error = 0.0
    for k in range(15):
        inside = [i for i, p in enumerate(probs) if k / 15 <= p < (k + 1) / 15 or (k == 14 and p == 1.0)]
        if inside:
            error += len(inside) / len(probs) * abs(np.mean(probs[inside]) - np.mean(fake[inside]))
    assert metrics.expected_calibration_error(fake, probs) == pytest.approx(error)


def test_reliability_bins_hold_what_lies_in_them() -> None:
    mean_probability, share_fake, pictures = metrics.get_reliability_data([0, 1, 1, 1], [0.1, 0.3, 0.9, 1.0], bins=4)
    assert pictures.tolist() == [1, 1, 0, 2]
    np.testing.assert_allclose(mean_probability, [0.1, 0.3, np.nan, 0.95])
    np.testing.assert_allclose(share_fake, [0, 1, np.nan, 1])


@MANY
@given(BOTH)
def test_cllr_is_the_formula_of_bruemmer_and_du_preez(rows: list[tuple[bool, int]]) -> None:
    fake, probs = columns(rows)
    log10_lr = 4 * probs - 2
    ratio = 10.0**log10_lr
    expected = (np.mean(np.log2(1 + 1 / ratio[fake])) + np.mean(np.log2(1 + ratio[~fake]))) / 2
    assert metrics.cllr(fake, log10_lr) == pytest.approx(expected)


def test_cllr_is_one_bit_without_evidence_and_grows_without_end_when_sure_and_wrong() -> None:
    assert metrics.cllr([0, 1, 1], [0.0, 0.0, 0.0]) == pytest.approx(1.0)
    assert metrics.cllr([0, 1], [-300.0, 300.0]) == pytest.approx(0.0)
    assert metrics.cllr([0, 1], [300.0, -300.0]) == pytest.approx(300 / math.log10(2))
    assert metrics.compute_metrics([0, 1], [0.0, 1.0]).cllr == 0.0
    assert metrics.compute_metrics([0, 1], [1.0, 0.0]).cllr == math.inf


def test_a_perfect_and_an_inverted_detector() -> None:
    fake = np.array([0, 0, 0, 1, 1])
    perfect, inverted = (metrics.compute_metrics(fake, np.abs(fake - flip)) for flip in (0, 1))
    for name in (
        "accuracy",
        "balanced_accuracy",
        "precision",
        "recall",
        "f1",
        "auc",
        "average_precision",
        "tpr_at_fpr_1",
    ):
        assert getattr(perfect, name) == 1.0
    assert (perfect.brier, perfect.ece, perfect.cllr) == (0.0, 0.0, 0.0)
    assert (inverted.auc, inverted.accuracy, inverted.tpr_at_fpr_5, inverted.brier) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("fake", [[0, 0, 0], [1, 1, 1], []])
def test_what_needs_a_missing_class_is_nan_without_a_warning(fake: list[int]) -> None:
    probs = [0.2, 0.5, 0.9][: len(fake)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.compute_metrics(fake, probs)
        curves = (metrics.get_roc_curve_data(fake, probs), metrics.get_precision_recall_curve_data(fake, probs))
    for name in (
        "auc",
        "average_precision",
        "balanced_accuracy",
        "precision",
        "f1",
        "tpr_at_fpr_1",
        "tpr_at_fpr_5",
        "cllr",
    ):
        assert math.isnan(getattr(found, name)), name
    assert math.isnan(found.recall) == (1 not in fake)
    assert math.isnan(found.false_alarm_rate) == (0 not in fake)
    assert math.isnan(found.brier) == math.isnan(found.accuracy) == math.isnan(found.ece) == (not fake)
    assert all(len(column) == len(curve[-1]) for curve in curves for column in curve)
    assert math.isnan(metrics.selection_score(fake, probs, ScoreConfig()))


@pytest.mark.parametrize(
    ("fake", "probs", "message"),
    [
        ([0, 1], [0.1], "2 labels but scores of shape"),
        ([0, 2], [0.1, 0.2], "labels must be 0 .photograph. or 1 .fake."),
        ([0, 1], [0.1, 1.2], r"probabilities must lie in 0..1, got 0.1..1.2"),
        ([0, 1], [0.1, math.nan], "1 of 2 scores are not finite"),
        ([[0, 1]], [[0.1, 0.2]], "labels must have one dimension"),
    ],
)
def test_input_that_cannot_be_is_refused(fake: list[int], probs: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.compute_metrics(fake, probs)


def test_raw_scores_have_no_calibration_figures_and_nan_is_none_in_json() -> None:
    found = metrics.compute_score_metrics([0, 1, 1], [-3.0, 2.0, 5.0], 0.0)
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert (plain["brier"], plain["ece"], plain["cllr"]) == (None, None, None)
    assert (plain["recall"], plain["n_real"], plain["n_fake"]) == (1.0, 1, 2)
    assert metrics.compute_metrics([0, 1], [1.0, 0.0]).as_dict()["cllr"] is None  # infinite


@pytest.mark.parametrize("n_fake", [5, 50, 95])
@pytest.mark.parametrize("constant", [-7.0, 0.0, 7.0])
def test_published_error_06_a_constant_answer_cannot_win_the_selection(n_fake: int, constant: float) -> None:
    """Published code: recall was that of photographs, and a network that always says real scored .867."""
    fake = np.arange(100) < n_fake
    score = metrics.selection_score(fake, np.full(100, constant), ScoreConfig())
    chance = metrics.selection_score(fake, np.random.default_rng(0).normal(size=100), ScoreConfig())
    learnt = metrics.selection_score(fake, fake + np.random.default_rng(1).normal(size=100), ScoreConfig())
    perfect = metrics.selection_score(fake, fake.astype(float), ScoreConfig())
    assert score == pytest.approx(0.1 * (100 - n_fake) / 100 + 0.05 * 0.5)  # no recall, no precision, no F1
    assert score < chance + 0.01  # chance may miss every fake at 5 %, and then it is no better than a constant
    assert score < learnt < perfect
    assert perfect == pytest.approx(1.0)


def test_selection_score_is_the_weighted_sum_at_the_operating_threshold() -> None:
    generator = np.random.default_rng(3)
    fake = generator.random(400) < 0.4
    scores = generator.normal(size=400) + 1.5 * fake
    threshold = metrics.operating_threshold(fake, scores, 0.05)
    called = scores >= threshold
    expected = (
        0.10 * sk.accuracy_score(fake, called)
        + 0.05 * sk.precision_score(fake, called)
        + 0.70 * sk.recall_score(fake, called)
        + 0.10 * sk.f1_score(fake, called)
        + 0.05 * sk.roc_auc_score(fake, scores)
    )
    assert metrics.selection_score(fake, scores, ScoreConfig(), 0.05) == pytest.approx(expected)
    assert metrics.selection_score(fake, 10 * scores - 300, ScoreConfig(), 0.05) == pytest.approx(expected)
    assert metrics.selection_score(fake, scores, ScoreConfig(), 0.2) > expected  # more false alarms buy recall


def test_weighted_score_uses_the_weights_that_it_is_given() -> None:
    found = metrics.compute_metrics([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    only = dataclasses.replace(ScoreConfig(), accuracy=0.0, precision=0.0, recall=0.0, f1=0.0, auc=1.0)
    assert metrics.weighted_score(found, only) == pytest.approx(found.auc) == pytest.approx(0.75)
    assert metrics.weighted_score(found, dataclasses.replace(only, recall=2.0)) == pytest.approx(0.75 + 2 * 0.5)
