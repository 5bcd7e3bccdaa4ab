"""A detector's folder: written whole, read checked, never unpickled."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from ganfingerprint.artifact import (
    CARD_NAME,
    Card,
    Int8Tensor,
    WeightFile,
    read_card,
    read_weights,
    shipped_detector,
    write_card,
    write_detector,
)
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.errors import DetectorDamagedError, DetectorError, DetectorFormatError, DetectorMissingError


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "name": "test",
        "architecture": to_mapping(NetworkConfig(backbone="resnet18")),
        "window": to_mapping(WindowConfig(size=96)),
        "calibration": {"slope": 1.5, "intercept": 0.25},
        "training": {"pictures_seen": 10, "config": {"seed": 1}},
        "figures": {"test": {"auc": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 100}}},
        "licence": "Apache-2.0",
        "origin": "random",
    }
    return Card(**{**values, **changes})


def tensors() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "conv.weight": generator.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "conv.bias": np.array([1.0, -np.inf, np.nextafter(1, 2, dtype=np.float32)], dtype=np.float32),
        "norm.num_batches_tracked": np.array(7, dtype=np.int64),
        "scalar": np.array(2.5, dtype=np.float32),
        "mask": np.array([True, False]),
        "double": np.array([1 / 3]),
        "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    }


def edit_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    change(values)
    (folder / CARD_NAME).write_text(json.dumps(values), encoding="utf-8")


def test_what_is_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "new" / "detector", tensors(), card())
    folder = tmp_path / "new" / "detector"
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", "model.safetensors"]
    read = read_card(folder)
    assert read == written
    assert read.detector_id == written.detector_id
    state = read_weights(folder, read)
    assert state.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert state[name].dtype == tensor.dtype
        assert state[name].shape == tensor.shape
        assert np.array_equal(state[name], tensor)
        assert state[name].flags.writeable


def test_card_says_when_and_by_which_version(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "d", tensors(), card())
    assert len(written.created) == len("2025-01-01")
    assert written.package_version
    assert write_detector(tmp_path / "d", tensors(), card(created="2020-02-02")).created == "2020-02-02"


def test_settings_come_back_as_configs() -> None:
    assert card().network_config == NetworkConfig(backbone="resnet18")
    assert card().window_config == WindowConfig(size=96)
    with pytest.raises(DetectorFormatError, match=r"card's window.*spiral"):
        _ = card(window={"placement": "spiral"}).window_config


def test_two_writes_of_the_same_tensors_are_the_same_files(tmp_path: Path) -> None:
    state = tensors()
    first = write_detector(tmp_path / "a", state, card())
    second = write_detector(tmp_path / "b", dict(reversed(state.items())), card())
    assert first.weights == second.weights
    assert first.detector_id == second.detector_id


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"calibration": {"slope": 1.5, "intercept": 0.26}}, False),
        ({"window": to_mapping(WindowConfig(size=128))}, False),
        ({"architecture": to_mapping(NetworkConfig(backbone="resnet34"))}, False),
        ({"weights": (WeightFile(file="model.safetensors", sha256="0" * 64, bytes=1),)}, False),
        ({"figures": {}, "training": {}, "name": "other", "created": "2020-02-02"}, True),
    ],
)
def test_identity_follows_everything_that_decides_an_answer(change: dict[str, Any], same: bool) -> None:
    assert len(card().detector_id) == 12
    assert (card(**change).detector_id == card().detector_id) is same


def test_half_precision_is_stored_where_asked_and_opened_to_float32(tmp_path: Path) -> None:
    state = tensors()
    full = write_detector(tmp_path / "full", state, card())
    half = write_detector(tmp_path / "half", state, card(), float16=["conv.weight"])
    assert half.weights[0].bytes < full.weights[0].bytes
    read = read_weights(tmp_path / "half", half)
    assert read["conv.weight"].dtype == np.float32
    assert np.array_equal(read["conv.weight"], state["conv.weight"].astype(np.float16).astype(np.float32))
    assert np.array_equal(read["conv.bias"], state["conv.bias"])


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
    written = write_detector(tmp_path / "d", {"w": tensor}, card())
    opened = read_weights(tmp_path / "d", written)["w"]
    last = np.moveaxis(tensor.values.astype(np.float32), axis, -1)  # an independent way to the same numbers
    expected = (last if tensor.zero is None else last - tensor.zero.astype(np.float32)) * tensor.scale
    assert opened.dtype == np.float32
    assert np.array_equal(opened, np.moveaxis(expected, -1, axis))
    assert np.array_equal(opened, tensor.opened())
    assert opened.flags.writeable


def test_int8_takes_a_quarter_of_the_room(tmp_path: Path) -> None:
    tensor = Int8Tensor(values=np.ones((64, 256), np.int8), scale=np.ones(64, np.float32))
    small = write_detector(tmp_path / "a", {"w": tensor}, card()).weights[0].bytes
    large = write_detector(tmp_path / "b", {"w": tensor.opened()}, card()).weights[0].bytes
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


def test_large_detectors_are_split_and_no_file_is_over_the_limit(tmp_path: Path) -> None:
    state: dict[str, Any] = {f"layer.{i}": np.full(1000, i, np.float32) for i in range(10)}
    written = write_detector(tmp_path / "d", {**state, "q": int8_tensor()}, card(), shard_bytes=13_000)
    names = [item.file for item in written.weights]
    assert names == [f"model-{i:05d}-of-{len(names):05d}.safetensors" for i in range(1, len(names) + 1)]
    assert len(names) == 4
    assert all(item.bytes == (tmp_path / "d" / item.file).stat().st_size <= 13_000 for item in written.weights)
    read = read_weights(tmp_path / "d", read_card(tmp_path / "d"))
    assert all(np.array_equal(read[name], tensor) for name, tensor in state.items())
    assert np.array_equal(read["q"], int8_tensor().opened())


@pytest.mark.parametrize("length", [1, 7, 40])
def test_the_limit_holds_for_many_small_tensors_with_long_names(tmp_path: Path, length: int) -> None:
    state = {f"{'block.' * length}{i}": np.zeros((1, 2, 1, 1), np.float32) for i in range(300)}
    written = write_detector(tmp_path / "d", state, card(), shard_bytes=10_000)
    assert max(item.bytes for item in written.weights) <= 10_000
    assert len(read_weights(tmp_path / "d", written)) == 300


@pytest.mark.parametrize(
    ("state", "options", "message"),
    [
        ({"big": np.zeros(1000, np.float32)}, {"shard_bytes": 2000}, "tensor big .* does not fit"),
        ({"a::int8": np.zeros(2, np.int8)}, {}, "'::' in a name"),
        ({"w": np.array([np.nan], np.float32)}, {}, "tensor w holds NaN"),
        ({"w": np.array([1e6], np.float32)}, {"float16": ["w"]}, "beyond ±65504"),
        ({"w": np.zeros(2, np.float32)}, {"float16": ["v"]}, "not there: v"),
        ({"w": np.zeros(2, np.complex64)}, {}, "complex64 cannot be stored"),
        ({"w": np.array([{}], dtype=object)}, {}, "object cannot be stored"),
    ],
)
def test_tensors_that_would_come_back_wrong_are_refused(
    tmp_path: Path, state: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DetectorError, match=message):
        write_detector(tmp_path / "d", state, card(), **options)
    assert list(tmp_path.iterdir()) == []


def test_bfloat16_is_stored_as_the_float32_that_it_is(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    written = write_detector(tmp_path / "d", {"w": np.array([1.5, 3e38], dtype=ml_dtypes.bfloat16)}, card())
    opened = read_weights(tmp_path / "d", written)["w"]
    assert opened.dtype == np.float32
    assert opened == pytest.approx([1.5, 3e38], rel=0.01)


def test_replacing_a_detector_keeps_its_notes_and_drops_its_old_weights(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    many = {f"w{i}": np.full(1000, i, np.float32) for i in range(4)}
    write_detector(folder, many, card(), shard_bytes=5000)
    (folder / "README.md").write_text("mine", encoding="utf-8")
    (folder / "plots").mkdir()
    (folder / "plots" / "roc.svg").write_text("<svg/>", encoding="utf-8")
    written = write_detector(folder, {"w": np.ones(3, np.float32)}, card(name="second"))
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "card.json", "model.safetensors", "plots"]
    assert (folder / "plots" / "roc.svg").is_file()
    assert read_card(folder) == written
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_failed_write_leaves_the_old_detector_whole(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    written = write_detector(folder, tensors(), card())
    broken = card(calibration=FailsWhenRead())
    with pytest.raises(RuntimeError, match="disk on fire"):
        write_detector(folder, {"w": np.ones(3, np.float32)}, broken)
    assert read_card(folder) == written
    assert read_weights(folder, written).keys() == tensors().keys()
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


class FailsWhenRead(dict[str, Any]):
    """Fails while the card is turned into text, after the weights were written."""

    def items(self) -> Any:
        raise RuntimeError("disk on fire")


@pytest.mark.parametrize("foreign", ["thesis.tex", "model.safetensors"])
def test_a_folder_that_is_not_a_detector_is_left_alone(tmp_path: Path, foreign: str) -> None:
    (tmp_path / foreign).write_text("years of work", encoding="utf-8")
    with pytest.raises(DetectorError, match="not a detector"):
        write_detector(tmp_path, tensors(), card())
    assert [p.name for p in tmp_path.iterdir()] == [foreign]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    written = write_detector(tmp_path / "d", tensors(), card())
    assert read_card(tmp_path / "d") == written


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "gone"])
def test_damaged_weights_are_found_and_named(tmp_path: Path, damage: str) -> None:
    written = write_detector(tmp_path / "d", tensors(), card())
    file = tmp_path / "d" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    damaged = {"changed": bytes(content), "shorter": bytes(content[:-1]), "longer": bytes(content) + b"\0"}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(damaged[damage])
    with pytest.raises(DetectorDamagedError, match=r"model\.safetensors"):
        read_weights(tmp_path / "d", written)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"w::int8": np.ones((2, 2), np.int8)}, "tensor w lacks"),
        ({"w::scale": np.ones((2, 1), np.float32)}, "tensor w lacks"),
    ],
)
def test_half_of_an_int8_tensor_is_damage(tmp_path: Path, stored: dict[str, Any], message: str) -> None:
    with pytest.raises(DetectorDamagedError, match=message):
        read_weights(tmp_path, forged(tmp_path, stored))


def test_a_file_with_the_right_hash_that_is_no_safetensors_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DetectorDamagedError, match=r"model\.safetensors: not a safetensors file"):
        read_weights(tmp_path, forged(tmp_path, pickle.dumps({"w": 1})))


def test_a_tensor_in_two_files_is_damage(tmp_path: Path) -> None:
    made = forged(tmp_path, {"w": np.ones(2, np.float32)})
    with pytest.raises(DetectorDamagedError, match="also holds w"):
        read_weights(tmp_path, made.replaced(weights=made.weights * 2))


def forged(folder: Path, stored: dict[str, Any] | bytes) -> Card:
    """A card that agrees with a file which `write_detector` would not have written."""
    content = stored if isinstance(stored, bytes) else save(stored)
    (folder / "model.safetensors").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return card(weights=(WeightFile(file="model.safetensors", sha256=sha256, bytes=len(content)),))


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:x", ".hidden", "a\0b", "a\n", None, 3],
)
def test_a_card_that_points_out_of_its_folder_is_refused(tmp_path: Path, name: object) -> None:
    write_detector(tmp_path / "d", tensors(), card())
    edit_card(tmp_path / "d", lambda values: values["weights"][0].update(file=name))
    with pytest.raises(DetectorFormatError, match="plain file name"):
        read_card(tmp_path / "d")


def test_a_card_of_an_older_version_reads_with_defaults(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "d", tensors(), card())
    needed = {"format_version", "architecture", "window", "calibration", "weights"}
    edit_card(tmp_path / "d", lambda values: [values.pop(name) for name in values.keys() - needed])
    older = read_card(tmp_path / "d")
    assert (older.name, older.licence, older.figures, older.created) == ("detector", "", {}, "")
    assert older.detector_id == written.detector_id
    assert read_weights(tmp_path / "d", older).keys() == tensors().keys()


def test_fields_that_this_version_does_not_know_are_left_out(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "d", tensors(), card())

    def from_the_future(values: dict[str, Any]) -> None:
        values["gallery"] = {"size": 3}
        values["weights"][0]["role"] = "network"

    edit_card(tmp_path / "d", from_the_future)
    assert read_card(tmp_path / "d") == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format 2, this version reads up to 1.*upgrade"),
        ({"format_version": 0}, "format_version must be"),
        ({"format_version": True}, "format_version must be"),
        ({"format_version": "1"}, "format_version must be"),
        ({"architecture": []}, "architecture must be an object"),
        ({"name": 3}, "name must be str"),
        ({"weights": {}}, "weights must be a list"),
        ({"weights": ["model"]}, "weights must be a list"),
        ({"weights": [{"file": "m.safetensors", "sha256": "abc", "bytes": 1}]}, "sha256"),
        ({"weights": [{"file": "m.safetensors", "sha256": "0" * 64}]}, "bytes"),
    ],
)
def test_cards_that_cannot_be_read_say_why(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_detector(tmp_path / "d", tensors(), card())
    edit_card(tmp_path / "d", lambda values: values.update(change))
    with pytest.raises(DetectorFormatError, match=message) as caught:
        read_card(tmp_path / "d")
    assert "card.json" in str(caught.value)


@pytest.mark.parametrize("missing", ["architecture", "window", "calibration", "weights"])
def test_a_card_without_what_it_must_have_names_it(tmp_path: Path, missing: str) -> None:
    write_detector(tmp_path / "d", tensors(), card())
    edit_card(tmp_path / "d", lambda values: values.pop(missing))
    with pytest.raises(DetectorFormatError, match=f"lacks {missing}"):
        read_card(tmp_path / "d")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_card_that_is_not_json_is_a_format_error(tmp_path: Path, text: bytes) -> None:
    (tmp_path / CARD_NAME).write_bytes(text)
    with pytest.raises(DetectorFormatError, match=r"card\.json"):
        read_card(tmp_path)


def test_no_detector_is_said_as_such(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DetectorMissingError, match="no detector here"):
            read_card(place)


@pytest.mark.parametrize("name", ["best.pth", "model.PT", "last.ckpt", "m.pkl"])
def test_published_fault_18_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    for place in (tmp_path / name, tmp_path):
        with pytest.raises(DetectorFormatError, match="ganfingerprint import-checkpoint"):
            read_card(place)


class Bomb:
    """Raises when it is unpickled."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('unpickled')",))


def test_some_other_file_is_not_a_detector(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DetectorFormatError, match="a detector is a folder"):
        read_card(tmp_path / "a.jpg")


def test_a_new_calibration_keeps_the_weights(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "d", tensors(), card())
    fitted = dataclasses.replace(written, calibration={"slope": 9.0})
    write_card(tmp_path / "d", fitted)
    assert read_card(tmp_path / "d") == fitted
    assert fitted.detector_id != written.detector_id
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["card.json", "model.safetensors"]
    with pytest.raises(DetectorError, match="same weights"):
        write_card(tmp_path / "d", fitted.replaced(weights=()))


def test_numbers_of_numpy_and_nan_are_written_as_json_has_them(tmp_path: Path) -> None:
    figures = {"test": {"auc": {"value": np.float32(0.5), "low": float("nan"), "n": np.int64(3), "by": (1, 2)}}}
    write_detector(tmp_path / "d", tensors(), card(figures=figures, training={"path": Path("x")}))
    read = read_card(tmp_path / "d")
    assert read.figures == {"test": {"auc": {"value": 0.5, "low": None, "n": 3, "by": [1, 2]}}}
    assert read.training == {"path": "x"}


def test_the_shipped_detector_is_the_first_place_that_has_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_detector(tmp_path / "b", tensors(), card())
    write_detector(tmp_path / "c", tensors(), card())
    places = [tmp_path / "nowhere", tmp_path / "empty", tmp_path / "b", tmp_path / "c"]
    assert shipped_detector(places) == tmp_path / "b"
    with pytest.raises(DetectorMissingError, match=r"ganfingerprint train.*--detector"):
        shipped_detector(places[:2])
