"""Photographs that are drawn, in several formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

from ganfingerprint.types import UInt8Array

ENDINGS: list[tuple[str, dict[str, Any]]] = [(".jpg", {"quality": 85}), (".png", {}), (".webp", {"lossless": True})]


@pytest.fixture
def photographs(tmp_path: Path, draw_picture: Callable[..., UInt8Array]) -> Path:
    """A folder of six drawn photographs in three formats, no two alike, 112 to 160 pixels, one in a folder of it."""
    folder = tmp_path / "photographs"
    (folder / "deeper").mkdir(parents=True)
    for number in range(6):
        pixels = draw_picture(number, height=112 + 16 * (number % 3), width=160)
        ending, settings = ENDINGS[number % 3]
        place = folder / "deeper" if number == 5 else folder
        PilImage.fromarray(pixels).save(place / f"{number}{ending}", **settings)
    return folder
