"""What may change when a run goes on, and what may not: it must end as the unbroken run would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ganfingerprint.config import TrainConfig, load_config
from ganfingerprint.errors import ConfigError, TrainingError
from ganfingerprint.training.run import TrainResult, resumed_config, train


def tiny(root: Path, runs: Path, *more: str) -> TrainConfig:
    settings = [f"data.root={root}", f"output.runs={runs}", "optim.epochs=1", *more]
    return load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=settings)


@pytest.fixture(scope="module")
def first(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run of two epochs, which no test changes."""
    return train(tiny(drawn_root, tmp_path_factory.mktemp("runs"), "optim.epochs=2"))


@pytest.mark.parametrize("change", ["added", "relabelled"])
def test_a_run_is_not_resumed_on_other_pictures(drawn_root: Path, tmp_path: Path, change: str) -> None:
    root = tmp_path / "data"
    shutil.copytree(drawn_root, root)
    first = train(tiny(root, tmp_path / "runs"))
    picture = next((root / "train" / "fake").iterdir())
    if change == "added":
        shutil.copy(picture, picture.with_name("new.png"))
    else:
        picture.rename(root / "train" / "real" / f"z{picture.name}")
    with pytest.raises(TrainingError, match="the run began with other pictures or labels"):
        train(resumed_config(first.run, ["optim.epochs=2"]), resume=first.run)


def test_a_run_may_go_on_where_its_pictures_were_moved_to(drawn_root: Path, tmp_path: Path) -> None:
    first = train(tiny(drawn_root, tmp_path / "runs"))
    shutil.copytree(drawn_root, tmp_path / "moved")
    config = resumed_config(first.run, ["optim.epochs=2", f"data.root={tmp_path / 'moved'}"])
    assert train(config, resume=first.run).detector is not None


def test_a_run_is_not_resumed_with_another_backbone(drawn_root: Path, tmp_path: Path) -> None:
    first = train(tiny(drawn_root, tmp_path))
    start = json.loads((first.run / "start.json").read_text())
    assert start["backbone"] == "random"
    (first.run / "start.json").write_text(json.dumps({**start, "backbone": "file w.pth, sha256 12ab"}))
    with pytest.raises(TrainingError, match=r"the backbone from file w\.pth.*; here it comes from random"):
        train(resumed_config(first.run, ["optim.epochs=2"]), resume=first.run)


def test_a_run_is_not_resumed_with_fewer_epochs_than_it_has_done(first: TrainResult) -> None:
    with pytest.raises(TrainingError, match="2 epochs are done, more than 1"):
        train(resumed_config(first.run, ["optim.epochs=1"]), resume=first.run)
    assert resumed_config(first.run).optim.epochs == 2  # what was refused has left no trace


def test_resuming_refuses_to_change_what_is_computed(first: TrainResult) -> None:
    with pytest.raises(ConfigError, match=r"optim\.lr=1: a resumed run keeps its settings"):
        resumed_config(first.run, ["optim.lr=1"])
    assert resumed_config(first.run, ["optim.epochs=9"]).optim.epochs == 9


def test_resuming_from_something_else_is_explained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a training run"):
        resumed_config(tmp_path)


def test_a_resumed_run_remembers_what_was_changed(drawn_root: Path, tmp_path: Path) -> None:
    first = train(tiny(drawn_root, tmp_path))
    train(resumed_config(first.run, ["optim.epochs=2"]), resume=first.run)
    assert resumed_config(first.run).optim.epochs == 2
