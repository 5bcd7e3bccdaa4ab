"""A gallery survives saving and reading, and nothing is lost in a race; of damage, see test_damaged_gallery.py."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint.artifact import shipped_detector
from ganfingerprint.attribution import (
    FILE_NAME,
    PHOTOGRAPH,
    Gallery,
    attribute,
    changing,
    compare,
    read_gallery,
    save_gallery,
    shipped_gallery,
)
from ganfingerprint.errors import GalleryError


def test_a_gallery_is_read_as_it_was_saved(gallery: Gallery, world: Any, tmp_path: Path) -> None:
    strange = world.hashes('图, "ü"', 3)
    before = gallery.enrolled("图 ü", world.traces("图", 3), ["a\udcff.png", "\u0000", "🙂"], strange)
    path = tmp_path / "new" / "folder" / FILE_NAME
    save_gallery(before, path)
    after = read_gallery(path)
    assert after.gallery_id == before.gallery_id
    for name in ("detector_id", "pairs", "claims", "origin", "names", "ids", "hashes", "generators"):
        assert getattr(after, name) == getattr(before, name), name
    for name in ("codes", "seen_photographs"):
        assert np.array_equal(getattr(after, name), getattr(before, name)), name
        assert getattr(after, name).dtype == np.int8
    for name in ("names", "origins", "spread"):
        assert getattr(after.background, name) == getattr(before.background, name), name
    assert np.array_equal(after.background.counts, before.background.counts)
    assert after.background.scatter.pictures == before.background.scatter.pictures
    assert [item.name for item in path.parent.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("enrolled", [0, 3, 12])
def test_a_gallery_answers_exactly_the_same_before_and_after_it_was_saved(
    gallery: Gallery, world: Any, tmp_path: Path, enrolled: int
) -> None:
    before = world.enrol(gallery, "aaa", enrolled) if enrolled else gallery  # 12 shape the space
    save_gallery(before, tmp_path / FILE_NAME)
    after = read_gallery(tmp_path / FILE_NAME)
    for name in ("mean", "matrix", "radius", "within", "between"):
        assert np.array_equal(getattr(after.space, name), getattr(before.space, name)), name
    for name in ("middles", "counts"):
        assert np.array_equal(getattr(after.background, name), getattr(before.background, name)), name
    assert np.array_equal(after.background.scatter.covariance, before.background.scatter.covariance)
    assert np.array_equal(after.weighing.weights, before.weighing.weights)
    for name in ("fingerprints", "places", "counts"):
        assert np.array_equal(getattr(after, name), getattr(before, name)), name
    assert np.array_equal(after.photographs.precision, before.photographs.precision)
    asked = [item for name in (world.known[0], "aaa", PHOTOGRAPH) for item in world.predictions(name, 5, seed=3)]
    assert attribute(asked, after) == attribute(asked, before)
    assert compare(asked[:3], asked[3:9], after) == compare(asked[:3], asked[3:9], before)


def test_a_saved_gallery_is_eight_bits_a_number_of_a_picture(gallery: Gallery, world: Any, tmp_path: Path) -> None:
    sizes = []
    for count in (100, 200):
        save_gallery(world.enrol(gallery, "aaa", count), tmp_path / FILE_NAME)
        sizes.append((tmp_path / FILE_NAME).stat().st_size)
    words = len("aaa 100.png") + 64 + len("aaa") + 3 * 6  # an id, a hash and a name, and what separates them
    assert (sizes[1] - sizes[0]) / 100 == pytest.approx(48 + words, abs=2)


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
            values = np.random.default_rng(at).uniform(size=(3, 48))
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
