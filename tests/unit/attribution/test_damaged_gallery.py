"""Damage of every kind in the file of a gallery is an error of its own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from ganfingerprint.attribution import (
    FILE_NAME,
    Gallery,
    read_gallery,
    save_gallery,
)
from ganfingerprint.errors import GalleryError

WORDS = "ganfingerprint.gallery"


def changed(
    saved: bytes,
    words: Callable[[Any], Any] = lambda said: said,
    arrays: dict[str, Any] | None = None,
    *,
    right: bool = True,
) -> bytes:
    """The file with other words, or other arrays; None takes one away. The checksum is the right one of those words,
    as it would stop most of it first, or the one that it was.
    """
    said = words_of(saved)
    checksum = said.pop("checksum")
    other = words(said)
    if isinstance(other, dict):
        other = {**other, "checksum": hashlib.sha256(json.dumps(other).encode()).hexdigest() if right else checksum}
    held = {**safetensors.numpy.load(saved), **(arrays or {})}
    metadata = {WORDS: json.dumps(other)}
    return safetensors.numpy.save({k: v for k, v in held.items() if v is not None}, metadata=metadata)


def words_of(saved: bytes) -> dict[str, Any]:
    header = json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])
    said: dict[str, Any] = json.loads(header["__metadata__"][WORDS])
    return said


def refused(path: Path, content: bytes, match: str | None = None) -> None:
    path.write_bytes(content)
    with pytest.raises(GalleryError, match=match) as caught:
        read_gallery(path)
    assert str(path) in str(caught.value)


def same(a: Gallery, b: Gallery) -> bool:
    return (a.gallery_id, a.ids, a.origin, a.names) == (b.gallery_id, b.ids, b.origin, b.names)


def test_a_file_cut_short_anywhere_is_refused(saved: bytes, tmp_path: Path) -> None:
    for length in (*range(12), *range(12, len(saved), 2003), len(saved) - 1):
        refused(tmp_path / FILE_NAME, saved[:length])
    refused(tmp_path / FILE_NAME, saved + b"\0")


def test_a_changed_byte_anywhere_is_refused_or_changes_nothing(
    gallery: Gallery, saved: bytes, tmp_path: Path, rng: np.random.Generator
) -> None:
    path, harmless = tmp_path / FILE_NAME, 0
    places = [*range(64), *rng.integers(64, len(saved), 150).tolist()]
    for at in places:
        damaged = bytearray(saved)
        damaged[at] ^= int(rng.choice([1, 2, 4, 8, 16, 32, 64, 128, 255]))
        path.write_bytes(damaged)
        try:
            assert same(read_gallery(path), gallery)  # as where the name of an empty value was hit
            harmless += 1
        except GalleryError as caught:
            assert str(path) in str(caught)  # noqa: PT017
    assert harmless < 0.03 * len(places)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a gallery at all",
        b"\xff" * 8 + b"{}",
        (2**63 - 1).to_bytes(8, "little") + b"{}",
        (99_999_999).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (8).to_bytes(8, "little") + b"\xff" * 8,
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        b"PK\x03\x04" + bytes(100),
        b"\x80\x04\x95" + bytes(100),
    ],
)
def test_what_is_no_gallery_is_refused(content: bytes, tmp_path: Path) -> None:
    refused(tmp_path / FILE_NAME, content, "not a gallery, or a damaged one")


def test_arrays_that_claim_to_be_enormous_are_refused(tmp_path: Path) -> None:
    for shape, end in (([2**40, 2**20], 2**62), ([2**62, 2**62], 8), ([2**30], 2**32)):
        header = json.dumps(
            {"matrix": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}, "__metadata__": {WORDS: "{}"}}
        ).encode()
        refused(tmp_path / FILE_NAME, len(header).to_bytes(8, "little") + header + bytes(8), "damaged")


@pytest.mark.parametrize("words", [None, [], "text", 3, True, {}, {"format_version": 2}])
def test_words_of_another_kind_are_refused(saved: bytes, tmp_path: Path, words: Any) -> None:
    refused(tmp_path / FILE_NAME, changed(saved, lambda _: words))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format_version": 2', "\u0000", "NaN", ""])
def test_words_that_are_no_json_are_refused(saved: bytes, tmp_path: Path, text: str) -> None:
    arrays = safetensors.numpy.load(saved)
    refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays, metadata={WORDS: text}))
    refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays, metadata={"other": text}))
    refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays))


@pytest.mark.parametrize(
    "name",
    [
        "gallery_id",
        "detector_id",
        "origin",
        "embedding",
        "background",
        "pairs",
        "claims",
        "names",
        "ids",
        "hashes",
        "format_version",
    ],
)
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, float("nan"), 10**400, [[1]], ["a"]], ids=range(9))
def test_any_word_of_another_kind_is_refused(saved: bytes, tmp_path: Path, name: str, value: Any) -> None:
    refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: value}, right=False))
    if name != "origin":  # any text can be one
        refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: value}))


def test_no_word_may_be_absent(saved: bytes, tmp_path: Path) -> None:
    said = words_of(saved)
    del said["checksum"]
    arrays = safetensors.numpy.load(saved)
    for name in said:
        fewer = {key: value for key, value in said.items() if key != name}
        refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays, metadata={WORDS: json.dumps(fewer)}))


@pytest.mark.parametrize("name", ["pairs", "claims"])
@pytest.mark.parametrize("part", ["slope", "intercept", "log10_lr_bound"])
def test_a_calibration_that_cannot_be_or_is_another_is_refused(
    saved: bytes, tmp_path: Path, name: str, part: str
) -> None:
    def other(value: Any) -> bytes:
        return changed(saved, lambda said: {**said, name: {**said[name], part: value}})

    path, held = tmp_path / FILE_NAME, words_of(saved)[name]
    for value in (None, [], "x", float("nan"), float("inf"), 10**400):
        refused(path, other(value), "this is not a gallery, or a damaged one")
    refused(path, other(held[part] * (1 + 1e-9)), "does not hold what its identity says")
    fewer = {key: value for key, value in held.items() if key != part}
    refused(path, changed(saved, lambda said: {**said, name: fewer}), f"'{part}'")


def test_the_calibrations_cannot_change_places(saved: bytes, tmp_path: Path) -> None:
    content = changed(saved, lambda said: {**said, "pairs": said["claims"], "claims": said["pairs"]})
    refused(tmp_path / FILE_NAME, content, "does not hold what its identity says")


@pytest.mark.parametrize("name", ["names", "origins", "counts", "pictures", "spread"])
@pytest.mark.parametrize(
    "value", [None, [], {}, "x", -1, 0, float("nan"), float("inf"), 10**400, [[1]], ["a"], [0] * 13], ids=range(12)
)
def test_any_word_of_the_background_of_another_kind_is_refused(
    gallery: Gallery, saved: bytes, tmp_path: Path, name: str, value: Any
) -> None:
    content = changed(saved, lambda said: {**said, "background": {**said["background"], name: value}})
    refused(tmp_path / FILE_NAME, content)
    strange = {key: word for key, word in words_of(saved)["background"].items() if key != name}
    refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, "background": strange}), f"'{name}'")


@pytest.mark.parametrize("name", ["origin", "ids"])
def test_words_that_the_identity_leaves_out_have_a_checksum(saved: bytes, tmp_path: Path, name: str) -> None:
    said = words_of(saved)
    other: dict[str, Any] = {
        "origin": {"origin": "elsewhere"},
        "ids": {"ids": ["another", *said["ids"][1:]]},
    }[name]
    content = changed(saved, lambda said: {**said, **other}, right=False)
    refused(tmp_path / FILE_NAME, content, "do not have their checksum")


def test_the_file_itself_is_read(gallery: Gallery, saved: bytes, tmp_path: Path) -> None:
    """Else what is refused below might be so for another reason."""
    assert changed(saved) == saved
    (tmp_path / FILE_NAME).write_bytes(saved)
    assert same(read_gallery(tmp_path / FILE_NAME), gallery)


@pytest.mark.parametrize("checksum", ["absent", None, "", "0" * 64])
def test_a_gallery_without_its_checksum_is_refused(saved: bytes, tmp_path: Path, checksum: Any) -> None:
    said = words_of(saved)
    del said["checksum"]
    if checksum != "absent":
        said["checksum"] = checksum
    content = safetensors.numpy.save(safetensors.numpy.load(saved), metadata={WORDS: json.dumps(said)})
    refused(tmp_path / FILE_NAME, content, "damaged.*checksum")


@pytest.mark.parametrize("part", ["spread", "pictures"])
def test_another_digit_of_the_background_is_refused(saved: bytes, tmp_path: Path, part: str) -> None:
    known = words_of(saved)["background"]
    other = {**known, part: known[part] * (1 + 1e-12)}
    content = changed(saved, lambda said: {**said, "background": other})
    refused(tmp_path / FILE_NAME, content, "does not hold what its identity says")


@pytest.mark.parametrize("name", ["names", "ids", "hashes"])
def test_a_list_of_another_length_is_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    refused(
        tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: said[name][:-1]}), "needs codes|as many ids"
    )
    refused(
        tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: [*said[name], "a"]}), "needs codes|as many ids"
    )


@pytest.mark.parametrize("version", [1, 3, 0, None, "2", [2], 10**30])
def test_another_format_is_named(saved: bytes, tmp_path: Path, version: Any) -> None:
    content = changed(saved, lambda said: {**said, "format_version": version})
    said = f"written in format {re.escape(repr(version))}, this version reads 2; .*move the file away, and enrol"
    refused(tmp_path / FILE_NAME, content, said)


FLOATS = (
    "basis.mean", "basis.scale", "basis.steps", "basis.grain", "background.middles", "background.scatter", "weights",
)  # fmt: skip
CODES = ("basis.axes", "photographs", "codes")


def test_these_are_all_arrays(saved: bytes) -> None:
    kinds = {name: array.dtype for name, array in safetensors.numpy.load(saved).items()}
    assert kinds == {**dict.fromkeys(FLOATS, np.float32), **dict.fromkeys(CODES, np.int8)}


@pytest.mark.parametrize("name", [*FLOATS, *CODES])
def test_an_array_that_is_absent_or_of_another_kind_is_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    held = safetensors.numpy.load(saved)[name]
    path = tmp_path / FILE_NAME
    refused(path, changed(saved, arrays={name: None}))
    for kind in {np.float64, np.float32, np.int32, np.int8, np.float16, np.bool_, np.uint8} - {held.dtype.type}:
        refused(path, changed(saved, arrays={name: held.astype(kind)}), "not of float32, or codes not of 8 bits")


@pytest.mark.parametrize("name", [*FLOATS, *CODES])
def test_an_array_of_another_shape_is_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    held = safetensors.numpy.load(saved)[name]
    shapes = [(), (0,), (1,), (1, 1), (*held.shape, 1), (len(held) + 1, *held.shape[1:]), held.shape[:-1]]
    shapes += [(length, *held.shape[1:]) for length in (0, 1)] + [(*held.shape[:-1], length) for length in (0, 1, 999)]
    for shape in shapes:
        refused(tmp_path / FILE_NAME, changed(saved, arrays={name: np.ones(shape, held.dtype)}), "damaged")


@pytest.mark.parametrize("name", FLOATS)
def test_numbers_that_are_not_finite_or_others_are_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    held, path = safetensors.numpy.load(saved)[name], tmp_path / FILE_NAME
    for value in (np.nan, np.inf, -np.inf):
        spoilt = held.copy()
        spoilt.flat[3] = value
        refused(path, changed(saved, arrays={name: spoilt}), "damaged")
    other = held.copy()
    other.flat[3] *= np.float32(1.0001)
    refused(path, changed(saved, arrays={name: other}), "does not hold what its identity says")
    for factor in (0, -1, 1e-30, 1e30):
        refused(path, changed(saved, arrays={name: held * np.float32(factor)}), "damaged")


@pytest.mark.parametrize("name", CODES)
def test_other_codes_are_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    held, path = safetensors.numpy.load(saved)[name], tmp_path / FILE_NAME
    other = held.copy()
    other.flat[3] ^= 1
    refused(path, changed(saved, arrays={name: other}), "does not hold what its identity says")
    for value in (0, 127, -128):
        refused(path, changed(saved, arrays={name: np.full_like(held, value)}), "damaged")


def test_a_basis_of_no_axes_is_refused(saved: bytes, tmp_path: Path) -> None:
    """Every part cut to nothing, so that all of them fit."""
    held = safetensors.numpy.load(saved)
    cut = {name: held[name][..., :0] for name in held if name not in ("basis.mean", "basis.scale", "weights")}
    cut["background.scatter"] = np.zeros((0, 0), np.float32)
    refused(tmp_path / FILE_NAME, changed(saved, arrays=cut), "damaged")


def test_a_scatter_that_is_none_is_refused(saved: bytes, tmp_path: Path) -> None:
    size = len(safetensors.numpy.load(saved)["background.scatter"])
    for numbers in (np.ones(size), np.zeros(size), -np.ones(size), np.linspace(-1, 2, size)):
        scatter = np.diag(numbers).astype(np.float32)
        refused(tmp_path / FILE_NAME, changed(saved, arrays={"background.scatter": scatter}), "damaged")


def test_nan_is_refused_even_under_an_identity_of_its_own(gallery: Gallery, tmp_path: Path) -> None:
    middles = gallery.background.middles.copy()
    spoilt = replace(gallery, background=replace(gallery.background, middles=middles))
    middles[3, 5] = np.nan  # after all checks
    object.__setattr__(spoilt, "gallery_id", spoilt._identity())
    save_gallery(spoilt, tmp_path / FILE_NAME)
    with pytest.raises(GalleryError, match="finite middles"):
        read_gallery(tmp_path / FILE_NAME)
