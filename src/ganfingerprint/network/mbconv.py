"""Trunk of inverted residual blocks, shared by EfficientNet-Lite and MobileNetV2 (Sandler et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.network.backbones import Backbone, FeatureMaps, Triple, checked_taps, init_random

STEM_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one width; only the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int  # the hidden width is the input width times this
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvStyle:
    """What differs between weights made in TensorFlow and in torch."""

    tf_same: bool  # pad a stride of 2 like TensorFlow's SAME: what is odd goes to the right and the bottom
    eps: float  # of the batch norms
    momentum: float  # of the batch norms, share of the new batch


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and (optional) ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: ConvStyle,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        self.explicit = style.tf_same and stride > 1
        padding = 0 if self.explicit else kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=style.eps, momentum=style.momentum)
        self.act = nn.ReLU6(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] → [B, outputs, ceil(h / stride), ceil(w / stride)]."""
        if self.explicit:
            kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
            top, bottom = same_padding(x.shape[2], kernel, stride)
            left, right = same_padding(x.shape[3], kernel, stride)
            x = functional.pad(x, (left, right, top, bottom))
        return cast(Tensor, self.act(self.norm(self.conv(x))))


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1 without activation; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, style: ConvStyle, *, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.expand = ConvNorm(inputs, hidden, style) if expand > 1 else None
        self.depthwise = ConvNorm(hidden, hidden, style, kernel=kernel, stride=stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, style, act=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] → [B, outputs, h / stride, w / stride]."""
        hidden = x if self.expand is None else self.expand(x)
        out = cast(Tensor, self.project(self.depthwise(hidden)))
        return x + out if self.shortcut else out


class MBConvNet(Backbone):
    """Stem of stride 2 and the stages up to the last tap; maps are the outputs of the tapped stages."""

    def __init__(self, stages: tuple[Stage, ...], taps: tuple[int, ...], style: ConvStyle) -> None:
        chosen = checked_taps(taps, len(stages))
        kept = stages[: chosen[2]]
        strides = [2]
        for stage in kept:
            strides.append(strides[-1] * stage.stride)
        super().__init__(
            channels=cast(Triple, tuple(stages[tap - 1].channels for tap in chosen)),
            strides=cast(Triple, tuple(strides[tap] for tap in chosen)),
        )
        self.stem = ConvNorm(3, STEM_CHANNELS, style, kernel=3, stride=2)
        self.blocks = nn.ModuleList()
        width, ends = STEM_CHANNELS, [0]
        for stage in kept:
            for index in range(stage.repeats):
                stride = stage.stride if index == 0 else 1
                block = InvertedResidual(
                    width, stage.channels, style, kernel=stage.kernel, stride=stride, expand=stage.expand
                )
                self.blocks.append(block)
                width = stage.channels
            ends.append(len(self.blocks))
        self.tapped = tuple(ends[tap] for tap in chosen)  # counted in blocks
        init_random(self)

    def forward(self, x: Tensor) -> FeatureMaps:
        """The three maps of normalised windows [B, 3, s, s]."""
        maps: list[Tensor] = []
        x = self.stem(x)
        for count, block in enumerate(self.blocks, start=1):
            x = block(x)
            if count in self.tapped:
                maps.append(x)
        return FeatureMaps(*maps)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of `size` pixels, as TensorFlow's SAME has them; the kernel covers the stride."""
    total = -size % stride + kernel - stride
    return total // 2, total - total // 2
