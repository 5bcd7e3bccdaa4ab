"""Recipes around a recipe: its trace in one region, in one band of frequencies, weaker, or twice."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ganfingerprint.fakes.recipes import Recipe
from ganfingerprint.types import Float32Array, UInt8Array

CUTS = (0.15, 0.5)  # where bands may begin or end, as a share of the highest frequency along an axis
STRENGTHS = (0.3, 0.9)  # share of the fake in a mix
EDGE = 0.08  # softness of a band's edge, same unit as CUTS


def region(inside: Recipe) -> Recipe:
    """The fake within one soft ellipse or rectangle of 10 to 50 % of the area, the photograph around it."""

    def recipe(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        mask = draw_mask(pixels.shape[0], pixels.shape[1], rng)[:, :, None]
        fake = inside(pixels, rng)
        return _rounded(pixels + mask * (fake.astype(np.float32) - pixels))

    return recipe


def mix(inside: Recipe) -> Recipe:
    """The mean of photograph and fake, with the fake's share drawn from `STRENGTHS`."""

    def recipe(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        share = np.float32(rng.uniform(*STRENGTHS))
        return _rounded(pixels + share * (inside(pixels, rng).astype(np.float32) - pixels))

    return recipe


def twice(inside: Recipe) -> Recipe:
    """The fake of the fake."""

    def recipe(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return inside(inside(pixels, rng), rng)

    return recipe


def low(inside: Recipe) -> Recipe:
    """The fake below a frequency, the photograph above it (bands blended as in DDA, Chen et al., 2025)."""
    return _band(inside, lambda first, second: (-1.0, first))


def middle(inside: Recipe) -> Recipe:
    """The fake between two frequencies, the photograph elsewhere."""
    return _band(inside, lambda first, second: (first / 2, (first + second) / 2 + 0.2))


def high(inside: Recipe) -> Recipe:
    """The fake above a frequency, the photograph below it: equal content to the eye, and the trace."""
    return _band(inside, lambda first, second: (first, 3.0))


def draw_mask(height: int, width: int, rng: np.random.Generator) -> Float32Array:
    """A soft ellipse or rectangle [height, width], 1 within and 0 far outside."""
    mask = np.zeros((height, width), np.float32)
    tall, wide = (max(2, round(side * rng.uniform(0.35, 0.75))) for side in (height, width))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    if rng.random() < 0.5:
        mask[top : top + tall, left : left + wide] = 1
    else:
        centre, axes = (left + wide // 2, top + tall // 2), (wide // 2, tall // 2)
        cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, 1.0, thickness=-1)
    soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1.0, 0.03 * min(height, width) + 1.0))
    return np.asarray(soft, np.float32)


def band_gain(height: int, width: int, start: float, stop: float) -> Float32Array:
    """What each frequency of a real FFT passes, [height, width // 2 + 1], 0..1, with soft edges.

    `start` and `stop` are shares of the highest frequency along an axis; in the corners there are frequencies up to
    the root of 2.
    """
    radius = np.hypot(2 * np.fft.fftfreq(height)[:, None], 2 * np.fft.rfftfreq(width)[None])
    rise, fall = np.clip((radius - start) / EDGE + 0.5, 0, 1), np.clip((stop - radius) / EDGE + 0.5, 0, 1)
    return np.asarray(rise * fall, np.float32)


def _band(inside: Recipe, limits: Callable[[float, float], tuple[float, float]]) -> Recipe:
    def recipe(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        height, width = pixels.shape[:2]
        start, stop = limits(*sorted(rng.uniform(*CUTS, size=2)))
        change = inside(pixels, rng).astype(np.float32) - pixels
        # Reflected on two sides, else the jump from one edge of the picture to the other would ring.
        framed = np.pad(change, ((0, height), (0, width), (0, 0)), mode="symmetric")
        gain = band_gain(2 * height, 2 * width, start, stop)
        passed = np.fft.irfft2(np.fft.rfft2(framed, axes=(0, 1)) * gain[:, :, None], framed.shape[:2], axes=(0, 1))
        return _rounded(pixels + passed[:height, :width])

    return recipe


def _rounded(values: np.ndarray) -> UInt8Array:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)
