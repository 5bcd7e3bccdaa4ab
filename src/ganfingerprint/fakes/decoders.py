"""Small generators that copy a picture, in the many variants that a seed draws.

Auto-encoders end as those of latent diffusion and of VQ models do, image-to-image generators as CycleGAN and pix2pix
do. What they share with the large ones is the last stage: how maps are enlarged, normalised and made into colours.
That such copies carry a trace that detectors can learn from is AutoGAN's finding (Zhang et al., 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.fakes.layers import LATENTS, ResidualBlock, activation_layer, norm_layer, up_layer

KINDS = ("autoencoder", "resnet", "unet")
ORDER = ("autoencoder", "resnet", "autoencoder", "unet", "autoencoder")  # of kinds, by seed
UPS = ("nearest", "transposed4", "shuffle", "bilinear", "transposed2", "modulated", "transposed3")  # by seed
NORMS = ("none", "batch", "instance", "group")
ACTIVATIONS = ("relu", "leaky", "silu", "elu")
OUTPUTS = ("tanh", "sigmoid", "linear")
WIDTHS = (24, 32, 40, 48, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSpec:
    """What a network is built from; the same spec always builds the same layers."""

    kind: str  # of KINDS
    latent: str  # of LATENTS; auto-encoders only
    depth: int  # halvings: 2 or 3
    latent_channels: int  # auto-encoders only; a multiple of 4
    width: int  # channels of the deepest map; the finest has half
    kernel: int  # of convolutions after an enlargement: 3 or 5
    up: str  # of UPS
    norm: str  # of NORMS
    activation: str  # of ACTIVATIONS
    output: str  # of OUTPUTS
    skips: bool  # colours are made at every size and added up, as in StyleGAN2; auto-encoders only
    adversarial: bool  # trained against a patch discriminator, too
    seed: int

    @property
    def stride(self) -> int:
        """Pixels per cell of the deepest map."""
        return int(2**self.depth)

    @property
    def name(self) -> str:
        """A name for files."""
        latent = f"-{self.latent}" if self.kind == "autoencoder" else ""
        return f"{self.kind}{self.stride}{latent}-{self.up}-{self.seed}"


def draw_spec(seed: int) -> DecoderSpec:
    """The variant of a seed. Kind and way of enlarging follow each other in turn, so that a few seeds show many."""
    rng = np.random.default_rng([seed, 2019])

    def one_of(values: tuple[str, ...]) -> str:
        return values[int(rng.integers(len(values)))]

    kind, up = ORDER[seed % len(ORDER)], UPS[seed % len(UPS)]
    depth = 3 if kind == "unet" else 2 if kind == "resnet" else int(rng.integers(2, 4))
    return DecoderSpec(
        kind=kind,
        latent=one_of(tuple(LATENTS)),
        depth=depth,
        latent_channels=int(rng.choice([8, 12, 16] if depth == 2 else [24, 32, 48])),
        width=int(rng.choice(WIDTHS if kind == "autoencoder" else WIDTHS[:3])),  # the others are heavier
        kernel=int(rng.choice([3, 3, 5])),
        up=up,
        norm=one_of(NORMS),
        activation=one_of(ACTIVATIONS),
        output=one_of(OUTPUTS),
        skips=up == "modulated" or bool(rng.random() < 0.2),
        adversarial=bool(rng.random() < 1 / 3) or kind != "autoencoder",
        seed=seed,
    )


class Copier(nn.Module):
    """Base of all: takes and gives pixels in -1..1, [B, 3, h, w], sides a multiple of the spec's stride."""

    def learn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The copy of x, and a penalty of the bottleneck, to be added to the loss."""
        raise NotImplementedError

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Start from what some batches [B, 3, h, w] look like; by default from where it is."""

    def forward(self, x: Tensor) -> Tensor:
        """The copy of x."""
        return self.learn(x)[0]


class AutoEncoder(Copier):
    """Down to a latent map, and up again."""

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.output = spec.output
        widths = _widths(spec)  # finest first
        self.channels, self.stride = spec.latent_channels, spec.stride
        self.latent = LATENTS[spec.latent]()
        # One layer: a trace comes from the way up, and this way down can begin as the best linear one.
        self.encoder = nn.Conv2d(3, self.latent.expansion * self.channels, self.stride, stride=self.stride)
        deepest = widths[-1]
        self.start = nn.Sequential(
            nn.Conv2d(spec.latent_channels, deepest, 3, padding=1),
            ResidualBlock(deepest, norm=spec.norm, activation=spec.activation),
        )
        steps = list(zip(reversed(widths), reversed((widths[0], *widths[:-1])), strict=True))
        self.ups = nn.ModuleList(
            nn.Sequential(up_layer(spec.up, before, after, spec.kernel), _between(spec, after))
            for before, after in steps
        )
        self.colours = nn.ModuleList(
            nn.Conv2d(after, 3, 3, padding=1) if spec.skips or i == spec.depth - 1 else nn.Identity()
            for i, (_, after) in enumerate(steps)
        )
        self.skips = spec.skips

    def begin(self, batches: Sequence[Tensor]) -> None:
        """Let the encoder give the principal components of patches: within minutes it would not learn better ones."""
        patches = torch.cat(
            [functional.unfold(x, self.stride, stride=self.stride).movedim(1, 2).flatten(0, 1) for x in batches]
        )  # [n, 3 · stride²]
        mean = patches.mean(0)
        power, axes = torch.linalg.eigh(torch.cov(patches.T))  # rising
        axes = axes[:, -self.channels :].T  # [channels, 3 · stride²]
        # Halfway to equal variance: the small components carry the edges.
        scale = 2 * power[-self.channels :].clamp_min(1e-4) ** -0.25
        with torch.no_grad():
            self.encoder.weight.zero_()
            self.encoder.weight[: self.channels] = (scale[:, None] * axes).reshape(-1, 3, self.stride, self.stride)
            assert self.encoder.bias is not None
            self.encoder.bias.zero_()
            self.encoder.bias[: self.channels] = -scale * (axes @ mean)

    def learn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The copy of x [B, 3, h, w], and the penalty of the latent map."""
        latent, penalty = self.latent(self.encoder(x))
        return self.decode(latent), penalty

    def decode(self, latent: Tensor) -> Tensor:
        """Latent [B, c, h / stride, w / stride] → pixels [B, 3, h, w]."""
        y = self.start(latent)
        drawn: Tensor | None = None
        for up, colour in zip(self.ups, self.colours, strict=True):
            y = up(y)
            if drawn is not None:
                drawn = functional.interpolate(drawn, scale_factor=2, mode="bilinear") + colour(y)
            elif not isinstance(colour, nn.Identity):
                drawn = colour(y)
        assert drawn is not None
        return _ended(drawn, self.output)


class ResnetGenerator(Copier):
    """Two halvings, residual blocks, two enlargements (Johnson et al., 2016; the generator of CycleGAN)."""

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.output = spec.output
        fine = spec.width // 2
        layers: list[nn.Module] = [nn.Conv2d(3, fine, 7, padding=3, padding_mode="reflect"), _between(spec, fine)]
        for before, after in ((fine, spec.width), (spec.width, 2 * spec.width)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), _between(spec, after)]
        layers += [ResidualBlock(2 * spec.width, norm=spec.norm, activation=spec.activation) for _ in range(2)]
        for before, after in ((2 * spec.width, spec.width), (spec.width, fine)):
            layers += [up_layer(spec.up, before, after, spec.kernel), _between(spec, after)]
        self.body = nn.Sequential(*layers, nn.Conv2d(fine, 3, 7, padding=3, padding_mode="reflect"))

    def learn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The copy of x [B, 3, h, w], and a penalty of 0."""
        return _ended(self.body(x), self.output), x.new_zeros(())


class UnetGenerator(Copier):
    """Halvings and enlargements with the maps of one size joined, none of them full size (pix2pix, Isola et al.)."""

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.output = spec.output
        widths = _widths(spec)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), _between(spec, after))
            for before, after in zip((3, *widths), widths, strict=False)
        )
        ups: list[nn.Module] = []
        for level in reversed(range(spec.depth)):
            joined = widths[level] * (1 if level == spec.depth - 1 else 2)
            after = widths[max(level - 1, 0)]
            ups.append(nn.Sequential(up_layer(spec.up, joined, after, spec.kernel), _between(spec, after)))
        self.ups = nn.ModuleList(ups)
        self.colour = nn.Conv2d(widths[0], 3, 3, padding=1)

    def learn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The copy of x [B, 3, h, w], and a penalty of 0."""
        maps, y = [], x
        for down in self.downs:
            y = down(y)
            maps.append(y)
        for i, up in enumerate(self.ups):
            y = up(y if i == 0 else torch.cat([y, maps[-1 - i]], dim=1))
        return _ended(self.colour(y), self.output), x.new_zeros(())


def build(spec: DecoderSpec) -> Copier:
    """The network of a spec, with random weights from torch's global generator.

    Raises:
        ValueError: the spec names a kind that there is not.
        KeyError: the spec names a layer that there is not.
    """
    match spec.kind:
        case "autoencoder":
            return AutoEncoder(spec)
        case "resnet":
            return ResnetGenerator(spec)
        case "unet":
            return UnetGenerator(spec)
    raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {spec.kind!r}")


def _widths(spec: DecoderSpec) -> tuple[int, ...]:
    """Channels of the maps after each halving, the finest first."""
    return tuple(spec.width // 2 * (i + 1) if i < 2 else spec.width for i in range(spec.depth))


def _between(spec: DecoderSpec, channels: int) -> nn.Module:
    return nn.Sequential(norm_layer(spec.norm, channels), activation_layer(spec.activation))


def _ended(drawn: Tensor, output: str) -> Tensor:
    match output:
        case "tanh":
            return torch.tanh(drawn)
        case "sigmoid":
            return 2 * torch.sigmoid(drawn) - 1
    return drawn  # clipped where it becomes pixels, so that a gradient is left in training
