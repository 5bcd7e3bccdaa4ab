"""The network in ONNX Runtime: for those whose systems speak ONNX, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ganfingerprint.artifact import ONNX, Card, read_graph
from ganfingerprint.engines.base import GraphEngine, chunks
from ganfingerprint.errors import DetectorFormatError, MissingExtraError, UsageError
from ganfingerprint.types import Float32Array, UInt8Array

try:
    import onnxruntime
except ModuleNotFoundError as absent:
    raise MissingExtraError("onnxruntime", "onnx", "the onnx engine") from absent

SUB_BATCH = 16  # windows at a time: bounds memory, whatever the caller sends
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxEngine(GraphEngine):
    """Runs an ONNX graph from pixels to all outputs of a network."""

    name = "onnx"
    precision = "fp32"

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self._pixels = session.get_inputs()[0].name

    def _parts(self, windows: UInt8Array) -> Iterator[list[Float32Array]]:
        for chunk in chunks(windows, SUB_BATCH):
            yield self.session.run(None, {self._pixels: np.ascontiguousarray(chunk)})


def build(card: Card, folder: Path, *, device: str, precision: str) -> OnnxEngine:
    """The engine of the detector in `folder`.

    Raises:
        DetectorError: it has no graph for this engine, or the file is damaged.
        UsageError: no such device or precision.
    """
    if precision != "fp32":
        raise UsageError(f"the onnx engine computes in fp32, not in '{precision}'")
    wanted = _PROVIDERS.get("cpu" if device == "auto" else device)
    if wanted not in onnxruntime.get_available_providers():
        raise UsageError(f"the onnx engine has no device '{device}' here")
    text, _ = read_graph(folder, card, ONNX)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; its warnings are about its own optimiser
    try:
        session = onnxruntime.InferenceSession(text, options, providers=[wanted])
    except Exception as problem:  # its errors share no base class
        raise DetectorFormatError(f"{folder / ONNX}: {problem}") from problem
    return OnnxEngine(session)
