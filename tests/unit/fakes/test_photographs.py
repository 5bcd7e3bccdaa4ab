from __future__ import annotations

import csv
import hashlib
import os
from pathlib import Path

import pytest

from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.fakes.photographs import Photograph, draw, hash_of, list_photographs


def names(found: list[Photograph]) -> list[str]:
    return [photograph.path.name for photograph in found]


def manifest(root: Path, rows: list[dict[str, str]]) -> None:
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "label", "split", "group", "source"])
        writer.writeheader()
        writer.writerows(rows)


def row(path: str, label: str, split: str) -> dict[str, str]:
    return {"path": path, "label": label, "split": split, "group": f"g-{path}", "source": "camera"}


def test_a_plain_folder_is_walked(photographs: Path) -> None:
    found = list_photographs(photographs)
    assert names(found) == ["0.jpg", "1.png", "2.webp", "3.jpg", "4.png", "5.webp"]
    assert {(photograph.group, photograph.source) for photograph in found} == {("", "photographs")}


def test_a_link_that_goes_round_in_circles_does_not_stop_the_others(photographs: Path) -> None:
    (photographs / "loop.jpg").symlink_to(photographs / "loop.jpg")
    found = list_photographs(photographs, below=photographs / "out")
    assert len(found) == 7  # reading it will say why it cannot be


def test_what_is_called_fake_is_left_out(photographs: Path) -> None:
    (photographs / "fake").mkdir()
    (photographs / "0.jpg").rename(photographs / "fake" / "0.jpg")
    (photographs / "1.png").rename(photographs / "1_fake.png")
    assert names(list_photographs(photographs)) == ["2.webp", "3.jpg", "4.png", "5.webp"]


def test_pairs_below_the_folder_are_not_photographs_again(photographs: Path) -> None:
    assert "5.webp" not in names(list_photographs(photographs, below=photographs / "deeper"))


def test_of_a_data_root_one_split_is_taken_with_its_groups(photographs: Path) -> None:
    rows = [row("0.jpg", "real", "train"), row("1.png", "fake", "train"), row("2.webp", "real", "test")]
    manifest(photographs, rows)
    (found,) = list_photographs(photographs, from_split="train")
    assert (found.path.name, found.group, found.source) == ("0.jpg", "g-0.jpg", "camera")


def test_of_a_data_root_a_split_must_be_named(photographs: Path) -> None:
    manifest(photographs, [row("0.jpg", "real", "train"), row("1.png", "real", "test")])
    with pytest.raises(UsageError, match=r"--from-split \(there are: test, train\)"):
        list_photographs(photographs)
    with pytest.raises(DataError, match="there is no split 'validation'"):
        list_photographs(photographs, from_split="validation")


def test_split_folders_are_a_data_root_too(drawn_root: Path) -> None:
    found = list_photographs(drawn_root, from_split="val")
    assert len(found) == 4
    assert {photograph.path.parent.name for photograph in found} == {"real"}
    assert found[0].group == "validation/real/00"


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_photographs_is_refused(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "folder"
    if made:
        folder.mkdir()
        (folder / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"there is no (photograph|such folder)"):
        list_photographs(folder)


def test_a_limit_draws_by_the_seed(photographs: Path) -> None:
    found = list_photographs(photographs)
    assert draw(found, None, seed=1) == draw(found, 9, seed=1) == found
    drawn = {tuple(names(draw(found, 3, seed=seed))) for seed in range(8)}
    assert len(drawn) > 2
    assert all(list(one) == sorted(set(one)) and len(one) == 3 for one in drawn)
    assert draw(found, 3, seed=1) == draw(found, 3, seed=1)


def test_a_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_what_cannot_be_read_has_no_hash(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert [hash_of(path) for path in (tmp_path, tmp_path / "pipe", tmp_path / "dangling")] == ["", "", ""]
