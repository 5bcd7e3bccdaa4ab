"""What is left of a detector's figures after a picture was delivered: one row for each way of delivery.

All rows are of the same pictures. What is lost is taken on the same resamples as what there was, so that its
interval is that of the difference.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Sample
from ganfingerprint.decode import decode
from ganfingerprint.delivery import Delivery
from ganfingerprint.detector import Detector
from ganfingerprint.errors import InputError
from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.bootstrap import Interval, bootstrap_difference
from ganfingerprint.evaluation.measure import FIGURES, DeliveryFigures, measure
from ganfingerprint.evaluation.protocol import ScoreTable, counted, overall_slices, score_table
from ganfingerprint.types import Image

AS_IT_IS = "as it is"
Advance = Callable[[str, int, int], None]  # the delivery under way, pictures done, of how many


def delivered(samples: Iterable[Sample], delivery: Delivery, *, seed: int = 0) -> Iterator[Image | Path]:
    """What arrives of each picture; one that cannot be read comes as its path, for the detector to say why."""
    for sample in samples:
        try:
            image = decode(sample.path)
        except InputError:
            yield sample.path
        else:
            yield delivery.deliver(image, seed=seed)


def measure_deliveries(
    detector: Detector,
    samples: Sequence[Sample],
    as_it_is: ScoreTable,
    deliveries: Mapping[str, Delivery],
    *,
    seed: int,
    resamples: int,
    advance: Advance | None = None,
) -> tuple[DeliveryFigures, ...]:
    """Judge the same pictures after each delivery; the pictures as they are come first. No delivery: no rows.

    Args:
        detector: whose verdicts, at its own thresholds.
        samples: the pictures.
        as_it_is: the scores of the same pictures as they are, in the same order.
        deliveries: by the names that they shall have.
        seed: of what the deliveries draw and of the resamples.
        resamples: behind an interval.
        advance: told how far it is.
    """
    root = Path()  # where the pictures lie is nobody's business here
    tables: dict[str, ScoreTable] = {}
    for name, delivery in deliveries.items():
        tell = None if advance is None else functools.partial(advance, name)
        answers = counted(detector.predict_many(delivered(samples, delivery, seed=seed)), len(samples), tell)
        tables[name] = score_table(samples, answers, root)
    return figures_of(as_it_is, tables, seed=seed, resamples=resamples)


def figures_of(
    as_it_is: ScoreTable, delivered_tables: Mapping[str, ScoreTable], *, seed: int, resamples: int
) -> tuple[DeliveryFigures, ...]:
    """The figures of the same pictures as they are and after each delivery; without a delivery none."""
    rows = []
    for name, table in {AS_IT_IS: as_it_is, **delivered_tables}.items() if delivered_tables else ():
        found = measure(table, by=(), seed=seed, samples=resamples).headline
        lost = None if table is as_it_is else _auc_lost(as_it_is, table, seed, resamples)
        rows.append(DeliveryFigures(name=name, figures=found, auc_lost=lost, table=table))
    return tuple(rows)


def _auc_lost(before: ScoreTable, after: ScoreTable, seed: int, resamples: int) -> Interval:
    rows = overall_slices(before)[0].rows & after.judged
    one, other = before.select(rows), after.select(rows)
    return bootstrap_difference(
        one.is_fake, one.logit, other.logit, one.group, metrics.auc, samples=resamples, seed=seed
    )


def write_deliveries(rows: Sequence[DeliveryFigures], path: Path) -> None:
    """Write the rows as CSV: for each figure its value and the ends of its interval."""
    names = ("auc_lost", *FIGURES)
    ends = ("value", "low", "high")
    header = ("delivery", "fakes", "photographs", "failed")
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((*header, *(f"{name}_{end}" for name in names for end in ends)))
        for row in rows:
            known = row.figures.figures if row.auc_lost is None else {**row.figures.figures, "auc_lost": row.auc_lost}
            cells = [known[name].as_dict()[end] if name in known else None for name in names for end in ends]
            writer.writerow((row.name, row.figures.n_fake, row.figures.n_real, row.failed, *cells))
