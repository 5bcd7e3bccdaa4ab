"""Does an exported network answer as the original? Measured on windows, and on verdicts of whole pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganfingerprint.calibrate import Calibration, fake_scores
from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import prepare
from ganfingerprint.engines import Engine
from ganfingerprint.errors import InputError
from ganfingerprint.types import UInt8Array, Verdict
from ganfingerprint.windows import pool


@dataclass(frozen=True, slots=True)
class Tried:
    """A picture that both networks judge."""

    name: str
    windows: UInt8Array  # [n, s, s, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far the answers of an exported network are from the original's."""

    pictures: int
    windows: int
    largest_difference: float  # of a window's logit
    mean_difference: float
    changed: tuple[str, ...]  # pictures whose verdict is another, with both


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
            found.append(Tried(str(path), prepare(path, policy).windows.pixels))
        except InputError:
            continue
    return found


def compare(
    original: Engine, exported: Engine, pictures: Sequence[Tried], *, pooling: str, calibration: Calibration
) -> Parity:
    """Judge every picture with both."""
    gaps: list[float] = []
    changed = []
    for picture in pictures:
        logits = [engine.run(picture.windows).logits for engine in (original, exported)]
        gaps.extend(np.abs(logits[0] - logits[1]).tolist())
        before, after = (_verdict(each, pooling, calibration) for each in logits)
        if before is not after:
            changed.append(f"{picture.name}: {before.value} became {after.value}")
    return Parity(
        pictures=len(pictures),
        windows=len(gaps),
        largest_difference=max(gaps),
        mean_difference=float(np.mean(gaps)),
        changed=tuple(changed),
    )


def _verdict(logits: np.ndarray, pooling: str, calibration: Calibration) -> Verdict:
    return calibration.verdict(pool(fake_scores(logits), pooling))
