"""The parts that generators are made of: ways to enlarge a map, norms, activations, bottlenecks."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

CODES = 512  # entries of a code book
CODE_WIDTH = 4  # channels that share one entry


def norm_layer(name: str, channels: int) -> nn.Module:
    """`none`, `batch`, `instance` or `group` normalisation of maps [B, channels, h, w]."""
    layers: dict[str, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "batch": lambda: nn.BatchNorm2d(channels),
        "instance": lambda: StyledNorm(channels),
        "group": lambda: nn.GroupNorm(math.gcd(8, channels), channels),
    }
    return layers[name]()


def activation_layer(name: str) -> nn.Module:
    """`relu`, `leaky`, `silu` or `elu`."""
    layers: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky": lambda: nn.LeakyReLU(0.2),
        "silu": nn.SiLU,
        "elu": nn.ELU,
    }
    return layers[name]()


def up_layer(name: str, channels: int, wanted: int, kernel: int) -> nn.Module:
    """[B, channels, h, w] → [B, wanted, 2h, 2w], each way with the periodic trace of its own.

    `transposed2`, `transposed3`, `transposed4` (by kernel), `nearest` and `bilinear` before a convolution of `kernel`,
    `shuffle` (pixel shuffle after it), `modulated` (as in StyleGAN2).
    """
    layers: dict[str, Callable[[], nn.Module]] = {
        "transposed2": lambda: nn.ConvTranspose2d(channels, wanted, 2, stride=2),
        "transposed3": lambda: nn.ConvTranspose2d(channels, wanted, 3, stride=2, padding=1, output_padding=1),
        "transposed4": lambda: nn.ConvTranspose2d(channels, wanted, 4, stride=2, padding=1),
        "nearest": lambda: nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(channels, wanted, kernel, padding=kernel // 2)
        ),
        "bilinear": lambda: nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(channels, wanted, kernel, padding=kernel // 2),
        ),
        "shuffle": lambda: nn.Sequential(
            nn.Conv2d(channels, 4 * wanted, kernel, padding=kernel // 2), nn.PixelShuffle(2)
        ),
        "modulated": lambda: ModulatedUp(channels, wanted, kernel),
    }
    return layers[name]()


class ModulatedUp(nn.Module):
    """Enlargement by a convolution whose filters a style scales, with noise (StyleGAN2, Karras et al., 2020).

    The style is the mean of the map itself, as there is no latent vector here.
    """

    def __init__(self, channels: int, wanted: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(wanted, channels, kernel, kernel) / math.sqrt(channels * kernel**2))
        self.bias = nn.Parameter(torch.zeros(wanted))
        self.style = nn.Linear(channels, channels)
        self.noise = nn.Parameter(torch.full((1,), 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] → [B, wanted, 2h, 2w]."""
        style = 1 + self.style(x.mean((2, 3)))  # [B, channels]
        # Scaling the input is scaling the filters; what that does to the output's size is then taken back.
        scale = torch.einsum("oikl,bi->bo", self.weight.square(), style.square()).add(1e-6).rsqrt()  # [B, wanted]
        large = functional.interpolate(x * style[:, :, None, None], scale_factor=2, mode="bilinear")
        drawn = functional.conv2d(large, self.weight, padding=self.weight.shape[-1] // 2) * scale[:, :, None, None]
        noise = torch.randn(drawn.shape[0], 1, *drawn.shape[2:], dtype=drawn.dtype)
        return drawn + self.noise * noise + self.bias[:, None, None]


class StyledNorm(nn.Module):
    """Instance normalisation whose scale and shift come from what it takes away (AdaIN of StyleGAN, the map as style).

    Plain instance normalisation forgets how bright and how contrasted a picture is, which a copy must know.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.style = nn.Linear(2 * channels, 2 * channels)
        nn.init.normal_(self.style.weight, std=0.02)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, h, w] → the same."""
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0)
        deviation = (variance + 1e-5).sqrt()
        scale, shift = self.style(torch.cat([mean, deviation], dim=1)).chunk(2, dim=1)
        gain = (1 + scale) / deviation  # [B, channels]
        normed: Tensor = x * gain[:, :, None, None] + (shift - mean * gain)[:, :, None, None]
        return normed


class ResidualBlock(nn.Module):
    """Two convolutions that add to the map."""

    def __init__(self, channels: int, *, norm: str, activation: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            norm_layer(norm, channels),
            activation_layer(activation),
            nn.Conv2d(channels, channels, 3, padding=1),
            norm_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] → [B, C, h, w]."""
        added: Tensor = self.body(x)
        return x + added


class PlainLatent(nn.Module):
    """The latent map as it is."""

    expansion = 1  # channels that it takes for each that it gives

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The map [B, C, h, w], and a penalty of 0."""
        return z, z.new_zeros(())


class NormalLatent(nn.Module):
    """Mean and log variance; in training a sample, afterwards the mean (Kingma and Welling, 2014)."""

    expansion = 2

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2C, h, w] → the map [B, C, h, w], and its divergence from a normal one, small as in Rombach et al."""
        mean, log_variance = z.float().chunk(2, dim=1)
        log_variance = (log_variance - 4).clamp(-12, 4)  # begins with little noise, else it learns slowly
        penalty = 1e-4 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        if not self.training:
            return mean, penalty
        return mean + torch.randn_like(mean) * (log_variance / 2).exp(), penalty


class CodedLatent(nn.Module):
    """Every `CODE_WIDTH` channels replaced by the nearest entry of a code book (van den Oord et al., 2017)."""

    expansion = 1

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(CODES, CODE_WIDTH))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))
        self.begun: Tensor

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The coded map, whose gradient is that of the map [B, C, h, w], and what pulls both together."""
        batch, channels, height, width = z.shape
        vectors = z.float().reshape(batch, -1, CODE_WIDTH, height, width).movedim(2, -1)  # [B, C/4, h, w, 4]
        flat = vectors.reshape(-1, CODE_WIDTH)
        if self.training and not self.begun:  # a book of random entries would mostly stay unread
            with torch.no_grad():
                self.codes.copy_(flat[torch.randint(len(flat), (CODES,))])
                self.begun.fill_(True)
        nearest = torch.cdist(flat.detach(), self.codes.detach()).argmin(dim=1)
        coded = self.codes[nearest].reshape(vectors.shape)
        penalty = (coded - vectors.detach()).square().mean() + 0.25 * (coded.detach() - vectors).square().mean()
        through = vectors + (coded - vectors).detach()
        return through.movedim(-1, 2).reshape(batch, channels, height, width), penalty


LATENTS: dict[str, type[PlainLatent] | type[NormalLatent] | type[CodedLatent]] = {
    "plain": PlainLatent,
    "kl": NormalLatent,
    "vq": CodedLatent,
}
"""The bottlenecks of auto-encoders."""
