"""Scores become evidence, probabilities and verdicts that keep the rates they were chosen for."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfingerprint.calibrate import Calibration, fake_scores, fit_calibration, reference_confidence
from ganfingerprint.errors import DataError, DetectorFormatError
from ganfingerprint.types import BoolArray, Float64Array, Verdict


def overlapping(n_real: int = 300, n_fake: int = 200, seed: int = 0) -> tuple[Float64Array, BoolArray]:
    """Two normal distributions, one standard deviation wide and two apart."""
    generator = np.random.default_rng(seed)
    scores = np.concatenate([generator.normal(-1, 1, n_real), generator.normal(1, 1, n_fake)])
    return scores, np.arange(n_real + n_fake) >= n_real


def calibration(**changes: float) -> Calibration:
    values: dict[str, Any] = {
        "slope": 1.0,
        "intercept": 0.0,
        "log10_lr_bound": 2.0,
        "fake_threshold": 1.0,
        "real_threshold": -1.0,
    }
    return Calibration(**{**values, **changes}, false_alarm_rate=0.01, miss_rate=0.05)


def test_fake_scores_turn_the_sign_and_keep_every_bit() -> None:
    logits = np.array([[1.5, -0.1], [0.0, 3e-8]], dtype=np.float32)
    scores = fake_scores(logits)
    assert scores.dtype == np.float64
    assert np.array_equal(scores, -logits.astype(np.float64))


def test_published_error_05_probability_is_monotone_and_continuous_at_one_half() -> None:
    scores, fake = overlapping()
    fitted = fit_calibration(scores, fake)
    middle = -fitted.intercept / fitted.slope  # the score of no evidence
    around = fitted.prob_fake(middle + np.array([-1e-9, 0.0, 1e-9]))
    assert around == pytest.approx([0.5, 0.5, 0.5], abs=1e-8)
    assert np.all(np.diff(fitted.prob_fake(np.linspace(-50, 50, 10_001))) >= 0)
    assert np.all(np.diff(fitted.prob_fake(np.linspace(middle - 1, middle + 1, 1001))) > 0)


def test_published_error_05_the_reference_formula_jumps_as_documented() -> None:
    assert reference_confidence([0.0, 0.25, 0.4999999, 0.5, 0.9, 1.0]) == pytest.approx(
        [1.0, 0.5, 0.0, 0.5, 0.9, 1.0], abs=1e-6
    )
    with pytest.raises(DataError, match=r"0\.\.1"):
        reference_confidence([0.5, math.nan])


@pytest.mark.parametrize(
    ("score", "log10_lr", "prob"),
    [
        (0.0, 0.0, 0.5),
        (math.log(10), 1.0, 10 / 11),
        (-math.log(10), -1.0, 1 / 11),
        (1e6, 2.0, 100 / 101),  # the bound
        (-1e6, -2.0, 1 / 101),
    ],
)
def test_evidence_and_probability_are_one_value_on_two_scales(score: float, log10_lr: float, prob: float) -> None:
    assert float(calibration().log10_lr(score)) == pytest.approx(log10_lr)
    assert float(calibration().prob_fake(score)) == pytest.approx(prob)


def test_arrays_keep_their_shape() -> None:
    assert calibration().prob_fake(np.zeros((2, 3))).shape == (2, 3)
    assert calibration().log10_lr([]).shape == (0,)


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (1.001, Verdict.FAKE),
        (1.0, Verdict.UNCERTAIN),
        (0.0, Verdict.UNCERTAIN),
        (-1.0, Verdict.UNCERTAIN),
        (-1.001, Verdict.REAL),
        (1e9, Verdict.FAKE),
    ],
)
def test_verdict_lies_between_two_thresholds_both_uncertain(score: float, verdict: Verdict) -> None:
    assert calibration().verdict(score) is verdict
    assert calibration(log10_lr_bound=1e-3).verdict(score) is verdict  # the bound moves no threshold


def test_fit_is_the_logistic_regression_of_scikit_learn_on_platts_targets() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    scores, fake = overlapping(80, 40)
    fitted = fit_calibration(scores, fake)
    n_real, n_fake = 80, 40
    target = np.where(fake, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    mass = np.where(fake, 0.5 / n_fake, 0.5 / n_real)
    # a target between 0 and 1 is the same picture once as fake and once as real, with that weight
    model = linear_model.LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000)
    model.fit(
        np.tile(scores, 2)[:, None],
        np.repeat([True, False], len(scores)),
        sample_weight=np.concatenate([mass * target, mass * (1 - target)]) * len(scores),
    )
    assert fitted.slope == pytest.approx(float(model.coef_[0, 0]), rel=1e-4)
    assert fitted.intercept == pytest.approx(float(model.intercept_[0]), abs=1e-4)


def test_fit_finds_the_likelihood_ratio_of_two_normals_whatever_the_class_shares() -> None:
    scores, fake = overlapping(20_000, 2_000, seed=3)  # true log ratio: 2 * score
    fitted = fit_calibration(scores, fake)
    assert fitted.slope == pytest.approx(2.0, rel=0.06)
    assert fitted.intercept == pytest.approx(0.0, abs=0.08)


@given(shift=st.floats(-1e3, 1e3), stretch=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_fit_does_not_depend_on_the_unit_of_the_score(shift: float, stretch: float) -> None:
    scores, fake = overlapping(30, 30)
    plain, moved = fit_calibration(scores, fake), fit_calibration(scores * stretch + shift, fake)
    assert moved.prob_fake(scores * stretch + shift) == pytest.approx(plain.prob_fake(scores), abs=1e-6)


@pytest.mark.parametrize("gap", [1e-6, 1.0, 1e6])
def test_separable_classes_give_finite_evidence_and_no_uncertain_zone(gap: float) -> None:
    scores = np.concatenate([np.linspace(-2, -1, 50) * gap, np.linspace(1, 2, 50) * gap])
    fitted = fit_calibration(scores, np.arange(100) >= 50)
    assert math.isfinite(fitted.slope)
    assert not fitted.contradicted
    assert fitted.fake_threshold == fitted.real_threshold
    assert [fitted.verdict(s) for s in scores] == [Verdict.REAL] * 50 + [Verdict.FAKE] * 50
    assert (fitted.measured_false_alarm_rate, fitted.measured_miss_rate) == (0.0, 0.0)


@pytest.mark.parametrize(
    "scores",
    [np.array([3.0, 2.0, 1.0, 0.0] * 5), np.full(20, 7.0), np.tile([1.0, -1.0, -1.0, 1.0], 5)],
    ids=["inverted", "constant", "no relation"],
)
def test_data_that_contradict_a_rising_slope_are_flagged_and_give_no_evidence(scores: Float64Array) -> None:
    fitted = fit_calibration(scores, np.tile([False, False, True, True], 5))
    assert fitted.contradicted
    assert fitted.slope > 0
    assert fitted.log10_lr(scores) == pytest.approx(np.zeros(20), abs=1e-5)
    assert {fitted.verdict(s) for s in scores} <= {Verdict.UNCERTAIN}


@pytest.mark.parametrize(
    ("groups", "independent"),
    [
        (None, 9),  # pictures of the smaller class
        ([f"r{i}" for i in range(40)] + ["one"] * 9, 1),
        (["r"] * 40 + [f"f{i}" for i in range(9)], 1),
        ([i // 2 for i in range(40)] + [100 + i // 2 for i in range(9)], 5),
    ],
)
def test_evidence_never_exceeds_what_the_smaller_class_supports(groups: list[object] | None, independent: int) -> None:
    scores, fake = overlapping(40, 9)
    fitted = fit_calibration(scores, fake, groups=groups)
    assert fitted.log10_lr_bound == pytest.approx(math.log10(independent + 1))
    assert np.abs(fitted.log10_lr([-1e9, 1e9])) == pytest.approx([fitted.log10_lr_bound] * 2)
    assert fitted.prob_fake(1e9) == pytest.approx((independent + 1) / (independent + 2))


SCORES = st.lists(st.floats(-100, 100) | st.integers(-3, 3).map(float), min_size=1, max_size=60)
RATES = st.floats(0, 0.99)


@given(real=SCORES, fake=SCORES, false_alarm_rate=RATES, miss_rate=RATES)
@settings(max_examples=200, deadline=None)
def test_thresholds_keep_their_rates_on_the_fitting_data(
    real: list[float], fake: list[float], false_alarm_rate: float, miss_rate: float
) -> None:
    truth = np.arange(len(real) + len(fake)) >= len(real)
    fitted = fit_calibration([*real, *fake], truth, false_alarm_rate=false_alarm_rate, miss_rate=miss_rate)
    verdicts = [fitted.verdict(score) for score in [*real, *fake]]
    assert fitted.real_threshold <= fitted.fake_threshold
    assert fitted.measured_false_alarm_rate == verdicts[: len(real)].count(Verdict.FAKE) / len(real)
    assert fitted.measured_miss_rate == verdicts[len(real) :].count(Verdict.REAL) / len(fake)
    assert fitted.measured_false_alarm_rate <= false_alarm_rate + 1e-9
    assert fitted.measured_miss_rate <= miss_rate + 1e-9


@pytest.mark.parametrize(
    ("rate", "alarms"), [(0.0, 0), (0.009, 0), (0.01, 1), (0.29, 29), (0.07, 7), (0.999, 99)]
)  # .29 * 100 and .07 * 100 are not whole in binary
def test_fake_threshold_is_the_lowest_that_keeps_its_rate_and_lies_on_no_score(rate: float, alarms: int) -> None:
    real, fake = np.arange(100.0), np.array([-10.0])
    fitted = fit_calibration([*real, *fake], [0] * 100 + [1], false_alarm_rate=rate, miss_rate=0)
    assert int(np.sum(real > fitted.fake_threshold)) == alarms
    assert fitted.fake_threshold == 99 - alarms + 0.5 * (alarms > 0)  # of the highest there is nothing above
    assert int(np.sum(real > fitted.fake_threshold - 0.5)) == alarms + (alarms == 0)


def test_thresholds_lie_midway_to_the_next_score_of_either_class() -> None:
    real, fake = [0.0, 1.0, 2.0, 5.0], [1.2, 2.4, 6.0, 7.0]
    fitted = fit_calibration([*real, *fake], [0] * 4 + [1] * 4, false_alarm_rate=0.25, miss_rate=0.25)
    assert (fitted.real_threshold, fitted.fake_threshold) == (2.2, 2.2)
    strict = fit_calibration([*real, *fake], [0] * 4 + [1] * 4, false_alarm_rate=0, miss_rate=0)
    assert (strict.real_threshold, strict.fake_threshold) == (pytest.approx(1.1), 5.5)


def test_crossed_thresholds_become_their_midpoint() -> None:
    fitted = fit_calibration([0.0, 1.0, 3.0, 9.0], [0, 0, 1, 1], false_alarm_rate=0, miss_rate=0)
    assert (fitted.fake_threshold, fitted.real_threshold) == (2.0, 2.0)
    assert (fitted.n_real, fitted.n_fake) == (2, 2)


@pytest.mark.parametrize(
    ("scores", "truth", "options", "message"),
    [
        ([1.0, 2.0], [1, 1], {}, "both classes, got 2 fakes of 2"),
        ([1.0, 2.0], [0, 0], {}, "both classes, got 0 fakes of 2"),
        ([], [], {}, "both classes"),
        ([1.0, math.nan], [0, 1], {}, "finite scores, got 1"),
        ([1.0, math.inf], [0, 1], {}, "finite scores, got 1"),
        ([1.0, 2.0, 3.0], [0, 1], {}, "one score and one truth"),
        ([[1.0], [2.0]], [[0], [1]], {}, "one score and one truth"),
        ([1.0, 2.0], [0, 2], {}, "truth of 0 or 1"),
        ([1.0, 2.0], [0, 1], {"groups": ["a"]}, "one group a picture, got 1 for 2"),
        ([1.0, 2.0], [0, 1], {"false_alarm_rate": 1.0}, "error rates"),
        ([1.0, 2.0], [0, 1], {"miss_rate": -0.1}, "error rates"),
    ],
)
def test_data_that_cannot_calibrate_are_refused(
    scores: list[float], truth: list[int], options: dict[str, float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_calibration(scores, truth, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slope": 0.0}, "above 0"),
        ({"slope": -1.0}, "above 0"),
        ({"log10_lr_bound": 0.0}, "above 0"),
        ({"intercept": math.nan}, "finite"),
        ({"real_threshold": 1.5}, "must not be above"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibration(**changes)


def test_a_calibration_survives_a_card() -> None:
    fitted = fit_calibration(*overlapping())
    assert Calibration.from_mapping(json.loads(json.dumps(fitted.to_mapping()))) == fitted
    later = {**fitted.to_mapping(), "a_later_field": 1}
    assert Calibration.from_mapping(later) == fitted


@pytest.mark.parametrize("change", [{"slope": -1}, {"slope": "steep"}, {"intercept": None}])
def test_a_broken_calibration_in_a_card_is_a_format_error(change: dict[str, object]) -> None:
    with pytest.raises(DetectorFormatError, match="calibration"):
        Calibration.from_mapping({**calibration().to_mapping(), **change})


def test_a_calibration_in_a_card_without_thresholds_is_a_format_error() -> None:
    with pytest.raises(DetectorFormatError, match="fake_threshold"):
        Calibration.from_mapping({"slope": 1.0, "intercept": 0.0})


def test_unfitted_is_the_networks_own_odds_and_claims_little() -> None:
    unfitted = Calibration.unfitted()
    assert unfitted.prob_fake(1.0) == pytest.approx(1 / (1 + math.exp(-1)))
    assert float(unfitted.prob_fake(1e9)) == pytest.approx(10 / 11)
    assert [unfitted.verdict(s) for s in (-3.0, 0.0, 2.0, 3.0)] == [
        Verdict.REAL, Verdict.UNCERTAIN, Verdict.UNCERTAIN, Verdict.FAKE,
    ]  # fmt: skip
    assert (unfitted.n_real, unfitted.n_fake, unfitted.false_alarm_rate) == (0, 0, None)
