from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ganfingerprint.fakes.likeness import log_spectrum, psnr
from ganfingerprint.types import UInt8Array


def test_equal_pictures_have_no_noise() -> None:
    assert psnr(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)) == float("inf")


@pytest.mark.parametrize(("change", "expected"), [(255, 0.0), (1, 48.13), (10, 28.13)])
def test_psnr_is_that_of_the_mean_square(change: int, expected: float) -> None:
    dark = np.zeros((8, 8, 3), np.uint8)
    assert psnr(dark, dark + np.uint8(change)) == pytest.approx(expected, abs=0.01)
    assert psnr(dark + np.uint8(change), dark) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("shape", [(64, 64), (70, 130), (200, 40)])
def test_a_periodic_trace_is_a_bright_point(draw_picture: Callable[..., UInt8Array], shape: tuple[int, int]) -> None:
    """Columns that alternate every 2 pixels: half of the highest frequency, from left to right."""
    pixels = draw_picture(2, height=shape[0], width=shape[1])
    traced = pixels + np.uint8(8) * (np.arange(shape[1]) // 2 % 2).astype(np.uint8)[None, :, None]
    plain, found = log_spectrum(pixels, 64), log_spectrum(traced, 64)
    assert found.shape == (64, 64)
    assert found.dtype == np.float32
    added = found - plain
    assert added[32, 16] > 2  # decades; the middle is 32
    assert added[32, 48] > 2
    assert np.median(added) < 1


def test_a_larger_picture_is_the_mean_of_its_cells(draw_picture: Callable[..., UInt8Array]) -> None:
    cell = draw_picture(1, height=64, width=64)
    noise = np.random.default_rng(0).integers(0, 20, cell.shape, dtype=np.uint8)
    one = log_spectrum(cell + noise, 64)
    tiled = np.tile(cell + noise, (2, 2, 1))
    assert np.abs(log_spectrum(tiled, 64) - one)[8:-8, 8:-8].mean() < 0.2


def test_a_blank_picture_has_no_power() -> None:
    assert np.allclose(log_spectrum(np.full((64, 64, 3), 200, np.uint8), 64), 0, atol=1e-3)
