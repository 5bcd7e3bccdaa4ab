"""Tensors as they are stored: split by size, and opened to what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint.artifact import Card, Int8Tensor, read_weights, write_detector
from ganfingerprint.errors import DetectorError

CARD = Card(architecture={}, window={}, calibration={})


def test_half_precision_is_opened_to_float32(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float16)
    written = write_detector(tmp_path / "d", {"w": values}, CARD)
    assert written.weights[0].bytes < values.size * 4
    opened = read_weights(tmp_path / "d", written)["w"]
    assert opened.dtype == np.float32
    assert opened.flags.writeable
    assert np.array_equal(opened, values.astype(np.float32))


def int8_tensor(axis: int = 0, *, zero: bool = True, per_channel: bool = True) -> Int8Tensor:
    generator = np.random.default_rng(axis % 3)
    values = generator.integers(-128, 128, (5, 4, 3), dtype=np.int8)
    n = values.shape[axis] if per_channel else 1
    return Int8Tensor(
        values=values,
        scale=generator.uniform(1e-4, 1e-2, n).astype(np.float32),
        axis=axis,
        zero=generator.integers(-128, 128, n, dtype=np.int8) if zero else None,
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
def test_int8_weights_come_back_without_any_loss(tmp_path: Path, axis: int, zero: bool, per_channel: bool) -> None:
    tensor = int8_tensor(axis, zero=zero, per_channel=per_channel)
    written = write_detector(tmp_path / "d", {"w": tensor}, CARD)
    opened = read_weights(tmp_path / "d", written)["w"]
    last = np.moveaxis(tensor.values.astype(np.float32), axis, -1)  # an independent way to the same numbers
    expected = (last if tensor.zero is None else last - tensor.zero.astype(np.float32)) * tensor.scale
    assert opened.dtype == np.float32
    assert np.array_equal(opened, np.moveaxis(expected, -1, axis))
    assert np.array_equal(opened, tensor.opened())
    assert opened.flags.writeable


def test_int8_takes_a_quarter_of_the_room(tmp_path: Path) -> None:
    tensor = Int8Tensor(values=np.ones((64, 256), np.int8), scale=np.ones(64, np.float32))
    small = write_detector(tmp_path / "a", {"w": tensor}, CARD).weights[0].bytes
    large = write_detector(tmp_path / "b", {"w": tensor.opened()}, CARD).weights[0].bytes
    assert small < large / 3.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.ones((2, 3), np.uint8)}, "uint8"),
        ({"scale": np.ones(2)}, "float64"),
        ({"scale": np.ones(3, np.float32)}, "must have 2 numbers"),
        ({"zero": np.zeros(3, np.int8)}, "must have 2 numbers"),
        ({"zero": np.zeros(2, np.int16)}, "int16"),
    ],
)
def test_int8_tensors_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Int8Tensor(**{"values": np.ones((2, 3), np.int8), "scale": np.ones(2, np.float32), **changes})


@pytest.mark.parametrize("length", [1, 7, 40])
def test_the_limit_holds_for_many_small_tensors_with_long_names(tmp_path: Path, length: int) -> None:
    state = {f"{'block.' * length}{i}": np.zeros((1, 2, 1, 1), np.float32) for i in range(300)}
    written = write_detector(tmp_path / "d", state, CARD, shard_bytes=10_000)
    assert max(item.bytes for item in written.weights) <= 10_000
    assert len(read_weights(tmp_path / "d", written)) == 300


@pytest.mark.parametrize(
    ("state", "options", "message"),
    [
        ({"big": np.zeros(1000, np.float32)}, {"shard_bytes": 2000}, "tensor big .* does not fit"),
        ({"a::int8": np.zeros(2, np.int8)}, {}, "'::' in a name"),
        ({"w": np.array([np.nan], np.float32)}, {}, "tensor w holds NaN"),
        ({"w": np.zeros(2, np.complex64)}, {}, "complex64 cannot be stored"),
        ({"w": np.array([{}], dtype=object)}, {}, "object cannot be stored"),
    ],
)
def test_tensors_that_would_come_back_wrong_are_refused(
    tmp_path: Path, state: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DetectorError, match=message):
        write_detector(tmp_path / "d", state, CARD, **options)
    assert list(tmp_path.iterdir()) == []


def test_bfloat16_is_stored_as_the_float32_that_it_is(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    written = write_detector(tmp_path / "d", {"w": np.array([1.5, 3e38], dtype=ml_dtypes.bfloat16)}, CARD)
    opened = read_weights(tmp_path / "d", written)["w"]
    assert opened.dtype == np.float32
    assert opened == pytest.approx([1.5, 3e38], rel=0.01)
