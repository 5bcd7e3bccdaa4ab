"""A network's weights and settings in the form in which a detector stores them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.artifact import Int8Tensor
from ganfingerprint.config import NetworkConfig, to_mapping
from ganfingerprint.network.backbones import BACKBONES
from ganfingerprint.network.clip_weights import clip_int8_tensors
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.pretrained import find_packaged

_INT8_BACKBONE = "clip-vit-b16"


def stored_architecture(config: NetworkConfig) -> dict[str, Any]:
    """The settings for a card, with nothing left open: a later version may have other taps of its own.

    Where the backbone's weights once came from is no part of it: they ride along.
    """
    taps = config.taps or BACKBONES[config.backbone].taps
    return to_mapping(dataclasses.replace(config, taps=taps, pretrained="none"))


def stored_state(model: FingerprintNet, backbone: str) -> dict[str, NDArray[Any] | Int8Tensor]:
    """The state dictionary as arrays; weights that came as 8-bit integers and never changed go back to just those.

    A tensor is stored as integers only when it equals them bit for bit, so nothing is ever lost.
    """
    arrays = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    if backbone != _INT8_BACKBONE:
        return {**arrays}
    row = BACKBONES[backbone]
    path = find_packaged(row.weights, row.package)
    small: dict[str, Int8Tensor] = {}
    for name, (values, scale, zero) in ({} if path is None else clip_int8_tensors(path)).items():
        tensor = Int8Tensor(values=values, scale=scale, zero=zero)
        full = f"backbone.{name}"
        if full in arrays and np.array_equal(tensor.opened(), arrays[full]):
            small[full] = tensor
    return {**arrays, **small}
