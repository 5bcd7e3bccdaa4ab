"""Intervals by the bootstrap over groups of pictures: a person, a scene, a pair of original and fake is one draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.metrics import Int64Array
from ganfingerprint.types import BoolArray, Float64Array

Statistic = Callable[[BoolArray, Float64Array], float]

MIN_GROUPS = 5  # fewer groups of a class say nothing about how much other groups would differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and its percentile interval; the ends are nan where the resamples cannot tell."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        ends = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{ends}"

    def as_dict(self) -> dict[str, float | None]:
        """value, low and high; what is not finite as None, as JSON needs."""
        return {
            name: number if math.isfinite(number) else None
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def bootstrap_intervals(
    y_true: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike,
    functions: Mapping[str, Statistic],
    *,
    samples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of each function of (is_fake, scores), in the order of `functions`.

    Whole groups are drawn with replacement, as many as there are, separately among the groups of photographs only,
    of fakes only and of both, so that each resample keeps about the numbers of the two classes. The same arguments
    give the same intervals; every function sees the same resamples. Where a class that is present has fewer than
    `MIN_GROUPS` groups, there is a value but no interval; likewise where all resamples agree (nothing in 40 pictures
    says "few", not "never", and the bootstrap cannot tell how few).

    Raises:
        ValueError: lengths differ, fewer than one resample, or a level outside 0..1.
    """
    fake, values, group_of = _checked(y_true, scores, groups)
    if samples < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"samples must be at least 1 and level within 0..1, got {samples} and {level}")
    point = {name: function(fake, values) for name, function in functions.items()}
    if _too_few_groups(fake, group_of):
        return {name: Interval(value=value) for name, value in point.items()}
    drawn = _draw(fake, group_of, samples, np.random.default_rng(seed))
    tail = (1.0 - level) / 2
    return {
        name: _percentiles(point[name], _resampled(function, fake, values, group_of, drawn), tail)
        for name, function in functions.items()
    }


def bootstrap_mean(
    parts: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]],
    function: Statistic,
    *,
    samples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """The mean of a function over parts (is_fake, scores, groups).

    Groups are drawn once for all parts in each resample: what stands in several parts, such as the photographs that
    every generator is set against, moves them together. A part of few groups is not left out, as the mean would then
    be of something else: its own spread is understated, down to none for one group, and the interval with it.

    Raises:
        ValueError: no part, or lengths of a part differ.
    """
    if not parts:
        raise ValueError("a mean needs at least one part")
    checked = [_checked(*part)[:2] for part in parts]
    labels = [np.asarray(groups) for _, _, groups in parts]
    numbered = np.unique(np.concatenate(labels), return_inverse=True)[1].reshape(-1)
    group_of = np.split(numbered, np.cumsum([len(part) for part in labels])[:-1])
    drawn = _draw(np.concatenate([fake for fake, _ in checked]), numbered, samples, np.random.default_rng(seed))
    points = [function(fake, values) for fake, values in checked]
    resampled = [
        _resampled(function, fake, values, own, drawn) for (fake, values), own in zip(checked, group_of, strict=True)
    ]
    return _percentiles(float(np.mean(points)), np.mean(resampled, axis=0), (1.0 - level) / 2)


def bootstrap_difference(
    y_true: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    groups: ArrayLike,
    function: Statistic,
    *,
    samples: int = 1000,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """A function of (is_fake, before) less that of (is_fake, after), both on the same resamples of the same pictures.

    Raises:
        ValueError: lengths differ.
    """
    fake, first, group_of = _checked(y_true, before, groups)
    _, second, _ = _checked(y_true, after, groups)
    value = function(fake, first) - function(fake, second)
    if _too_few_groups(fake, group_of):
        return Interval(value=value)
    drawn = _draw(fake, group_of, samples, np.random.default_rng(seed))
    lost = _resampled(function, fake, first, group_of, drawn) - _resampled(function, fake, second, group_of, drawn)
    return _percentiles(value, lost, (1.0 - level) / 2)


def _checked(y_true: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> tuple[BoolArray, Float64Array, Int64Array]:
    """Labels and scores as arrays, and the number of each picture's group."""
    fake, values, labels = np.asarray(y_true, dtype=np.bool_), np.asarray(scores, np.float64), np.asarray(groups)
    if not fake.shape == values.shape == labels.shape or fake.ndim != 1:
        raise ValueError(f"labels, scores and groups differ in shape: {fake.shape}, {values.shape}, {labels.shape}")
    return fake, values, np.unique(labels, return_inverse=True)[1].reshape(-1)


def _too_few_groups(fake: BoolArray, group_of: Int64Array) -> bool:
    seen = [np.unique(group_of[fake]).size, np.unique(group_of[~fake]).size]
    return not any(seen) or min(number for number in seen if number) < MIN_GROUPS


def _draw(fake: BoolArray, group_of: Int64Array, samples: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """How often each group is in each resample, `[samples, groups]`."""
    number = int(group_of.max()) + 1
    has_fake, has_real = (np.bincount(group_of[rows], minlength=number) > 0 for rows in (fake, ~fake))
    kind = 2 * has_fake + has_real
    drawn = np.zeros((samples, number), dtype=np.int32)
    for stratum in np.unique(kind):
        members = np.flatnonzero(kind == stratum)
        drawn[:, members] = generator.multinomial(members.size, np.full(members.size, 1.0 / members.size), size=samples)
    return drawn


def _resampled(
    function: Statistic, fake: BoolArray, values: Float64Array, group_of: Int64Array, drawn: NDArray[np.int32]
) -> Float64Array:
    """The function on each resample, `[samples]`."""
    if function is metrics.auc:
        return _auc_of_resamples(fake, values, group_of, drawn)
    order = np.arange(fake.size)
    rows = (np.repeat(order, times[group_of]) for times in drawn)
    return np.array([function(fake[row], values[row]) for row in rows])


def _auc_of_resamples(
    fake: BoolArray, values: Float64Array, group_of: Int64Array, drawn: NDArray[np.int32]
) -> Float64Array:
    """`metrics.auc` of all resamples from one sorting: each picture weighs as often as it was drawn."""
    distinct, block = np.unique(values, return_inverse=True)
    starts = np.searchsorted(np.sort(block), np.arange(distinct.size))
    order = np.argsort(block, kind="stable")
    result = np.empty(len(drawn))
    for first in range(0, len(drawn), 100):  # in parts: the weights of all resamples at once could fill the memory
        weight = drawn[first : first + 100][:, group_of[order]].astype(np.float64)  # [b, n]
        fakes = np.add.reduceat(weight * fake[order], starts, axis=1)  # [b, distinct scores]
        reals = np.add.reduceat(weight * ~fake[order], starts, axis=1)
        wins = (fakes * (np.cumsum(reals, axis=1) - reals / 2)).sum(axis=1)
        pairs = fakes.sum(axis=1) * reals.sum(axis=1)
        result[first : first + 100] = np.divide(wins, pairs, out=np.full(len(pairs), math.nan), where=pairs > 0)
    return result


def _percentiles(value: float, resampled: Float64Array, tail: float) -> Interval:
    known = resampled[~np.isnan(resampled)]
    if not known.size:
        return Interval(value=value)
    low, high = np.quantile(known, (tail, 1.0 - tail))
    if low == high:
        return Interval(value=value)
    return Interval(value=value, low=float(low), high=float(high))
