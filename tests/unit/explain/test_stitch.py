"""Maps of windows land on the right pixels of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganfingerprint.config import WindowConfig
from ganfingerprint.explain.stitch import lay_on_picture
from ganfingerprint.windows import cut_windows


def test_a_map_of_full_resolution_comes_back_pixel_for_pixel() -> None:
    heat = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(1))
    values, coverage = lay_on_picture(heat, np.array([[3, 5, 23, 25]], np.int32), height=40, width=30)
    assert values.shape == coverage.shape == (40, 30)
    assert values.dtype == np.float32
    assert np.array_equal(values[5:25, 3:23], heat[0].numpy())
    assert coverage.sum() == 400
    assert not values[~coverage].any()


def test_windows_that_overlap_are_averaged() -> None:
    heat = torch.tensor([1.0, 3.0])[:, None, None].expand(2, 4, 4)
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], np.int32)
    values, coverage = lay_on_picture(heat, boxes, height=10, width=20)
    assert [float(values[4, x]) for x in (2, 7, 12, 17)] == [1.0, 2.0, 3.0, 0.0]
    assert coverage[:, :15].all()
    assert not coverage[:, 15:].any()


@pytest.mark.parametrize("box", [(-10, -6, 22, 26), (-10, 0, 22, 32), (0, -16, 32, 16)])
def test_what_lies_in_the_padding_is_dropped(box: tuple[int, int, int, int]) -> None:
    left, top, _, _ = box
    heat = torch.arange(32.0)[None].expand(32, 32) + 100 * torch.arange(32.0)[:, None]  # column + 100 * row
    values, coverage = lay_on_picture(heat[None], np.array([box], np.int32), height=20, width=12)
    seen = np.argwhere(coverage)
    assert len(seen) > 0
    for row, column in seen:
        assert values[row, column] == (column - left) + 100 * (row - top)


def test_a_coarse_map_is_stretched_bilinearly_with_cell_centres_in_place() -> None:
    coarse = torch.tensor([[[0.0, 8.0]]])  # cells 8 pixels wide, centres at 3.5 and 11.5
    values, _ = lay_on_picture(coarse, np.array([[0, 0, 16, 16]], np.int32), height=16, width=16)
    assert np.allclose(values[0, 4:12], np.arange(0.5, 8.5))
    assert np.allclose(values[:, :4], 0)
    assert np.allclose(values[:, 12:], 8)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (96, 96), (50, 70), (97, 1000)])
@pytest.mark.parametrize("placement", ["grid", "center", "texture"])
def test_the_windows_own_pixels_stitch_back_into_the_picture(width: int, height: int, placement: str) -> None:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    windows = cut_windows(pixels, WindowConfig(size=96, placement=placement, count=64, slack=0))
    red = torch.from_numpy(windows.pixels[..., 0]).float()
    values, coverage = lay_on_picture(red, windows.boxes, height=height, width=width)
    assert np.allclose(values[coverage], pixels[..., 0][coverage])
    assert coverage.all() == (placement == "grid" or max(width, height) <= 96) or placement == "texture"


def test_the_number_of_maps_must_be_that_of_the_windows() -> None:
    with pytest.raises(ValueError, match="2 maps for 1 windows"):
        lay_on_picture(torch.zeros(2, 4, 4), np.zeros((1, 4), np.int32), height=8, width=8)
