"""A network whose evidence is its colour, so that every heat map can be told beforehand, and one of the real kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.config import NetworkConfig
from ganfingerprint.explain.gradcam import GradCAM
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.types import Label, UInt8Array


class ColourNet(nn.Module):
    """Red is evidence for fake, blue for real: logit = 10 (mean blueness - mean redness), in the network's sign."""

    cell = 8  # pixels a cell of its map

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        self.conv.weight.data = torch.tensor([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])[..., None, None]
        self.fingerprint = nn.Sequential(nn.ReLU(), nn.AvgPool2d(1))
        self.later = nn.Sequential(nn.LeakyReLU(1.0, inplace=True), nn.BatchNorm2d(2, eps=0.0), nn.Dropout2d(0.5))
        self.before: Callable[[], None] = lambda: None

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.fingerprint

    @staticmethod
    def evidence(logits: Tensor, label: Label) -> Tensor:
        return logits if label is Label.REAL else -logits

    def forward(self, pixels: Tensor) -> Tensor:
        return self.answers(pixels)[0]

    def answers(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float() / 255, self.cell)
        x = self.conv(x)
        self.before()
        pooled = self.later(self.fingerprint(x)).mean(dim=(2, 3))  # [B, 2]
        return 10 * (pooled[:, 1] - pooled[:, 0]), torch.zeros(len(pixels), 512)

    def explained(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with GradCAM(self) as gradcam:
            heat = gradcam(pixels, Label.FAKE, rectify=False)
        return *self.answers(pixels), heat


@pytest.fixture
def model() -> ColourNet:
    return ColourNet().eval()


@pytest.fixture
def quadrants() -> UInt8Array:
    """One window [1, 96, 96, 3], grey, red in its upper left quarter and blue in its lower right one."""
    pixels = np.full((1, 96, 96, 3), 90, np.uint8)
    pixels[0, :48, :48] = (255, 0, 0)
    pixels[0, 48:, 48:] = (0, 0, 255)
    return pixels


@pytest.fixture(scope="module")
def network() -> FingerprintNet:
    torch.set_num_threads(1)
    config = NetworkConfig(backbone="resnet18", pretrained="none")
    return build_network(config, generator=torch.Generator().manual_seed(3)).eval()
