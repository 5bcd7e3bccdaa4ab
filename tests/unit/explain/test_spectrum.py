"""The spectrum of the residual shows what repeats, and not what is smooth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ganfingerprint.explain.spectrum import (
    INNERMOST_RING,
    above_rings,
    find_peaks,
    levelled_profile,
    mean_spectrum,
    radial_profile,
    residual_spectrum,
)


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


def noisy(rng: np.random.Generator, pattern: np.ndarray, pictures: int) -> list[np.ndarray]:
    """The spectra of pictures that have nothing in common but a faint pattern [64, 64]."""
    noise = rng.normal(120, 20, (pictures, 1, 64, 64, 1)) + 2 * pattern[:, :, None]
    return [residual_spectrum(np.clip(np.repeat(one, 3, axis=3), 0, 255).astype(np.uint8)) for one in noise]


def wave(across: float, down: float) -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return np.cos(2 * np.pi * (across * x + down * y))


def test_what_pictures_have_in_common_stands_out_of_their_mean_and_of_no_single_one() -> None:
    rng = np.random.default_rng(0)
    spectra = noisy(rng, wave(-12 / 64, 21 / 64), 200)
    (peak,) = find_peaks(mean_spectrum(spectra).values)
    assert (peak.across, peak.down) == (-12 / 64, 21 / 64)
    assert peak.period == pytest.approx(64 / np.hypot(12, 21))
    assert 2 < peak.decibels < 12
    assert not peak.of_jpeg
    assert find_peaks(spectra[0]) == ()
    assert find_peaks(mean_spectrum(noisy(rng, 0 * wave(0, 0), 200)).values) == ()


@pytest.mark.parametrize(("across", "down"), [(0.25, 0.25), (0.5, 0.25), (0.25, 0.0), (0.0, 0.5), (0.5, 0.5)])
def test_a_peak_is_told_once_wherever_it_lies_and_eighths_are_said_to_be_of_jpeg_too(
    across: float, down: float
) -> None:
    (peak,) = find_peaks(mean_spectrum(noisy(np.random.default_rng(1), wave(across, down), 100)).values)
    assert (abs(peak.across), peak.down) == (across, down)
    assert peak.of_jpeg


def test_lines_are_no_peaks() -> None:
    values = np.random.default_rng(2).normal(0, 0.03, (64, 64)).astype(np.float32)
    values[:, 32] += 1
    values[32, :] += 1
    assert find_peaks(values) == ()


def test_the_highest_peaks_come_first_and_no_more_than_asked_for() -> None:
    values = np.random.default_rng(3).normal(0, 0.01, (64, 64)).astype(np.float32)
    values[40, 20], values[50, 50], values[60, 10] = 1, 3, 2
    assert [(p.down, p.across) for p in find_peaks(values, count=2)] == [(18 / 64, 18 / 64), (28 / 64, -22 / 64)]


def test_profile_and_relief_are_those_of_the_rings() -> None:
    at = np.arange(32) - 16
    distance = np.hypot(*np.meshgrid(at, at))
    values = np.rint(distance).astype(np.float32)  # each ring has the value of its radius
    np.testing.assert_array_equal(radial_profile(values), np.arange(16))
    np.testing.assert_array_equal(above_rings(values), 0)
    values[16, 20] += 5
    assert above_rings(values)[16, 20] == 5


def test_every_picture_counts_once_and_none_is_an_error() -> None:
    mean = mean_spectrum(np.full((4, 4), value, np.float32) for value in (1, 2, 6))
    np.testing.assert_array_equal(mean.values, 3)
    assert mean.pictures == 3
    with pytest.raises(ValueError, match="at least one picture"):
        mean_spectrum([])


def test_a_levelled_profile_is_the_same_however_much_detail_there_is() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(32, 32)).astype(np.float32)
    profile = levelled_profile(values)
    assert profile.shape == (16,)
    assert profile[INNERMOST_RING:].mean() == pytest.approx(0)
    np.testing.assert_allclose(levelled_profile(values + 3), profile, atol=1e-4)  # magnitudes 20 times as high
    tenfold = values + np.float32(np.log(10)) * (np.arange(32) == 16)[:, None] * (np.arange(32) == 26)
    higher = levelled_profile(tenfold.astype(np.float32)) - profile
    assert np.argmax(higher) == 10
