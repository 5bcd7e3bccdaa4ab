from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganfingerprint.cli.predict import list_pictures
from ganfingerprint.errors import UsageError

OUT = Path("out")  # not in the tree


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
    assert names(list_pictures([tree], recursive=recursive, output_dir=OUT), tree) == expected


def test_inputs_keep_their_order_and_each_file_comes_once(tree: Path) -> None:
    again = Path(os.path.join(tree, "deep", "..", "b.jpg"))
    found = list_pictures([tree / "b.jpg", tree, again], recursive=False, output_dir=OUT)
    assert names(found, tree) == ["b.jpg", "a.PNG"]


def test_a_file_that_is_named_is_taken_whatever_its_suffix_and_whether_it_exists(tree: Path) -> None:
    wanted = [tree / "notes.txt", tree / "nowhere.jpg"]
    assert list_pictures(wanted, recursive=False, output_dir=OUT) == wanted


@pytest.mark.parametrize(("recursive", "hint"), [(False, True), (True, False)])
def test_a_folder_without_pictures_is_a_mistake(tree: Path, recursive: bool, hint: bool) -> None:
    with pytest.raises(UsageError, match="no pictures in this folder") as caught:
        list_pictures([tree / "empty"], recursive=recursive, output_dir=OUT)
    assert ("--recursive" in str(caught.value)) is hint


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("deep", ["a.PNG", "b.jpg"]),
        ("deep/../deep", ["a.PNG", "b.jpg"]),
        ("linked", ["a.PNG", "b.jpg"]),  # another name of deep
        (".", ["deep/c.webp"]),  # what a run draws lies in the folder itself, never deeper
        ("dee", ["a.PNG", "b.jpg", "deep/c.webp"]),
    ],
)
def test_what_lies_in_the_output_folder_is_not_found(tree: Path, inside: str, expected: list[str]) -> None:
    (tree / "linked").symlink_to(tree / "deep")
    found = list_pictures([tree], recursive=True, output_dir=Path(os.path.join(tree, inside)))
    assert names(found, tree) == expected


def test_a_folder_that_is_its_own_output_folder_is_a_mistake(tree: Path) -> None:
    with pytest.raises(UsageError, match="lie in the output folder"):
        list_pictures([tree / "deep"], recursive=False, output_dir=tree / "deep")


def test_a_file_that_is_named_is_taken_out_of_the_output_folder_too(tree: Path) -> None:
    assert list_pictures([tree / "b.jpg"], recursive=False, output_dir=tree) == [tree / "b.jpg"]
