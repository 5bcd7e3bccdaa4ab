"""Measure a detector on labelled pictures: catalog → answers → table of scores → figures → files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import ganfingerprint
from ganfingerprint.catalog import Catalog, read_catalog
from ganfingerprint.delivery import Delivery
from ganfingerprint.detector import Detector
from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.evaluation.attention import draw_attention
from ganfingerprint.evaluation.canvas import require_matplotlib
from ganfingerprint.evaluation.measure import Evaluation, Facts, measure
from ganfingerprint.evaluation.outputs import write_outputs
from ganfingerprint.evaluation.protocol import GROUPINGS, Progress, counted, score_table
from ganfingerprint.evaluation.robustness import Advance, measure_deliveries

NO_DELIVERIES: Mapping[str, Delivery] = MappingProxyType({})


def evaluate(
    detector: Detector | str | Path | None = None,
    *,
    data_root: str | Path,
    output_dir: str | Path,
    split: str = "test",
    by: Sequence[str] = ("generator", "family"),
    seed: int = 42,
    samples: int = 1000,
    manifest: str | Path | None = None,
    layout: str = "auto",
    batch_size: int = 16,
    deliveries: Mapping[str, Delivery] = NO_DELIVERIES,
    progress: Progress | None = None,
    advance: Advance | None = None,
    command: str | None = None,
) -> Evaluation:
    """Judge every picture of a split, measure, and write scores, metrics, figures and summary into `output_dir`.

    Verdicts are those of the detector's own thresholds: nothing is fitted here. Files that cannot be read stay in
    the table with their error and are counted in the summary.

    Args:
        detector: a loaded one, its folder, or None for the one that comes with the package.
        data_root: folder of labelled pictures; see `ganfingerprint.catalog` for the layouts.
        by: groupings that get figures of their own: generator, family, source.
        samples: bootstrap resamples, drawn by group with `seed`.
        deliveries: ways by which the same pictures are judged once more each, by name; see
            `ganfingerprint.delivery`.
        progress: told after each picture how many are done, and of how many.
        advance: the same of each delivery, by its name.
        command: what to write down as the way to get these figures again.

    Raises:
        DataError: no such data or split, or none of its pictures can be read.
        DetectorError: there is no such detector.
        UsageError: an unknown grouping, or fewer than one resample.
        MissingExtraError: matplotlib is not installed.
    """
    _check(by, samples)
    require_matplotlib()
    catalog = read_catalog(Path(data_root), manifest=manifest, layout=layout)
    chosen = catalog.split(split)
    judge = detector if isinstance(detector, Detector) else Detector.from_pretrained(detector)
    answers = judge.predict_many((sample.path for sample in chosen), batch_size=batch_size)
    table = score_table(chosen, counted(answers, len(chosen), progress), catalog.root)
    if not table.judged.any():
        raise DataError(f"{catalog.root}: none of the {len(table)} pictures of '{split}' can be read: {table.error[0]}")
    measurement = measure(table, by=by, seed=seed, samples=samples)
    where = f"'loaded detector {judge.detector_id}'" if isinstance(detector, Detector) else detector
    command = command or _command(where, data_root, split, output_dir, by, seed, samples)
    facts = _facts(
        judge, catalog, split=chosen[0].split, data=str(data_root), seed=seed, samples=samples, command=command
    )
    rows = measure_deliveries(judge, chosen, table, deliveries, seed=seed, resamples=samples, advance=advance)
    evaluation = Evaluation(facts=facts, table=table, measurement=measurement, deliveries=rows)
    draw_attention(judge, table, catalog.root, Path(output_dir) / "figures")
    write_outputs(evaluation, Path(output_dir), catalog.root)
    return evaluation


def _check(by: Sequence[str], samples: int) -> None:
    """Before an hour of scoring, not after it."""
    unknown = [name for name in by if name not in GROUPINGS]
    if unknown:
        raise UsageError(f"figures can be grouped by {', '.join(GROUPINGS)}, not by '{unknown[0]}'")
    if samples < 1:
        raise UsageError(f"samples must be at least 1, got {samples}")


def _command(
    detector: str | Path | None,
    data_root: str | Path,
    split: str,
    output_dir: str | Path,
    by: Sequence[str],
    seed: int,
    samples: int,
) -> str:
    where = "" if detector is None else f" --detector {detector}"
    return (
        f"ganfingerprint evaluate{where} --data-root {data_root} --split {split} --output-dir {output_dir}"
        f" --by {','.join(by)} --seed {seed} --samples {samples}"
    )


def _facts(judge: Detector, catalog: Catalog, *, split: str, data: str, seed: int, samples: int, command: str) -> Facts:
    return Facts(
        detector_id=judge.detector_id,
        detector_name=judge.card.name,
        data=data,
        layout=catalog.layout,
        split=split,
        seed=seed,
        samples=samples,
        command=command,
        package_version=ganfingerprint.__version__,
        calibration=judge.calibration.to_mapping(),
    )
