"""The small layers that the network is made of, and how new layers start."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional


@runtime_checkable
class StartsItself(Protocol):
    """A layer that knows better than `initialise` how some of its weights start."""

    def initialise(self, generator: torch.Generator | None) -> None:
        """Draw those weights from `generator` (None: torch's own)."""
        ...


class SpatialAttention(nn.Module):
    """Weighs each cell of a map by a number in 0..1 that a 1×1 convolution finds there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, kernel_size=1)

    def attention_map(self, x: Tensor) -> Tensor:
        """The weights of the cells of x [B, C, h, w]: [B, 1, h, w], each in 0..1."""
        return torch.sigmoid(self.conv(x))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] → [B, C, h, w]."""
        return x * self.attention_map(x)

    def initialise(self, generator: torch.Generator | None) -> None:
        """Start gates near one half: one output channel makes fan-out far too wide and would saturate them."""
        nn.init.normal_(self.conv.weight, std=self.conv.in_channels**-0.5, generator=generator)


class SelfAttention(nn.Module):
    """Dot-product attention between the cells of a map, added with a learnt gain that starts at 0.

    The design is that of SAGAN (Zhang et al., 2019): queries and keys of C/8 channels, energies not scaled.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, kernel_size=1)
        self.key = nn.Conv2d(channels, channels // 8, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def attention_map(self, x: Tensor) -> Tensor:
        """How much each cell (row) of x [B, C, h, w] looks at each other: [B, hw, hw], rows sum to 1."""
        query = self.query(x).flatten(2)  # [B, C/8, hw]
        key = self.key(x).flatten(2)  # [B, C/8, hw]
        energies: Tensor = query.transpose(1, 2) @ key  # [B, hw, hw]
        return torch.softmax(energies, dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] → [B, C, h, w]; the identity while `gamma` is 0."""
        value: Tensor = self.value(x).flatten(2)  # [B, C, hw]
        # Plain products: a map has at most a few hundred cells, and the fused kernels are not deterministic on a GPU.
        seen = value @ self.attention_map(x).to(value.dtype).transpose(1, 2)  # [B, C, hw]
        return x + self.gamma * seen.reshape(x.shape)

    def initialise(self, generator: torch.Generator | None) -> None:
        """Start with energies of order one: they are unscaled, and wider ones begin in a softmax without gradient."""
        fan_in, depth = self.query.in_channels, self.query.out_channels
        for projection in (self.query, self.key):
            nn.init.normal_(projection.weight, std=fan_in**-0.5 * depth**-0.25, generator=generator)
        nn.init.normal_(self.value.weight, std=fan_in**-0.5, generator=generator)
        nn.init.zeros_(self.gamma)


class FrequencyAwareness(nn.Module):
    """Looks at a map as it is and at its high-pass, x − avgpool3(x), with the same filters.

    The two branches share the convolutions but not the batch norms: their statistics are far apart, and shared
    running means would fit neither.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.bn1_freq = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.bn2_freq = nn.BatchNorm2d(out_channels)

    @staticmethod
    def high_pass(x: Tensor) -> Tensor:
        """x − the mean of its 3×3 neighbourhood (zeros outside), [B, C, h, w]."""
        return x - functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, h, w] → [B, C_out, h, w], never negative."""
        spatial = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        freq = self.bn2_freq(self.conv2(functional.relu(self.bn1_freq(self.conv1(self.high_pass(x))))))
        return functional.relu(spatial + freq)


class FingerprintBlock(nn.Module):
    """FrequencyAwareness, SpatialAttention, then whole feature maps dropped at random while training."""

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.freq_aware = FrequencyAwareness(in_channels, out_channels)
        self.spatial_attn = SpatialAttention(out_channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, h, w] → [B, C_out, h, w]."""
        features: Tensor = self.dropout(self.spatial_attn(self.freq_aware(x)))
        return features


def conv_norm_relu(in_channels: int, out_channels: int, *, kernel_size: int) -> nn.Sequential:
    """Convolution that keeps the grid, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=kernel_size, padding=kernel_size // 2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def pool_to_grid(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Adaptive average pooling of x [B, C, H, W] to [B, C, *grid]: every cell of x counts.

    Equal to `adaptive_avg_pool2d`, whose gradient torch cannot compute deterministically on a GPU.
    """
    height, width = int(x.shape[-2]), int(x.shape[-1])  # a trace would keep them open, for pooling that needs numbers
    grid = int(grid[0]), int(grid[1])
    if (height, width) == grid:
        return x
    if height % grid[0] == 0 and width % grid[1] == 0:
        return functional.avg_pool2d(x, kernel_size=(height // grid[0], width // grid[1]))
    rows = _pooling_matrix(height, grid[0]).to(x)  # [h, H]
    columns = _pooling_matrix(width, grid[1]).to(x)  # [w, W]
    return rows @ x @ columns.T


def _pooling_matrix(size: int, cells: int) -> Tensor:
    """[cells, size]: row i averages the positions floor(i·size/cells) to ceil((i+1)·size/cells)."""
    rows = []
    for i in range(cells):
        start, stop = i * size // cells, -((i + 1) * size // -cells)
        rows.append([1 / (stop - start) if start <= j < stop else 0.0 for j in range(size)])
    return torch.tensor(rows)


def initialise(root: nn.Module, generator: torch.Generator | None) -> None:
    """Initialise every layer under `root` from `generator` (None: torch's own).

    Convolutions: He et al., 2015, fan-out, for the ReLU behind them. Linear layers: variance 1/inputs, so that
    hidden units and residual path start at order one; the published N(0, 0.01) makes the gradient through the last
    layers about a tenth of that. Norms: identity. Layers with an `initialise` of their own (the attentions, the
    classifier) then have the last word.
    """
    for module in root.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5, generator=generator)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in root.modules():
        if isinstance(module, StartsItself):
            module.initialise(generator)
