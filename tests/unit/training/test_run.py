"""A run from configuration to detector: repeatable, resumable to the bit, and a detector at its end."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganfingerprint.artifact import read_card, read_weights
from ganfingerprint.calibrate import Calibration
from ganfingerprint.catalog import read_catalog
from ganfingerprint.config import TrainConfig, load_config
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ConfigError, DataError, TrainingError
from ganfingerprint.network.fingerprint_net import build_network
from ganfingerprint.training.batches import LabelledBatch
from ganfingerprint.training.checkpoint import load_checkpoint
from ganfingerprint.training.loop import Trainer
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.run import TrainResult, resumed_config, train
from ganfingerprint.training.tracker import ExperimentTracker
from ganfingerprint.types import Label


class Killed(BaseException):
    """The process dies here: nothing is caught, nothing is saved."""


def tiny(root: Path, runs: Path, *more: str) -> TrainConfig:
    settings = [f"data.root={root}", f"output.runs={runs}", *more]
    return load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=settings)


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


def test_published_error_19_a_resumed_run_keeps_best_score_scaler_and_random_state(
    unbroken: TrainResult, drawn_root: Path, tmp_path: Path
) -> None:
    def die(at: str, done: int, total: int, loss: float, rate: float) -> None:
        if (at, done) == ("epoch 3", 1):
            raise Killed

    with pytest.raises(Killed):
        train(tiny(drawn_root, tmp_path), report=die)
    (run,) = tmp_path.iterdir()
    torch.manual_seed(7)
    resumed = train(resumed_config(run), resume=run)
    one, two = (load_checkpoint(result.run / "checkpoints" / "last.pt") for result in (unbroken, resumed))
    assert timeless(one["progress"]) == timeless(two["progress"])
    assert torch.equal(one["random_state"]["torch"], two["random_state"]["torch"])
    assert one["scheduler"]["last_epoch"] == two["scheduler"]["last_epoch"] == 9
    best = [load_checkpoint(result.run / "checkpoints" / "best.pt")["model"] for result in (unbroken, resumed)]
    assert_equal_weights(*best)


def timeless(progress: dict[str, Any]) -> dict[str, Any]:
    """A run's progress without what the clock says."""
    rows = [{name: value for name, value in row.items() if name != "minutes"} for row in progress["history"]]
    return {**progress, "history": rows, "spent_s": 0}


def test_published_error_19_a_resumed_run_keeps_the_scale_of_its_scaler(drawn_root: Path, tmp_path: Path) -> None:
    config = tiny(drawn_root, tmp_path)
    scales = []
    with ExperimentTracker.create(tmp_path, "scaled") as tracker:
        for scale in (1024.0, 2.0):
            trainer = Trainer(
                build_network(config.network), BrokenSource(), config, Compute.choose("cpu", "fp32"), tracker
            )
            trainer.scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=True)
            if not trainer.checkpoint("last").is_file():
                trainer.save("last")
            trainer.load("last")
            scales.append(trainer.scaler.get_scale())
    assert scales == [1024.0, 1024.0]


def test_a_run_can_be_given_its_own_folder_which_must_be_free(drawn_root: Path, tmp_path: Path) -> None:
    config = tiny(drawn_root, tmp_path, "optim.epochs=1", f"output.run={tmp_path / 'mine'}")
    assert train(config).detector == tmp_path / "mine" / "detector"
    with pytest.raises(TrainingError, match="something lies there already"):
        train(config)


def test_the_card_tells_the_command_of_the_start_and_how_many_pictures_are_behind_a_figure(
    drawn_root: Path, tmp_path: Path
) -> None:
    command = "ganfingerprint train --data-root '/my data/set one' --epochs 1"
    first = train(tiny(drawn_root, tmp_path, "optim.epochs=1"), command=command)
    again = train(
        resumed_config(first.run, ["optim.epochs=2"]), resume=first.run, command="ganfingerprint train --resume"
    )
    assert again.detector is not None
    card = read_card(again.detector)
    assert card.training["command"] == "ganfingerprint train --data-root 'set one' --epochs 1"
    (figures,) = card.figures.values()
    assert {"value", "n"} <= figures["auc"].keys()  # and an interval where there are enough pictures
    assert "threshold" not in figures


def test_a_run_that_cannot_begin_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        train(tiny(tmp_path / "nowhere", tmp_path / "runs"))
    assert list((tmp_path / "runs").iterdir()) == []


def test_thresholds_on_too_few_pictures_are_warned_of(
    drawn_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tiny(drawn_root, tmp_path, "optim.epochs=1"))
    assert re.search(r"the thresholds stand on \d+ photographs: too few to hold an error rate of 0\.01", caplog.text)


def test_a_frozen_backbone_without_its_weights_is_refused(drawn_root: Path, tmp_path: Path) -> None:
    asked = ("network.backbone=resnet18", "network.train_backbone=false", "network.pretrained=auto")
    with pytest.raises(ConfigError, match="is to stay frozen, and its pretrained weights are not here"):
        train(tiny(drawn_root, tmp_path, *asked))


def test_pictures_that_cannot_be_read_are_named_in_the_results_and_counted_in_the_card(
    drawn_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(drawn_root, root)
    victims = [next((root / split / "fake").iterdir()) for split in ("train", "validation")]
    for victim in victims:
        victim.write_bytes(b"not a picture")
    result = train(tiny(root, tmp_path / "runs", "optim.epoch_samples=0", "optim.epochs=1", "data.workers=1"))
    assert result.detector is not None
    named = json.loads((result.run / "results.json").read_text())["unreadable"]
    assert named == [victim.relative_to(root).as_posix() for victim in victims]
    assert read_card(result.detector).training["unreadable"] == 2


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


class BrokenSource:
    """One batch whose pixels are not numbers, as a broken decoder could hand on."""

    steps = 1

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[LabelledBatch]:
        yield LabelledBatch(
            torch.full((4, 96, 96, 3), torch.nan), torch.tensor([True, False] * 2), None, torch.arange(4)
        )

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


def test_a_contrastive_term_is_learnt_from(drawn_root: Path, tmp_path: Path) -> None:
    runs = {w: train(tiny(drawn_root, tmp_path, "optim.epochs=1", f"optim.contrastive={w}")) for w in (0, 5)}
    states = {w: load_checkpoint(result.run / "checkpoints" / "last.pt") for w, result in runs.items()}
    losses = {w: state["progress"]["history"][-1]["train_loss"] for w, state in states.items()}
    assert losses[0] + 5 < losses[5] < losses[0] + 5 * math.log(len(read_catalog(drawn_root).split("train")))
    name = "embedding.0.weight"
    assert not torch.equal(states[0]["model"][name], states[5]["model"][name])
