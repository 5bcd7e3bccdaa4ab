"""The weights that a run begins with when it goes on from a detector."""

from __future__ import annotations

from pathlib import Path

import torch

from ganfingerprint.artifact import read_card, read_weights
from ganfingerprint.errors import ConfigError
from ganfingerprint.network.adapters import adapter_parameters
from ganfingerprint.network.fingerprint_net import FingerprintNet


def start_from(model: FingerprintNet, folder: Path) -> None:
    """Copy all weights of the detector in `folder` into `model`; only adapters may be new.

    Raises:
        DetectorError: there is no detector, or its weights are damaged.
        ConfigError: it is one of another architecture.
    """
    card = read_card(folder)
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
