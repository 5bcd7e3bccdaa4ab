"""Maps of windows laid back onto the pixels of the picture that the windows were cut from."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from ganfingerprint.types import BoolArray, Float32Array, Int32Array


def lay_on_picture(maps: torch.Tensor, boxes: Int32Array, *, height: int, width: int) -> tuple[Float32Array, BoolArray]:
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
        stretched = functional.interpolate(
            heat[None, None].float(), size=(bottom - top, right - left), mode="bilinear", align_corners=False
        )[0, 0]  # [bottom - top, right - left]
        rows = slice(max(top, 0), min(bottom, height))
        columns = slice(max(left, 0), min(right, width))
        seen = stretched[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        values[rows, columns] += seen.cpu().numpy()
        looks[rows, columns] += 1
    np.divide(values, looks, out=values, where=looks > 0)
    return values, looks > 0
