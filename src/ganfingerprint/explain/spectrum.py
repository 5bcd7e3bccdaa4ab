"""The spectrum of what remains of a picture when its smooth content is taken away: where generators leave peaks.

Up-sampling repeats the spectrum of its input, so that many generators show a grid of peaks there (Zhang et al. 2019,
"Detecting and simulating artifacts in GAN fake images").
"""

from __future__ import annotations

import numpy as np

from ganfingerprint.types import Float32Array, UInt8Array

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FLOOR = 1e-3


def residual_spectrum(windows: UInt8Array) -> Float32Array:
    """Mean over windows [n, s, s, 3] of the log magnitude of each residual, [s, s], frequency 0 in the middle.

    The residual is the luma less its mean over 3 x 3 pixels; a Hann window keeps the edges from drawing a cross.
    """
    luma = windows.astype(np.float32) @ _LUMA  # [n, s, s]
    side = luma.shape[1]
    padded = np.pad(luma, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    smooth = sum(padded[:, y : y + side, x : x + side] for y in range(3) for x in range(3)) / 9
    taper = np.hanning(side).astype(np.float32)
    magnitude = np.abs(np.fft.fft2((luma - smooth) * taper[:, None] * taper))
    spectrum = np.log(magnitude + _FLOOR).mean(axis=0)
    return np.fft.fftshift(spectrum).astype(np.float32)
