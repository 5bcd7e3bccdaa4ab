"""Pictures that are drawn, so that no test needs a downloaded one.

A photograph is smooth noise; a fake is a picture of the same kind with a checkerboard on top, the simplest trace that
an up-sampling generator leaves. Its cells have 2 x 2 pixels, so that a first layer of stride 2 does not see it as flat.
Both come from numbered seeds and are the same on every machine.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import Card
from ganfingerprint.attribution import Gallery, Labelled, fit_gallery
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import WindowConfig, to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import EMBEDDING_DIM, FakeEngine
from ganfingerprint.types import UInt8Array

DrawPicture = Callable[..., UInt8Array]

TRACE = 24  # half the height of the checkerboard, grey levels
TINTS = {"photograph": (90, 90, 90), "reds": (250, 150, 150), "greens": (150, 250, 150), "blues": (150, 150, 250)}
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


@pytest.fixture(scope="session")
def tint_gallery() -> Callable[[str], Gallery]:
    """`tint_gallery(detector_id)`: a generator's pictures have its tint, as the arithmetic engine sees it."""
    return _tint_gallery


def _tint_gallery(detector_id: str) -> Gallery:
    return fit_gallery(_labelled("learnt", 12), _labelled("unseen", 24), detector_id=detector_id, origin="tints")


def _labelled(part: str, count: int) -> Labelled:
    """So many pictures of each tint, their colours and detail scattered a little."""
    names = [name for name in TINTS for _ in range(count)]
    ids = [f"{part}-{name}-{number}.png" for number, name in enumerate(names)]
    rng = np.random.default_rng(len(part))
    embeddings = np.zeros((len(names), EMBEDDING_DIM), np.float32)
    embeddings[:, :3] = np.array([TINTS[name] for name in names]) / 255 + rng.normal(0, 0.02, (len(names), 3))
    return Labelled(
        traces=embeddings,
        embedding=EMBEDDING_DIM,
        log10_lr=np.array([-1.0 if name == "photograph" else 1.0 for name in names]),
        names=tuple(names),
        ids=tuple(ids),
        hashes=tuple(hashlib.sha256(text.encode()).hexdigest() for text in ids),
        groups=tuple(ids),
    )


@pytest.fixture(scope="session")
def tinted() -> Callable[..., bytes]:
    """`tinted("reds", number=0, width=120, height=100)`: a picture of that tint, as PNG."""

    def draw(name: str, number: int = 0, width: int = 120, height: int = 100) -> bytes:
        rng = np.random.default_rng([len(name), number])
        pixels = np.asarray(TINTS[name]) + rng.normal(0, 3, 3) + rng.normal(0, 3, (height, width, 3))
        stream = io.BytesIO()
        PilImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    return draw
