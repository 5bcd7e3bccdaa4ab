"""The spectrum of the residual shows what repeats, and not what is smooth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ganfingerprint.explain.spectrum import residual_spectrum


def test_a_grid_in_the_pixels_is_a_peak_at_its_frequency(draw_picture: Callable[..., Any]) -> None:
    pixels = draw_picture(1, height=64, width=64).astype(float)
    x = np.arange(64)
    pixels += 6 * np.cos(2 * np.pi * x / 4)[None, :, None]  # a period of four pixels along x
    spectrum = residual_spectrum(np.clip(pixels, 0, 255).astype(np.uint8)[None])
    assert spectrum.shape == (64, 64)
    assert spectrum.dtype == np.float32
    highest = np.unravel_index(np.argmax(spectrum), spectrum.shape)
    assert highest in ((32, 16), (32, 48))  # 16 cycles of 64 pixels, on both sides of the middle


def test_it_is_a_mean_over_windows_and_alike_for_each(draw_picture: Callable[..., Any]) -> None:
    windows = np.stack([draw_picture(seed, height=64, width=64) for seed in (1, 2)])
    one, other = (residual_spectrum(window[None]) for window in windows)
    np.testing.assert_allclose(residual_spectrum(windows), (one + other) / 2, atol=1e-4)
    np.testing.assert_allclose(one, one[::-1, ::-1][np.ix_(np.arange(-1, 63), np.arange(-1, 63))], atol=1e-2)


def test_a_flat_picture_has_nothing() -> None:
    spectrum = residual_spectrum(np.full((1, 32, 32, 3), 90, np.uint8))
    assert np.ptp(spectrum) < 0.1
