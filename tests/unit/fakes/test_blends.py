from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ganfingerprint.fakes import blends
from ganfingerprint.fakes.recipes import Recipe
from ganfingerprint.types import UInt8Array

Draw = Callable[..., UInt8Array]


def checkered(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """The highest frequency there is, 20 grey levels up and down."""
    rows, columns = np.indices(pixels.shape[:2])
    return np.asarray(pixels + (20 * (1 - 2 * ((rows + columns) % 2)))[:, :, None], np.uint8)


def brighter(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """The lowest frequency there is."""
    return np.asarray(pixels + 20, np.uint8)


def rippled(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Waves of 4 pixels from left to right: half of the highest frequency."""
    waves = 20 * np.sin(np.pi / 2 * np.arange(pixels.shape[1]))
    return np.asarray(np.rint(pixels + waves[None, :, None]), np.uint8)


def change(recipe: Recipe, pixels: UInt8Array, seed: int = 0) -> np.ndarray:
    """What a recipe adds, int [h, w, 3]."""
    fake = recipe(pixels, np.random.default_rng(seed))
    assert fake.shape == pixels.shape
    assert fake.dtype == np.uint8
    return fake.astype(int) - pixels


@pytest.fixture
def pixels(draw_picture: Draw) -> UInt8Array:
    return draw_picture(4, height=96, width=128)


@pytest.mark.parametrize("seed", range(6))
def test_a_region_leaves_the_rest_alone(pixels: UInt8Array, seed: int) -> None:
    added = change(blends.region(brighter), pixels, seed)
    assert added.min() == 0
    assert added.max() == 20
    assert 0.05 < (added == 20).mean() < 0.6
    assert (added == 0).mean() > 0.3


@pytest.mark.parametrize("seed", range(20))
def test_a_mask_is_soft_and_between_0_and_1(seed: int) -> None:
    mask = blends.draw_mask(80, 120, np.random.default_rng(seed))
    assert mask.shape == (80, 120)
    assert mask.min() == pytest.approx(0, abs=1e-3)
    assert mask.max() == pytest.approx(1, abs=1e-3)
    assert ((mask > 0.05) & (mask < 0.95)).any()


def test_a_mix_is_weaker_than_the_fake(pixels: UInt8Array) -> None:
    shares = [change(blends.mix(brighter), pixels, seed).mean() / 20 for seed in range(12)]
    assert all(0.25 <= share <= 0.95 for share in shares)
    assert max(shares) - min(shares) > 0.2


def test_twice_is_the_fake_of_the_fake(pixels: UInt8Array) -> None:
    assert (change(blends.twice(brighter), pixels) == 40).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("blend", "recipe", "kept"),
    [
        (blends.low, brighter, True),
        (blends.low, checkered, False),
        (blends.high, brighter, False),
        (blends.high, checkered, True),
        (blends.middle, brighter, False),
        (blends.middle, checkered, False),
    ],
)
def test_a_band_passes_its_own_frequencies(
    pixels: UInt8Array, blend: Callable[[Recipe], Recipe], recipe: Recipe, kept: bool, seed: int
) -> None:
    inner = change(blend(recipe), pixels, seed)[8:-8, 8:-8]
    assert np.abs(inner).mean() == pytest.approx(20 if kept else 0, abs=1)


def test_the_middle_passes_something() -> None:
    """Waves of 4 pixels lie in most of the bands that are drawn."""
    grey = np.full((96, 128, 3), 120, np.uint8)
    passed = [np.abs(change(blends.middle(rippled), grey, seed)[8:-8, 8:-8]).mean() for seed in range(12)]
    assert max(passed) > 10


def test_bands_that_meet_at_one_cut_add_up() -> None:
    gain = blends.band_gain(64, 64, -1, 0.3) + blends.band_gain(64, 64, 0.3, 3)
    assert np.allclose(gain, 1, atol=1e-6)


def test_a_band_does_not_ring_at_the_edges() -> None:
    """The fake's change is brighter on the right than on the left; continued periodically that would be an edge."""
    grey = np.full((64, 96, 3), 100, np.uint8)

    def ramp(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return np.asarray(pixels + np.linspace(0, 60, pixels.shape[1])[None, :, None], np.uint8)

    added = change(blends.high(ramp), grey)
    assert np.abs(added).max() <= 6


def test_frequencies_are_shares_of_the_highest() -> None:
    gain = blends.band_gain(64, 64, 0.25, 0.75)
    assert gain.shape == (64, 33)
    assert gain[0, 0] == 0
    assert gain[0, 16] == gain[16, 0] == gain[-16, 0] == 1  # half of the highest
    assert gain[0, 32] == 0


@pytest.mark.parametrize("blend", [blends.region, blends.mix, blends.twice, blends.low, blends.middle, blends.high])
@pytest.mark.parametrize("shape", [(64, 64), (65, 101)])
def test_every_blend_draws_from_its_generator_alone(
    draw_picture: Draw, blend: Callable[[Recipe], Recipe], shape: tuple[int, int]
) -> None:
    pixels = draw_picture(1, height=shape[0], width=shape[1])
    first, again = (blend(checkered)(pixels, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(pixels, draw_picture(1, height=shape[0], width=shape[1]))
