from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganfingerprint.cli.predict import list_pictures
from ganfingerprint.errors import UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/c.webp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(found: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


@pytest.mark.parametrize(
    ("recursive", "expected"), [(False, ["a.PNG", "b.jpg"]), (True, ["a.PNG", "b.jpg", "deep/c.webp"])]
)
def test_a_folder_gives_its_pictures_sorted(tree: Path, recursive: bool, expected: list[str]) -> None:
    assert names(list_pictures([tree], recursive=recursive), tree) == expected


def test_inputs_keep_their_order_and_each_file_comes_once(tree: Path) -> None:
    again = Path(os.path.join(tree, "deep", "..", "b.jpg"))
    assert names(list_pictures([tree / "b.jpg", tree, again], recursive=False), tree) == ["b.jpg", "a.PNG"]


def test_a_file_that_is_named_is_taken_whatever_its_suffix_and_whether_it_exists(tree: Path) -> None:
    wanted = [tree / "notes.txt", tree / "nowhere.jpg"]
    assert list_pictures(wanted, recursive=False) == wanted


@pytest.mark.parametrize(("recursive", "hint"), [(False, True), (True, False)])
def test_a_folder_without_pictures_is_a_mistake(tree: Path, recursive: bool, hint: bool) -> None:
    with pytest.raises(UsageError, match="no pictures in this folder") as caught:
        list_pictures([tree / "empty"], recursive=recursive)
    assert ("--recursive" in str(caught.value)) is hint
