"""A run from configuration to detector: repeatable, resumable to the bit, and a detector at its end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganfingerprint.artifact import read_card, read_weights
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import TrainConfig, load_config
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ConfigError, TrainingError
from ganfingerprint.network.fingerprint_net import build_network
from ganfingerprint.training.batches import LabelledBatch
from ganfingerprint.training.checkpoint import load_checkpoint
from ganfingerprint.training.loop import Trainer
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.run import TrainResult, resumed_config, train
from ganfingerprint.training.tracker import ExperimentTracker
from ganfingerprint.types import Label

TINY = (
    "network.backbone=efficientnet-lite0",
    "network.pretrained=none",
    "network.frequency_width=4",
    "window.size=96",
    "window.count=1",
    "optim.batch_size=4",
    "optim.epoch_samples=12",
    "optim.epochs=3",
    "optim.lr=1e-3",
    "optim.warmup_epochs=0.5",
    "optim.precision=fp32",
    "optim.device=cpu",
    "optim.patience=0",
    "output.tensorboard=false",
)


class Killed(BaseException):
    """The process dies here: nothing is caught, nothing is saved."""


def tiny(root: Path, runs: Path, *more: str) -> TrainConfig:
    return load_config(overrides=[*TINY, f"data.root={root}", f"output.runs={runs}", *more])


def weights(result: TrainResult) -> dict[str, Tensor]:
    return dict(load_checkpoint(result.run / "checkpoints" / "last.pt")["model"])


def assert_equal_weights(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


@pytest.fixture(scope="module")
def unbroken(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(tiny(drawn_root, tmp_path_factory.mktemp("runs")))


def test_two_runs_with_one_seed_give_equal_weights(unbroken: TrainResult, drawn_root: Path, tmp_path: Path) -> None:
    assert_equal_weights(weights(unbroken), weights(train(tiny(drawn_root, tmp_path))))


def test_another_seed_gives_other_weights(unbroken: TrainResult, drawn_root: Path, tmp_path: Path) -> None:
    other = weights(train(tiny(drawn_root, tmp_path, "seed=43", "optim.epochs=1")))
    assert not torch.equal(other["fusion.0.weight"], weights(unbroken)["fusion.0.weight"])


@pytest.mark.parametrize(
    ("stage", "step"), [("epoch 1", 2), ("validation", 0), ("epoch 2", 2), ("epoch 3", 3)], ids=lambda value: str(value)
)
def test_a_run_killed_anywhere_and_resumed_equals_an_unbroken_one(
    unbroken: TrainResult, drawn_root: Path, tmp_path: Path, stage: str, step: int
) -> None:
    def die(at: str, done: int, total: int, loss: float, rate: float) -> None:
        if (at, done) == (stage, step):
            raise Killed

    with pytest.raises(Killed):
        train(tiny(drawn_root, tmp_path), report=die)
    (run,) = tmp_path.iterdir()
    torch.manual_seed(7)  # the new process has another random state
    resumed = train(resumed_config(run), resume=run)
    assert_equal_weights(weights(unbroken), weights(resumed))
    assert resumed.pictures_seen == unbroken.pictures_seen


def test_ctrl_c_saves_the_step_under_way_and_the_rest_follows(
    unbroken: TrainResult, drawn_root: Path, tmp_path: Path
) -> None:
    def interrupt(at: str, done: int, total: int, loss: float, rate: float) -> None:
        if (at, done) == ("epoch 2", 2):
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    stopped = train(tiny(drawn_root, tmp_path), report=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.detector is None
    assert load_checkpoint(stopped.run / "checkpoints" / "last.pt")["progress"]["step"] == 2
    resumed = train(resumed_config(stopped.run), resume=stopped.run)
    assert_equal_weights(weights(unbroken), weights(resumed))


def test_the_average_of_weights_survives_a_stop(drawn_root: Path, tmp_path: Path) -> None:
    def die(at: str, done: int, total: int, loss: float, rate: float) -> None:
        if (at, done) == ("epoch 2", 2):
            raise Killed

    averaged = ("optim.ema_decay=0.9", "optim.epochs=2")
    whole = train(tiny(drawn_root, tmp_path / "whole", *averaged))
    with pytest.raises(Killed):
        train(tiny(drawn_root, tmp_path / "broken", *averaged), report=die)
    (run,) = (tmp_path / "broken").iterdir()
    resumed = train(resumed_config(run), resume=run)
    one, two = (load_checkpoint(result.run / "checkpoints" / "last.pt")["average"] for result in (whole, resumed))
    assert one["updates"] == two["updates"] == 6
    assert_equal_weights(one["mean"], two["mean"])


def test_published_error_19_a_resumed_run_keeps_its_best_score_and_its_table_of_epochs(unbroken: TrainResult) -> None:
    state = load_checkpoint(unbroken.run / "checkpoints" / "last.pt")
    assert [row["epoch"] for row in state["progress"]["history"]] == [1, 2, 3]
    best = max(state["progress"]["history"], key=lambda row: (row["val_score"], -row["val_loss"]))
    assert state["progress"]["best_score"] == best["val_score"]
    assert {"scaler", "scheduler", "optimizer", "random_state", "config"} <= state.keys()


def test_a_run_writes_its_resolved_configuration(unbroken: TrainResult, drawn_root: Path) -> None:
    values = json.loads((unbroken.run / "config.json").read_text())
    assert values["data"]["root"] == str(drawn_root)
    assert values["network"]["backbone"] == "efficientnet-lite0"
    assert resumed_config(unbroken.run) == tiny(drawn_root, unbroken.run.parent)


def test_a_run_writes_the_precision_that_it_computes_in_so_that_any_machine_goes_on_alike(
    drawn_root: Path, tmp_path: Path
) -> None:
    run = train(tiny(drawn_root, tmp_path, "optim.epochs=1", "optim.precision=auto")).run
    assert resumed_config(run).optim.precision == Compute.choose("cpu", "auto").precision


def test_a_run_ends_with_a_detector_that_judges(unbroken: TrainResult, drawn_root: Path) -> None:
    assert unbroken.detector is not None
    detector = Detector.from_pretrained(unbroken.detector)
    answer = detector.predict(next((drawn_root / "test" / "fake").iterdir()))
    assert 0 <= answer.prob_fake <= 1
    calibration = Calibration.from_mapping(read_card(unbroken.detector).calibration)
    assert calibration.false_alarm_rate == 0.01
    assert calibration.n_real > 0
    assert calibration.n_fake > 0


def test_the_result_tells_of_the_whole_run_and_not_of_its_best_epoch(unbroken: TrainResult) -> None:
    assert unbroken.detector is not None
    assert unbroken.pictures_seen == read_card(unbroken.detector).training["pictures_seen"] == 36
    assert read_card(unbroken.detector).training["epochs"] == 3


def test_a_card_shows_no_folder_of_the_machine_it_was_trained_on(unbroken: TrainResult, drawn_root: Path) -> None:
    assert unbroken.detector is not None
    text = (unbroken.detector / "card.json").read_text()
    assert str(drawn_root.parent) not in text
    assert read_card(unbroken.detector).training["config"]["data"]["root"] == drawn_root.name


def test_the_detector_holds_the_weights_of_the_best_epoch(unbroken: TrainResult) -> None:
    assert unbroken.detector is not None
    best = load_checkpoint(unbroken.run / "checkpoints" / "best.pt")["model"]
    stored = read_weights(unbroken.detector, read_card(unbroken.detector))
    assert [name for name in best if not np.array_equal(best[name].numpy(), stored[name])] == []


def test_a_frozen_backbone_learns_from_cached_maps_and_never_changes(drawn_root: Path, tmp_path: Path) -> None:
    frozen = ("network.train_backbone=false", "optim.cache_views=2", "optim.epochs=2")
    stages: list[str] = []
    result = train(
        tiny(drawn_root, tmp_path, *frozen), report=lambda stage, done, total, loss, rate: stages.append(stage)
    )
    assert "maps of train" in stages
    assert result.detector is not None
    again = train(tiny(drawn_root, tmp_path, *frozen))
    assert again.detector is not None
    one, two = (read_weights(folder, read_card(folder)) for folder in (result.detector, again.detector))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    backbone = [name for name in one if name.startswith("backbone.") and name.endswith("weight")]
    start = load_checkpoint(result.run / "checkpoints" / "last.pt")["model"]
    assert backbone
    assert not any(name in start for name in backbone if one[name].ndim > 1)  # never written: never changed


def test_maps_go_with_the_run_unless_a_folder_keeps_them_for_the_next(drawn_root: Path, tmp_path: Path) -> None:
    frozen = ("network.train_backbone=false", "optim.cache_views=1", "optim.epochs=1")
    alone = train(tiny(drawn_root, tmp_path / "runs", *frozen))
    assert not (alone.run / "cache").exists()
    shared = (*frozen, f"optim.cache_dir={tmp_path / 'maps'}")
    first = train(tiny(drawn_root, tmp_path / "runs", *shared))
    assert (tmp_path / "maps" / "train" / "done.json").is_file()
    built = (tmp_path / "maps" / "train" / "low.npy").stat().st_mtime_ns
    second = train(tiny(drawn_root, tmp_path / "runs", *shared, "network.attention=false"))
    assert (tmp_path / "maps" / "train" / "low.npy").stat().st_mtime_ns == built
    assert None not in (first.detector, second.detector)


def test_a_run_killed_while_maps_are_cached_can_be_resumed(drawn_root: Path, tmp_path: Path) -> None:
    def die(at: str, done: int, total: int, loss: float, rate: float) -> None:
        if at == "maps of validation":
            raise Killed

    with pytest.raises(Killed):
        train(tiny(drawn_root, tmp_path, "network.train_backbone=false", "optim.epochs=1"), report=die)
    (run,) = tmp_path.iterdir()
    assert train(resumed_config(run), resume=run).detector is not None


def test_a_resumed_run_remembers_what_was_changed(drawn_root: Path, tmp_path: Path) -> None:
    first = train(tiny(drawn_root, tmp_path, "optim.epochs=1"))
    train(resumed_config(first.run, ["optim.epochs=2"]), resume=first.run)
    assert resumed_config(first.run).optim.epochs == 2


class BrokenSource:
    """One batch whose pixels are not numbers, as a broken decoder could hand on."""

    steps = 1

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[LabelledBatch]:
        yield LabelledBatch(torch.full((4, 96, 96, 3), torch.nan), torch.tensor([True, False] * 2), None)

    def validation(self) -> Iterator[LabelledBatch]:
        return iter(())


def test_a_loss_that_is_no_number_ends_the_run_with_advice_and_keeps_what_was_saved(tmp_path: Path) -> None:
    config = tiny(tmp_path, tmp_path)
    model = build_network(config.network, generator=torch.Generator().manual_seed(1))
    with ExperimentTracker.create(tmp_path, "broken") as tracker:
        trainer = Trainer(model, BrokenSource(), config, Compute.choose("cpu", "fp32"), tracker)
        with pytest.raises(TrainingError, match=r"the loss is nan .*Lower optim\.lr"):
            trainer.run(lambda stage, done, total, loss, rate: None)
        saved = load_checkpoint(trainer.checkpoint("last"))["model"]
    assert all(bool(torch.isfinite(value).all()) for value in saved.values())


def test_a_time_budget_ends_the_run_with_a_detector(drawn_root: Path, tmp_path: Path) -> None:
    result = train(tiny(drawn_root, tmp_path, "optim.max_minutes=1e-4", "optim.epochs=50"))
    assert result.detector is not None
    assert result.pictures_seen < 50 * 12


def test_patience_ends_a_run_that_does_not_improve(drawn_root: Path, tmp_path: Path) -> None:
    config = tiny(drawn_root, tmp_path, "optim.lr=1e-8", "optim.epochs=30", "optim.patience=2", "optim.weight_decay=0")
    result = train(config)
    state = load_checkpoint(result.run / "checkpoints" / "last.pt")["progress"]
    assert state["epoch"] < 30
    assert state["epoch"] == state["best_epoch"] + 2


def test_periodic_checkpoints_are_pruned(drawn_root: Path, tmp_path: Path) -> None:
    result = train(tiny(drawn_root, tmp_path, "output.keep_checkpoints=1"))
    names = sorted(path.name for path in (result.run / "checkpoints").iterdir())
    assert names == ["best.pt", "epoch-0003.pt", "last.pt"]


def test_resuming_refuses_to_change_what_is_computed(unbroken: TrainResult) -> None:
    with pytest.raises(ConfigError, match=r"optim\.lr=1: a resumed run keeps its settings"):
        resumed_config(unbroken.run, ["optim.lr=1"])
    assert resumed_config(unbroken.run, ["optim.epochs=9"]).optim.epochs == 9


def test_resuming_from_something_else_is_explained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a training run"):
        resumed_config(tmp_path)


def test_the_trace_in_drawn_pictures_is_learnt(drawn_root: Path, tmp_path: Path) -> None:
    """The loop as a whole learns: after a few epochs fakes with a clear trace score above photographs."""
    net = ("network.backbone=resnet18", "network.dropout=0", "augment.strength=0", "data.balance_power=1")
    result = train(tiny(drawn_root, tmp_path, *net, "optim.epoch_samples=32", "optim.epochs=5", "optim.lr=3e-4"))
    assert result.detector is not None
    detector = Detector.from_pretrained(result.detector)
    logits = {
        label: [answer.logit for answer in map(detector.predict, sorted((drawn_root / "test" / label).iterdir()))]
        for label in Label
    }
    assert np.mean(logits[Label.FAKE]) > np.mean(logits[Label.REAL])
