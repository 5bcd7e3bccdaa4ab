"""A detector's folder: written whole, read checked, never unpickled."""

from __future__ import annotations

import hashlib
import pickle
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
from ganfingerprint.errors import DetectorDamagedError, DetectorError, DetectorFormatError, DetectorMissingError


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {"architecture": {"backbone": "resnet18"}, "window": {}, "calibration": {"slope": 1.5}}
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


QUANTISED = Int8Tensor(values=np.arange(-30, 30, dtype=np.int8).reshape(5, 12), scale=np.full(5, 0.1, np.float32))


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


def test_two_writes_of_the_same_tensors_are_the_same_files(tmp_path: Path) -> None:
    state = tensors()
    first = write_detector(tmp_path / "a", state, card())
    second = write_detector(tmp_path / "b", dict(reversed(state.items())), card())
    assert first.weights == second.weights
    assert first.detector_id == second.detector_id


def test_large_detectors_are_split_and_no_file_is_over_the_limit(tmp_path: Path) -> None:
    state: dict[str, Any] = {f"layer.{i}": np.full(1000, i, np.float32) for i in range(10)}
    written = write_detector(tmp_path / "d", {**state, "q": QUANTISED}, card(), shard_bytes=13_000)
    names = [item.file for item in written.weights]
    assert names == [f"model-{i:05d}-of-{len(names):05d}.safetensors" for i in range(1, len(names) + 1)]
    assert len(names) == 4
    assert all(item.bytes == (tmp_path / "d" / item.file).stat().st_size <= 13_000 for item in written.weights)
    read = read_weights(tmp_path / "d", read_card(tmp_path / "d"))
    assert all(np.array_equal(read[name], tensor) for name, tensor in state.items())
    assert np.array_equal(read["q"], QUANTISED.opened())


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
def test_published_error_18_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
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
    fitted = written.replaced(calibration={"slope": 9.0})
    write_card(tmp_path / "d", fitted)
    assert read_card(tmp_path / "d") == fitted
    assert fitted.detector_id != written.detector_id
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["card.json", "model.safetensors"]
    with pytest.raises(DetectorError, match="same weights"):
        write_card(tmp_path / "d", fitted.replaced(weights=()))


def test_the_shipped_detector_is_the_first_place_that_has_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_detector(tmp_path / "b", tensors(), card())
    write_detector(tmp_path / "c", tensors(), card())
    places = [tmp_path / "nowhere", tmp_path / "empty", tmp_path / "b", tmp_path / "c"]
    assert shipped_detector(places) == tmp_path / "b"
    with pytest.raises(DetectorMissingError, match=r"ganfingerprint train.*--detector"):
        shipped_detector(places[:2])


def test_detectors_on_one_frozen_backbone_share_its_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    backbone = {f"backbone.{i}": rng.random((20, 30), np.float32) for i in range(3)}

    def hashes(name: str) -> list[str]:
        head = {"attention.a": rng.random((20, 30), np.float32), "fusion.a": rng.random(40, np.float32)}
        return [
            item.sha256
            for item in write_detector(tmp_path / name, {**backbone, **head}, card(), shard_bytes=6000).weights
        ]

    one, two = hashes("one"), hashes("two")
    assert len(one) == 3
    assert one[:2] == two[:2]
    assert one[2] != two[2]


def test_a_card_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "d", tensors(), card())
    with pytest.raises(UnicodeEncodeError):
        write_card(tmp_path / "d", written.replaced(name="half a letter: \udc80"))
    assert read_card(tmp_path / "d") == written
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["card.json", "model.safetensors"]
