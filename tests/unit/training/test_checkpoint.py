from __future__ import annotations

import os
import pickle
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ganfingerprint.errors import TrainingError
from ganfingerprint.training.checkpoint import FORMAT, Progress, load_checkpoint, prune_checkpoints, save_checkpoint
from ganfingerprint.training.reproducibility import get_random_state, set_random_state


class Bomb:
    """What a hostile checkpoint holds: loading it would run a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


class Unwritable:
    """Cannot be saved, so that writing stops half way."""

    def __reduce__(self) -> tuple[object, ...]:
        raise OSError("the disk is full")


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    progress = Progress(epoch=3, step=7, best_score=0.5, history=[{"epoch": 1.0, "val_score": 0.5}])
    path = tmp_path / "new" / "folder" / "last.pt"
    save_checkpoint(
        path,
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "progress": asdict(progress), "no": None},
    )
    state = load_checkpoint(path)
    assert Progress(**state["progress"]) == progress
    assert torch.equal(state["model"]["weight"], model.weight)
    assert torch.equal(state["optimizer"]["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    assert (state["format"], state["no"]) == (FORMAT, None)


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises(OSError, match="the disk is full"):
        save_checkpoint(path, {"step": Unwritable()})
    assert load_checkpoint(path)["step"] == 1


def test_a_part_never_counts_as_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".last.0a1b2c3d.pt").write_bytes(b"half of it")
    (tmp_path / ".epoch-0001.0a1b2c3d.pt").write_bytes(b"half of it")
    with pytest.raises(TrainingError, match=r"last\.pt: there is no checkpoint to resume from"):
        load_checkpoint(tmp_path / "last.pt")
    save_checkpoint(tmp_path / "epoch-0002.pt", {"step": 1})
    prune_checkpoints(tmp_path, 1)
    assert load_checkpoint(tmp_path / "epoch-0002.pt")["step"] == 1


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_published_error_18_a_checkpoint_that_holds_code_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    """The published code loads with `weights_only=False`, which runs whatever the file says."""
    path, mark = tmp_path / "last.pt", tmp_path / "mark"
    content = {"format": FORMAT, "model": Bomb(mark)}
    if how == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(TrainingError, match="the checkpoint cannot be read"):
        load_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_damaged_checkpoint_is_a_training_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"model": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match="the checkpoint cannot be read"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"), [({"format": FORMAT + 1}, str(FORMAT + 1)), ({}, "None"), (torch.zeros(2), "None")]
)
def test_another_file_of_torch_is_not_a_checkpoint(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(TrainingError, match=rf"not a checkpoint of format {FORMAT} \(the file says {said}\)"):
        load_checkpoint(tmp_path / "x.pt")


def test_the_newest_periodic_checkpoints_are_kept_and_best_and_last_always(tmp_path: Path) -> None:
    for name in ("best", "last", *(f"epoch-{number:04d}" for number in (1, 2, 9, 10, 100))):
        save_checkpoint(tmp_path / f"{name}.pt", {})
    prune_checkpoints(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch-0010.pt", "epoch-0100.pt", "last.pt"]


def next_draws() -> list[float]:
    return [random.gauss(0, 1), random.random(), float(np.random.normal()), np.random.rand(), torch.rand(()).item()]


def test_published_error_19_the_random_state_in_a_checkpoint_gives_the_same_next_draws(tmp_path: Path) -> None:
    own = get_random_state()
    try:
        next_draws()  # leaves half of a Gaussian pair waiting in Python and in numpy
        save_checkpoint(tmp_path / "last.pt", {"random_state": get_random_state()})
        expected = [next_draws() for _ in range(3)]
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        assert next_draws() != expected[0]
        set_random_state(load_checkpoint(tmp_path / "last.pt")["random_state"])
        assert [next_draws() for _ in range(3)] == expected
    finally:
        set_random_state(own)
