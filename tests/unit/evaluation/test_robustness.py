"""What arrives of a picture: smaller, a JPEG, and nothing of those that cannot be read is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from ganfingerprint.catalog import Sample, read_catalog
from ganfingerprint.decode import decode
from ganfingerprint.evaluation.robustness import TIERS, Tier, delivered
from ganfingerprint.types import Label, UInt8Array


def test_the_tiers_are_those_of_the_field() -> None:
    assert {name: (tier.scale, tier.quality) for name, tier in TIERS.items()} == {
        "web": (0.75, 60),
        "hard": (0.5, 40),
        "social": (0.85, 75),
    }


@pytest.mark.parametrize("name", TIERS)
def test_what_arrives_is_a_smaller_jpeg_of_the_same_picture(name: str, draw_picture: Callable[..., UInt8Array]) -> None:
    pixels, tier = draw_picture(3, height=120, width=160), TIERS[name]
    image = decode(tier.deliver(pixels))
    assert image.pixels.shape == (round(120 * tier.scale), round(160 * tier.scale), 3)
    assert np.abs(image.pixels.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 3  # and its colours in order


def test_colour_is_halved_and_the_quality_is_as_said(draw_picture: Callable[..., UInt8Array], tmp_path: Path) -> None:
    pixels = draw_picture(4)
    for quality in (40, 75):
        (tmp_path / "own.jpg").write_bytes(Tier(1.0, quality).deliver(pixels))
        Pillow.fromarray(pixels).save(tmp_path / "theirs.jpg", quality=quality)
        with Pillow.open(tmp_path / "own.jpg") as own, Pillow.open(tmp_path / "theirs.jpg") as theirs:
            assert own.quantization == theirs.quantization  # type: ignore[attr-defined]
            assert own.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]  # luma sampled twice as often as colour


def test_no_side_becomes_shorter_than_the_smallest(draw_picture: Callable[..., UInt8Array]) -> None:
    thin = draw_picture(1, height=64, width=400)[:20]
    assert decode(Tier(0.9, 60).deliver(thin)).pixels.shape == (18, 360, 3)
    pixels = np.full((20, 400, 3), 90, np.uint8)
    assert Tier(0.5, 60).deliver(pixels)  # 16 pixels high: a file, if one too small to be judged


def test_a_picture_that_cannot_be_read_comes_as_its_path(drawn_root: Path, tmp_path: Path) -> None:
    good = read_catalog(drawn_root).split("test")[0]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    bad = Sample(path=broken, label=Label.FAKE)
    first, second = delivered([good, bad], TIERS["web"])
    assert isinstance(first, bytes)
    assert second == broken
