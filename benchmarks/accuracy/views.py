"""What a picture is shown as before features are computed: one window each, of the picture or of a residual of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ganfingerprint.config import AugmentConfig, WindowConfig
from ganfingerprint.delivery import TIERS
from ganfingerprint.training.augment import (
    CenterWindow,
    Compose,
    JPEGCompression,
    OneOf,
    RandomWindow,
    Step,
    WebPCompression,
)
from ganfingerprint.training.transforms import get_transforms
from ganfingerprint.windows import cut_windows

SIZE = 224


@dataclass(frozen=True, slots=True)
class Chain:
    """What a picture lives through on the web: scaled or not, then one or two codecs."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        codec = OneOf((JPEGCompression((30, 95)), JPEGCompression((50, 95)), WebPCompression((50, 95))))
        steps: list[Step] = [codec] if rng.random() < 0.5 else []
        steps.append(RandomWindow(SIZE, resize_probability=0.7, scale=(0.45, 1.2)))
        steps.append(codec)
        return Compose(steps)(pixels, rng)


@dataclass(frozen=True, slots=True)
class Magnified:
    """The centre of half the side, twice as large: what lies in one patch of the network is a quarter as much."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        centre = CenterWindow(SIZE // 2)(pixels, rng)
        return np.asarray(cv2.resize(centre, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.uint8)


@dataclass(frozen=True, slots=True)
class Shuffled:
    """The patches of the network in random order: each keeps its texture, and what the picture shows is gone."""

    patch: int = 16

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        window, side, count = CenterWindow(SIZE)(pixels, rng), self.patch, SIZE // self.patch
        patches = window.reshape(count, side, count, side, 3).transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
        turned = patches[rng.permutation(len(patches))].reshape(count, count, side, side, 3)
        return np.ascontiguousarray(turned.transpose(0, 2, 1, 3, 4).reshape(SIZE, SIZE, 3))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the windows that the product would cut."""

    policy: WindowConfig
    number: int = 0  # of the window; the last where there are fewer

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        windows = cut_windows(pixels, self.policy).pixels
        return np.ascontiguousarray(windows[min(self.number, len(windows) - 1)])


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left of the centre window when what its neighbourhood predicts is taken away, as a picture around grey.

    `blur` predicts by a Gaussian of sigma 1.5; `median` by the median of 3 x 3; `nearest` by the upper left of each
    2 x 2 (Tan et al., 2024); `srm` has one of three kernels of steganalysis in each channel, on grey (Fridrich and
    Kodovsky, 2012, as Zhou et al., 2018, chose them); `wavelet` is the diagonal detail of the undecimated Haar wavelet.
    """

    kind: str
    gain: float

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        window = CenterWindow(SIZE)(pixels, rng)
        return np.asarray(np.clip(127.5 + self.gain * residual(window, self.kind), 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Standardised:
    """The centre window with the same mean and deviation in each channel as any other: 127.5 and 64 grey levels."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x = CenterWindow(SIZE)(pixels, rng).astype(np.float32)
        x = (x - x.mean(axis=(0, 1))) / (x.std(axis=(0, 1)) + 1)
        return np.asarray(np.clip(np.rint(127.5 + 64 * x), 0, 255), np.uint8)


def residual(window: np.ndarray, kind: str) -> np.ndarray:
    """Float32 [s, s, 3] of pixels uint8 [s, s, 3], in grey levels."""
    x = window.astype(np.float32)
    match kind:
        case "blur":
            return np.asarray(x - cv2.GaussianBlur(x, (0, 0), 1.5))
        case "median":
            return np.asarray(x - cv2.medianBlur(window, 3))
        case "nearest":
            return np.asarray(x - x[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)[: len(x), : x.shape[1]])
        case "srm":
            grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)
            return np.stack([cv2.filter2D(grey, -1, kernel) for kernel in SRM], axis=2)
        case "wavelet":
            return np.asarray(cv2.filter2D(x, -1, HAAR))
    raise ValueError(f"no residual is called {kind!r}")


SRM = (
    np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], np.float32) / 4,
    np.array(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float32
    )
    / 12,
    np.array([[0, 0, 0], [1, -2, 1], [0, 0, 0]], np.float32) / 2,
)
HAAR = np.array([[1, -1], [-1, 1]], np.float32) / 2
RESIDUALS = {"residual": ("blur", 5.0), "median": ("median", 10.0), "nearest": ("nearest", 5.0)}
RESIDUALS |= {"srm": ("srm", 10.0), "wavelet": ("wavelet", 10.0)}


def views() -> dict[str, Step]:
    """The versions of a picture that there are, by name."""
    gentle = AugmentConfig(strength=0.6, resize=0.5, scale_low=0.5, jpeg=0.6, erase=0.1, affine=0.0)
    quarters = WindowConfig(size=SIZE // 2, count=4)
    return {
        "plain": CenterWindow(SIZE),
        "augment1": get_transforms("train", size=SIZE, augment=gentle),
        "augment2": get_transforms("train", size=SIZE, augment=gentle),
        "chain1": Chain(),
        "chain2": Chain(),
        **{name: Compose((tier, CenterWindow(SIZE))) for name, tier in TIERS.items()},
        "small": CenterWindow(SIZE // 2),
        "magnified": Magnified(),
        "shuffled": Shuffled(),
        **{name: Residual(*kind) for name, kind in RESIDUALS.items()},
        **{f"side{side}": CenterWindow(side) for side in (96, 128, 160)},
        "textured128": Part(WindowConfig(size=128, placement="texture", count=1)),
        **{f"quarter{number + 1}": Part(quarters, number) for number in range(4)},
        "standardised": Standardised(),
    }
