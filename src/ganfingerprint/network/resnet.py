"""ResNet-18 and -34 (He et al., 2015) out of the modules of `transformers`, built without network access."""

from __future__ import annotations

import re
from typing import cast

from torch import Tensor, nn

from ganfingerprint.errors import MissingExtraError
from ganfingerprint.network.backbones import Backbone, FeatureMaps, Triple, checked_taps, init_random

WIDTHS = (64, 128, 256, 512)
STRIDES = (4, 8, 16, 32)

_BLOCK_PARTS = {
    "conv1": "layer.0.convolution",
    "bn1": "layer.0.normalization",
    "conv2": "layer.1.convolution",
    "bn2": "layer.1.normalization",
    "downsample.0": "shortcut.convolution",
    "downsample.1": "shortcut.normalization",
}
_STEM_PARTS = {"conv1": "convolution", "bn1": "normalization"}


class ResNet(Backbone):
    """Stem (stride 4 with its pooling) and the stages up to the last tap; maps are the outputs of tapped stages."""

    def __init__(self, depths: tuple[int, ...], taps: tuple[int, ...]) -> None:
        chosen = checked_taps(taps, len(WIDTHS))
        super().__init__(
            channels=cast(Triple, tuple(WIDTHS[tap - 1] for tap in chosen)),
            strides=cast(Triple, tuple(STRIDES[tap - 1] for tap in chosen)),
        )
        self.taps = chosen
        embedder, stages = _modules(depths)
        self.embedder = embedder
        self.stages = nn.ModuleList(stages[: chosen[2]])
        init_random(self)
        _start_as_shortcuts(self.stages)

    def forward(self, x: Tensor) -> FeatureMaps:
        """The three maps of normalised windows [B, 3, s, s]."""
        maps: list[Tensor] = []
        x = self.embedder(x)
        for count, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if count in self.taps:
                maps.append(x)
        return FeatureMaps(*maps)

    def published_name(self, name: str) -> str:
        """Our name of a parameter of the Hugging Face weights (microsoft/resnet-34) or of torchvision's."""
        inner = name.removeprefix("resnet.").removeprefix("encoder.")
        stem = re.fullmatch(r"(conv1|bn1)\.(\w+)", inner)
        if stem is not None:
            return f"embedder.embedder.{_STEM_PARTS[stem[1]]}.{stem[2]}"
        block = re.fullmatch(r"layer([1-4])\.(\d+)\.((?:conv|bn)[12]|downsample\.[01])\.(\w+)", inner)
        if block is not None:
            return f"stages.{int(block[1]) - 1}.layers.{block[2]}.{_BLOCK_PARTS[block[3]]}.{block[4]}"
        return inner


def _start_as_shortcuts(stages: nn.ModuleList) -> None:
    """Let every block begin as its shortcut alone: its last norm starts at 0 (Goyal et al., 2017, section 5.1).

    From random weights that is what lets a few thousand windows teach 34 layers anything.
    """
    for stage in stages:
        for block in stage.layers:  # type: ignore[union-attr]  # a module of transformers
            nn.init.zeros_(block.layer[-1].normalization.weight)


def _modules(depths: tuple[int, ...]) -> tuple[nn.Module, list[nn.Module]]:
    try:
        from transformers import ResNetConfig  # slow to import, so only when a ResNet is wanted
        from transformers.models.resnet.modeling_resnet import ResNetBackbone
    except ImportError as problem:
        raise MissingExtraError("transformers", "train", "a ResNet backbone") from problem
    config = ResNetConfig(embedding_size=64, hidden_sizes=list(WIDTHS), depths=list(depths), layer_type="basic")
    whole = ResNetBackbone(config)
    return whole.embedder, list(whole.encoder.stages)


def resnet34(taps: tuple[int, ...]) -> ResNet:
    """ResNet-34 with maps after the given three of its four stages, randomly initialised."""
    return ResNet((3, 4, 6, 3), taps)


def resnet18(taps: tuple[int, ...]) -> ResNet:
    """ResNet-18 with maps after the given three of its four stages, randomly initialised."""
    return ResNet((2, 2, 2, 2), taps)
