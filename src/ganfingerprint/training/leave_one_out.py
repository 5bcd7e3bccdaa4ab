"""How much of a training is memory: a run for each fold, without its generators, judged on exactly those.

Every run is one of its own in the output folder, the setting `data.leave_out` its only difference; a command that
was stopped goes on with the fold it was at. Runs on a frozen backbone share its maps.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Catalog, digest
from ganfingerprint.config import TrainConfig, to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ConfigError, TrainingError
from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.bootstrap import Interval, bootstrap_mean
from ganfingerprint.evaluation.canvas import save_figure
from ganfingerprint.evaluation.folds import Fold
from ganfingerprint.evaluation.measure import SliceFigures, measure
from ganfingerprint.evaluation.outputs import write_slices
from ganfingerprint.evaluation.plots import plot_by_generator
from ganfingerprint.evaluation.protocol import ScoreTable, read_scores, write_scores
from ganfingerprint.training.finish import DETECTOR, score_samples
from ganfingerprint.training.loop import Report
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.run import resumed_config, train

_MAPS, _SCORES, _SETTINGS = "maps", "left-out.parquet", "settings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOneOut:
    """What was measured on what each fold had left out."""

    folds: tuple[SliceFigures, ...]  # as many as are done
    mean_auc: Interval | None  # over all folds; None while some are missing

    @property
    def finished(self) -> bool:
        """Whether every fold is done."""
        return self.mean_auc is not None


def leave_one_out(
    config: TrainConfig, catalog: Catalog, folds: Sequence[Fold], output: Path, *, samples: int, report: Report
) -> LeaveOneOut:
    """Train without each fold and judge it; an interrupted training ends it early, and the same call goes on.

    Args:
        config: of every run; its output is `output`, its `data.leave_out` that of each fold.
        catalog: what `config.data` names.
        folds: each with a name of its own.
        output: a folder a fold, and `leave-one-out.csv`, `.json` and `.png`.
        samples: bootstrap resamples behind an interval, drawn with the seed of `config`.
        report: told how far it is.

    Raises:
        ConfigError, DataError, TrainingError: as `train`; or `output` holds folds of other settings.
    """
    if config.optim.start_from:
        raise ConfigError(["optim.start_from: weights that know what is left out would be judged on it; leave it out"])
    judged = {fold.name: fold.judged(catalog) for fold in folds}  # all mistakes before the first hour
    _note_settings(config, folds, digest(catalog.samples, catalog.root), output)
    tables: dict[str, ScoreTable] = {}
    for number, fold in enumerate(folds, start=1):
        run = output / f"{number:02d}-{re.sub(r'[^A-Za-z0-9.-]', '_', fold.name)}"
        if not (run / _SCORES).is_file():
            if not _trained(_for_fold(config, fold, run, output), run, _named(report, fold.name)):
                break
            detector = _judge(run / DETECTOR, config)
            table = score_samples(detector, judged[fold.name], catalog.root, _named(report, fold.name))
            write_scores(table, run / _SCORES)
        tables[fold.name] = read_scores(run / _SCORES)
    found = _measured(tables, complete=len(tables) == len(folds), seed=config.seed, samples=samples)
    if tables:
        _write(found, output)
    return found


def _named(report: Report, fold: str) -> Report:
    def named(stage: str, done: int, total: int, loss: float, rate: float) -> None:
        report(f"{fold}: {stage}", done, total, loss, rate)

    return named


def _for_fold(config: TrainConfig, fold: Fold, run: Path, output: Path) -> TrainConfig:
    """The settings of one fold's run; maps of a frozen backbone are kept where all folds find them."""
    return replace(
        config,
        data=replace(config.data, leave_out=(*config.data.leave_out, *fold.left_out)),
        optim=replace(config.optim, cache_dir=config.optim.cache_dir or str(output / _MAPS)),
        output=replace(config.output, run=str(run), name=f"without {fold.name}"),
    )


def _trained(config: TrainConfig, run: Path, report: Report) -> bool:
    """Whether the fold's detector is there now; a run that was begun is gone on with."""
    if (run / DETECTOR / "card.json").is_file():
        return True
    begun = (run / "config.json").is_file()
    result = train(resumed_config(run) if begun else config, resume=run if begun else None, report=report)
    return result.detector is not None


def _judge(folder: Path, config: TrainConfig) -> Detector:
    """The fold's detector, in the arithmetic that it was trained in: a benchmark of many need not wait for fp32."""
    compute = Compute.choose(config.optim.device, config.optim.precision)
    return Detector.from_pretrained(folder, engine="torch", device=str(compute.device), precision=compute.precision)


def _note_settings(config: TrainConfig, folds: Sequence[Fold], pictures: str, output: Path) -> None:
    """Write down the folds and what they share, or check that what is there is the same.

    Raises:
        TrainingError: it is not.
    """
    file = output / _SETTINGS
    left_out = {fold.name: list(fold.left_out) for fold in folds}
    now = {"folds": left_out, "pictures": pictures, "config": to_mapping(config)}
    if not file.is_file():
        with replacing(file) as beside:
            beside.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    elif json.loads(file.read_text(encoding="utf-8")) != now:
        raise TrainingError(
            f"{output}: holds other folds, or folds of other pictures or settings ({file.name}); name another folder"
        )


def _measured(tables: dict[str, ScoreTable], *, complete: bool, seed: int, samples: int) -> LeaveOneOut:
    figures = tuple(
        dataclasses.replace(measure(table, by=(), seed=seed, samples=samples).headline, by="fold", name=name)
        for name, table in tables.items()
    )
    parts = [(t.is_fake, t.logit, t.group) for t in (table.select(table.judged) for table in tables.values())]
    mean = bootstrap_mean(parts, metrics.auc, samples=samples, seed=seed) if complete else None
    return LeaveOneOut(folds=figures, mean_auc=mean)


def _write(found: LeaveOneOut, output: Path) -> None:
    mean = None if found.mean_auc is None else found.mean_auc.as_dict()
    content = {"mean_auc": mean, "folds": [fold.as_dict() for fold in found.folds]}
    with replacing(output / "leave-one-out.json") as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    write_slices(found.folds, output / "leave-one-out.csv")
    figure = plot_by_generator(found.folds, title="AUC on what was left out, each by a detector that never saw it")
    save_figure(figure, output / "leave-one-out.png")
