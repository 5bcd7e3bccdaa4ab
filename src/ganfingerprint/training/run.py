"""A training run from configuration to detector folder."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import digest
from ganfingerprint.config import TrainConfig, from_mapping, load_config, to_mapping
from ganfingerprint.errors import ConfigError, GanFingerprintError, TrainingError
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.training.batches import BatchSource, LiveBatches
from ganfingerprint.training.dataset import Loaders, get_dataloaders, get_dataset_stats, judged_samples, shared_groups
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.training.feature_cache import CachedBatches, CachedMaps, PartOfMaps, View
from ganfingerprint.training.finish import DETECTOR, finish_run, tell_unreadable
from ganfingerprint.training.loop import Report, Trainer
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.reproducibility import set_all_seeds
from ganfingerprint.training.start import start_from
from ganfingerprint.training.targets import class_targets, kinds_of, with_classes
from ganfingerprint.training.tracker import ExperimentTracker, Onlooker
from ganfingerprint.training.transforms import get_transforms

# What a resumed run may change: where and how long it computes, never what it computes.
RESUMABLE = (
    "optim.epochs",
    "optim.max_minutes",
    "optim.patience",
    "optim.start_from",
    "optim.device",
    "data.workers",
    "data.root",
    "output.tensorboard",
)

COMMAND = "ganfingerprint train --config config.yaml"  # of the run's folder; says all, whoever called
_CACHE = "cache"  # of maps, in the run's folder, when the user names no other

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run left behind."""

    run: Path
    detector: Path | None  # None when the run was interrupted; resume it. Of several processes the first writes it
    best_epoch: int  # from 1
    best_score: float
    pictures_seen: int
    minutes: float


def train(
    config: TrainConfig, *, resume: Path | None = None, report: Report | None = None, command: str = COMMAND
) -> TrainResult:
    """Train a detector; with `resume`, go on with the run of that folder as if it had never stopped.

    The run's folder holds configuration, log, table of epochs, checkpoints and, at the end, `detector/`. Under
    torchrun all processes train one model, and see the folder and the pictures; only the first writes and reports.

    Args:
        command: what the detector's card says of how it was trained; a resumed run keeps that of its start.

    Raises:
        ConfigError: settings that this machine or the backbone cannot honour.
        DataError: the labelled pictures cannot be used.
        TrainingError: there is nothing to resume from, or the run to be resumed began with other pictures, with
            another backbone or with more or fewer processes; or something lies where the run is to be written; or
            another process of the run ended.
    """
    group = Group.from_environment()
    report = report if report is not None and group.is_first else _silent
    with ExitStack() as end:
        with group.joined(config.optim.device):
            tracker = end.enter_context(_tracker(config, resume, group))
            trainer, loaders = _started(config, tracker, report, group, resume)
            start = _begin(tracker.folder, trainer, loaders, command)
            _resume(trainer)
            trainer.run(report)
            tell_unreadable(loaders, group)
        if trainer.progress.finished and group.is_first:
            finish_run(trainer, loaders, report, command=start["command"])
            shutil.rmtree(tracker.folder / _CACHE, ignore_errors=True)  # gigabytes that nothing needs any more
    progress = trainer.progress
    return TrainResult(
        run=tracker.folder,
        detector=tracker.folder / DETECTOR if progress.finished else None,
        best_epoch=progress.best_epoch,
        best_score=progress.best_score,
        pictures_seen=progress.pictures_seen,
        minutes=progress.spent_s / 60,
    )


def _started(
    config: TrainConfig, tracker: ExperimentTracker, report: Report, group: Group, resume: Path | None
) -> tuple[Trainer, Loaders]:
    """What `prepare` gives; an empty run that cannot begin is removed, for it would only be in the way."""
    try:
        return prepare(config, tracker, report, group)
    except GanFingerprintError:
        if resume is None and group.is_first and not (tracker.folder / _CACHE).exists():
            shutil.rmtree(tracker.folder, ignore_errors=True)
        raise


def _resume(trainer: Trainer) -> None:
    """Go on where the run's last checkpoint is, if there is one; a run may be stopped before its first step.

    Raises:
        TrainingError: more epochs are done than are asked for, or it was begun by more or fewer processes.
    """
    tracker, asked = trainer.tracker, trainer.config.optim.epochs
    if trainer.checkpoint("last").is_file():
        trainer.load("last")
        if asked < trainer.progress.epoch:
            raise TrainingError(f"{tracker.folder}: {trainer.progress.epoch} epochs are done, more than {asked}")
        trainer.reopen()
        tracker.log(f"resumed in epoch {trainer.progress.epoch + 1}, step {trainer.progress.step}")
    tracker.save_config(to_mapping(trainer.config))  # with what a resumed run changed


def prepare(
    config: TrainConfig, tracker: ExperimentTracker, report: Report, group: Group = ALONE
) -> tuple[Trainer, Loaders]:
    """Seeds, pictures and a network before its first step, written down in the tracker's folder.

    Raises:
        ConfigError: settings that this machine or the backbone cannot honour.
        DataError: the labelled pictures cannot be used.
    """
    compute = Compute.choose(config.optim.device, config.optim.precision)
    config = replace(config, optim=replace(config.optim, precision=compute.precision))  # resumed alike anywhere
    set_all_seeds(config.seed + group.rank, deterministic=config.deterministic)  # dropout differs between processes
    loaders = get_dataloaders(config, group)
    pictures, kinds = loaders.catalog.split("train"), config.optim.targets
    config = replace(config, network=with_classes(config.network, pictures, kinds))
    start = config.optim.start_from
    model = build_network(config.network, generator=torch.Generator().manual_seed(config.seed), pretrained=not start)
    if start:
        start_from(model, config.network, Path(start))
    # Windows arrive with channels last; weights that lie likewise spare a copy a layer (a fifth of the time on a CPU).
    model = model.to(device=compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    group.share_norms(model)
    if not (tracker.folder / "config.json").is_file():
        tracker.save_config(to_mapping(config))  # at once: a run may be stopped while maps are cached
    tracker.log(get_dataset_stats(loaders.catalog))
    if shared := shared_groups(loaders.catalog):
        tracker.log(f"WARNING: {len(shared)} groups are in more than one split, {shared[0]} for one")
        _log.warning("%d groups are in more than one split (%s for one): figures will flatter", len(shared), shared[0])
    tracker.log(f"computing on {compute.device} in {compute.precision}; backbone from {model.backbone.weights_origin}")
    if group.size > 1:
        tracker.log(f"{group.size} processes, together {group.size * config.optim.batch_size} windows a step")
    source = _source(model, loaders, config, compute, tracker.folder, report, group)
    targets = class_targets(config.network, pictures, kinds)
    pulled = kinds_of(pictures) if config.optim.contrastive else None
    return Trainer(model, source, config, compute, tracker, targets, pulled, group), loaders


def _begin(folder: Path, trainer: Trainer, loaders: Loaders, command: str) -> dict[str, str]:
    """Write down what the run begins with, or check that it still has that; a resumed run would not be the same.

    Raises:
        TrainingError: it has not, or the processes begin with different ones.
    """
    catalog, file = loaders.catalog, folder / "start.json"
    now = {
        "pictures": digest([*catalog.split("train"), *catalog.split("validation")], catalog.root),
        "backbone": trainer.model.backbone.weights_origin,
        "command": command,
    }
    group = trainer.group
    if len(set(group.gather((now["pictures"], now["backbone"], trainer.compute.precision)))) > 1:
        raise TrainingError(f"{folder}: the processes have different pictures, backbones or precisions")
    if not file.is_file():
        if group.is_first:
            with replacing(file) as beside:
                beside.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        return now
    start: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    if start["pictures"] != now["pictures"]:
        raise TrainingError(f"{folder}: the run began with other pictures or labels than {catalog.root} has now")
    if start["backbone"] != now["backbone"]:
        raise TrainingError(
            f"{folder}: the run began with the backbone from {start['backbone']}; here it comes from {now['backbone']}"
        )
    return start


def resumed_config(run: Path, overrides: Iterable[str] = ()) -> TrainConfig:
    """The configuration of a run to be resumed, with the few changes that leave its result comparable.

    Raises:
        TrainingError: the folder is not a run.
        ConfigError: an override that would change what is computed, or that is not a setting.
    """
    file = run / "config.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as problem:
        raise TrainingError(f"{run}: not a training run (no readable config.json: {problem})") from problem
    overrides = tuple(overrides)
    refused = [text for text in overrides if text.partition("=")[0] not in RESUMABLE]
    if refused:
        raise ConfigError(
            [f"{text}: a resumed run keeps its settings; only {', '.join(RESUMABLE)} may change" for text in refused]
        )
    before: TrainConfig = from_mapping(TrainConfig, values)
    return load_config(overrides=overrides, base=to_mapping(before))


def _tracker(config: TrainConfig, resume: Path | None, group: Group) -> ExperimentTracker:
    """Of the run's folder, for the first process; the others are told which one it made."""
    tracker = _opened(config, resume) if group.is_first else None
    folder = group.gather(tracker.folder if tracker is not None else Path())[0]
    return tracker if tracker is not None else Onlooker(folder)


def _opened(config: TrainConfig, resume: Path | None) -> ExperimentTracker:
    board = config.output.tensorboard
    if resume is None and config.output.run:
        return ExperimentTracker.begin(Path(config.output.run), tensorboard=board)
    if resume is None:
        return ExperimentTracker.create(Path(config.output.runs), config.output.name, tensorboard=board)
    if not resume.is_dir():
        raise TrainingError(f"{resume}: there is no such run")
    return ExperimentTracker(resume, tensorboard=board)


def _source(
    model: FingerprintNet,
    loaders: Loaders,
    config: TrainConfig,
    compute: Compute,
    folder: Path,
    report: Report,
    group: Group,
) -> BatchSource:
    """Live pictures; or, with a frozen backbone, its maps computed once."""
    if config.network.train_backbone or config.network.adapter_rank:
        return LiveBatches(loaders)
    size, samples, whole = config.window.size, loaders.catalog, loaders.whole
    plain = get_transforms("validation", size=size)
    random = get_transforms("train", size=size, augment=config.augment)
    views = [View(plain, 0), *(View(random, number) for number in range(1, config.optim.cache_views))]
    place = Path(config.optim.cache_dir) if config.optim.cache_dir else folder / _CACHE
    network = config.network
    origin = repr((network.backbone, network.taps, model.backbone.weights_origin, compute.precision))
    places = {"train": (whole.split("train"), views), "validation": (judged_samples(whole), views[:1])}
    train, validation = (
        CachedMaps(
            place / name,
            chosen,
            shown,
            seed=config.seed,
            root=whole.root,
            origin=origin,
            condense=model.fusion is None,
        )
        for name, (chosen, shown) in places.items()
    )
    for cache, name in ((train, "maps of train"), (validation, "maps of validation")):
        cache.build(model, compute, _advance(report, name), group)
    if samples is not whole:  # what is left out keeps its maps: other runs on the same ones may leave out other things
        parts = PartOfMaps(train, samples.split("train")), PartOfMaps(validation, judged_samples(samples))
        return CachedBatches(*parts, loaders.draws, group)
    return CachedBatches(train, validation, loaders.draws, group)


def _advance(report: Report, name: str) -> Callable[[int, int], None]:
    return lambda done, total: report(name, done, total, float("nan"), 0.0)


def _silent(stage: str, done: int, total: int, loss: float, rate: float) -> None:
    return None
