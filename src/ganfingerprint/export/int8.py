"""A graph whose weights and activations are 8-bit integers, scaled by what pictures make of them."""

from __future__ import annotations

from collections.abc import Sequence

from ganfingerprint.engines.openvino_engine import openvino  # as it is silent, see there
from ganfingerprint.errors import MissingExtraError
from ganfingerprint.types import UInt8Array

try:
    import nncf
except ModuleNotFoundError as absent:
    raise MissingExtraError("nncf", "int8", "an export in int8") from absent

CALIBRATED_ON = 300  # windows at most; NNCF's own default


def quantised(graph: openvino.Model, windows: Sequence[UInt8Array]) -> openvino.Model:
    """The graph with 8-bit products, by NNCF's post-training quantisation.

    Args:
        graph: of float32 constants, from pixels uint8 [n, s, s, 3].
        windows: each [1, s, s, 3]; the ranges of activations are those on them.
    """
    attends = any(node.get_type_name() in ("Softmax", "ScaledDotProductAttention") for node in graph.get_ops())
    return nncf.quantize(
        graph,
        nncf.Dataset(list(windows)[:CALIBRATED_ON]),
        subset_size=CALIBRATED_ON,
        model_type=nncf.ModelType.TRANSFORMER if attends else None,  # smooths its outliers, spares softmaxes
        preset=nncf.QuantizationPreset.MIXED,
    )
