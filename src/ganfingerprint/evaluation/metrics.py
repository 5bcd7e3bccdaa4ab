"""Metrics of a detector of fakes, in numpy alone.

Throughout: `y_true` is 1 (or True) for *fake* and 0 for a photograph; a score is higher for *fake*; a picture is
called fake when `score >= threshold`. Equal scores are never put in an order: every curve has one point for each
distinct score, and the AUC counts a tie as one half. What needs a class that is not there is nan, without a warning.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganfingerprint.config import ScoreConfig
from ganfingerprint.types import BoolArray, Float64Array

Int64Array = NDArray[np.int64]

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures of one set of pictures. Shares and areas are 0..1; nan where a class that is needed is missing."""

    n_real: int
    n_fake: int
    threshold: float  # the next six hold for "fake when score >= threshold"
    accuracy: float
    balanced_accuracy: float  # mean of recall and of the share of photographs called real
    precision: float  # 0 when nothing was called fake
    recall: float
    f1: float
    false_alarm_rate: float  # share of photographs called fake
    auc: float
    average_precision: float
    tpr_at_fpr_1: float  # recall at the threshold that calls at most 1 % of these photographs fake
    tpr_at_fpr_5: float
    brier: float = math.nan  # the last three need probabilities
    ece: float = math.nan
    cllr: float = math.nan  # bits; 0 perfect, 1 says nothing

    def as_dict(self) -> dict[str, float | int | None]:
        """Name to value, nan and infinity as None: what JSON can hold."""
        values = dataclasses.asdict(self)
        return {k: v if isinstance(v, int) or math.isfinite(v) else None for k, v in values.items()}


class RocCurve(NamedTuple):
    """One point for each threshold; the first threshold is infinity, where nothing is called fake."""

    fpr: Float64Array  # [k] share of photographs called fake, rising from 0 to 1
    tpr: Float64Array  # [k] share of fakes called fake, rising from 0 to 1
    thresholds: Float64Array  # [k] falling


class PrecisionRecallCurve(NamedTuple):
    """One point for each threshold; the first is infinity, where recall is 0 and precision is 1 by convention."""

    precision: Float64Array  # [k]
    recall: Float64Array  # [k] rising from 0 to 1
    thresholds: Float64Array  # [k] falling


class Reliability(NamedTuple):
    """What was said against what was so, in bins of equal width over 0..1. Empty bins are nan."""

    mean_probability: Float64Array  # [bins]
    share_fake: Float64Array  # [bins]
    pictures: Int64Array  # [bins]


class _Counts(NamedTuple):
    """How many photographs and fakes are called fake at each threshold."""

    thresholds: Float64Array  # [k] infinity, then the distinct scores, falling
    false_alarms: Int64Array  # [k]
    hits: Int64Array  # [k]
    n_real: int
    n_fake: int


def compute_metrics(y_true: ArrayLike, y_pred_probs: ArrayLike, threshold: float = 0.5) -> Metrics:
    """All figures of probabilities of *fake*, at one threshold where one is needed.

    Raises:
        ValueError: lengths differ, labels other than 0 and 1, probabilities outside 0..1.
    """
    fake, probs = _checked(y_true, y_pred_probs)
    _require_probabilities(probs)
    with np.errstate(divide="ignore"):
        log10_lr = np.log10(probs) - np.log10(1.0 - probs)  # prior odds are even
    return dataclasses.replace(
        compute_score_metrics(fake, probs, threshold),
        brier=brier_score(fake, probs),
        ece=expected_calibration_error(fake, probs),
        cllr=cllr(fake, log10_lr),
    )


def compute_score_metrics(y_true: ArrayLike, scores: ArrayLike, threshold: float) -> Metrics:
    """The figures of scores on any scale: those of `compute_metrics` that do not need probabilities.

    Raises:
        ValueError: lengths differ, labels other than 0 and 1, or a score that is not finite.
    """
    fake, values = _checked(y_true, scores)
    n_fake = int(fake.sum())
    return Metrics(
        n_real=fake.size - n_fake,
        n_fake=n_fake,
        threshold=float(threshold),
        **confusion_shares(compute_confusion_matrix(fake, values >= threshold)),
        auc=auc(fake, values),
        average_precision=average_precision(fake, values),
        tpr_at_fpr_1=tpr_at_fpr(fake, values, 0.01),
        tpr_at_fpr_5=tpr_at_fpr(fake, values, 0.05),
    )


def compute_confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike) -> Int64Array:
    """Counts `[2, 2]`: rows what is so (real, fake), columns what was said (real, fake).

    Raises:
        ValueError: lengths differ or labels other than 0 and 1.
    """
    fake, called = _labels(y_true), _labels(y_pred)
    if fake.size != called.size:
        raise ValueError(f"{fake.size} labels but {called.size} predictions")
    return np.bincount(2 * fake + called, minlength=4).reshape(2, 2).astype(np.int64)


def confusion_shares(confusion: Int64Array) -> dict[str, float]:
    """Accuracy, balanced accuracy, precision, recall, f1 and false_alarm_rate of `compute_confusion_matrix`."""
    (tn, fp), (fn, tp) = confusion.tolist()
    recall, false_alarm_rate = _share(tp, tp + fn), _share(fp, fp + tn)
    both = tp + fn > 0 and fp + tn > 0
    return {
        "accuracy": _share(tp + tn, tp + tn + fp + fn),
        "balanced_accuracy": (recall + 1.0 - false_alarm_rate) / 2,
        "precision": (tp / max(tp + fp, 1)) if both else math.nan,
        "recall": recall,
        "f1": _share(2 * tp, 2 * tp + fp + fn) if both else math.nan,
        "false_alarm_rate": false_alarm_rate,
    }


def auc(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Share of pairs of a fake and a photograph in which the fake has the higher score; a tie counts one half."""
    fake, values = _checked(y_true, scores)
    n_fake = int(fake.sum())
    n_real = fake.size - n_fake
    if not n_fake or not n_real:
        return math.nan
    _, block, size = np.unique(values, return_inverse=True, return_counts=True)
    midrank = np.cumsum(size) - (size - 1) / 2  # of each distinct score, ranks from 1
    return float((midrank[block[fake]].sum() - n_fake * (n_fake + 1) / 2) / (n_fake * n_real))


def average_precision(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Area under the precision-recall curve by steps: precision at each threshold, weighted by the recall it adds."""
    precision, recall, _ = get_precision_recall_curve_data(y_true, scores)
    if np.isnan(precision[0]):
        return math.nan
    return float(np.sum(np.diff(recall) * precision[1:]))


def tpr_at_fpr(y_true: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """Recall at the lowest threshold that calls at most the share `fpr` of these photographs fake.

    Conservative: nothing is interpolated, and a tie that would go over `fpr` is left out whole.
    """
    fake, values = _checked(y_true, scores)
    counts = _count(fake, values)
    if not counts.n_fake or not counts.n_real:
        return math.nan
    return float(counts.hits[_operating_point(counts, fpr)] / counts.n_fake)


def operating_threshold(y_true: ArrayLike, scores: ArrayLike, false_alarm_rate: float) -> float:
    """The lowest threshold that calls at most the share `false_alarm_rate` of these photographs fake.

    It is one of the scores, or infinity when even the highest score would flag too many; nan without photographs.
    """
    fake, values = _checked(y_true, scores)
    counts = _count(fake, values)
    return float(counts.thresholds[_operating_point(counts, false_alarm_rate)]) if counts.n_real else math.nan


def get_roc_curve_data(y_true: ArrayLike, y_pred_probs: ArrayLike) -> RocCurve:
    """The points of the ROC curve; any scores will do. nan where a class is missing."""
    counts = _count(*_checked(y_true, y_pred_probs))
    return RocCurve(
        fpr=_shares(counts.false_alarms, counts.n_real),
        tpr=_shares(counts.hits, counts.n_fake),
        thresholds=counts.thresholds,
    )


def get_precision_recall_curve_data(y_true: ArrayLike, y_pred_probs: ArrayLike) -> PrecisionRecallCurve:
    """The points of the precision-recall curve; any scores will do. nan where a class is missing."""
    counts = _count(*_checked(y_true, y_pred_probs))
    precision = np.full(counts.hits.size, math.nan)
    if counts.n_fake and counts.n_real:
        called = counts.hits + counts.false_alarms
        precision = np.where(called > 0, counts.hits / np.maximum(called, 1), 1.0)
    return PrecisionRecallCurve(
        precision=precision, recall=_shares(counts.hits, counts.n_fake), thresholds=counts.thresholds
    )


THRESHOLD_METRICS = ("f1", "accuracy", "precision", "recall", "balanced_accuracy")


def find_optimal_threshold(y_true: ArrayLike, y_pred_probs: ArrayLike, metric: str = "f1") -> float:
    """The threshold with the best `metric`, one of `THRESHOLD_METRICS`, on these pictures.

    Every cut between two distinct scores is tried, and the answer lies half-way between them. Among equally good
    cuts the one with the best balanced accuracy wins (else "precision" would call one fake, and "recall" all
    pictures fake), then the highest. Choose it on validation, never on the set that is reported.

    Raises:
        ValueError: an unknown metric, or a class without pictures.
    """
    if metric not in THRESHOLD_METRICS:
        raise ValueError(f"metric must be one of {', '.join(THRESHOLD_METRICS)}, got '{metric}'")
    counts = _count(*_checked(y_true, y_pred_probs))
    if not counts.n_fake or not counts.n_real:
        raise ValueError(f"a threshold needs both classes, got {counts.n_real} real and {counts.n_fake} fake")
    hits, alarms = counts.hits, counts.false_alarms
    balanced = (hits / counts.n_fake + 1.0 - alarms / counts.n_real) / 2
    values = {
        "f1": 2 * hits / (hits + alarms + counts.n_fake),
        "accuracy": (hits + counts.n_real - alarms) / (counts.n_real + counts.n_fake),
        "precision": hits / np.maximum(hits + alarms, 1),
        "recall": hits / counts.n_fake,
        "balanced_accuracy": balanced,
    }[metric]
    best = int(np.lexsort((-np.arange(values.size), balanced, values))[-1])
    return _between(counts.thresholds, best)


def brier_score(y_true: ArrayLike, probs: ArrayLike) -> float:
    """Mean squared difference between the probability of *fake* and the truth: 0 perfect, .25 always one half."""
    fake, values = _checked(y_true, probs)
    return float(np.mean((values - fake) ** 2)) if fake.size else math.nan


def get_reliability_data(y_true: ArrayLike, probs: ArrayLike, bins: int = CALIBRATION_BINS) -> Reliability:
    """Mean probability of *fake* and share of fakes in `bins` equal bins, closed below (the last on both sides).

    Raises:
        ValueError: probabilities outside 0..1.
    """
    fake, values = _checked(y_true, probs)
    _require_probabilities(values)
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.int64)
    divisor = np.where(count > 0, count, 1)
    empty = np.where(count > 0, 0.0, math.nan)
    return Reliability(
        mean_probability=np.bincount(place, values, minlength=bins) / divisor + empty,
        share_fake=np.bincount(place, fake.astype(np.float64), minlength=bins) / divisor + empty,
        pictures=count,
    )


def expected_calibration_error(y_true: ArrayLike, probs: ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between probability of *fake* and share of fakes over the bins, weighted by their pictures."""
    mean_probability, share_fake, count = get_reliability_data(y_true, probs, bins)
    filled = count > 0
    if not filled.any():
        return math.nan
    return float(np.average(np.abs(mean_probability - share_fake)[filled], weights=count[filled]))


def cllr(y_true: ArrayLike, log10_lr: ArrayLike) -> float:
    """Cost of the log-likelihood ratio in bits: 0 perfect, 1 for "no evidence" everywhere, above 1 misleading.

    Both classes count one half whatever their numbers (Brümmer and du Preez 2006, Computer Speech & Language 20).
    """
    fake, values = _checked(y_true, log10_lr, infinite=True)
    if fake.all() or not fake.any():
        return math.nan
    natural = values * math.log(10.0)
    missed = np.mean(np.logaddexp(0.0, -natural[fake]))
    accused = np.mean(np.logaddexp(0.0, natural[~fake]))
    return float((missed + accused) / (2 * math.log(2.0)))


def weighted_score(metrics: Metrics, weights: ScoreConfig) -> float:
    """The document's weighted sum of accuracy, precision, recall, F1 and AUC, all of *fake*; nan where one is nan."""
    return math.fsum(weight * getattr(metrics, name) for name, weight in dataclasses.asdict(weights).items())


def selection_score(
    y_true: ArrayLike, scores: ArrayLike, weights: ScoreConfig, false_alarm_rate: float = 0.05
) -> float:
    """The score that chooses checkpoints: `weighted_score` at the operating threshold of these very pictures.

    The threshold is the lowest that calls at most `false_alarm_rate` of the photographs fake. A constant answer
    cannot be below that share without calling nothing fake, so its recall, precision and F1 are 0: it loses against
    anything better than chance. Scores of any scale and sign offset do; nan when a class is missing.
    """
    threshold = operating_threshold(y_true, scores, false_alarm_rate)
    return weighted_score(compute_score_metrics(y_true, scores, threshold), weights)


def _checked(y_true: ArrayLike, scores: ArrayLike, *, infinite: bool = False) -> tuple[BoolArray, Float64Array]:
    fake = _labels(y_true)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != fake.shape:
        raise ValueError(f"{fake.size} labels but scores of shape {values.shape}")
    bad = int(np.sum(np.isnan(values) if infinite else ~np.isfinite(values)))
    if bad:
        raise ValueError(f"{bad} of {values.size} scores are {'nan' if infinite else 'not finite'}")
    return fake, values


def _labels(values: ArrayLike) -> BoolArray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"labels must have one dimension, got shape {array.shape}")
    if array.dtype == np.bool_:
        return array
    if array.size and not np.isin(array, (0, 1)).all():
        raise ValueError("labels must be 0 (photograph) or 1 (fake)")
    return array.astype(np.bool_)


def _require_probabilities(values: Float64Array) -> None:
    if values.size and not (values.min() >= 0.0 and values.max() <= 1.0):
        raise ValueError(f"probabilities must lie in 0..1, got {values.min():g}..{values.max():g}")


def _count(fake: BoolArray, scores: Float64Array) -> _Counts:
    distinct, block = np.unique(scores, return_inverse=True)
    hits = np.bincount(block[fake], minlength=distinct.size)[::-1].cumsum()
    false_alarms = np.bincount(block[~fake], minlength=distinct.size)[::-1].cumsum()
    n_fake = int(fake.sum())
    return _Counts(
        thresholds=np.concatenate(([math.inf], distinct[::-1])),
        false_alarms=np.concatenate(([0], false_alarms)).astype(np.int64),
        hits=np.concatenate(([0], hits)).astype(np.int64),
        n_real=fake.size - n_fake,
        n_fake=n_fake,
    )


def _operating_point(counts: _Counts, false_alarm_rate: float) -> int:
    """Index of the lowest threshold within the rate; a hair of slack so that 1 of 100 is within .01."""
    allowed = math.floor(false_alarm_rate * counts.n_real * (1 + 1e-12) + 1e-12)
    return int(np.searchsorted(counts.false_alarms, allowed, side="right")) - 1


def _between(thresholds: Float64Array, index: int) -> float:
    """A threshold that cuts where `thresholds[index]` cuts, half-way to the next score below."""
    chosen = float(thresholds[index])
    if index == thresholds.size - 1:
        return chosen
    below = float(thresholds[index + 1])
    if math.isinf(chosen):
        return math.nextafter(below, math.inf)
    middle = below + (chosen - below) / 2
    return middle if middle > below else chosen


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _shares(parts: Int64Array, whole: int) -> Float64Array:
    return parts / whole if whole else np.full(parts.size, math.nan)
