"""Maps of windows laid back onto the pixels of the picture that the windows were cut from."""

from __future__ import annotations

import numpy as np

from ganfingerprint.types import BoolArray, Float32Array, Int32Array


def lay_on_picture(maps: Float32Array, boxes: Int32Array, *, height: int, width: int) -> tuple[Float32Array, BoolArray]:
    """One value for each pixel of a picture from the maps of its windows.

    Each map is stretched bilinearly over its window's box, what lies past the picture's edge (padding) is dropped,
    and windows that overlap are averaged.

    Args:
        maps: [n, h, w], one map a window, of any resolution.
        boxes: [n, 4] left, top, right, bottom in picture pixels; may reach past the edges.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        values [height, width], 0 where no window looked; and the mask [height, width] of where one did.
    """
    if len(maps) != len(boxes):
        raise ValueError(f"{len(maps)} maps for {len(boxes)} windows")
    values = np.zeros((height, width), np.float32)
    looks = np.zeros((height, width), np.uint16)
    for heat, (left, top, right, bottom) in zip(maps, boxes.tolist(), strict=True):
        stretched = _stretch(bottom - top, heat.shape[0]) @ heat @ _stretch(right - left, heat.shape[1]).T
        rows = slice(max(top, 0), min(bottom, height))
        columns = slice(max(left, 0), min(right, width))
        seen = stretched[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        values[rows, columns] += seen
        looks[rows, columns] += 1
    np.divide(values, looks, out=values, where=looks > 0)
    return values, looks > 0


def _stretch(size: int, cells: int) -> Float32Array:
    """[size, cells]: row i mixes the two cells whose centres lie around the centre of pixel i of `size`."""
    places = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    first = np.minimum(places.astype(int), max(0, cells - 2))
    matrix = np.zeros((size, cells), np.float32)
    matrix[np.arange(size), first] = 1 - (places - first)
    if cells > 1:
        matrix[np.arange(size), first + 1] = places - first
    return matrix
