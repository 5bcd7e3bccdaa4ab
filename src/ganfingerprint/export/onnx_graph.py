"""The network as an ONNX file: uint8 pixels in; the outputs of `Traced` out, any number of windows."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from ganfingerprint.errors import MissingExtraError
from ganfingerprint.export.traced import Traced
from ganfingerprint.network.fingerprint_net import FingerprintNet

try:
    import onnxscript  # noqa: F401
except ModuleNotFoundError as absent:
    raise MissingExtraError("onnxscript", "onnx", "an export to ONNX") from absent

OPSET = 18


def onnx_file(model: FingerprintNet, side: int) -> bytes:
    """The file of a network in evaluation mode for windows uint8 [n, side, side, 3], n >= 1."""
    traced = Traced(model)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            traced,
            (torch.zeros(2, side, side, 3, dtype=torch.uint8),),
            path,
            dynamo=True,
            external_data=False,
            input_names=["pixels"],
            output_names=list(traced.names),
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=65536)},),
            opset_version=OPSET,
            verbose=False,
        )
        return path.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own versions and on packages that are not needed."""
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        loud.setLevel(level)
