"""Validation that predicts the outside: leave one family of generators out, and the photographs of some sources too.

Ordinary validation shows the generators of training and rewards memory. Here each fold learns without a family and
is judged on it; nothing of test or external is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganfingerprint.catalog import PROXY_FAMILY, Sample, is_named
from ganfingerprint.evaluation.folds import read_folds

FAMILIES = Path(__file__).parent / "experiments" / "families.yaml"


@dataclass(frozen=True, slots=True)
class Fold:
    """Which of a list of pictures one fold learns from, and which judge it; bool [n] each."""

    name: str
    train: np.ndarray
    judged: np.ndarray


def full_fold(samples: Sequence[Sample]) -> Fold:
    """Learn all of train, judged on validation without aligned fakes."""
    train = np.array([sample.split == "train" for sample in samples])
    judged = np.array([sample.split == "validation" and sample.family != PROXY_FAMILY for sample in samples])
    return Fold("validation", train, judged)


def family_names(path: Path = FAMILIES) -> list[str]:
    """The names of the families, in order."""
    return [fold.name for fold in read_folds(path)]


def family_folds(samples: Sequence[Sample], path: Path = FAMILIES) -> list[Fold]:
    """A fold for each family of `path`. What shares a group with a judged picture is not learnt from."""
    return [
        _fold(fold.name, samples, np.array([fold.names(sample) for sample in samples])) for fold in read_folds(path)
    ]


def recipe_folds(samples: Sequence[Sample], recipes: Mapping[str, Sequence[str]]) -> list[Fold]:
    """A fold for each group of recipes of aligned fakes: learnt without them, judged on those of validation."""
    folds = []
    validation = np.array([sample.split == "validation" for sample in samples])
    photographs = np.array([not sample.is_fake for sample in samples])
    for name, patterns in recipes.items():
        kept_out = np.array([sample.is_fake and is_named(sample, patterns) for sample in samples])
        train = np.array([sample.split == "train" for sample in samples]) & ~kept_out
        folds.append(Fold(name, train, validation & (kept_out | photographs)))
    return folds


def _fold(name: str, samples: Sequence[Sample], judged: np.ndarray) -> Fold:
    judged_groups = {sample.group for sample, chosen in zip(samples, judged, strict=True) if chosen}
    train = np.array([sample.split == "train" and sample.group not in judged_groups for sample in samples])
    return Fold(name, train & ~judged, judged)
