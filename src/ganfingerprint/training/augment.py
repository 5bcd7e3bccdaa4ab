"""What a picture may live through before it is judged, each step on uint8 [h, w, 3] with a generator of its own.

Every class is called as `step(pixels, rng) -> pixels` and draws all its randomness from `rng`. The compressions are
those of real codecs, never simulations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ganfingerprint.config import WindowConfig
from ganfingerprint.types import UInt8Array
from ganfingerprint.windows import cut_windows, pad_to


class Step(Protocol):
    """One change to a picture."""

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The changed picture, uint8 [h, w, 3]."""
        ...


@dataclass(frozen=True, slots=True)
class Compose:
    """Steps one after the other."""

    steps: Sequence[Step]

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Apply every step in order."""
        for step in self.steps:
            pixels = step(pixels, rng)
        return pixels


@dataclass(frozen=True, slots=True)
class Maybe:
    """A step that happens with a probability."""

    probability: float
    step: Step

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Apply the step or leave the picture alone."""
        return self.step(pixels, rng) if rng.random() < self.probability else pixels


@dataclass(frozen=True, slots=True)
class OneOf:
    """Exactly one of several steps, all equally likely."""

    steps: Sequence[Step]

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Apply the one that is drawn."""
        return self.steps[int(rng.integers(len(self.steps)))](pixels, rng)


@dataclass(frozen=True, slots=True)
class RandomWindow:
    """A random square window at native resolution; with `resize_probability` the picture is scaled first.

    The trace is in the pixels themselves, so scaling is the exception here, where the document scales every
    picture. Too small a picture is padded by reflection.
    """

    size: int
    resize_probability: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """A window [size, size, 3]."""
        if rng.random() < self.resize_probability:
            pixels = self._resize(pixels, rng)
        height, width = pixels.shape[:2]
        if min(height, width) < self.size:
            pixels, _, _ = pad_to(pixels, self.size)
            height, width = pixels.shape[:2]
        top = int(rng.integers(height - self.size + 1))
        left = int(rng.integers(width - self.size + 1))
        return np.ascontiguousarray(pixels[top : top + self.size, left : left + self.size])

    def _resize(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        factor = float(np.exp(rng.uniform(np.log(self.scale[0]), np.log(self.scale[1]))))
        height, width = (max(16, round(side * factor)) for side in pixels.shape[:2])
        ways = [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]
        if factor < 1:
            ways.append(cv2.INTER_AREA)
        way = ways[int(rng.integers(len(ways)))]
        return _uint8(cv2.resize(pixels, (width, height), interpolation=way))


@dataclass(frozen=True, slots=True)
class CenterWindow:
    """The window in the middle, padded by reflection where the picture is smaller. No randomness."""

    size: int

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """A window [size, size, 3]."""
        policy = WindowConfig(size=self.size, placement="center", count=1)
        window: UInt8Array = cut_windows(pixels, policy).pixels[0]
        return window


@dataclass(frozen=True, slots=True)
class HorizontalFlip:
    """Left becomes right."""

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The mirrored picture."""
        return np.ascontiguousarray(pixels[:, ::-1])


@dataclass(frozen=True, slots=True)
class RandomAffine:
    """A small rotation (degrees) and horizontal shear (share of the height) about the centre; edges are reflected."""

    degrees: float = 10.0
    shear: float = 0.05

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The warped picture, same size."""
        height, width = pixels.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-self.degrees, self.degrees)), 1.0)
        shear = float(rng.uniform(-self.shear, self.shear))
        matrix[0] += (0.0, shear, -shear * height / 2)
        return _uint8(
            cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        )


@dataclass(frozen=True, slots=True)
class ColorJitter:
    """Brightness, contrast, saturation (factors 1 ± x) and hue (± x of the full circle)."""

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The picture in other colours."""
        gain = rng.uniform(1 - self.brightness, 1 + self.brightness)
        contrast = rng.uniform(1 - self.contrast, 1 + self.contrast)
        saturation = rng.uniform(1 - self.saturation, 1 + self.saturation)
        angle = 2 * np.pi * rng.uniform(-self.hue, self.hue)
        # One matrix for saturation and hue (rotation of the chroma plane of YIQ), so that a picture is rounded once.
        cosine, sine = saturation * np.cos(angle), saturation * np.sin(angle)
        turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
        matrix = (_FROM_YIQ @ turn @ _TO_YIQ * gain * contrast).astype(np.float32)
        offset = float(pixels.mean()) * gain * (1 - contrast)
        return _uint8(np.clip(cv2.transform(pixels.astype(np.float32), matrix) + np.float32(offset), 0, 255).round())


@dataclass(frozen=True, slots=True)
class VariableBlur:
    """Gaussian blur of a random radius (sigma, pixels): focus and motion."""

    radius: tuple[float, float] = (0.1, 1.5)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The blurred picture."""
        return _uint8(cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(*self.radius))))


@dataclass(frozen=True, slots=True)
class AddNoiseGaussian:
    """White Gaussian noise of a random standard deviation (share of full range): a sensor's."""

    std: tuple[float, float] = (0.01, 0.05)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The noisy picture."""
        noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(255 * rng.uniform(*self.std))
        return _uint8(np.clip(pixels + noise, 0, 255).round())


@dataclass(frozen=True, slots=True)
class ColorQuantization:
    """Fewer bits a channel; levels are spread over the full range, so that white stays white."""

    bits: tuple[int, int] = (5, 7)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The picture with at most 2**bits levels a channel."""
        top = 2 ** int(rng.integers(self.bits[0], self.bits[1] + 1)) - 1
        levels = np.round(np.round(np.arange(256) / 255 * top) / top * 255).astype(np.uint8)
        return _uint8(levels[pixels])


@dataclass(frozen=True, slots=True)
class JPEGCompression:
    """Encoded and decoded by a JPEG codec at a random quality, mostly with halved colour (4:2:0)."""

    quality: tuple[int, int] = (60, 95)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The picture after one more JPEG."""
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if rng.random() < 0.75 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        return _recode(pixels, ".jpg", settings)


@dataclass(frozen=True, slots=True)
class WebPCompression:
    """Encoded and decoded by a lossy WebP codec at a random quality."""

    quality: tuple[int, int] = (50, 95)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The picture after a WebP."""
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        return _recode(pixels, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])


@dataclass(frozen=True, slots=True)
class RandomErasing:
    """One rectangle of random place, area and shape is replaced by noise (Zhong et al. 2020)."""

    area: tuple[float, float] = (0.02, 0.15)

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The picture with one rectangle gone."""
        height, width = pixels.shape[:2]
        area = height * width * rng.uniform(*self.area)
        shape = np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
        tall, wide = min(height, max(1, round(np.sqrt(area * shape)))), min(width, max(1, round(np.sqrt(area / shape))))
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        pixels = pixels.copy()
        pixels[top : top + tall, left : left + wide] = rng.integers(0, 256, (tall, wide, 3), dtype=np.uint8)
        return pixels


def _recode(pixels: UInt8Array, suffix: str, settings: list[int]) -> UInt8Array:
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if done else None
    if decoded is None:
        raise RuntimeError(f"this build of OpenCV cannot write and read {suffix}")
    return _uint8(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def _uint8(pixels: np.ndarray) -> UInt8Array:
    return np.ascontiguousarray(pixels, dtype=np.uint8)


_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
