"""A gallery survives saving and reading; damage of every kind is an error of its own, and nothing is lost in a race."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from ganfingerprint.artifact import shipped_detector
from ganfingerprint.attribution import (
    FILE_NAME,
    Gallery,
    attribute,
    changing,
    read_gallery,
    save_gallery,
    shipped_gallery,
)
from ganfingerprint.errors import GalleryError

WORDS = "ganfingerprint.gallery"


@pytest.fixture(scope="module")
def saved(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / FILE_NAME
    save_gallery(gallery, path)
    return path.read_bytes()


def changed(
    saved: bytes,
    words: Callable[[Any], Any] = lambda said: said,
    arrays: dict[str, Any] | None = None,
    *,
    checksum: bool = False,
) -> bytes:
    """The file with other words, or other arrays; None takes one away. A checksum would stop most of it first."""
    said = words_of(saved)
    if not checksum:
        del said["checksum"]
    held = {**safetensors.numpy.load(saved), **(arrays or {})}
    metadata = {WORDS: json.dumps(words(said))}
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


def test_a_gallery_is_read_as_it_was_saved(gallery: Gallery, world: Any, tmp_path: Path) -> None:
    strange = world.hashes('图, "ü"', 3)
    before = gallery.enrolled("图 ü", world.embeddings("图", 3), ["a\udcff.png", "\u0000", "🙂"], strange)
    path = tmp_path / "new" / "folder" / FILE_NAME
    save_gallery(before, path)
    after = read_gallery(path)
    assert after.gallery_id == before.gallery_id
    for name in ("detector_id", "pairs", "origin", "names", "ids", "hashes", "generators"):
        assert getattr(after, name) == getattr(before, name), name
    assert np.array_equal(after.fingerprints, before.fingerprints)
    assert after.fingerprints.dtype == np.float32
    assert after.space.radius == before.space.radius
    assert after.space.matrix == pytest.approx(before.space.matrix, rel=1e-6, abs=1e-7)
    assert [item.name for item in path.parent.iterdir()] == [FILE_NAME]
    asked = world.predictions(world.known[0], 5, seed=3)
    for one, other in zip(attribute(asked, before), attribute(asked, after), strict=True):
        assert one.answer == other.answer
        assert one.probability == pytest.approx(other.probability, abs=1e-4)


def test_saving_again_changes_nothing_and_a_gallery_without_generators_can_be_saved(
    gallery: Gallery, saved: bytes, tmp_path: Path
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(saved)
    save_gallery(read_gallery(path), path)
    assert path.read_bytes() == saved
    empty = gallery
    for name in gallery.generators:
        empty = empty.without(name)
    save_gallery(empty, path)
    assert read_gallery(path).generators == ()


@pytest.mark.parametrize("where", ["absent", "absent/deeper", "folder"])
def test_no_file_is_no_gallery(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(GalleryError, match="gallery"):
        read_gallery(tmp_path / where)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GalleryError, match="no file"):
        read_gallery(tmp_path / "pipe")


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with path.open("wb") as stream:
        stream.truncate(2**40)  # a hole: it takes no space
    with pytest.raises(GalleryError, match="larger than 1024 MiB"):
        read_gallery(path)


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


@pytest.mark.parametrize("words", [None, [], "text", 3, True, {}, {"format_version": 1}])
def test_words_of_another_kind_are_refused(saved: bytes, tmp_path: Path, words: Any) -> None:
    refused(tmp_path / FILE_NAME, changed(saved, lambda _: words))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format_version": 1', "\u0000", "NaN", ""])
def test_words_that_are_no_json_are_refused(saved: bytes, tmp_path: Path, text: str) -> None:
    arrays = safetensors.numpy.load(saved)
    refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays, metadata={WORDS: text}))
    refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays, metadata={"other": text}))
    refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays))


@pytest.mark.parametrize(
    "name", ["gallery_id", "detector_id", "origin", "radius", "pairs", "names", "ids", "hashes", "format_version"]
)
@pytest.mark.parametrize("value", [None, [], {}, "x", -1, float("nan"), 10**400, [[1]], ["a"]], ids=range(9))
def test_any_word_of_another_kind_is_refused(saved: bytes, tmp_path: Path, name: str, value: Any) -> None:
    refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: value}, checksum=True))
    if name != "origin":  # any text can be one
        refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: value}))


def test_no_word_may_be_absent(saved: bytes, tmp_path: Path) -> None:
    said = words_of(saved)
    del said["checksum"]
    arrays = safetensors.numpy.load(saved)
    for name in said:
        fewer = {key: value for key, value in said.items() if key != name}
        refused(tmp_path / FILE_NAME, safetensors.numpy.save(arrays, metadata={WORDS: json.dumps(fewer)}))


@pytest.mark.parametrize("value", [None, [], "x", float("nan"), float("inf"), -1, 10**400], ids=range(7))
def test_a_calibration_that_cannot_be_is_refused(saved: bytes, tmp_path: Path, value: Any) -> None:
    refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, "pairs": {**said["pairs"], "slope": value}}))


@pytest.mark.parametrize("name", ["origin", "ids", "radius"])
def test_words_that_the_identity_leaves_out_have_a_checksum(saved: bytes, tmp_path: Path, name: str) -> None:
    other = {"origin": "elsewhere", "ids": ["another", *words_of(saved)["ids"][1:]], "radius": None}[name]
    other = words_of(saved)["radius"] * (1 + 1e-12) if other is None else other
    content = changed(saved, lambda said: {**said, name: other}, checksum=True)
    refused(tmp_path / FILE_NAME, content, "do not have their checksum")


def test_a_gallery_from_before_there_was_a_checksum_is_read(gallery: Gallery, saved: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(changed(saved))
    assert same(read_gallery(tmp_path / FILE_NAME), gallery)


@pytest.mark.parametrize("name", ["names", "ids", "hashes"])
def test_a_list_of_another_length_is_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: said[name][:-1]}), "needs fingerprints")
    refused(tmp_path / FILE_NAME, changed(saved, lambda said: {**said, name: [*said[name], "a"]}), "needs fingerprints")


@pytest.mark.parametrize("version", [2, 0, None, "1", [1], 10**30])
def test_another_format_is_named(saved: bytes, tmp_path: Path, version: Any) -> None:
    content = changed(saved, lambda said: {**said, "format_version": version})
    refused(tmp_path / FILE_NAME, content, "written in format .* this version reads 1")


@pytest.mark.parametrize(
    "name",
    ["mean", "matrix", "within", "between", "photographs.mean", "photographs.precision", "weights", "fingerprints"],
)
def test_an_array_that_is_absent_or_cannot_be_is_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    held = safetensors.numpy.load(saved)[name]
    path = tmp_path / FILE_NAME
    refused(path, changed(saved, arrays={name: None}))
    for shape in ((), (0,), (1,), (*held.shape, 1), (len(held) + 1, *held.shape[1:]), (0, *held.shape[1:])):
        refused(path, changed(saved, arrays={name: np.ones(shape, np.float32)}))
    for value in (np.nan, np.inf):
        spoilt = held.copy()
        spoilt.flat[3] = value
        refused(path, changed(saved, arrays={name: spoilt}), "damaged")
    for kind in (np.float64, np.int32, np.float16, np.bool_, np.uint8):
        refused(path, changed(saved, arrays={name: held.astype(kind)}), "float32")
    other = held.copy()
    other.flat[3] *= np.float32(1.0001)
    refused(path, changed(saved, arrays={name: other}), "does not hold what its identity says")


def test_nan_is_refused_even_under_an_identity_of_its_own(gallery: Gallery, tmp_path: Path) -> None:
    gallery = replace(gallery, fingerprints=gallery.fingerprints.copy())
    gallery.fingerprints[5, 5] = np.nan  # after all checks
    save_gallery(gallery, tmp_path / FILE_NAME)
    with pytest.raises(GalleryError, match="fingerprints must be finite"):
        read_gallery(tmp_path / FILE_NAME)


def test_more_than_a_file_holds_is_refused_and_the_old_file_stays(
    gallery: Gallery, saved: bytes, tmp_path: Path
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(saved)
    with pytest.raises(GalleryError, match="300 pictures are more than a gallery holds"):
        save_gallery(replace(gallery, origin="x" * 100_000_001), path)
    assert path.read_bytes() == saved


def places_that_cannot_be_written(tmp_path: Path) -> list[Path]:
    (tmp_path / "file").write_bytes(b"")
    found = [tmp_path / "file" / FILE_NAME, tmp_path / ("x" * 300)]
    if Path("/sys/kernel").is_dir():  # read-only even for root
        found.append(Path("/sys/kernel") / FILE_NAME)
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o555)
        found.append(tmp_path / "closed" / FILE_NAME)
    return found


def test_a_place_that_cannot_be_written_to_is_a_clear_error(gallery: Gallery, tmp_path: Path) -> None:
    for path in places_that_cannot_be_written(tmp_path):
        with pytest.raises(GalleryError, match="cannot be written"):
            save_gallery(gallery, path)
        with pytest.raises(GalleryError, match="cannot be written to"), changing(path):
            pytest.fail("there is no lock")


def test_an_error_while_changing_is_passed_on_and_the_lock_goes(tmp_path: Path) -> None:
    path = tmp_path / "new" / FILE_NAME
    with pytest.raises(FileNotFoundError), changing(path):
        (tmp_path / "absent").read_bytes()  # an OSError, and not one of the lock
    with changing(path):
        assert not path.exists()


ENROL = """
    import sys
    from pathlib import Path
    import numpy as np
    from ganfingerprint.attribution import changing, read_gallery, save_gallery
    path, name = Path(sys.argv[1]), sys.argv[2]
    print("ready", flush=True)
    sys.stdin.readline()
    for at in range(8):
        with changing(path):
            values = np.random.default_rng(at).uniform(size=(3, 40))
            hashes = [f"{name} {at} {number}" for number in range(3)]
            save_gallery(read_gallery(path).enrolled(name, values, hashes, hashes), path)
"""


def test_two_processes_that_enrol_at_once_lose_nothing(gallery: Gallery, world: Any, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    save_gallery(gallery, path)
    path.with_name(f".{FILE_NAME}.lock").write_text("left over by a process that is gone")
    program = [sys.executable, "-c", textwrap.dedent(ENROL), str(path)]
    running = [
        subprocess.Popen([*program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in running:
            process.communicate(timeout=60)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert [process.returncode for process in running] == [0, 0]
    after = read_gallery(path)
    assert (after.names.count("one"), after.names.count("two")) == (24, 24)
    assert after.without("one").without("two").gallery_id == gallery.gallery_id


def test_a_lock_that_was_left_over_does_not_block(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.with_name(f".{FILE_NAME}.lock").write_text("12345")
    with changing(path):
        save_gallery(gallery, path)
    with changing(path):
        assert read_gallery(path).gallery_id == gallery.gallery_id


def test_the_shipped_gallery_lies_beside_the_shipped_detector() -> None:
    found = shipped_gallery()
    assert found in (None, shipped_detector() / FILE_NAME)
    assert (found is None) == (not (shipped_detector() / FILE_NAME).exists())
