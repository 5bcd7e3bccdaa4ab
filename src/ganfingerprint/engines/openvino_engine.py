"""The network in OpenVINO: the fastest on a CPU, and without torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ganfingerprint.artifact import OPENVINO, OPENVINO_REST, Card, read_graph
from ganfingerprint.engines.base import GraphEngine, chunks
from ganfingerprint.errors import DetectorFormatError, MissingExtraError, UsageError
from ganfingerprint.types import Float32Array, UInt8Array

# OpenVINO reports its use to its makers over the network when it is imported, unless this package is not there.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
try:
    import openvino
except ModuleNotFoundError as absent:
    raise MissingExtraError("openvino", "", "the openvino engine", command="pip install openvino") from absent

__all__ = ["OpenVINOEngine", "build", "openvino"]  # the package too: whoever needs it takes it from here

SUB_BATCH = 16  # windows at a time: bounds memory, whatever the caller sends

GROUP = 64  # activations that share a scale where they are made 8-bit integers on the way
PRECISIONS = ("fp32", "bf16", "int8")


class OpenVINOEngine(GraphEngine):
    """Runs a graph from pixels to all outputs of a network, compiled for this machine's CPU.

    In int8 a layer whose weights are stored in 8 bits gets its inputs in 8 bits too, scaled in groups as they come; the
    rest is bf16 where the processor has it. A graph that was exported in int8 holds its own scales.
    """

    name = "openvino"

    def __init__(self, model: openvino.Model, *, precision: str = "fp32", buffer: object = None) -> None:
        if precision not in PRECISIONS:
            raise UsageError(f"openvino has no precision '{precision}' (there are: {', '.join(PRECISIONS)})")
        self.precision = precision
        self._buffer = buffer  # the compiled network still looks into the memory that its constants came from
        core = openvino.Core()
        halved = precision == "bf16" or (
            precision == "int8" and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        )
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if halved else "f32",
            # its default makes 8-bit integers of activations unasked, and answers move by a tenth
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(GROUP) if precision == "int8" else "0",
            "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all threads
        }
        self.compiled = core.compile_model(model, "CPU", options)

    def _parts(self, windows: UInt8Array) -> Iterator[list[Float32Array]]:
        request = self.compiled.create_infer_request()  # one a call: threads may share the engine
        for chunk in chunks(windows, SUB_BATCH):
            found = request.infer([np.ascontiguousarray(chunk)])
            # copies: the next chunk is written into the same memory
            yield [np.array(found[k], np.float32) for k in range(len(self.compiled.outputs))]


def build(card: Card, folder: Path, *, device: str, precision: str) -> OpenVINOEngine:
    """The engine of the detector in `folder`.

    Raises:
        DetectorError: it has no graph for this engine, or a file is damaged.
        UsageError: no such device or precision.
    """
    if device not in ("auto", "cpu"):
        raise UsageError(f"the openvino engine runs on the CPU, not on '{device}'")
    text, buffer = read_graph(folder, card, OPENVINO, OPENVINO_REST)
    weights = openvino.Tensor(np.frombuffer(buffer, np.uint8), shared_memory=True)  # [bytes]
    try:
        model = openvino.Core().read_model(text, weights)
    except RuntimeError as problem:
        raise DetectorFormatError(f"{folder / OPENVINO}: {str(problem).splitlines()[-1]}") from problem
    return OpenVINOEngine(model, precision=precision, buffer=weights)
