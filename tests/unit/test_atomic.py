from __future__ import annotations

from pathlib import Path

import pytest

from ganfingerprint.atomic import replacing


def test_a_file_appears_whole_and_folders_on_the_way_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    with replacing(path) as beside:
        beside.write_text("whole")
        assert beside.parent == path.parent
        assert beside.suffix == ".txt"
        assert not path.exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["c.txt"]
    assert path.read_text() == "whole"


def test_a_broken_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as beside:
        beside.write_text("half\ud800")
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "old"


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with replacing(path) as one, replacing(path) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"  # the last to finish


def test_a_long_name_still_has_room_beside_it(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 240 + ".png")
    with replacing(path) as beside:
        beside.write_bytes(b"1")
    assert path.exists()
