"""Does an exported network answer as the original? Measured on windows, and on verdicts of whole pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganfingerprint.calibrate import Calibration, fake_scores
from ganfingerprint.catalog import true_label
from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import prepare
from ganfingerprint.engines import Engine
from ganfingerprint.errors import InputError
from ganfingerprint.evaluation.metrics import auc
from ganfingerprint.types import Label, UInt8Array
from ganfingerprint.windows import pool


@dataclass(frozen=True, slots=True)
class Tried:
    """A picture that both networks judge."""

    name: str
    windows: UInt8Array  # [n, s, s, 3]
    label: Label | None = None  # where its folder or name tells it


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far the answers of an exported network are from the original's."""

    pictures: int
    windows: int
    largest_difference: float  # of a window's logit
    mean_difference: float
    changed: tuple[str, ...]  # pictures whose verdict is another, with both
    labelled: int = 0  # pictures whose label is known; with both labels among them:
    auc_before: float | None = None
    auc_after: float | None = None


def drawn_pictures(side: int, count: int = 16) -> list[Tried]:
    """Smooth and rough noise of all strengths, for a detector that comes without pictures."""
    rng = np.random.default_rng(20261125)
    found = []
    for number in range(count):
        cell = 2 ** (number % 5)
        coarse = rng.integers(0, 256, (side // cell + 1, side // cell + 1, 3), dtype=np.uint8)
        # with a little noise: the spectrum of exactly repeated cells has noughts, whose logarithm is all rounding
        cells = coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:side, :side] // 2
        pixels = cells + rng.integers(0, 16, cells.shape, dtype=np.uint8)
        found.append(Tried(f"drawn-{number}", pixels[None]))
    return found


def read_pictures(paths: Sequence[Path], policy: WindowConfig) -> list[Tried]:
    """The pictures that can be judged, under a detector's own window policy."""
    found = []
    for path in paths:
        try:
            found.append(Tried(str(path), prepare(path, policy).windows.pixels, true_label(path)))
        except InputError:
            continue
    return found


def compare(
    original: Engine, exported: Engine, pictures: Sequence[Tried], *, pooling: str, calibration: Calibration
) -> Parity:
    """Judge every picture with both."""
    gaps: list[float] = []
    scores: list[list[float]] = [[], []]  # before, after
    changed = []
    for picture in pictures:
        logits = [engine.run(picture.windows).logits for engine in (original, exported)]
        gaps.extend(np.abs(logits[0] - logits[1]).tolist())
        for of_engine, each in zip(scores, logits, strict=True):
            of_engine.append(pool(fake_scores(each), pooling))
        before, after = (calibration.verdict(of_engine[-1]) for of_engine in scores)
        if before is not after:
            changed.append(f"{picture.name}: {before.value} became {after.value}")
    known = np.array([picture.label is not None for picture in pictures])
    fake = np.array([picture.label is Label.FAKE for picture in pictures])[known]
    aucs = [auc(fake, np.array(of_engine)[known]) for of_engine in scores] if 0 < fake.sum() < len(fake) else [None] * 2
    return Parity(
        pictures=len(pictures),
        windows=len(gaps),
        largest_difference=max(gaps),
        mean_difference=float(np.mean(gaps)),
        changed=tuple(changed),
        labelled=len(fake),
        auc_before=aucs[0],
        auc_after=aucs[1],
    )
