"""Tensors in safetensors files: as they are, in half precision, or as the int8 numbers that they were in origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from ganfingerprint.errors import DetectorDamagedError, DetectorError
from ganfingerprint.types import Float32Array

Array = NDArray[Any]

INT8, SCALE, ZERO = "::int8", "::scale", "::zero"  # after the name of a tensor: the parts of its stored form
_KINDS = frozenset({"float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Tensor:
    """A float32 tensor that was quantised in origin: (values - zero) * scale. A quarter of the bytes, no loss."""

    values: NDArray[np.int8]
    scale: Float32Array  # [values.shape[axis]]; or one number for all
    axis: int = 0
    zero: NDArray[np.int8] | None = None  # shaped as scale; None: 0

    def __post_init__(self) -> None:
        kinds = [self.values.dtype.name, self.scale.dtype.name, "int8" if self.zero is None else self.zero.dtype.name]
        if kinds != ["int8", "float32", "int8"]:
            raise ValueError(f"Int8Tensor needs int8 values, a float32 scale and an int8 zero, got {', '.join(kinds)}")
        for part in (self.scale, self.zero):
            if part is not None and part.size != 1 and part.shape != (self.values.shape[self.axis],):
                raise ValueError(
                    f"Int8Tensor.scale and zero must have {self.values.shape[self.axis]} numbers, got {part.shape}"
                )

    def opened(self) -> Float32Array:
        """The float32 tensor, with the same bits wherever it is computed."""
        parts = self.stored()
        return _dequantised(parts[INT8], parts[SCALE], parts.get(ZERO))

    def stored(self) -> dict[str, Array]:
        """What goes into the file, by suffix of the name; scale and zero are shaped to broadcast."""
        shape = [1] * self.values.ndim
        shape[self.axis] = -1
        parts: dict[str, Array] = {INT8: self.values, SCALE: self.scale.reshape(shape)}
        return parts if self.zero is None else {**parts, ZERO: self.zero.reshape(shape)}


def stored_form(state: Mapping[str, Array | Int8Tensor]) -> dict[str, Array]:
    """What is written for `state`, by stored name: contiguous arrays of kinds that safetensors knows.

    Raises:
        DetectorError: a tensor that cannot be stored without silent harm; the message names it.
    """
    stored: dict[str, Array] = {}
    for name, tensor in state.items():
        if "::" in name:
            raise DetectorError(f"tensor {name}: '::' in a name is kept for the stored forms")
        if isinstance(tensor, Int8Tensor):
            stored.update({name + suffix: np.asarray(part, order="C") for suffix, part in tensor.stored().items()})
        else:
            stored[name] = _storable(name, tensor)
    return stored


def opened_form(stored: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors by their own names, writable: half precision and int8 as float32, all else as stored.

    Raises:
        DetectorDamagedError: a part of a tensor is not there.
    """
    state: dict[str, Array] = {}
    for name, tensor in stored.items():
        base, mark, part = name.partition("::")
        if mark and not {base + INT8, base + SCALE} <= stored.keys():
            raise DetectorDamagedError(f"tensor {base} lacks its values or its scale (there is {part})")
        if mark + part == INT8:
            state[base] = _dequantised(tensor, stored[base + SCALE], stored.get(base + ZERO))
        elif not mark:
            state[name] = tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor.copy()
    return state


def pack(stored: Mapping[str, Array], shard_bytes: int) -> list[bytes]:
    """The tensors as safetensors files of at most `shard_bytes` each, in the order of their names.

    Where one file does not hold them all, the backbone has files of its own: detectors on the same frozen backbone
    then share them byte for byte.

    Raises:
        DetectorError: one tensor alone is longer than a file may be.
    """
    need = {name: tensor.nbytes + 2 * len(name.encode()) + 160 for name, tensor in stored.items()}  # with its header
    limit = shard_bytes - 64
    apart = sum(need.values()) > limit
    shards: list[dict[str, Array]] = []
    room, part = 0, None
    for of_head, name in sorted((apart and not name.startswith("backbone."), name) for name in stored):
        if need[name] > limit:
            raise DetectorError(f"tensor {name} ({stored[name].nbytes} bytes) does not fit in {shard_bytes} bytes")
        if need[name] > room or of_head != part:
            shards.append({})
            room, part = limit, of_head
        shards[-1][name] = stored[name]
        room -= need[name]
    return [safetensors.numpy.save(shard) for shard in shards]


def unpack(content: bytes) -> dict[str, Array]:
    """The stored tensors of one file.

    Raises:
        DetectorDamagedError: it is not a safetensors file, or holds a kind of number that we never write.
    """
    try:
        return safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError) as problem:
        raise DetectorDamagedError(f"not a safetensors file of ours: {problem}") from problem


def _storable(name: str, tensor: Array) -> Array:
    # numpy has no bfloat16 of its own; float32 holds every one of its values
    array = np.asarray(tensor.astype(np.float32) if tensor.dtype.name == "bfloat16" else tensor, order="C")
    if array.dtype.name not in _KINDS:
        raise DetectorError(f"tensor {name}: numbers of kind {array.dtype} cannot be stored")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DetectorError(f"tensor {name} holds NaN: this network did not survive its training")
    return array


def _dequantised(values: Array, scale: Array, zero: Array | None) -> Float32Array:
    whole = values.astype(np.float32)
    if zero is not None:
        whole -= zero.astype(np.float32)  # at most ±255: exact
    return np.asarray(whole * scale, dtype=np.float32)
