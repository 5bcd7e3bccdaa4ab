"""The spectrum of what remains of a picture when its smooth content is taken away: where generators leave peaks.

Up-sampling repeats the spectrum of its input, so that many generators show a grid of peaks there (Zhang et al. 2019,
"Detecting and simulating artifacts in GAN fake images"). In one picture they drown in content; in the mean over many
they stand out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ganfingerprint.types import Float32Array, Float64Array, Int64Array, UInt8Array

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FLOOR = 1e-3
DECIBELS = 20 / np.log(10)  # of one step of a natural logarithm of magnitudes
LOWEST_PEAK = 0.1  # above its surroundings, natural logarithm; fainter ones are of no use to anybody
_NOISE = 5  # deviations of the noise between pictures that a peak must stand above it
INNERMOST_RING = 4  # of a profile; nearer to the middle lies smooth content
_INNERMOST = 0.04  # cycles per pixel; nearer to the middle nothing lies around
_REACH = 7  # cells each way that are the surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSpectrum:
    """The mean over pictures of their residuals' log magnitudes, frequency 0 in the middle."""

    values: Float32Array  # [s, s]
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A frequency that is stronger than those around it; of two that mirror each other, one."""

    across: float  # cycles per pixel, -.5 to .5
    down: float  # 0 to .5
    decibels: float  # above its surroundings
    of_jpeg: bool  # on the grid of eighths, where the blocks of JPEG may leave peaks too

    @property
    def period(self) -> float:
        """After how many pixels it repeats."""
        return float(1 / np.hypot(self.across, self.down))


def residuals(windows: UInt8Array) -> Float32Array:
    """The luma of windows [n, s, s, 3] less its mean over 3 x 3 pixels, [n, s, s]."""
    luma = windows.astype(np.float32) @ _LUMA  # [n, s, s]
    side = luma.shape[1]
    padded = np.pad(luma, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    smooth = sum(padded[:, y : y + side, x : x + side] for y in range(3) for x in range(3)) / 9
    fine: Float32Array = luma - smooth
    return fine


def residual_spectrum(windows: UInt8Array) -> Float32Array:
    """Mean over windows [n, s, s, 3] of the log magnitude of each residual, [s, s], frequency 0 in the middle.

    A Hann window keeps the edges from drawing a cross.
    """
    taper = np.hanning(windows.shape[1]).astype(np.float32)
    magnitude = np.abs(np.fft.fft2(residuals(windows) * taper[:, None] * taper))
    spectrum = np.log(magnitude + _FLOOR).mean(axis=0)
    return np.fft.fftshift(spectrum).astype(np.float32)


def mean_spectrum(spectra: Iterable[Float32Array]) -> MeanSpectrum:
    """The mean of the spectra [s, s] of single pictures; each counts once, however large it is.

    Raises:
        ValueError: there are none.
    """
    total, count = np.zeros(()), 0
    for spectrum in spectra:
        total, count = total + spectrum.astype(np.float64), count + 1
    if not count:
        raise ValueError("a mean spectrum needs the spectrum of at least one picture")
    return MeanSpectrum(values=(total / count).astype(np.float32), pictures=count)


def radial_profile(values: Float32Array) -> Float64Array:
    """The mean of each ring of a spectrum [s, s], by its distance from the middle in cells: [s / 2]."""
    rings = _rings(len(values))
    within = rings < len(values) // 2
    profile: Float64Array = np.bincount(rings[within], weights=values[within]) / np.bincount(rings[within])
    return profile


def levelled_profile(values: Float32Array) -> Float64Array:
    """The radial profile of a spectrum [s, s] in decibels above its own mean, [s / 2].

    How much detail there is in all moves the whole profile, and says nothing of a generator. The innermost rings, of
    smooth content, do not count for the mean.
    """
    profile = DECIBELS * radial_profile(values)
    levelled: Float64Array = profile - profile[INNERMOST_RING:].mean()
    return levelled


def above_rings(values: Float32Array) -> Float64Array:
    """How far each cell of a spectrum [s, s] stands above the median of its ring, natural logarithm [s, s]."""
    rings = _rings(len(values)).ravel()
    order = np.argsort(rings, kind="stable")
    flat = values.ravel().astype(np.float64)
    for part in np.split(order, np.cumsum(np.bincount(rings))[:-1]):
        flat[part] -= np.median(flat[part])
    return flat.reshape(values.shape)


def above_surroundings(values: Float32Array) -> Float64Array:
    """How far each cell of a spectrum [s, s] stands above what lies around it, natural logarithm [s, s].

    Around it is the largest of three means: of the square of 15 cells, and of the lines through it, whose cells next
    to it do not count. Edges and frames draw lines in a spectrum, which are no peaks.
    """
    means = [_mean_of(values, *reach) for reach in ((_REACH, _REACH), (_REACH, 0), (0, _REACH))]
    height: Float64Array = values - np.max(means, axis=0)
    return height


def _mean_of(values: Float32Array, down: int, across: int) -> Float64Array:
    """The mean around each cell, so many cells each way, without it and its neighbours."""
    around = np.pad(values.astype(np.float64), ((down, down), (across, across)), mode="wrap")
    near = np.pad(values.astype(np.float64), ((min(down, 1),) * 2, (min(across, 1),) * 2), mode="wrap")
    inner = (2 * min(down, 1) + 1) * (2 * min(across, 1) + 1)
    outer = (2 * down + 1) * (2 * across + 1)
    total = _box_sum(around, 2 * down + 1, 2 * across + 1)
    return (total - _box_sum(near, 2 * min(down, 1) + 1, 2 * min(across, 1) + 1)) / (outer - inner)


def _box_sum(values: Float64Array, high: int, wide: int) -> Float64Array:
    sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    boxes: Float64Array = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    return boxes


def find_peaks(values: Float32Array, *, count: int = 12) -> tuple[Peak, ...]:
    """The highest peaks of a spectrum [s, s], at most `count`, the highest first.

    A peak is higher than its eight neighbours, and stands above its surroundings by more than `LOWEST_PEAK` and by
    more than five deviations of the noise: the fewer pictures, the less can be seen.
    """
    side = len(values)
    height = above_surroundings(values)
    noise = 1.4826 * float(np.median(np.abs(height - np.median(height))))
    around = np.pad(height, 1, mode="wrap")  # a spectrum goes on at its other edge
    offsets = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    highest = np.all([height > around[y : y + side, x : x + side] for y, x in offsets], axis=0)
    at = (np.arange(side) - side // 2) / side
    across, down = np.meshgrid(at, at)
    cells = np.arange(side * side).reshape(side, side)
    one_of_two = cells >= np.roll(cells[::-1, ::-1], 1, axis=(0, 1))  # the other lies across the middle
    far = np.hypot(across, down) > _INNERMOST
    rows, columns = np.nonzero(highest & one_of_two & far & (height > max(LOWEST_PEAK, _NOISE * noise)))
    best = np.argsort(-height[rows, columns], kind="stable")[:count]
    return tuple(_peak(at[columns[i]], at[rows[i]], height[rows[i], columns[i]], side) for i in best)


def _peak(across: float, down: float, height: float, side: int) -> Peak:
    of_jpeg = all(abs(8 * part - round(8 * part)) <= 8 / side for part in (across, down))
    return Peak(across=float(across), down=abs(float(down)), decibels=float(DECIBELS * height), of_jpeg=of_jpeg)


def _rings(side: int) -> Int64Array:
    at = np.arange(side) - side // 2
    return np.rint(np.hypot(*np.meshgrid(at, at))).astype(np.int64)
