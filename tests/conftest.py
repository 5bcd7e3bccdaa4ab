"""Pictures that are drawn, so that no test needs a downloaded one.

A photograph is smooth noise; a fake is a picture of the same kind with a checkerboard on top, the simplest trace that
an up-sampling generator leaves. Its cells have 2 x 2 pixels, so that a first layer of stride 2 does not see it as flat.
Both come from numbered seeds and are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import WindowConfig, to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.types import UInt8Array

DrawPicture = Callable[..., UInt8Array]

TRACE = 24  # half the height of the checkerboard, grey levels
DRAWN = {"train": 8, "validation": 4, "test": 4}  # pictures of each class


def _draw(seed: int, *, fake: bool = False, height: int = 112, width: int = 112) -> UInt8Array:
    """Picture number `seed`, uint8 [height, width, 3]; colours stay away from 0 and 255, so that nothing clips."""
    rng = np.random.default_rng([2026, seed])
    coarse = rng.integers(50, 206, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    smooth = PilImage.fromarray(coarse).resize((width, height), PilImage.Resampling.BILINEAR)
    pixels = np.asarray(smooth, dtype=np.int16)
    if fake:
        rows, columns = np.indices((height, width))
        pixels = pixels + (TRACE * (1 - 2 * ((rows // 2 + columns // 2) % 2)))[:, :, None]
    return pixels.astype(np.uint8)


@pytest.fixture(scope="session")
def draw_picture() -> DrawPicture:
    """`draw_picture(seed, fake=False, height=112, width=112)` → pixels."""
    return _draw


@pytest.fixture(scope="session")
def bright_detector() -> Detector:
    """A detector that calls bright pictures fake: raw score = (brightness - 128) / 16, one window of 96 pixels."""
    window = WindowConfig(size=96, placement="center", count=1)
    calibration = Calibration(
        slope=1.0, intercept=0.0, log10_lr_bound=2.0, fake_threshold=3.0, real_threshold=-1.0,
        false_alarm_rate=0.01, miss_rate=0.05,
    )  # fmt: skip
    card = Card(name="bright", architecture={}, window=to_mapping(window), calibration=calibration.to_mapping())
    return Detector(engine=FakeEngine(), card=card)


@pytest.fixture(scope="session")
def drawn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root in the reference layout, `<split>/<real|fake>/<number>.png`, counts as in DRAWN. Only read it."""
    root = tmp_path_factory.mktemp("drawn")
    seed = 0
    for split, count in DRAWN.items():
        for label in ("real", "fake"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                PilImage.fromarray(_draw(seed, fake=label == "fake")).save(folder / f"{number:02}.png")
                seed += 1
    return root
