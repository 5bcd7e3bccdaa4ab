"""Raw scores → weight of evidence, probability and verdict: fitted on validation, monotone, bounded.

The network's logit is positive for a photograph. That sign ends in `fake_scores`: every score after it, here and
in all modules above, is higher for *fake*.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.errors import DataError, DetectorFormatError
from ganfingerprint.types import BoolArray, Float64Array, Verdict

_LN10 = math.log(10.0)
_SMALLEST_SLOPE = 1e-6  # log-odds a standard deviation of the scores: evidence of nothing, but still rising
_NEWTON_STEPS = 100
_RATE_SLACK = 1e-9  # 0.29 * 100 is 28.999999999999996; it must allow 29


def fake_scores(network_logits: ArrayLike) -> Float64Array:
    """The network's logits (> 0: photograph) as raw scores that are higher for *fake*. Same shape."""
    return -np.asarray(network_logits, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How a detector's pooled raw score becomes evidence, and where its two thresholds lie.

    The thresholds are on the raw score, so the bound on the evidence cannot move them. A score above
    `fake_threshold` is fake, one below `real_threshold` is real, anything else (both ends included) uncertain.
    """

    slope: float  # natural log-odds a unit of score, > 0
    intercept: float  # natural log-odds at score 0
    log10_lr_bound: float  # |log10_lr| is at most this
    fake_threshold: float
    real_threshold: float  # <= fake_threshold
    false_alarm_rate: float | None  # share of photographs that fake_threshold was chosen for; None: for no rate
    miss_rate: float | None  # share of fakes that real_threshold was chosen for
    measured_false_alarm_rate: float | None = None  # on the fitting data: photographs called fake
    measured_miss_rate: float | None = None  # on the fitting data: fakes called real
    n_real: int = 0  # pictures it was fitted on; 0 and 0: fitted on nothing
    n_fake: int = 0
    deliveries: str = ""  # after which deliveries too each of them was fitted, names with commas
    contradicted: bool = False  # the fitting data showed no rise of evidence with score; slope is a formality

    def __post_init__(self) -> None:
        numbers = (self.slope, self.intercept, self.log10_lr_bound, self.fake_threshold, self.real_threshold)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"Calibration must hold finite numbers, got {numbers}")
        if self.slope <= 0 or self.log10_lr_bound <= 0:
            raise ValueError(
                f"Calibration.slope and log10_lr_bound must be above 0, got {self.slope} and {self.log10_lr_bound}"
            )
        if self.real_threshold > self.fake_threshold:
            raise ValueError(
                f"Calibration.real_threshold ({self.real_threshold}) must not be above "
                f"fake_threshold ({self.fake_threshold})"
            )

    def log10_lr(self, scores: ArrayLike) -> Float64Array:
        """Weight of evidence for *fake* of each raw score, in bans: 2 says a hundred times likelier if fake."""
        log_odds = self.slope * np.asarray(scores, dtype=np.float64) + self.intercept
        return np.asarray(np.clip(log_odds / _LN10, -self.log10_lr_bound, self.log10_lr_bound))

    def prob_fake(self, scores: ArrayLike) -> Float64Array:
        """Probability of *fake* at even prior odds, 0..1: the bounded `log10_lr` on another scale."""
        # tanh does not overflow, and is exactly .5 at no evidence
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * _LN10 * self.log10_lr(scores))))

    def verdict(self, score: float) -> Verdict:
        """What the two thresholds say of one pooled raw score. A tie is nobody's: it is uncertain."""
        if score > self.fake_threshold:
            return Verdict.FAKE
        return Verdict.REAL if score < self.real_threshold else Verdict.UNCERTAIN

    def to_mapping(self) -> dict[str, Any]:
        """The fields as plain values, for a card."""
        return dataclasses.asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_mapping` wrote; names that this version does not know are left out.

        Raises:
            DetectorFormatError: a required number is absent, or a value cannot be.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        try:
            return cls(**{name: value for name, value in values.items() if name in known})
        except (TypeError, ValueError) as problem:
            raise DetectorFormatError(f"the calibration in the card cannot be used: {problem}") from problem

    @classmethod
    def unfitted(cls) -> Calibration:
        """For weights of unknown reliability: the network's own odds, cut at 10 to 1; verdicts only beyond that.

        The 10 to 1 is a convention, not a measurement: no error rate stands behind it, and the card shows 0
        pictures.
        """
        return cls(
            slope=1.0, intercept=0.0, log10_lr_bound=1.0, fake_threshold=_LN10, real_threshold=-_LN10,
            false_alarm_rate=None, miss_rate=None,
        )  # fmt: skip


def fit_calibration(
    scores: ArrayLike,
    is_fake: ArrayLike,
    *,
    false_alarm_rate: float = 0.01,
    miss_rate: float = 0.05,
    groups: Sequence[Hashable] | None = None,
) -> Calibration:
    """Fit evidence and thresholds to the pooled raw scores [n] of validation pictures.

    Evidence: logistic regression in one variable with Platt's smoothed targets (Platt 1999, "Probabilistic outputs
    for support vector machines"), both classes weighted to the same mass, so that the log-odds are a log likelihood
    ratio. Its bound: with n independent pictures of a class, a share smaller than about 1 / (n + 1) cannot be
    told from none, so no ratio above n + 1 is claimed; n counts the groups of the smaller class. This is a
    simpler rule than the empirical bounds (ELUB) of Vergeer et al. 2016, "Numerical likelihood ratios outputted
    by LR systems are often based on extrapolation: when to stop extrapolating?", with the same motive.

    Args:
        scores: higher is more likely fake.
        is_fake: truth of each picture.
        false_alarm_rate: share of photographs that may lie above `fake_threshold`.
        miss_rate: share of fakes that may lie below `real_threshold`.
        groups: pictures that share one (a scene, a person, crops of one file) are not independent evidence.

    Raises:
        DataError: a class is missing, lengths differ, a score is not finite or a rate is not in 0..1.
    """
    values, fake = _checked(scores, is_fake, groups, (false_alarm_rate, miss_rate))
    slope, intercept, contradicted = _fit_line(values, fake)
    fake_threshold, real_threshold = _thresholds(values[~fake], values[fake], false_alarm_rate, miss_rate)
    independent = min(_independent(fake, groups), _independent(~fake, groups))
    return Calibration(
        slope=slope,
        intercept=intercept,
        log10_lr_bound=math.log10(independent + 1),
        fake_threshold=fake_threshold,
        real_threshold=real_threshold,
        false_alarm_rate=false_alarm_rate,
        miss_rate=miss_rate,
        measured_false_alarm_rate=float(np.mean(values[~fake] > fake_threshold)),
        measured_miss_rate=float(np.mean(values[fake] < real_threshold)),
        n_real=int(np.sum(~fake)),
        n_fake=int(np.sum(fake)),
        contradicted=contradicted,
    )


def reference_confidence(prob_real: ArrayLike) -> Float64Array:
    """The "calibration" of the published reference code: 1 - 2p where p < .5, p elsewhere; p is P(real).

    Kept to compare with published figures, not for use: it is fitted on nothing, jumps from 0 to .5 at p = .5,
    and mixes two scales (distance from the boundary for fakes, probability for photographs) in one column.

    Raises:
        DataError: a value that is not in 0..1.
    """
    prob = np.asarray(prob_real, dtype=np.float64)
    if not np.all((prob >= 0) & (prob <= 1)):
        raise DataError("reference_confidence needs probabilities in 0..1")
    return np.where(prob < 0.5, 1.0 - 2.0 * prob, prob)


def _checked(
    scores: ArrayLike, is_fake: ArrayLike, groups: Sequence[Hashable] | None, rates: tuple[float, float]
) -> tuple[Float64Array, BoolArray]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(is_fake)
    if values.ndim != 1 or values.shape != truth.shape:
        raise DataError(f"calibration needs one score and one truth a picture, got {values.shape} and {truth.shape}")
    if groups is not None and len(groups) != len(values):
        raise DataError(f"calibration needs one group a picture, got {len(groups)} for {len(values)}")
    if not np.isfinite(values).all():
        raise DataError(f"calibration needs finite scores, got {int(np.sum(~np.isfinite(values)))} that are not")
    if not np.isin(truth, (0, 1)).all():
        raise DataError("calibration needs a truth of 0 or 1 for each picture")
    fake = truth.astype(bool)
    if fake.all() or not fake.any():
        raise DataError(f"calibration needs both classes, got {int(fake.sum())} fakes of {len(fake)} pictures")
    if not all(0 <= rate < 1 for rate in rates):
        raise DataError(f"error rates must be in 0..1 (1 left out), got {rates[0]:g} and {rates[1]:g}")
    return values, fake


def _independent(chosen: BoolArray, groups: Sequence[Hashable] | None) -> int:
    if groups is None:
        return int(chosen.sum())
    return len({group for group, wanted in zip(groups, chosen, strict=True) if wanted})


def _fit_line(values: Float64Array, fake: BoolArray) -> tuple[float, float, bool]:
    """Slope, intercept, and whether the slope had to be replaced by the smallest one allowed."""
    centre, scale = float(values.mean()), float(values.std())
    if scale <= 1e-12 * max(1.0, abs(centre)):  # one score for all: no slope can be seen, nor defined
        return _SMALLEST_SLOPE, -_SMALLEST_SLOPE * centre, True
    slope, intercept = _newton((values - centre) / scale, fake)
    contradicted = slope < _SMALLEST_SLOPE
    if contradicted:
        slope, intercept = _SMALLEST_SLOPE, 0.0
    return slope / scale, intercept - slope * centre / scale, contradicted


def _newton(x: Float64Array, fake: BoolArray) -> tuple[float, float]:
    """Minimum of the weighted cross-entropy in slope and intercept, by Newton's method with halved steps.

    The smoothed targets are never 0 or 1, so the minimum exists for separable classes too.
    """
    n_fake, n_real = int(fake.sum()), int((~fake).sum())
    target = np.where(fake, (n_fake + 1.0) / (n_fake + 2.0), 1.0 / (n_real + 2.0))  # [n]
    weight = np.where(fake, 0.5 / n_fake, 0.5 / n_real)  # [n], sums to 1
    design = np.stack([x, np.ones_like(x)], axis=1)  # [n, 2]
    theta = np.zeros(2)

    def loss(at: Float64Array) -> float:
        z = design @ at
        return float(weight @ (np.logaddexp(0.0, z) - target * z))

    for _ in range(_NEWTON_STEPS):
        prob = 0.5 * (1.0 + np.tanh(0.5 * (design @ theta)))
        gradient = design.T @ (weight * (prob - target))
        curvature = (design * (weight * prob * (1.0 - prob))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size, now = 1.0, loss(theta)
        while size > 1e-10 and loss(theta - size * step) > now:
            size *= 0.5
        theta = theta - size * step
        if float(np.abs(size * step).max()) < 1e-10:
            break
    return float(theta[0]), float(theta[1])


def _thresholds(
    real: Float64Array, fake: Float64Array, false_alarm_rate: float, miss_rate: float
) -> tuple[float, float]:
    """Where the lowest fake threshold and the highest real one that keep their rates on these scores may lie, midway.

    On a score itself the last digit of an engine's arithmetic would decide of that picture.
    """
    alarms = int(false_alarm_rate * len(real) + _RATE_SLACK)  # photographs that may lie above, rounded down
    misses = int(miss_rate * len(fake) + _RATE_SLACK)
    scores = np.unique(np.concatenate([real, fake]))
    last_below, first_above = np.sort(real)[::-1][alarms], np.sort(fake)[misses]
    above, below = scores[scores > last_below], scores[scores < first_above]
    fake_threshold = float(last_below if above.size == 0 else 0.5 * (last_below + above[0]))
    real_threshold = float(first_above if below.size == 0 else 0.5 * (first_above + below[-1]))
    if real_threshold > fake_threshold:  # every value in between keeps both rates: nothing need be uncertain
        fake_threshold = real_threshold = 0.5 * (fake_threshold + real_threshold)
    return fake_threshold, real_threshold
