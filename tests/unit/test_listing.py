from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganfingerprint.decode import IMAGE_SUFFIXES, decode
from ganfingerprint.errors import (
    FileMissingError,
    UnreadableImageError,
)
from ganfingerprint.listing import find_images


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def found(root: Path, *, recursive: bool = True) -> list[str]:
    return [str(path.relative_to(root)) for path in find_images(root, recursive=recursive)]


def test_published_error_14_each_file_is_listed_once_whatever_the_case_of_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.jpg", "c.Jpeg", "d.PnG", "notes.txt", "jpg", "e.jpg.bak")
    assert found(tmp_path) == ["a.jpg", "b.JPG", "c.Jpeg", "d.PnG"]


def test_every_suffix_is_found_and_hidden_files_are_not(tmp_path: Path) -> None:
    touch(tmp_path, *(f"x{suffix}" for suffix in IMAGE_SUFFIXES), ".hidden.jpg", ".cache/a.jpg", "._x.jpg")
    assert found(tmp_path) == sorted(f"x{suffix}" for suffix in IMAGE_SUFFIXES)


def test_folders_are_entered_only_when_asked(tmp_path: Path) -> None:
    touch(tmp_path, "z.png", "sub/a.png", "sub/deep/b.png", "odd.jpg/c.png")
    assert found(tmp_path, recursive=False) == ["z.png"]
    assert found(tmp_path) == ["odd.jpg/c.png", "sub/a.png", "sub/deep/b.png", "z.png"]


def test_a_file_given_itself_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "picture.dat", ".hidden")
    for name in ("picture.dat", ".hidden"):
        assert find_images(tmp_path / name, recursive=False) == [tmp_path / name]
    with pytest.raises(FileMissingError):
        find_images(tmp_path / "nothing", recursive=True)


def test_links_in_a_circle_end_and_linked_folders_are_listed_once(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "real/a.png")
    touch(outside, "b.png")
    (root / "real" / "up").symlink_to(root, target_is_directory=True)
    (root / "again").symlink_to(root / "real", target_is_directory=True)
    (root / "out").symlink_to(outside, target_is_directory=True)
    (root / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    assert found(root) == ["dangling.jpg", "out/b.png", "real/a.png"]
    with pytest.raises(FileMissingError):
        decode(root / "dangling.jpg")


def test_links_that_lead_nowhere_are_listed(tmp_path: Path) -> None:
    for name, target in {"self.png": "self.png", "a.png": "b.png", "b.png": "a.png", "folder": "folder"}.items():
        (tmp_path / name).symlink_to(target)
    assert found(tmp_path) == ["a.png", "b.png", "self.png"]
    with pytest.raises(UnreadableImageError):
        decode(tmp_path / "self.png")


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="no deeper folders than paths here")
def test_a_folder_that_no_path_leads_to_is_listed_and_not_left_out(tmp_path: Path) -> None:
    handle, path = os.open(tmp_path, os.O_RDONLY), str(tmp_path)
    while len(path) < 4096:
        os.mkdir("d" * 200, dir_fd=handle)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle, path = below, f"{path}/{'d' * 200}"
    os.close(handle)
    (only,) = find_images(tmp_path, recursive=True)
    assert str(only) == path
    with pytest.raises(UnreadableImageError, match="too long"):
        decode(only)


@given(names=st.lists(st.sampled_from(["a", "b", "ä", "c d"]), unique=True), upper=st.booleans())
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_list_is_sorted_and_complete(names: list[str], upper: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = {f"{name}.{'JPG' if upper else 'jpg'}" for name in names}
        touch(Path(folder), *wanted)
        listed = find_images(Path(folder), recursive=False)
        assert listed == sorted(listed)
        assert {path.name for path in listed} == wanted
