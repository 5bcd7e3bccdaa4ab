"""The contract of an engine, and the table of those there are. Adding one is one file and one row."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ganfingerprint.artifact import Card, graph_engines
from ganfingerprint.errors import UsageError
from ganfingerprint.types import Float32Array, Outputs, UInt8Array


class Engine(Protocol):
    """Computes the network on windows. Cast, channel order, normalisation and FFT are its own affair.

    Holds no state of a picture: one engine may serve many threads.
    """

    @property
    def name(self) -> str:
        """The row of `ENGINES` that it is."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in: fp32, bf16, fp16 or int8."""
        ...

    def run(self, windows: UInt8Array) -> Outputs:
        """Logits [n] in the network's sign (> 0: photograph) and embeddings [n, d] of windows [n, s, s, 3], n >= 1;
        where the backbone has one, its summary [n, k] too.

        What stands beside a window in the batch changes its logit by 1e-5 at most.
        """
        ...

    def heat(self, windows: UInt8Array) -> Float32Array:
        """Grad-CAM of windows [n, s, s, 3], n >= 1: maps [n, h, w], above 0 where the evidence is for *fake*.

        Raises:
            UsageError: this engine, or the graph that it runs, has no such maps.
        """
        ...


class EngineBuilder(Protocol):
    """What a row of `ENGINES` names: makes the engine of the detector in `folder`."""

    def __call__(self, card: Card, folder: Path, *, device: str, precision: str) -> Engine:
        """Raises DetectorError for a folder that it cannot use, MissingExtraError where its library is absent."""
        ...


DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

# imported on use, so that a library is only needed by the engine that needs it
ENGINES: dict[str, str] = {
    "torch": "ganfingerprint.engines.torch_engine:build",
    "openvino": "ganfingerprint.engines.openvino_engine:build",
    "onnx": "ganfingerprint.engines.onnx_engine:build",
    "fake": "ganfingerprint.engines.fake_engine:build",
}


def load_engine(name: str, folder: Path, card: Card, *, device: str = "auto", precision: str = "auto") -> Engine:
    """The engine of that name on the detector in `folder`; `auto` picks the fastest that gives equal scores.

    That is OpenVINO on a CPU, where the detector has a graph for it, and torch everywhere else; of a detector that
    was exported the engine of its graph. The precision `auto` is the card's: fp32, unless it was exported in another.

    Raises:
        UsageError: no such engine, or it cannot have that device or precision.
        MissingExtraError: its library is not installed.
        DetectorError: the detector cannot be used.
    """
    _check_names(device, precision)
    if precision == "auto":
        precision = card.precision
    elif card.precision == "int8" != precision:
        raise UsageError(f"this detector was exported in int8 and cannot compute in {precision}")
    row = _fastest(card, device, precision) if name == "auto" else name
    if row not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"engine '{name}' is not known ({hint}there are: auto, {', '.join(ENGINES)})")
    module, _, function = ENGINES[row].partition(":")
    builder = cast(EngineBuilder, getattr(importlib.import_module(module), function))
    return builder(card, folder, device=device, precision=precision)


def _check_names(device: str, precision: str) -> None:
    """Refuse words that mean nothing to any engine, before one is looked for that may not be installed."""
    for what, word, known in (("device", device.partition(":")[0], DEVICES), ("precision", precision, PRECISIONS)):
        if word not in known:
            raise UsageError(f"{what} '{word}' is not known (there are: {', '.join(known)})")


def chunks(windows: UInt8Array, size: int) -> Iterator[UInt8Array]:
    """The windows [n, s, s, 3] at most `size` at a time: bounds an engine's memory, whatever its caller sends.

    Raises:
        ValueError: they are no windows, or none.
    """
    if windows.dtype != np.uint8 or windows.ndim != 4 or len(windows) == 0:
        raise ValueError(f"windows must be uint8 [n, s, s, 3] with n >= 1, got {windows.dtype} {windows.shape}")
    return (windows[start : start + size] for start in range(0, len(windows), size))


def joined(parts: Iterable[Sequence[npt.NDArray[Any]]]) -> list[Float32Array]:
    """The outputs of all chunks, one after the other: each float32 [n, ...]."""
    return [np.concatenate(of_parts).astype(np.float32, copy=False) for of_parts in zip(*parts, strict=True)]


class GraphEngine:
    """What engines of an exported graph share; each says in `_parts` how its library runs it."""

    def run(self, windows: UInt8Array) -> Outputs:
        """Logits [n], embeddings [n, d] and perhaps summaries [n, k], float32, of windows [n, s, s, 3], n >= 1."""
        logits, embeddings, *others = joined(self._parts(windows))
        return Outputs(logits=logits, embeddings=embeddings, summaries=others[1] if len(others) > 1 else None)

    def heat(self, windows: UInt8Array) -> Float32Array:
        """Grad-CAM [n, h, w] of windows [n, s, s, 3], n >= 1; see `Engine`."""
        found = joined(self._parts(windows))
        if len(found) < 3:
            raise UsageError("this exported graph has no heat maps; `ganfingerprint export` makes one that has")
        return found[2]

    def _parts(self, windows: UInt8Array) -> Iterator[Sequence[npt.NDArray[Any]]]:
        """All outputs of the graph, some windows at a time."""
        raise NotImplementedError


def _fastest(card: Card, device: str, precision: str) -> str:
    graphs = graph_engines(card)
    if card.exported and graphs:
        return graphs[0]
    for_cpu = device == "cpu" or (device == "auto" and not (_is_here("torch") and _has_accelerator()))
    usable = "openvino" in graphs and precision in ("fp32", "bf16", "int8") and _is_here("openvino")
    return "openvino" if for_cpu and usable else "torch"


def _has_accelerator() -> bool:
    """Whether torch may have a better device than the CPU; asked without importing it, which takes seconds."""
    if importlib.metadata.version("torch").endswith("+cpu"):
        return False
    return sys.platform == "darwin" or Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def _is_here(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
