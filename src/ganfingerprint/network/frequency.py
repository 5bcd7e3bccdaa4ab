"""The spectrum of a window, and the branch that reads it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganfingerprint.network.layers import conv_norm_relu, pool_to_grid


class LogSpectrum(nn.Module):
    """Logarithm of the magnitude of the two-dimensional spectrum; the document's DCTLayer.

    The half-plane is as the transform gives it: frequency 0 in the corner, not shifted, not standardised.
    """

    floor = 1e-10

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → float32 [B, C, H, W // 2 + 1], log(|rfft2(x)| + 1e-10).

        Always in float32, under autocast too: half precision has neither the transform nor the range.
        """
        return torch.log(torch.fft.rfft2(x.float()).abs() + self.floor)


class FrequencyEncoder(nn.Module):
    """Three convolutions on the log spectrum, averaged to the grid of the spatial maps.

    The document's width of 64 costs as much as a ResNet-34 on the same window; a light network wants less.
    """

    def __init__(self, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.out_channels = 4 * width
        self.spectrum = LogSpectrum()
        self.conv1 = conv_norm_relu(in_channels, width, kernel_size=3)
        self.conv2 = nn.Sequential(*conv_norm_relu(width, 2 * width, kernel_size=3), nn.MaxPool2d(2))
        self.conv3 = nn.Sequential(*conv_norm_relu(2 * width, 4 * width, kernel_size=3), nn.MaxPool2d(2))

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Normalised windows [B, 3, H, W] → [B, 4 * width, *grid]."""
        spectrum = self.spectrum(x).to(x.dtype)
        return pool_to_grid(self.conv3(self.conv2(self.conv1(spectrum))), grid)
