"""The weights that a run begins with when it goes on from a detector."""

from __future__ import annotations

from pathlib import Path

import torch

from ganfingerprint.artifact import read_card, read_weights
from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import ConfigError
from ganfingerprint.network.adapters import adapter_parameters
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.storage import stored_architecture

# What may differ: how the weights learn, not what they mean.
_FREE = ("adapter_rank", "patch_dropout", "train_backbone", "pretrained", "dropout")


def start_from(model: FingerprintNet, config: NetworkConfig, folder: Path) -> None:
    """Copy all weights of the detector in `folder` into `model` of architecture `config`; only adapters may be new.

    Raises:
        DetectorError: there is no detector, or its weights are damaged.
        ConfigError: it is one of another architecture.
    """
    card = read_card(folder)
    theirs, ours = stored_architecture(card.network_config), stored_architecture(config)
    different = [name for name in ours if name not in _FREE and theirs[name] != ours[name]]
    if different:
        listed = ", ".join(f"network.{name}" for name in different)
        raise ConfigError([f"optim.start_from: {folder} is a detector of another architecture; it differs in {listed}"])
    state = {name: torch.from_numpy(array) for name, array in read_weights(folder, card).items()}
    own = model.state_dict()
    new = {f"backbone.{name}" for name, _ in adapter_parameters(model.backbone)}
    others = sorted((own.keys() ^ state.keys()) - (new - state.keys()))
    others += sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        raise ConfigError([f"optim.start_from: {folder} is a detector of another architecture; it differs in {shown}"])
    model.load_state_dict({**own, **state})
    model.backbone.weights_origin = f"detector {card.detector_id}"
