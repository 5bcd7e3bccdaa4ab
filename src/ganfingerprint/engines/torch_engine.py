"""The network in torch, as it was trained: the engine that the others are compared with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from ganfingerprint.artifact import Card, read_weights
from ganfingerprint.errors import DetectorFormatError, MissingExtraError, UsageError
from ganfingerprint.types import Outputs, UInt8Array

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as absent:
    raise MissingExtraError("torch", "train", "the torch engine") from absent

SUB_BATCH = 32  # windows at a time: bounds memory, whatever the caller sends

_PRECISIONS: dict[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class WindowNetwork(Protocol):
    """What the engine needs of a module: `FingerprintNet` has it."""

    def outputs(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B] and embeddings [B, d] of uint8 pixels [B, s, s, 3]."""
        ...


class TorchEngine:
    """Runs a module's `outputs` in evaluation mode.

    fp32 is the default on every device, and full fp32 (no TF32): one picture then has one score, wherever it is
    judged. The module is taken over: moved to the device and left in evaluation mode.
    """

    name = "torch"

    def __init__(self, model: nn.Module, device: str = "cpu", precision: str = "fp32") -> None:
        if precision not in _PRECISIONS:
            raise UsageError(f"precision '{precision}' is not known (there are: {', '.join(_PRECISIONS)})")
        self.device = pick_device(device)
        self.precision = precision
        self.model = model.to(self.device).eval()

    def run(self, windows: UInt8Array) -> Outputs:
        """Logits [n] and embeddings [n, d], float32, of windows [n, s, s, 3], n >= 1."""
        if windows.dtype != np.uint8 or windows.ndim != 4 or len(windows) == 0:
            raise ValueError(f"windows must be uint8 [n, s, s, 3] with n >= 1, got {windows.dtype} {windows.shape}")
        network = cast(WindowNetwork, self.model)
        logits, embeddings = [], []
        with torch.inference_mode(), self._arithmetic():
            for start in range(0, len(windows), SUB_BATCH):
                chunk = np.array(windows[start : start + SUB_BATCH])  # a copy: torch takes no reversed or read-only one
                pixels = torch.from_numpy(chunk).to(self.device)  # [b, s, s, 3]
                logit, embedding = network.outputs(pixels)  # [b], [b, d]
                logits.append(logit.float().cpu().numpy())
                embeddings.append(embedding.float().cpu().numpy())
        return Outputs(logits=np.concatenate(logits), embeddings=np.concatenate(embeddings))

    @contextlib.contextmanager
    def _arithmetic(self) -> Iterator[None]:
        dtype = _PRECISIONS[self.precision]
        with contextlib.ExitStack() as stack:
            if dtype is not None:
                stack.enter_context(torch.autocast(self.device.type, dtype=dtype))
            elif self.device.type == "cuda":
                stack.enter_context(torch.backends.cudnn.flags(allow_tf32=False))
            yield


def pick_device(name: str) -> torch.device:
    """The torch device of that name; `auto` is the first there is of cuda, mps and cpu.

    Raises:
        UsageError: this machine has no such device.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if name == "auto":
        return torch.device(there[0])
    if name.split(":")[0] not in there:
        raise UsageError(f"device '{name}' is not here (there are: auto, {', '.join(there)})")
    try:
        return torch.device(name)
    except RuntimeError as problem:
        raise UsageError(f"device '{name}' cannot be used: {problem}") from problem


def build(card: Card, folder: Path, *, device: str, precision: str) -> TorchEngine:
    """The engine of the detector in `folder`.

    Raises:
        DetectorError: the weights are damaged, or are not those of the card's architecture.
        UsageError: no such device or precision.
    """
    from ganfingerprint.network.fingerprint_net import build_network

    # a generator of its own: loading a detector draws nothing from the random state of the process
    model = build_network(card.network_config, pretrained=False, generator=torch.Generator().manual_seed(0))
    _load_state(model, {name: torch.from_numpy(tensor) for name, tensor in read_weights(folder, card).items()}, folder)
    return TorchEngine(model, device=device, precision=precision)


def _load_state(model: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    """Every tensor of the one in the other: a network with a random layer left in it would still give answers."""
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as problem:
        lines = [line.strip() for line in str(problem).splitlines()]
        detail = " ".join(lines[1:4])[:500]
        raise DetectorFormatError(f"{folder}: the weights are not of the card's architecture. {detail}") from problem
