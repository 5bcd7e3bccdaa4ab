"""The network in torch, as it was trained: the engine that the others are compared with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from ganfingerprint.artifact import Card, read_weights
from ganfingerprint.engines.base import chunks, joined
from ganfingerprint.errors import DetectorFormatError, MissingExtraError, UsageError
from ganfingerprint.types import Float32Array, Outputs, UInt8Array

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as absent:
    raise MissingExtraError("torch", "train", "the torch engine") from absent

SUB_BATCH = 32  # windows at a time: bounds memory, whatever the caller sends
NORMALISATION_TOLERANCE = 1e-6  # between a card's numbers and the network's, in the scale 0..1

_PRECISIONS: dict[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class WindowNetwork(Protocol):
    """What the engine needs of a module: `FingerprintNet` has it."""

    def answers(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Logits [B], embeddings [B, d] and perhaps summaries [B, k] of uint8 pixels [B, s, s, 3]."""
        ...

    def explained(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The same with heat [B, h, w] as the third; asked for where there are heat maps to draw."""
        ...


class TorchEngine:
    """Runs a module's `answers` in evaluation mode.

    fp32 is the default on every device, and full fp32: one picture then has one score, wherever it is judged. To
    that end the first such engine on CUDA turns TF32 off for the whole process; torch has no narrower switch that
    threads could share. The module is taken over: moved to the device and left in evaluation mode.
    """

    name = "torch"

    def __init__(self, model: nn.Module, device: str = "cpu", precision: str = "fp32") -> None:
        if precision not in _PRECISIONS:
            raise UsageError(f"precision '{precision}' is not known (there are: {', '.join(_PRECISIONS)})")
        self.device = pick_device(device)
        self.precision = precision
        self.model = model.to(self.device).eval()
        if self.device.type == "cuda" and precision == "fp32":
            require_full_precision()

    def run(self, windows: UInt8Array) -> Outputs:
        """Logits [n], embeddings [n, d] and perhaps summaries [n, k], float32, of windows [n, s, s, 3], n >= 1."""
        logits, embeddings, *summary = self._run(cast(WindowNetwork, self.model).answers, windows)
        return Outputs(logits=logits, embeddings=embeddings, summaries=summary[0] if summary else None)

    def heat(self, windows: UInt8Array) -> Float32Array:
        """Grad-CAM [n, h, w] of windows [n, s, s, 3], n >= 1; see `Engine`."""
        if not hasattr(self.model, "explained"):
            raise UsageError("this network does not explain itself; see `explain.gradcam.GradCAM`")
        return self._run(cast(WindowNetwork, self.model).explained, windows)[2]

    def _run(self, function: Callable[[Tensor], tuple[Tensor, ...]], windows: UInt8Array) -> list[Float32Array]:
        """What the function gives for all windows, each float32 [n, ...]."""
        parts = []
        with torch.inference_mode(), self._arithmetic():
            for chunk in chunks(windows, SUB_BATCH):
                # a copy: torch takes no reversed or read-only one
                pixels = torch.from_numpy(np.array(chunk)).to(self.device)  # [b, s, s, 3]
                parts.append([each.float().cpu().numpy() for each in function(pixels)])
        return joined(parts)

    def _arithmetic(self) -> contextlib.AbstractContextManager[object]:
        dtype = _PRECISIONS[self.precision]
        return contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype=dtype)


def require_full_precision() -> None:
    """Turn TF32 off in this process, for convolutions and for matrix products: it keeps 10 bits of a float32's 23.

    Nothing else is changed: cuDNN stays in use, and deterministic or not as it was.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


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
        DetectorError: the weights are damaged, or are not those of the card's architecture; or the card names a
            normalisation that is not the network's.
        UsageError: no such device or precision.
    """
    from ganfingerprint.network.fingerprint_net import build_network

    # a generator of its own: loading a detector draws nothing from the random state of the process
    model = build_network(card.network_config, pretrained=False, generator=torch.Generator().manual_seed(0))
    _check_normalisation(card, model.backbone.mean, model.backbone.std, folder)
    _load_state(model, {name: torch.from_numpy(tensor) for name, tensor in read_weights(folder, card).items()}, folder)
    return TorchEngine(model, device=device, precision=precision)


def _check_normalisation(card: Card, mean: Sequence[float], std: Sequence[float], folder: Path) -> None:
    """The numbers live in the network's code; weights that were learnt under others would give wrong answers quietly.

    A card without them is taken at its word.
    """
    for name, ours in (("mean", mean), ("std", std)):
        if name not in card.normalisation:
            continue
        stated = card.normalisation[name]
        same = isinstance(stated, list | tuple) and len(stated) == len(ours)
        if not same or not all(_is_close(one, other) for one, other in zip(stated, ours, strict=True)):
            raise DetectorFormatError(
                f"{folder}: the card's normalisation has {name} {stated}, this version's network has {list(ours)}"
            )


def _is_close(stated: object, ours: float) -> bool:
    return isinstance(stated, int | float) and abs(stated - ours) <= NORMALISATION_TOLERANCE


def _load_state(model: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    """Every tensor of the one in the other: a network with a random layer left in it would still give answers."""
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as problem:
        lines = [line.strip() for line in str(problem).splitlines()]
        detail = " ".join(lines[1:4])[:500]
        raise DetectorFormatError(f"{folder}: the weights are not of the card's architecture. {detail}") from problem
