"""Image → Windows: which parts of a picture the network sees; and how their scores become one.

A window is cut at the picture's native resolution, because the trace of a generator lies in high frequencies, which
resizing destroys. A picture smaller than a window is padded by reflection and never enlarged. The same picture and
policy always give the same windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from ganfingerprint.config import WindowConfig
from ganfingerprint.types import Float32Array, Float64Array, Image, UInt8Array, Windows

_Corners = list[tuple[int, int]]  # left, top of windows in the padded picture


def cut_windows(image: Image | UInt8Array, policy: WindowConfig) -> Windows:
    """The windows of one picture (or of uint8 pixels [height, width, 3]), in reading order.

    `center`: one window in the middle. `grid`: as few windows as cover the picture, evenly spread from edge to edge;
    where `count` windows cannot cover it, the columns and rows that leave the closest spacing. `texture`: of a grid
    with a step of half a window, the `count` windows with most high-pass energy, none of which covers more than half
    of another. `resized_view` adds, last, the centred square of the whole shorter side, reduced to one window by area
    averaging; only where that reduces anything.

    Boxes are in pixels of the picture; where it was padded they reach beyond its edges.
    """
    pixels = image.pixels if isinstance(image, Image) else image
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be uint8 [height, width, 3], got {pixels.dtype} {pixels.shape}")
    size = policy.size
    padded, left, top = pad_to(pixels, size)
    corners = _place(padded, policy)
    cut = [padded[y : y + size, x : x + size] for x, y in corners]
    boxes = [(x - left, y - top, x - left + size, y - top + size) for x, y in corners]
    if policy.resized_view and min(pixels.shape[:2]) > size:
        view, box = _reduce(pixels, size)
        cut.append(view)
        boxes.append(box)
    return Windows(pixels=np.stack(cut), boxes=np.array(boxes, np.int32))  # [n, s, s, 3], [n, 4]


def pool(scores: Float32Array | Float64Array, how: str) -> float:
    """One score of a picture from the scores of its windows [n], which must be *fake* scores: higher speaks for fake.

    `max` is the strongest evidence for fake among the windows. Network logits have the opposite sign (their maximum
    is the strongest evidence for a photograph), so turn them into fake scores first, with `calibrate.fake_scores`.
    """
    if len(scores) == 0:
        raise ValueError("pool needs the score of at least one window")
    values = np.asarray(scores, np.float64)
    match how:
        case "mean":
            return float(values.mean())
        case "median":
            return float(np.median(values))
        case "max":
            return float(values.max())
    raise ValueError(f"pooling must be mean, median or max, got {how!r}")


def pad_to(pixels: UInt8Array, size: int) -> tuple[UInt8Array, int, int]:
    """The picture, reflected to at least `size` on each axis, and what that added on the left and on top."""
    height, width = pixels.shape[:2]
    wide, high = max(0, size - width), max(0, size - height)
    if wide == high == 0:
        return pixels, 0, 0
    left, top = wide // 2, high // 2
    # numpy reflects again and again where the picture is smaller than what is missing
    padded = np.pad(pixels, ((top, high - top), (left, wide - left), (0, 0)), mode="reflect")
    return padded, left, top


def _place(pixels: UInt8Array, policy: WindowConfig) -> _Corners:
    height, width = pixels.shape[:2]
    match policy.placement:
        case "center":
            return [((width - policy.size) // 2, (height - policy.size) // 2)]
        case "grid":
            columns, rows = _grid_shape(width, height, round(policy.size * (1 + policy.slack)), policy.count)
            xs, ys = _spread(width, policy.size, columns), _spread(height, policy.size, rows)
            return [(x, y) for y in ys for x in xs]
        case "texture":
            return _most_textured(pixels, policy.size, policy.count)
    raise ValueError(f"placement must be center, grid or texture, got {policy.placement!r}")


def _grid_shape(width: int, height: int, reach: int, count: int) -> tuple[int, int]:
    """Columns and rows, at most `count` in all, for which the cells that the picture falls into are smallest.

    A cell is judged by its longer side, so that its shape follows the picture's; it counts as no smaller than the
    reach of a window, so that no more windows are taken than the picture needs.
    """

    def cost(shape: tuple[int, int]) -> tuple[float, float, int]:
        sides = max(width / shape[0], reach), max(height / shape[1], reach)
        return max(sides), min(sides), shape[0] * shape[1]

    shapes = [(columns, rows) for columns in range(1, count + 1) for rows in range(1, count // columns + 1)]
    return min(shapes, key=cost)  # of equal ones the first: fewer columns


def _spread(length: int, size: int, number: int) -> list[int]:
    """Where `number` windows start along `length`: from edge to edge where they cover it.

    Where they are too few for that, each lies in the middle of its share: windows at the edges would look at the
    corners of a large picture and never at what it shows.
    """
    room = length - size
    if number * size < length or number == 1:
        return [((2 * i + 1) * length - number * size) // (2 * number) for i in range(number)]
    return [(2 * i * room + number - 1) // (2 * (number - 1)) for i in range(number)]  # rounded, in whole numbers


def _most_textured(pixels: UInt8Array, size: int, count: int) -> _Corners:
    height, width = pixels.shape[:2]
    step = max(1, size // 2)
    xs = _spread(width, size, -(-(width - size) // step) + 1)
    ys = _spread(height, size, -(-(height - size) // step) + 1)
    left, top = (axis.ravel() for axis in np.meshgrid(xs, ys))  # [n], row by row
    best_first = np.argsort(-_energy(pixels, size, xs, ys).ravel(), kind="stable")  # ties: the first in reading order
    free = np.ones(len(left), bool)
    chosen: list[int] = []
    for candidate in best_first:
        if free[candidate]:
            chosen.append(int(candidate))
            across = np.clip(size - np.abs(left - left[candidate]), 0, None)
            down = np.clip(size - np.abs(top - top[candidate]), 0, None)
            free &= 2 * across * down <= size * size
        if len(chosen) == count:
            break
    return [(int(left[i]), int(top[i])) for i in sorted(chosen)]


def _energy(pixels: UInt8Array, size: int, xs: list[int], ys: list[int]) -> NDArray[np.int64]:
    """Sum of |luma - mean of its 3 x 3 neighbours| over the window at each of xs, ys, times 9 [len(ys), len(xs)].

    In whole numbers, so that every machine orders the windows alike; band by band, so that memory stays small.
    """
    height, width = pixels.shape[:2]
    sums = np.zeros((height + 1, len(xs)), np.int64)  # of one row within each column of windows, first row 0
    starts = np.array(xs)
    for top in range(0, height, size):
        bottom = min(top + size, height)
        rows = np.clip(np.arange(top - 1, bottom + 1), 0, height - 1)
        luma = np.pad(pixels[rows].astype(np.int32) @ np.array([77, 150, 29], np.int32) >> 8, ((0, 0), (1, 1)), "edge")
        across = luma[:, :-2] + luma[:, 1:-1] + luma[:, 2:]
        around = across[:-2] + across[1:-1] + across[2:]
        energy = np.abs(9 * luma[1:-1, 1:-1] - around)  # [rows, width]
        along = np.zeros((bottom - top, width + 1), np.int64)
        np.cumsum(energy, axis=1, out=along[:, 1:])
        sums[top + 1 : bottom + 1] = along[:, starts + size] - along[:, starts]
    down = np.cumsum(sums, axis=0)  # [height + 1, len(xs)]
    lines = np.array(ys)
    return np.asarray(down[lines + size] - down[lines], np.int64)


def _reduce(pixels: UInt8Array, size: int) -> tuple[UInt8Array, tuple[int, int, int, int]]:
    """The centred square of the shorter side as one window, and the box that it shows."""
    height, width = pixels.shape[:2]
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = PilImage.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    reduced = square.resize((size, size), PilImage.Resampling.BOX)
    return np.array(reduced), (left, top, left + side, top + side)
