"""The end of a run: the best weights become a detector, calibrated on validation under its own window policy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.calibrate import Calibration, fit_calibration
from ganfingerprint.catalog import PROXY_FAMILY, Sample
from ganfingerprint.config import to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import TrainingError
from ganfingerprint.evaluation.canvas import save_figure
from ganfingerprint.evaluation.metrics import compute_metrics
from ganfingerprint.evaluation.plots import plot_training_curves
from ganfingerprint.network.backbones import BACKBONES
from ganfingerprint.network.storage import stored_state
from ganfingerprint.training.dataset import Loaders
from ganfingerprint.training.loop import Report, Trainer
from ganfingerprint.types import Float64Array, Prediction

_LICENCE = "Apache-2.0 for the weights learnt here; the pictures they were learnt from keep theirs"


def finish_run(trainer: Trainer, loaders: Loaders, report: Report) -> Path:
    """Write `detector/` into the run's folder, and the results and curves beside it; returns the detector's folder.

    Thresholds and calibration are fitted on the validation pictures without proxies: an enlarged photograph is not
    what a verdict is about.
    """
    trainer.load_weights("best")
    config, model, tracker = trainer.config, trainer.model, trainer.tracker
    model.eval()
    card = Card(
        architecture=to_mapping(config.network),
        window=to_mapping(config.window),
        calibration=Calibration.unfitted().to_mapping(),
        normalisation={"mean": list(model.backbone.mean), "std": list(model.backbone.std)},
        name=config.output.name,
        training=_training_facts(trainer, loaders),
        licence=_LICENCE,
        origin=_origin(trainer),
    )
    with trainer.average.applied(model) if trainer.average is not None else nullcontext():
        engine = TorchEngine(model, device=str(trainer.compute.device))
        detector = Detector(engine=engine, card=card)
        samples = [sample for sample in loaders.catalog.split("validation") if sample.family != PROXY_FAMILY]
        scores, fake, groups = score_samples(detector, samples, report)
        calibration = fit_calibration(
            scores,
            fake,
            groups=groups,
            false_alarm_rate=config.calibration.false_alarm_rate,
            miss_rate=config.calibration.miss_rate,
        )
        figures = {"validation (chose checkpoint, calibration and thresholds)": _figures(scores, fake, calibration)}
        folder = tracker.folder / "detector"
        card = card.replaced(calibration=calibration.to_mapping(), figures=figures)
        write_detector(folder, stored_state(model, config.network.backbone), card)
    _draw_curves(trainer.progress.history, tracker.folder / "training_curves.png")
    tracker.save_results({"progress": asdict(trainer.progress), "detector": str(folder), **figures})
    tracker.log(f"wrote {folder}")
    return folder


def score_samples(
    detector: Detector, samples: Sequence[Sample], report: Report
) -> tuple[Float64Array, NDArray[np.bool_], list[str]]:
    """Pooled raw scores [n], truth [n] and groups of the samples that can be read.

    Raises:
        TrainingError: none can be read.
    """
    scores, fake, groups = [], [], []
    answers = detector.predict_many([sample.path for sample in samples])
    for done, (sample, answer) in enumerate(zip(samples, answers, strict=True), start=1):
        report("calibration", done, len(samples), float("nan"), 0.0)
        if isinstance(answer, Prediction):
            scores.append(answer.logit)
            fake.append(sample.is_fake)
            groups.append(sample.group)
    if not scores:
        raise TrainingError("no validation picture can be read")
    return np.array(scores), np.array(fake), groups


def _draw_curves(history: list[dict[str, float]], path: Path) -> None:
    figure = plot_training_curves(
        [row["train_loss"] for row in history],
        [row["val_loss"] for row in history],
        [],
        [row["val_auc"] for row in history],
        metric_name="AUC",
    )
    save_figure(figure, path)


def _figures(scores: Float64Array, fake: NDArray[np.bool_], calibration: Calibration) -> dict[str, Any]:
    metrics = compute_metrics(fake, calibration.prob_fake(scores))
    return {name: {"value": value} for name, value in asdict(metrics).items()}


def _origin(trainer: Trainer) -> str:
    origin = trainer.model.backbone.weights_origin
    if origin == "random":
        return "random"
    return f"{origin}; {BACKBONES[trainer.config.network.backbone].licence}"


def _training_facts(trainer: Trainer, loaders: Loaders) -> dict[str, Any]:
    progress, catalog = trainer.progress, loaders.catalog
    return {
        "data": {split: len(catalog.split(split)) for split in catalog.splits},
        "pictures_seen": progress.pictures_seen,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "minutes": round(progress.spent_s / 60, 1),
        "precision": trainer.compute.precision,
        "seed": trainer.config.seed,
        "command": " ".join(["ganfingerprint", *map(_public, sys.argv[1:])]),
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
