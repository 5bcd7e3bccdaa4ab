"""How alike two pictures are: in their pixels, and in the spectrum of their high-pass, where traces show."""

from __future__ import annotations

import cv2
import numpy as np

from ganfingerprint.types import Float32Array, UInt8Array

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def psnr(first: UInt8Array, second: UInt8Array) -> float:
    """Peak signal-to-noise ratio of two pictures of one shape, dB; infinite where they are equal."""
    error = np.mean(np.square(first.astype(np.float32) - second), dtype=np.float64)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def log_spectrum(pixels: UInt8Array, size: int = 256) -> Float32Array:
    """Log power of the high-pass of the luma, [size, size], zero frequency in the middle.

    The mean over all whole cells of `size` pixels; a smaller picture is continued by reflection. A periodic trace, as
    up-sampling leaves it, shows as bright points (Zhang et al., 2019).
    """
    luma = pixels.astype(np.float32) @ LUMA  # [h, w]
    missing = [max(0, size - side) for side in luma.shape]
    luma = np.pad(luma, [(0, need) for need in missing], mode="reflect")
    residual = luma - cv2.medianBlur(luma, 3)
    window = np.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
    power = np.zeros((size, size))
    tops, lefts = (range(0, side - size + 1, size) for side in luma.shape)
    for top in tops:
        for left in lefts:
            power += np.abs(np.fft.fft2(residual[top : top + size, left : left + size] * window)) ** 2
    return np.asarray(np.fft.fftshift(np.log10(power / (len(tops) * len(lefts)) + 1)), np.float32)
