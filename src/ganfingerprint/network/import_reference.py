"""Reads checkpoints of the published reference code (FingerprintNet on torchvision's ResNet-34)."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import DetectorFormatError, DetectorMissingError
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network

# torchvision's children in order: 0 conv1, 1 bn1, 2 relu, 3 maxpool, 4 layer1 | layer2 | layer3, layer4
_BACKBONE = {
    "backbone_low.0.": "conv1.",
    "backbone_low.1.": "bn1.",
    "backbone_low.4.": "layer1.",
    "backbone_mid.0.": "layer2.",
    "backbone_high.0.": "layer3.",
    "backbone_high.1.": "layer4.",
}
_RENAMED = {
    "fusion_layer.": "fusion.",
    "fingerprint_block.": "fingerprint.",
    "classifier.residual_adapter.": "classifier.residual.",
    "classifier.classifier.": "classifier.output.",
}
_SHARED_NORM = re.compile(r"fingerprint\.freq_aware\.(bn[12])\.")

# The published checkpoints keep numpy's random state and scores as numpy numbers beside the weights. These
# constructors build data and nothing else; both spellings, as numpy 2 moved the module.
_NUMPY_DATA = ("_reconstruct", "scalar")


def read_reference_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The weights in a checkpoint file of the reference code, under its own names.

    Takes the file that its training writes (`model_state_dict` among others) or the weights alone. Nothing in the
    file is executed.

    Raises:
        DetectorMissingError: there is no such file.
        DetectorFormatError: not a torch checkpoint, one that needs code to be read, or one without weights.
    """
    path = Path(path)
    if not path.is_file():
        raise DetectorMissingError(f"{path}: there is no such file")
    try:
        with torch.serialization.safe_globals(_numpy_constructors()):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        reason = re.search(r"(?:GLOBAL|Unsupported [\w ]+) (\S+)", str(problem))
        what = f" ({reason[1].rstrip('.,')})" if reason else ""
        raise DetectorFormatError(
            f"{path}: not a checkpoint that can be read without running code from it{what}"
        ) from problem
    except (RuntimeError, ValueError, EOFError, KeyError, OSError) as problem:
        raise DetectorFormatError(f"{path}: not a torch checkpoint, or a damaged one: {problem}") from problem
    state = content.get("model_state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise DetectorFormatError(f"{path}: holds no weights (expected `model_state_dict`)")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def import_reference_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reference code's weights under our names, for the network of a default `NetworkConfig`.

    Both norms of each pair in FrequencyAwareness receive the one that the reference shares, so that its outputs are
    the same. Those of the whole are near, not equal: the published spectrum branch takes single points of its maps,
    ours averages them.

    Args:
        state: its `model_state_dict`, as `read_reference_checkpoint` gives it; tensors are not copied.

    Raises:
        DetectorFormatError: weights are missing, unknown or of another shape; every one is named.
    """
    network = build_network(NetworkConfig(), generator=torch.Generator(), pretrained=False)
    expected = network.state_dict()
    imported: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for theirs, value in state.items():
        for ours in _our_names(theirs, network):
            imported[ours], origin[ours] = value, theirs
    mistakes = [f"unknown {origin[name]}" for name in imported if name not in expected]
    mistakes += [f"missing {name}" for name in expected if name not in imported and not _is_copy(name)]
    mistakes += [
        f"{origin[name]} is {list(value.shape)}, not {list(expected[name].shape)}"
        for name, value in imported.items()
        if name in expected and value.shape != expected[name].shape
    ]
    if mistakes:
        more = f" and {len(mistakes) - 8} more" if len(mistakes) > 8 else ""
        raise DetectorFormatError(f"not weights of the reference network: {'; '.join(mistakes[:8])}{more}")
    return imported


def _our_names(name: str, network: FingerprintNet) -> list[str]:
    """Our names of the reference's parameter `name`; two for a norm that it shares."""
    for start, published in _BACKBONE.items():
        if name.startswith(start):
            return ["backbone." + network.backbone.published_name(published + name.removeprefix(start))]
    for start, ours in _RENAMED.items():
        if name.startswith(start):
            name = ours + name.removeprefix(start)
    if _SHARED_NORM.match(name):
        return [name, _SHARED_NORM.sub(r"fingerprint.freq_aware.\1_freq.", name)]
    return [name]


def _is_copy(name: str) -> bool:
    """Whether the name is filled from another one, whose absence is told already."""
    return re.match(r"fingerprint\.freq_aware\.bn[12]_freq\.", name) is not None


def _numpy_constructors() -> list[Any]:
    import numpy as np
    from numpy._core import multiarray

    moved = [
        (getattr(multiarray, name), f"{module}.multiarray.{name}")
        for name in _NUMPY_DATA
        for module in ("numpy.core", "numpy._core")
    ]
    dtypes = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.uint32, np.bool_)]
    return [*moved, np.ndarray, np.dtype, *dtypes]
