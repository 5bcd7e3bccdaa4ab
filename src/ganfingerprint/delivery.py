"""What a picture goes through before anybody can judge it: cropped, scaled, blurred, made noisy, saved once more.

The codecs are real ones, never simulations. Each step is drawn from a generator of its own picture, so that the same
picture arrives alike whoever asks, and whatever came before it.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image as PilImage

from ganfingerprint.decode import decode
from ganfingerprint.types import Float64Array, Image, UInt8Array

SMALLEST = 16  # pixels; no side becomes shorter
_CODECS: Mapping[str, Mapping[str, Any]] = {"JPEG": {"subsampling": 2}, "WEBP": {}}  # 2: colour at half the resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Steps in the order of the fields; what keeps its default does not happen."""

    crop: float = 1.0  # share of each side that stays; where it is cut is drawn
    scale: float = 1.0
    longest: int = 0  # pixels; a longer side is scaled down to it; 0: no limit
    blur: float = 0.0  # sigma of a Gaussian, pixels
    noise: float = 0.0  # standard deviation of white noise, of 255
    codec: str = ""  # JPEG (with halved colour) or WEBP; empty: the pixels arrive as they are
    quality: int = 75  # of the codec, 1..100

    def __post_init__(self) -> None:
        if self.codec not in ("", *_CODECS):
            raise ValueError(f"Delivery.codec must be one of {', '.join(_CODECS)} or empty, got {self.codec!r}")

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The pixels [h, w, 3] that arrive; all that is random is drawn from `rng`."""
        pixels = _cropped(pixels, self.crop, rng)
        pixels = _scaled(pixels, self._factor(max(pixels.shape[:2])))
        pixels = _noisy(_blurred(pixels, self.blur), self.noise, rng)
        return decode(encoded(pixels, self.codec, self.quality)).pixels if self.codec else pixels

    def deliver(self, image: Image, *, seed: int = 0) -> Image:
        """The picture as it arrives; its source, hash and facts stay those of the file that was sent."""
        rng = np.random.default_rng((seed, zlib.crc32(image.sha256.encode())))
        return replace(image, pixels=self(image.pixels, rng))

    def _factor(self, side: int) -> float:
        side = round(side * self.scale)
        return self.scale * (self.longest / side if 0 < self.longest < side else 1.0)


def encoded(pixels: UInt8Array, codec: str, quality: int) -> bytes:
    """Pixels [h, w, 3] as a file of a codec, JPEG or WEBP."""
    stream = io.BytesIO()
    PilImage.fromarray(pixels).save(stream, codec, quality=quality, **_CODECS[codec])
    return stream.getvalue()


TIERS: Mapping[str, Delivery] = {
    "web": Delivery(scale=0.75, codec="JPEG", quality=60),
    "hard": Delivery(scale=0.5, codec="JPEG", quality=40),
    "social": Delivery(scale=0.85, codec="JPEG", quality=75),
}
"""For crops, whose pictures' sizes are not known: in proportion to those of `WHOLE_TIERS`."""

WHOLE_TIERS: Mapping[str, Delivery] = {
    "web-768": Delivery(longest=768, codec="JPEG", quality=60),
    "hard-512": Delivery(longest=512, codec="JPEG", quality=40),
    "social-1080": Delivery(longest=1080, codec="JPEG", quality=75),
}
"""For pictures in full size."""

SINGLE_STEPS: Mapping[str, Delivery] = {
    **{f"jpeg-{quality}": Delivery(codec="JPEG", quality=quality) for quality in (90, 75, 50, 30)},
    "webp-75": Delivery(codec="WEBP", quality=75),
    **{f"scale-{factor}": Delivery(scale=factor) for factor in (0.5, 0.75, 1.5)},
    **{f"blur-{sigma}": Delivery(blur=sigma) for sigma in (0.5, 1.0, 2.0)},
    **{f"noise-{sigma}": Delivery(noise=float(sigma)) for sigma in (2, 5, 10)},
    "screenshot": Delivery(crop=0.9, scale=0.9, codec="JPEG", quality=85),
}
"""One step each, of a strength that is met; `screenshot` is a part of the picture, shown smaller and saved again."""


def _cropped(pixels: UInt8Array, share: float, rng: np.random.Generator) -> UInt8Array:
    if share >= 1.0:
        return pixels
    height, width = pixels.shape[:2]
    tall, wide = (min(side, max(SMALLEST, round(side * share))) for side in (height, width))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    return np.ascontiguousarray(pixels[top : top + tall, left : left + wide])


def _scaled(pixels: UInt8Array, factor: float) -> UInt8Array:
    if factor == 1.0:
        return pixels
    height, width = (max(SMALLEST, round(side * factor)) for side in pixels.shape[:2])
    # Smaller: each pixel the mean of what it covers, as platforms do; larger: cubic, as programs do.
    way = PilImage.Resampling.BOX if factor < 1.0 else PilImage.Resampling.BICUBIC
    return np.asarray(PilImage.fromarray(pixels).resize((width, height), way))


def _blurred(pixels: UInt8Array, sigma: float) -> UInt8Array:
    """Gaussian blur, edges reflected; Pillow's own is an approximation by boxes, poor below one pixel."""
    if sigma <= 0.0:
        return pixels
    reach = min(max(1, round(4 * sigma)), min(pixels.shape[:2]) - 1)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weight /= weight.sum()
    blurred: Float64Array = pixels.astype(np.float64)
    for axis in (0, 1):
        margin = [(reach, reach) if axis == other else (0, 0) for other in range(3)]
        padded, length = np.pad(blurred, margin, mode="reflect"), pixels.shape[axis]
        parts = (padded.take(range(at, at + length), axis) * share for at, share in enumerate(weight))
        blurred = np.add.reduce(list(parts))
    return _rounded(blurred)


def _noisy(pixels: UInt8Array, sigma: float, rng: np.random.Generator) -> UInt8Array:
    return _rounded(pixels + rng.normal(0.0, sigma, pixels.shape)) if sigma > 0.0 else pixels


def _rounded(values: Float64Array) -> UInt8Array:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
