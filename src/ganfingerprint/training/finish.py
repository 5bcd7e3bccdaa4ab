"""The end of a run: the best weights become a detector, calibrated on validation under its own window policy."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from torch.utils.data import DataLoader

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.catalog import Sample
from ganfingerprint.config import to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import TrainingError
from ganfingerprint.evaluation.canvas import save_figure
from ganfingerprint.evaluation.fit import CHOSE_ALL, FITTING_SPLIT, fit_table, fitting_scores, judged_under, named
from ganfingerprint.evaluation.measure import card_figures, measure
from ganfingerprint.evaluation.plots import plot_training_curves
from ganfingerprint.evaluation.protocol import ScoreTable, counted, score_table
from ganfingerprint.network.backbones import BACKBONES
from ganfingerprint.network.storage import stored_architecture, stored_state
from ganfingerprint.training.dataset import DeepfakeDataset, Item, Loaders, judged_samples
from ganfingerprint.training.distributed import Group
from ganfingerprint.training.loop import Report, Trainer

DETECTOR = "detector"  # its folder, in the run's
BOOTSTRAP_SAMPLES = 1000
_log = logging.getLogger("ganfingerprint")
_LICENCE = "Apache-2.0 for the weights learnt here; the pictures they were learnt from keep theirs"


def finish_run(trainer: Trainer, loaders: Loaders, report: Report, *, command: str) -> Path:
    """Write `detector/` into the run's folder, and the results and curves beside it; returns the detector's folder.

    `command` is how the run was called. Thresholds and calibration are fitted to the validation pictures, see
    `ganfingerprint.evaluation.fit`.

    Raises:
        TrainingError: none of them can be read.
        DataError: those that can be read are of one class.
    """
    trainer.load_weights("best")
    config, model, tracker = trainer.config, trainer.model, trainer.tracker
    model.eval()
    card = Card(
        architecture=stored_architecture(config.network),
        window=to_mapping(config.window),
        calibration=Calibration.unfitted().to_mapping(),
        normalisation={"mean": list(model.backbone.mean), "std": list(model.backbone.std)},
        name=config.output.name,
        training=_training_facts(trainer, loaders, command),
        licence=_LICENCE,
        origin=_origin(trainer),
    )
    with trainer.average.applied(model) if trainer.average is not None else nullcontext():
        engine = TorchEngine(model, device=str(trainer.compute.device))
        detector = Detector(engine=engine, card=card)
        table = score_samples(detector, judged_samples(loaders.catalog), loaders.catalog.root, report)
        rates = config.calibration
        calibration = fit_table(table, false_alarm_rate=rates.false_alarm_rate, miss_rate=rates.miss_rate)
        _warn_of_few(calibration)
        found = measure(judged_under(table, calibration), by=(), seed=config.seed, samples=BOOTSTRAP_SAMPLES)
        figures = card_figures(found, named(FITTING_SPLIT, CHOSE_ALL))
        folder = tracker.folder / DETECTOR
        card = card.replaced(calibration=calibration.to_mapping(), scores=fitting_scores(table), figures=figures)
        write_detector(folder, stored_state(model, config.network.backbone), card)
    left_out = unreadable(loaders)
    if left_out:
        tracker.log(f"{len(left_out)} pictures could not be read and were left out: {', '.join(left_out)}")
    _draw_curves(trainer.progress.history, tracker.folder / "training_curves.png")
    tracker.save_results(
        {"progress": asdict(trainer.progress), "detector": str(folder), "unreadable": left_out, **figures}
    )
    tracker.log(f"wrote {folder}")
    return folder


def _warn_of_few(calibration: Calibration) -> None:
    """A rate below one picture of its class cannot be seen in so few."""
    for name, rate, count in (
        ("photographs", calibration.false_alarm_rate, calibration.n_real),
        ("fakes", calibration.miss_rate, calibration.n_fake),
    ):
        if rate is not None and rate * count < 1:
            _log.warning("the thresholds stand on %d %s: too few to hold an error rate of %g", count, name, rate)


def unreadable(loaders: Loaders) -> list[str]:
    """Training and validation pictures that could not be read in this sitting, below the data root."""
    found = [sample.path for loader in (loaders.train, loaders.validation) for sample in _dataset(loader).unreadable]
    return [os.path.relpath(path, loaders.catalog.root) for path in found]


def tell_unreadable(loaders: Loaders, group: Group) -> None:
    """Let every process know which pictures any of them could not read. All must call it."""
    for loader in (loaders.train, loaders.validation):
        _dataset(loader).tell_unreadable(group)


def _dataset(loader: DataLoader[Item]) -> DeepfakeDataset:
    return cast(DeepfakeDataset, loader.dataset)


def score_samples(detector: Detector, samples: Sequence[Sample], root: Path, report: Report) -> ScoreTable:
    """The scores of the samples below `root`; one that cannot be read is a row with its error.

    Raises:
        TrainingError: none can be read.
    """

    def tell(done: int, total: int) -> None:
        report("calibration", done, total, float("nan"), 0.0)

    answers = detector.predict_many([sample.path for sample in samples])
    table = score_table(samples, counted(answers, len(samples), tell), root)
    if not table.judged.any():
        raise TrainingError("no validation picture can be read")
    return table


def _draw_curves(history: list[dict[str, float]], path: Path) -> None:
    figure = plot_training_curves(
        [row["train_loss"] for row in history],
        [row["val_loss"] for row in history],
        [],
        [row["val_auc"] for row in history],
        metric_name="AUC",
    )
    save_figure(figure, path)


def _origin(trainer: Trainer) -> str:
    origin = trainer.model.backbone.weights_origin
    if origin == "random":
        return "random"
    return f"{origin}; {BACKBONES[trainer.config.network.backbone].licence}"


def _training_facts(trainer: Trainer, loaders: Loaders, command: str) -> dict[str, Any]:
    progress, catalog = trainer.progress, loaders.catalog
    return {
        "data": {split: len(catalog.split(split)) for split in catalog.splits},
        "unreadable": len(unreadable(loaders)),
        "processes": trainer.group.size,  # each with a batch of optim.batch_size
        "pictures_seen": progress.pictures_seen,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "minutes": round(progress.spent_s / 60, 1),
        "precision": trainer.compute.precision,
        "seed": trainer.config.seed,
        "command": shlex.join(map(_public, shlex.split(command))),
        "config": _public_config(to_mapping(trainer.config)),
    }


def _public(argument: str) -> str:
    """An argument as a card may show it: of a folder of this machine only the last name."""
    name, equals, value = argument.rpartition("=")
    return name + equals + (Path(value).name if Path(value).is_absolute() else value)


def _public_config(config: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _public_config(value) if isinstance(value, dict) else _public(value) if isinstance(value, str) else value
        for name, value in config.items()
    }
