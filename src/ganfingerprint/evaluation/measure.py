"""A table of scores becomes figures with intervals."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.bootstrap import Interval, Statistic, bootstrap_intervals
from ganfingerprint.evaluation.metrics import Int64Array, Metrics
from ganfingerprint.evaluation.protocol import (
    WITHOUT_PROXIES,
    ScoreTable,
    Slice,
    failure_counts,
    overall_slices,
    slices_by,
    verdict_counts,
)
from ganfingerprint.types import BoolArray, Float64Array, Verdict

FORMAT_VERSION = 1  # of metrics.json

FIGURES: Mapping[str, str] = {
    "auc": "AUC",
    "average_precision": "average precision",
    "tpr_at_fpr_1": "recall at 1 % false alarms",
    "tpr_at_fpr_5": "recall at 5 % false alarms",
    "recall_shipped": "fakes called fake",
    "miss_rate_shipped": "fakes called real",
    "uncertain_fakes_shipped": "fakes left uncertain",
    "false_alarm_rate_shipped": "photographs called fake",
    "uncertain_reals_shipped": "photographs left uncertain",
    "balanced_accuracy_shipped": "balanced accuracy of the accusation",
    "decided_right_shipped": "decided verdicts that are right",
    "uncertain_shipped": "all left uncertain",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "cllr": "Cllr, bits",
}  # in the order in which they are shown; `_shipped`: at the detector's two thresholds; accuracy to F1: at .5

BY_CLASS_FIGURES = (
    "auc",
    "tpr_at_fpr_1",
    "tpr_at_fpr_5",
    "recall_shipped",
    "uncertain_fakes_shipped",
    "miss_rate_shipped",
)  # of a generator or a family
BY_SOURCE_FIGURES = ("false_alarm_rate_shipped", "uncertain_reals_shipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFigures:
    """What was measured on one slice."""

    by: str
    name: str
    family: str
    n_real: int
    n_fake: int
    few: bool
    figures: Mapping[str, Interval]  # empty where there are too few pictures

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("by", "name", "family", "n_real", "n_fake", "few")
        plain: dict[str, Any] = {name: getattr(self, name) for name in names}
        return plain | {"figures": {name: figure.as_dict() for name, figure in self.figures.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFigures:
    """What was measured of the same pictures after a delivery; fakes without proxies against all photographs."""

    name: str  # of the delivery
    figures: SliceFigures
    auc_lost: Interval | None  # against the pictures as they are; None of those themselves
    table: ScoreTable = field(repr=False)

    @property
    def failed(self) -> int:
        """How many files could not be read."""
        return int((~self.table.judged).sum())

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        lost = None if self.auc_lost is None else self.auc_lost.as_dict()
        return {"delivery": self.name, "auc_lost": lost, "failed": self.failed, **self.figures.as_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that was measured on one table."""

    overall: tuple[SliceFigures, ...]  # the headline first
    groups: Mapping[str, tuple[SliceFigures, ...]]  # by generator, family, source: as asked for
    verdicts: Int64Array  # [3, 2] of the headline; rows fake, uncertain, real, columns photograph, fake
    at_half: Metrics  # of the headline, at prob_fake .5
    failures: Mapping[str, int]  # files that could not be read, by error code

    @property
    def headline(self) -> SliceFigures:
        """Fakes without proxies against all photographs."""
        return self.overall[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How the figures came about: enough to get them again."""

    detector_id: str
    detector_name: str
    data: str  # the data root as it was given
    layout: str
    split: str
    seed: int
    samples: int  # bootstrap resamples
    command: str
    package_version: str
    calibration: Mapping[str, Any]  # thresholds on the raw score, and the rates they were chosen for


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What `evaluate` found; everything that it wrote can be made from this, but for the pictures."""

    facts: Facts
    table: ScoreTable
    measurement: Measurement
    deliveries: tuple[DeliveryFigures, ...] = ()  # those of the pictures as they are first; empty: not asked for

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number is None."""
        found = self.measurement
        return {
            "format_version": FORMAT_VERSION,
            "measured": dataclasses.asdict(self.facts),
            "pictures": {"listed": len(self.table), "judged": int(self.table.judged.sum()), "failed": found.failures},
            "overall": [part.as_dict() for part in found.overall],
            "verdicts": _named_verdicts(found.verdicts),
            "at_prob_fake_0.5": found.at_half.as_dict(),
            "groups": {by: [part.as_dict() for part in parts] for by, parts in found.groups.items()},
            "deliveries": [row.as_dict() for row in self.deliveries],
        }


def _named_verdicts(counts: Int64Array) -> dict[str, dict[str, int]]:
    said = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)
    return {
        verdict.value: {"photographs": photographs, "fakes": fakes}
        for verdict, (photographs, fakes) in zip(said, counts.tolist(), strict=True)
    }


def measure(table: ScoreTable, *, by: Sequence[str], seed: int, samples: int) -> Measurement:
    """All figures of a table: overall, and by each grouping of `by`.

    Raises:
        UsageError: an unknown grouping.
    """
    figures = functools.partial(_figures, table, seed=seed, samples=samples)
    slices = overall_slices(table)
    groups = {name: slices_by(table, name) for name in dict.fromkeys(by)}
    headline = table.select(slices[0].rows)
    return Measurement(
        overall=tuple(figures(part, tuple(FIGURES)) for part in slices),
        groups={
            name: tuple(figures(part, BY_SOURCE_FIGURES if name == "source" else BY_CLASS_FIGURES) for part in parts)
            for name, parts in groups.items()
        },
        verdicts=verdict_counts(headline),
        at_half=metrics.compute_metrics(headline.is_fake, headline.prob_fake),
        failures=failure_counts(table),
    )


def _figures(table: ScoreTable, part: Slice, names: Sequence[str], *, seed: int, samples: int) -> SliceFigures:
    chosen = table.select(part.rows)
    found: dict[str, Interval] = {}
    if len(chosen) and not part.few:
        for column, statistics in _STATISTICS.items():
            wanted = {name: statistic for name, statistic in statistics.items() if name in names}
            if wanted:  # one seed: every column sees the same resamples
                scores = _said(chosen) if column == "verdict" else getattr(chosen, column)
                found |= bootstrap_intervals(chosen.is_fake, scores, chosen.group, wanted, samples=samples, seed=seed)
    n_fake = int(chosen.is_fake.sum())
    return SliceFigures(
        by=part.by,
        name=part.name,
        family=part.family,
        n_real=len(chosen) - n_fake,
        n_fake=n_fake,
        few=part.few,
        figures={name: found[name] for name in names if name in found},
    )


_SAID = {Verdict.FAKE: 1.0, Verdict.UNCERTAIN: 0.0, Verdict.REAL: -1.0}


def _said(table: ScoreTable) -> Float64Array:
    """The verdicts as numbers, so that they are resampled as scores are."""
    return np.array([_SAID[Verdict(verdict)] for verdict in table.verdict.tolist()], dtype=np.float64)


def _balanced_accusation(fake: BoolArray, said: Float64Array) -> float:
    found = _share_said(fake, said, of_fakes=True, verdict=Verdict.FAKE)
    return (found + 1.0 - _share_said(fake, said, of_fakes=False, verdict=Verdict.FAKE)) / 2


def _decided_right(fake: BoolArray, said: Float64Array) -> float:
    decided = said != _SAID[Verdict.UNCERTAIN]
    return float(np.mean((said[decided] > 0) == fake[decided])) if decided.any() else math.nan


def _uncertain(fake: BoolArray, said: Float64Array) -> float:
    return float(np.mean(said == _SAID[Verdict.UNCERTAIN])) if said.size else math.nan


def _share_said(fake: BoolArray, said: Float64Array, *, of_fakes: bool, verdict: Verdict) -> float:
    among = said[fake == of_fakes]
    return float(np.mean(among == _SAID[verdict])) if among.size else math.nan


def _at_half(fake: BoolArray, probs: Float64Array, *, name: str) -> float:
    return metrics.confusion_shares(metrics.compute_confusion_matrix(fake, probs >= 0.5))[name]


def _tpr(rate: float) -> Statistic:
    return functools.partial(metrics.tpr_at_fpr, fpr=rate)


def _said_share(of_fakes: bool, verdict: Verdict) -> Statistic:
    return functools.partial(_share_said, of_fakes=of_fakes, verdict=verdict)


# Ranks are taken from the raw score: prob_fake and log10_lr are bounded, so that the surest pictures tie.
_STATISTICS: Mapping[str, Mapping[str, Statistic]] = {
    "logit": {
        "auc": metrics.auc,
        "average_precision": metrics.average_precision,
        "tpr_at_fpr_1": _tpr(0.01),
        "tpr_at_fpr_5": _tpr(0.05),
    },
    "verdict": {
        "recall_shipped": _said_share(True, Verdict.FAKE),
        "miss_rate_shipped": _said_share(True, Verdict.REAL),
        "uncertain_fakes_shipped": _said_share(True, Verdict.UNCERTAIN),
        "false_alarm_rate_shipped": _said_share(False, Verdict.FAKE),
        "uncertain_reals_shipped": _said_share(False, Verdict.UNCERTAIN),
        "balanced_accuracy_shipped": _balanced_accusation,
        "decided_right_shipped": _decided_right,
        "uncertain_shipped": _uncertain,
    },
    "prob_fake": {
        name: functools.partial(_at_half, name=name)
        for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
    }
    | {"brier": metrics.brier_score, "ece": metrics.expected_calibration_error},
    "log10_lr": {"cllr": metrics.cllr},
}


def card_figures(found: Measurement, split: str) -> dict[str, dict[str, Any]]:
    """The figures of a split for a detector's card: split → metric → value, low, high, n.

    `n` is the number of pictures behind a figure; what is not a number is left out. Metrics with proxies carry the
    suffix `_with_proxies`; those of generators and families with enough pictures are named `auc.generator.NAME`.
    """
    figures: dict[str, Any] = {}
    for part in found.overall:
        suffix = "" if part.name == WITHOUT_PROXIES else "_" + part.name.replace(" ", "_")
        figures |= {name + suffix: entry for name, entry in _card_entries(part).items()}
    for by, parts in found.groups.items():
        name = "false_alarm_rate_shipped" if by == "source" else "auc"
        for part in parts:
            entry = _card_entries(part).get(name)
            if entry is not None:
                figures[f"{name}.{by}.{part.name}"] = entry
    return {split: figures}


def delivery_figures(rows: Sequence[DeliveryFigures], split: str) -> dict[str, dict[str, Any]]:
    """The same of each delivery, named `SPLIT after DELIVERY`; the pictures as they are have their own."""
    named: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.auc_lost is not None:
            lost = _known(row.auc_lost, row.figures.n_real + row.figures.n_fake)
            entries = {"auc_lost": lost} if "value" in lost else {}
            named[f"{split} after {row.name}"] = {**entries, **_card_entries(row.figures)}
    return named


def _known(figure: Interval, number: int) -> dict[str, float | int]:
    return {**{key: value for key, value in figure.as_dict().items() if value is not None}, "n": number}


def _card_entries(part: SliceFigures) -> dict[str, dict[str, float | int]]:
    entries: dict[str, dict[str, float | int]] = {}
    for name, figure in part.figures.items():
        known = _known(figure, _pictures_behind(name, part))
        if "value" in known:
            entries[name] = known
    return entries


def _pictures_behind(name: str, part: SliceFigures) -> int:
    if name in ("recall", "recall_shipped", "miss_rate_shipped", "uncertain_fakes_shipped"):
        return part.n_fake
    if name in ("false_alarm_rate_shipped", "uncertain_reals_shipped"):
        return part.n_real
    return part.n_real + part.n_fake
