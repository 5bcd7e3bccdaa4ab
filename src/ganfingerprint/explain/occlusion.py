"""A test of a heat map: without the hottest place the evidence must change more than without the coldest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from ganfingerprint.calibrate import fake_scores
from ganfingerprint.config import WindowConfig
from ganfingerprint.detector import Detector
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.heat_map import HeatMap
from ganfingerprint.types import Float64Array, Image, Label, UInt8Array, Windows
from ganfingerprint.windows import cut_windows, pool

SMALLEST_SIDE = 8  # pixels; a smaller cover is within the noise of a JPEG block
FEATHER = 8  # the cover fades in over an eighth of its side, so that its border is not a new trace

Square = tuple[int, int, int, int]  # left, top, right, bottom in picture pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class OcclusionCheck:
    """The raw score of one picture (higher: more likely fake) as it is and with one place covered."""

    label: Label  # the class that the heat map speaks for
    logit: float
    logit_without_hottest: float
    logit_without_coldest: float
    hottest: Square
    coldest: Square

    @property
    def lost_with_hottest(self) -> float:
        """Evidence for `label` that goes when the hottest place is covered, in units of the logit."""
        return self._lost(self.logit_without_hottest)

    @property
    def lost_with_coldest(self) -> float:
        """Evidence for `label` that goes when the coldest place is covered, in units of the logit."""
        return self._lost(self.logit_without_coldest)

    @property
    def agrees(self) -> bool:
        """Whether covering the hottest place changes the logit more than covering the coldest does."""
        return abs(self.lost_with_hottest) > abs(self.lost_with_coldest)

    def _lost(self, without: float) -> float:
        return self.logit - without if self.label is Label.FAKE else without - self.logit


def occlusion_check(
    detector: Detector,
    image: Image,
    heat_map: HeatMap,
    *,
    patch: float = 0.15,
    fill: Literal["blur", "mean"] = "blur",
) -> OcclusionCheck:
    """Judge the picture again without its hottest and without its coldest square.

    The windows stay where they were, so that only the cover changes the score. Of equally cold squares the one
    farthest from the hottest is taken. Any engine will do.

    Args:
        detector: the one whose heat map this is.
        image: the picture of the heat map.
        heat_map: of this picture, by this detector.
        patch: side of the square as a share of the picture's shorter side, but at most half a window.
        fill: what covers it: its own colours without detail, or their mean.

    Raises:
        UsageError: the heat map is of a picture of another size, or `patch` is not in 0..1.
    """
    if heat_map.values.shape != (image.height, image.width):
        raise UsageError(f"the heat map is {heat_map.values.shape}, the picture {(image.height, image.width)} pixels")
    if not 0 < patch <= 1:
        raise UsageError(f"patch must be above 0 and at most 1, got {patch}")
    windows = cut_windows(image, detector.window)
    shorter = min(image.height, image.width)
    side = min(max(SMALLEST_SIDE, round(patch * shorter)), detector.window.size // 2, shorter)
    hottest, coldest = _extremes(heat_map, side)

    def judge(pixels: UInt8Array) -> float:
        logits = detector.engine.run(_cut_again(pixels, windows, detector.window)).logits
        return pool(fake_scores(logits), detector.window.pooling)

    return OcclusionCheck(
        label=heat_map.label,
        logit=judge(image.pixels),
        logit_without_hottest=judge(cover(image.pixels, hottest, fill)),
        logit_without_coldest=judge(cover(image.pixels, coldest, fill)),
        hottest=hottest,
        coldest=coldest,
    )


def cover(pixels: UInt8Array, square: Square, fill: Literal["blur", "mean"]) -> UInt8Array:
    """A copy of the picture [height, width, 3] whose fine structure is gone within the square."""
    left, top, right, bottom = square
    region = pixels[top:bottom, left:right].astype(np.float32)  # [side, side, 3]
    cells = 1 if fill == "mean" else 4
    planes = torch.from_numpy(region).permute(2, 0, 1)[None]  # [1, 3, side, side]
    small = functional.adaptive_avg_pool2d(planes, cells)
    smooth = functional.interpolate(small, size=region.shape[:2], mode="bilinear", align_corners=False)
    ramp = np.minimum(np.arange(1, len(region) + 1), np.arange(len(region), 0, -1)) * FEATHER / len(region)
    weight = np.minimum(np.minimum.outer(ramp, ramp), 1)[..., None]  # [side, side, 1]
    covered = pixels.copy()
    covered[top:bottom, left:right] = np.rint(region * (1 - weight) + smooth[0].permute(1, 2, 0).numpy() * weight)
    return covered


def _extremes(heat_map: HeatMap, side: int) -> tuple[Square, Square]:
    """The squares, wholly seen by windows, with the highest and the lowest mean heat."""
    means = _square_means(heat_map.values, side)  # [height - side + 1, width - side + 1]
    seen = _square_means(heat_map.coverage, side) > 1 - 0.5 / side**2
    hot = np.unravel_index(np.argmax(np.where(seen, means, -np.inf)), means.shape)
    cold = np.where(seen, means, np.inf)
    rows, columns = np.nonzero(cold <= cold.min() + 1e-6)
    farthest = np.argmax((rows - hot[0]) ** 2 + (columns - hot[1]) ** 2)

    def square(top: int, left: int) -> Square:
        return left, top, left + side, top + side

    return square(int(hot[0]), int(hot[1])), square(int(rows[farthest]), int(columns[farthest]))


def _square_means(values: np.ndarray, side: int) -> Float64Array:
    """Mean over the square whose upper left corner each cell is, for those that fit: [h - side + 1, w - side + 1]."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    sums[1:, 1:] = values.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    corners = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(corners / side**2, np.float64)


def _cut_again(pixels: UInt8Array, windows: Windows, policy: WindowConfig) -> UInt8Array:
    """The same windows of a changed picture [n, s, s, 3]; cutting anew could place them elsewhere (`texture`)."""
    height, width = pixels.shape[:2]
    before = np.maximum(0, -windows.boxes[:, :2].min(axis=0)).tolist()  # left, top
    after = np.maximum(0, windows.boxes[:, 2:].max(axis=0) - [width, height]).tolist()
    padded = np.pad(pixels, ((before[1], after[1]), (before[0], after[0]), (0, 0)), mode="reflect")
    cut = []
    for left, top, right, bottom in (windows.boxes + np.tile(before, 2)).tolist():
        if right - left == policy.size:
            cut.append(padded[top:bottom, left:right])
        else:  # the reduced view of the whole, which no placement moves
            cut.append(cut_windows(pixels, policy).pixels[-1])
    return np.stack(cut)
