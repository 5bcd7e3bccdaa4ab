"""The CLIP image tower out of an 8-bit ONNX export made by onnxruntime's dynamic quantisation.

There every linear layer is a `MatMulInteger` over weights stored [in, out] with one scale and zero point an output
channel; the activations are quantised on the fly. We take the weights only and compute in floating point, so the
features are closer to those of the original tower than the export's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganfingerprint.errors import ConfigError, MissingExtraError
from ganfingerprint.network.vit import published_name
from ganfingerprint.types import Float32Array

if TYPE_CHECKING:
    import onnx

Int8Array = NDArray[np.int8]
Quantised = tuple[Int8Array, Float32Array, Int8Array]  # values [out, in], scale [out], zero point [out]

_OURS = ("class_token", "position", "patch.", "pre_norm.", "blocks.")


def read_clip_onnx(path: Path) -> dict[str, Tensor]:
    """The tower as a float32 state dictionary of `ClipViT`, all blocks that the file has.

    Raises:
        ConfigError: the file is not such an export.
        MissingExtraError: the package onnx is not installed.
    """
    model = _load(path)
    state = {name: torch.from_numpy(value) for name, value in _plain(model).items()}
    for name, parts in _quantised(model, path).items():
        state[name] = torch.from_numpy(dequantise(*parts))
    return state


def clip_int8_tensors(path: Path, *, blocks: int = 12) -> dict[str, Quantised]:
    """The exact 8-bit weights of the first `blocks` blocks, by their name in the state dictionary of `ClipViT`.

    `dequantise` of each is bit for bit what `read_clip_onnx` gives, so frozen weights can be stored as they are here.

    Raises:
        ConfigError: the file is not such an export.
        MissingExtraError: the package onnx is not installed.
    """
    quantised = _quantised(_load(path), path)
    return {name: parts for name, parts in quantised.items() if int(name.split(".")[1]) < blocks}


def dequantise(values: Int8Array, scale: Float32Array, zero_point: Int8Array) -> Float32Array:
    """(values - zero point) * scale by output channel, [out, in] float32."""
    centred = values.astype(np.float32) - zero_point.astype(np.float32)[:, None]
    return np.ascontiguousarray(centred * scale[:, None], dtype=np.float32)


def _load(path: Path) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError as problem:
        raise MissingExtraError("onnx", "backbones", "reading the packaged CLIP weights") from problem
    try:
        return onnx.load(path)
    except Exception as problem:  # protobuf's own error classes differ between its versions
        raise ConfigError([f"network.pretrained: {path} cannot be read as ONNX: {problem}"]) from problem


def _arrays(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def _plain(model: onnx.ModelProto) -> dict[str, Float32Array]:
    """What is stored as it was: biases, norms, embeddings and the patch convolution."""
    named = {published_name(name): value for name, value in _arrays(model).items()}
    return {name: value.astype(np.float32) for name, value in named.items() if name.startswith(_OURS)}


def _quantised(model: onnx.ModelProto, path: Path) -> dict[str, Quantised]:
    arrays = _arrays(model)
    found: dict[str, Quantised] = {}
    for node in model.graph.node:
        if node.op_type != "MatMulInteger" or node.input[1] not in arrays:
            continue
        # "/vision_model/encoder/layers.0/mlp/fc1/MatMul_quant" is the layer "vision_model.encoder.layers.0.mlp.fc1"
        name = published_name(node.name.strip("/").rpartition("/")[0].replace("/", ".") + ".weight")
        if not name.startswith("blocks."):
            continue
        stem = node.input[1].removesuffix("_quantized")
        if f"{stem}_scale" not in arrays:
            raise ConfigError([f"network.pretrained: {path} has no scale for {node.input[1]} of {node.name}"])
        zero = arrays[node.input[3]] if len(node.input) > 3 else np.zeros(1, arrays[node.input[1]].dtype)
        found[name] = _oriented(arrays[node.input[1]], arrays[f"{stem}_scale"], zero)
    if not found:
        raise ConfigError([f"network.pretrained: {path} has no 8-bit layers of a CLIP image tower"])
    return found


def _oriented(values: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]) -> Quantised:
    """From the file's [in, out], signed or not, one scale or many, to [out, in], signed, one scale a channel."""
    shift = 128 if values.dtype == np.uint8 else 0
    outputs = values.shape[1]
    signed = (values.astype(np.int16) - shift).astype(np.int8)
    zeros = (np.broadcast_to(zero.ravel(), (outputs,)).astype(np.int16) - shift).astype(np.int8)
    scales = np.broadcast_to(scale.ravel(), (outputs,)).astype(np.float32)
    return np.ascontiguousarray(signed.T), scales, zeros
