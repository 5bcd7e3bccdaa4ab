"""A run's state on disk: everything that an unbroken run would have had, in one file that needs no unpickling."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import TrainingError

FORMAT = 1


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a run is, and what it has seen."""

    epoch: int = 0  # the epoch under way, from 0
    step: int = 0  # optimiser steps done in that epoch
    steps_done: int = 0  # in all
    pictures_seen: int = 0  # in all
    loss_sum: float = 0.0  # over the pictures of this epoch
    loss_count: int = 0
    best_score: float = -1.0
    best_loss: float = math.inf  # of the validation split at the best score; decides between equal scores
    best_epoch: int = -1
    stale_epochs: int = 0  # since the best
    spent_s: float = 0.0  # of computing, over all sittings
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)  # one row an epoch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all: beside its place, then renamed into it."""
    with replacing(path) as beside:
        torch.save({"format": FORMAT, **state}, beside)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU. Only tensors and plain values are accepted: nothing in it is executed.

    Raises:
        TrainingError: there is no checkpoint, or it is damaged or of another format.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: there is no checkpoint to resume from")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # torch raises a dozen kinds here; all mean the same to a user
        raise TrainingError(f"{path}: the checkpoint cannot be read: {problem}") from problem
    said = state.get("format") if isinstance(state, dict) else None
    if not isinstance(state, dict) or said != FORMAT:
        raise TrainingError(f"{path}: not a checkpoint of format {FORMAT} (the file says {said!r})")
    return state


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` periodic checkpoints; best and last are not periodic."""
    for old in sorted(folder.glob("epoch-*.pt"))[:-keep]:
        old.unlink(missing_ok=True)
