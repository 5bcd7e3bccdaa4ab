"""Calibration and thresholds from a table of scores: the one rule by which a detector's verdicts are chosen.

Proxies are left out: an enlarged photograph is not what a verdict is about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ganfingerprint.calibrate import Calibration, fit_calibration
from ganfingerprint.evaluation.measure import Evaluation, measure
from ganfingerprint.evaluation.protocol import ScoreTable
from ganfingerprint.evaluation.robustness import figures_of

FITTING_SPLIT = "validation"
CHOSE_VERDICTS = "chose calibration and thresholds"
CHOSE_ALL = "chose checkpoint, calibration and thresholds"


NOT_DELIVERED: Mapping[str, ScoreTable] = MappingProxyType({})


def fitting_rows(table: ScoreTable) -> ScoreTable:
    """The pictures that a calibration is fitted to: those that could be read, without proxies."""
    return table.select(table.judged & ~table.is_proxy)


def fit_table(
    table: ScoreTable,
    delivered: Mapping[str, ScoreTable] = NOT_DELIVERED,
    *,
    false_alarm_rate: float,
    miss_rate: float,
) -> Calibration:
    """The calibration of a table's raw scores, with thresholds for these two error rates.

    With `delivered` (the same pictures after deliveries, by name) it is fitted to all versions alike, so that the rates
    and the probabilities hold for pictures that come as they are and as platforms deliver them, taken together. What
    is independent evidence stays the number of pictures.

    Raises:
        DataError: a class is missing, or a rate is not in 0..1.
    """
    parts = [fitting_rows(part) for part in (table, *delivered.values())]
    calibration = fit_calibration(
        np.concatenate([part.logit for part in parts]),
        np.concatenate([part.is_fake for part in parts]),
        groups=np.concatenate([part.group for part in parts]).tolist(),
        false_alarm_rate=false_alarm_rate,
        miss_rate=miss_rate,
    )
    fake = parts[0].is_fake
    return dataclasses.replace(
        calibration, n_real=int((~fake).sum()), n_fake=int(fake.sum()), deliveries=", ".join(delivered)
    )


def fitting_scores(table: ScoreTable) -> dict[str, list[float]]:
    """The raw scores of the pictures as they are, for a card: by class, sorted, in hundredths.

    They let a reader see where a new score lies among those of known pictures.
    """
    rows = fitting_rows(table)
    classes = {"photographs": ~rows.is_fake, "fakes": rows.is_fake}
    return {name: np.sort(rows.logit[chosen]).round(2).tolist() for name, chosen in classes.items()}


def judged_under(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The same pictures and raw scores with the probabilities, evidence and verdicts of this calibration."""
    verdicts = [calibration.verdict(score).value for score in table.logit]
    return dataclasses.replace(
        table,
        prob_fake=calibration.prob_fake(table.logit),
        log10_lr=calibration.log10_lr(table.logit),
        verdict=np.where(table.judged, verdicts, ""),
    )


def evaluated_under(
    evaluation: Evaluation, calibration: Calibration, *, detector_id: str, by: Sequence[str]
) -> Evaluation:
    """The evaluation as it would be with a calibration that was fitted to it; its split says so from now on.

    Args:
        evaluation: what the calibration was fitted to.
        calibration: the new one.
        detector_id: of the detector with that calibration.
        by: groupings that get figures of their own.
    """
    table = judged_under(evaluation.table, calibration)
    delivered = {name: judged_under(part, calibration) for name, part in delivered_tables(evaluation).items()}
    facts = dataclasses.replace(
        evaluation.facts,
        detector_id=detector_id,
        calibration=calibration.to_mapping(),
        split=named(evaluation.facts.split, CHOSE_VERDICTS),
    )
    found = measure(table, by=by, seed=facts.seed, samples=facts.samples)
    rows = figures_of(table, delivered, seed=facts.seed, resamples=facts.samples)
    return Evaluation(facts=facts, table=table, measurement=found, deliveries=rows)


def delivered_tables(evaluation: Evaluation) -> dict[str, ScoreTable]:
    """The scores after each delivery of an evaluation, by its name."""
    return {row.name: row.table for row in evaluation.deliveries if row.auc_lost is not None}


def named(split: str, chose: str) -> str:
    """The name of a split in results, where the split has had a part in what is measured on it."""
    return f"{split} ({chose})"
