"""Maps of windows land on the right pixels of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from ganfingerprint.config import WindowConfig
from ganfingerprint.explain.stitch import lay_on_picture
from ganfingerprint.windows import cut_windows


def test_a_map_of_full_resolution_comes_back_pixel_for_pixel() -> None:
    heat = np.random.default_rng(1).random((1, 20, 20), np.float32)
    values, coverage = lay_on_picture(heat, np.array([[3, 5, 23, 25]], np.int32), height=40, width=30)
    assert values.shape == coverage.shape == (40, 30)
    assert values.dtype == np.float32
    assert np.array_equal(values[5:25, 3:23], heat[0])
    assert coverage.sum() == 400
    assert not values[~coverage].any()


def test_windows_that_overlap_are_averaged() -> None:
    heat = np.stack([np.full((4, 4), value, np.float32) for value in (1.0, 3.0)])
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], np.int32)
    values, coverage = lay_on_picture(heat, boxes, height=10, width=20)
    assert [float(values[4, x]) for x in (2, 7, 12, 17)] == [1.0, 2.0, 3.0, 0.0]
    assert coverage[:, :15].all()
    assert not coverage[:, 15:].any()


@pytest.mark.parametrize("box", [(-10, -6, 22, 26), (-10, 0, 22, 32), (0, -16, 32, 16)])
def test_what_lies_in_the_padding_is_dropped(box: tuple[int, int, int, int]) -> None:
    left, top, _, _ = box
    heat = (np.arange(32)[None] + 100 * np.arange(32)[:, None]).astype(np.float32)  # column + 100 * row
    values, coverage = lay_on_picture(heat[None], np.array([box], np.int32), height=20, width=12)
    seen = np.argwhere(coverage)
    assert len(seen) > 0
    for row, column in seen:
        assert values[row, column] == (column - left) + 100 * (row - top)


def test_a_coarse_map_is_stretched_bilinearly_with_cell_centres_in_place() -> None:
    coarse = np.array([[[0.0, 8.0]]], np.float32)  # cells 8 pixels wide, centres at 3.5 and 11.5
    values, _ = lay_on_picture(coarse, np.array([[0, 0, 16, 16]], np.int32), height=16, width=16)
    assert np.allclose(values[0, 4:12], np.arange(0.5, 8.5))
    assert np.allclose(values[:, :4], 0)
    assert np.allclose(values[:, 12:], 8)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (96, 96), (50, 70), (97, 1000)])
@pytest.mark.parametrize("placement", ["grid", "center", "texture"])
def test_the_windows_own_pixels_stitch_back_into_the_picture(width: int, height: int, placement: str) -> None:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    windows = cut_windows(pixels, WindowConfig(size=96, placement=placement, count=64, slack=0))
    red = windows.pixels[..., 0].astype(np.float32)
    values, coverage = lay_on_picture(red, windows.boxes, height=height, width=width)
    assert np.allclose(values[coverage], pixels[..., 0][coverage])
    assert coverage.all() == (placement == "grid" or max(width, height) <= 96) or placement == "texture"


@pytest.mark.parametrize(("cells", "side"), [(1, 5), (2, 7), (14, 224), (9, 5), (7, 100)])
def test_a_map_is_stretched_as_torch_interpolates(cells: int, side: int) -> None:
    coarse = np.random.default_rng(cells).random((1, cells, 2 * cells), np.float32)
    values, _ = lay_on_picture(coarse, np.array([[0, 0, side, side]], np.int32), height=side, width=side)
    expected = functional.interpolate(
        torch.from_numpy(coarse)[None], size=(side, side), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(values, expected[0, 0], atol=1e-6)


def test_the_number_of_maps_must_be_that_of_the_windows() -> None:
    with pytest.raises(ValueError, match="2 maps for 1 windows"):
        lay_on_picture(np.zeros((2, 4, 4), np.float32), np.zeros((1, 4), np.int32), height=8, width=8)
