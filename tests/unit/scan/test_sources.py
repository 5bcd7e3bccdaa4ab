"""Inputs become items: folders, globs, lists, archives, and what is wrong with them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as PilImage

from ganfingerprint.decode import decode
from ganfingerprint.errors import InputError, MissingExtraError, UsageError
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.sources import LONGEST_LINE, count, items


def picture(shade: int = 90) -> bytes:
    stream = io.BytesIO()
    PilImage.new("RGB", (64, 64), (shade, 100, 110)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "deep").mkdir(parents=True)
    for name in ("b.png", "a.PNG", "deep/c.png", "notes.md"):
        (root / name).write_bytes(picture())
    return root


def names(found: list[Item], below: Path) -> list[str]:
    return [item.path.removeprefix(f"{below}/") for item in found]


def found(*inputs: object, recursive: bool = False) -> list[Item]:
    return list(items([str(entry) for entry in inputs], recursive=recursive))


def test_folders_are_listed_one_by_one_and_files_are_themselves(tree: Path) -> None:
    assert names(found(tree), tree) == ["a.PNG", "b.png"]
    assert names(found(tree, recursive=True), tree) == ["a.PNG", "b.png", "deep/c.png"]
    assert names(found(tree / "notes.md"), tree) == [
        "notes.md"
    ]  # a file that is named is judged, whatever it is called


def test_globs_match_files_and_folders(tree: Path) -> None:
    assert sorted(names(found(f"{tree}/**/*.png"), tree)) == ["b.png", "deep/c.png"]
    assert names(found(f"{tree}/de*"), tree) == ["deep/c.png"]
    (only,) = found(f"{tree}/*.webp")
    assert only.problem == ("not_found", "no file has a name like this")


def test_a_name_that_only_looks_like_a_glob_is_a_name(tree: Path) -> None:
    (tree / "[1].png").write_bytes(picture())
    assert names(found(tree / "[1].png"), tree) == ["[1].png"]


def test_a_name_that_leads_nowhere_and_looks_like_a_glob_is_a_name(tree: Path) -> None:
    for name in ("*.jpg", "[z].jpg"):
        (tree / name).symlink_to("nowhere")
    matched = found(f"{tree}/*.jpg", f"{tree}/[*[]*.jpg")
    assert sorted({item.path for item in matched}) == [f"{tree}/*.jpg", f"{tree}/[z].jpg"]
    assert all(item.problem is None for item in matched)  # reading it says that there is nothing


def test_a_bad_match_of_a_glob_does_not_hide_the_others(tree: Path) -> None:
    (tree / "b.zip").write_bytes(b"no zip")
    with zipfile.ZipFile(tree / "c.zip", "w") as archive:
        archive.writestr("c.png", picture())
    matched = {item.path: item.problem for item in found(f"{tree}/*")}
    assert matched.keys() >= {f"{tree}/b.png", f"{tree}/b.zip", f"{tree}/c.zip!c.png", f"{tree}/notes.md"}
    assert matched[f"{tree}/b.zip"] is not None


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "*", "nul\0.png", "b.png/c.png"])
def test_a_name_that_no_file_can_have_is_one_failure(tree: Path, name: str) -> None:
    *_, last = found(tree / name, tree / "b.png")
    first, _ = found(tree / name, tree / "b.png")
    assert first.problem is not None
    assert first.problem[0] == "not_found"
    assert last.problem is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.txt", "a.csv", "a.parquet"])
def test_a_pipe_is_not_waited_for_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (only,) = found(tmp_path / name)
    with pytest.raises(InputError, match="a device or a pipe"):
        decode(Path(str(only.read())))


@pytest.mark.parametrize("start", ["", "path\n"])
def test_a_line_that_would_fill_the_memory_makes_no_list(tmp_path: Path, start: str) -> None:
    path = tmp_path / ("a.csv" if start else "a.txt")
    path.write_text(f"{start}b.png\n" + "x" * LONGEST_LINE)
    first, last = found(path)
    assert first.path == f"{tmp_path}/b.png"
    assert last.problem is not None
    assert "a line of 65536 characters" in last.problem[1]


def test_items_are_counted_where_that_is_cheap(tree: Path) -> None:
    (tree / "list.txt").write_text("b.png\nb.png\n")
    with tarfile.open(tree / "a.tar", "w") as archive:
        archive.add(tree / "b.png", "b.png")

    def counted(*inputs: object, stopped: bool = False) -> int | None:
        return count([str(entry) for entry in inputs], recursive=True, stop=lambda: stopped)

    assert counted(tree, tree / "list.txt") == 5
    assert counted(tree, tree / "a.tar") is None
    assert counted(tree, "memory://bucket") is None
    assert counted(tree, stopped=True) is None


def test_lists_name_files_beside_them_or_anywhere(tree: Path) -> None:
    (tree / "list.txt").write_text(f"b.png\n\n{tree / 'deep' / 'c.png'}\r\n")
    (tree / "list.csv").write_text("id,path\n1,b.png\n2,deep/c.png\n")
    pq.write_table(pa.table({"path": ["b.png"]}), tree / "list.parquet")
    for name in ("txt", "csv"):
        listed = found(tree / f"list.{name}")
        assert [item.path for item in listed] == [str(tree / "b.png"), str(tree / "deep/c.png")]
        assert [Path(str(item.read())).read_bytes() for item in listed] == [picture()] * 2
    assert [item.file for item in found(tree / "list.parquet")] == [str(tree / "b.png")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"id\n1\n"),
        ("a.tar.xz", b"\xfd7zXZ\x00damaged"),
        ("b.tar", b"\x1f\x8b damaged"),
        ("a.parquet", b"no parquet"),
        ("a.zip", b"no zip"),
        ("a.tar", b"no tar"),
        ("a.tgz", b""),
    ],
)
def test_a_container_that_cannot_be_read_is_one_failure(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (only,) = found(tmp_path / name)
    assert only.path == str(tmp_path / name)
    assert only.problem is not None
    assert only.problem[0] == "unreadable_image"


def test_what_is_not_there_is_one_failure_and_the_rest_goes_on(tree: Path) -> None:
    absent = [tree / name for name in ("no.zip", "no.tar", "no.txt", "no.csv", "no.png")]
    listed = found(*absent, tree / "b.png")
    assert [item.problem[0] for item in listed[:-1] if item.problem] == ["not_found"] * 5
    assert listed[-1].problem is None


def test_no_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one input"):
        found()


def test_addresses_are_listed_and_fetched(tree: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for name in ("b.png", "deep/a.png", "notes.md"):
        memory.pipe(f"/bucket/{name}", picture())
    assert [item.path for item in found("memory://bucket")] == ["memory:///bucket/b.png"]
    assert len(found("memory://bucket", recursive=True)) == 2
    assert [item.path for item in found("memory://bucket/deep/*.png")] == ["memory:///bucket/deep/a.png"]
    (one,) = found("memory://bucket/deep/a.png")
    assert one.read() == picture()
    local = found(f"file://{tree}")
    assert [Path(item.path).name for item in local] == ["a.PNG", "b.png"]
    assert local[0].read() == picture()


def test_a_list_may_name_addresses(tmp_path: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe("/listed/a.png", picture())
    (tmp_path / "list.txt").write_text("memory://listed/a.png\nb.png\n")
    away, here = found(tmp_path / "list.txt")
    assert (away.path, away.read()) == ("memory://listed/a.png", picture())
    assert here.path == str(tmp_path / "b.png")


def test_what_a_store_does_not_give_is_a_failure() -> None:
    pytest.importorskip("fsspec")
    (absent,) = found("memory://nowhere/a.png")
    with pytest.raises(InputError) as raised:
        absent.read()
    assert raised.value.code == "not_found"
    (unmatched,) = found("memory://nowhere/*.png")
    assert unmatched.problem == ("not_found", "no file has a name like this")
    (unknown,) = found("nonsense://a/b.png")
    assert unknown.problem is not None
    assert unknown.problem[0] == "unreachable"


def test_entries_of_a_list_that_are_no_paths_are_failures(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a.png", None]}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("id,path\n1\n")
    listed = found(tmp_path / "a.parquet", tmp_path / "b.csv")
    assert [item.problem is None for item in listed] == [True, False, False]
    assert listed[1].path == f"{tmp_path}/a.parquet#2"


def test_an_entry_of_blanks_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path\n' '\n\" \"\nb.png\n".replace("'", '"'))
    assert [item.problem is None for item in found(tmp_path / "a.csv")] == [False, False, True]


def test_a_picture_that_is_called_a_list_is_one_failure(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(picture())
    (item,) = found(tmp_path / "photo.txt")
    assert item.problem is not None
    assert "it is not text" in item.problem[1]


def test_an_error_of_a_stores_own_kind_is_a_failure_and_the_rest_goes_on(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")

    class OwnError(Exception):
        """No kind of error that anybody else knows."""

    def refuse(*_: object, **__: object) -> None:
        raise OwnError("no credentials")

    monkeypatch.setattr(type(memory), "isdir", refuse)
    away, here = found("memory://bucket/photos", tree / "b.png")
    assert away.problem == ("unreachable", "it cannot be listed (no credentials)")
    assert here.problem is None


def test_a_package_that_is_absent_is_told_before_anything_is_judged(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")

    def absent(protocol: str) -> None:
        raise ImportError(f"install {protocol}fs")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    with pytest.raises(MissingExtraError, match="s3fs"):
        next(items([str(tree), "s3://bucket/a.png"], recursive=False))


@pytest.mark.parametrize(
    ("cause", "code"), [(ConnectionRefusedError("refused"), "unreachable"), (FileNotFoundError(), "not_found")]
)
def test_a_server_that_cannot_be_asked_is_not_a_missing_file(
    cause: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("memory://a/b.png") from cause  # as fsspec says of whatever a server does

    monkeypatch.setattr(type(memory), "open", refuse)
    with pytest.raises(InputError) as raised:
        Item(path="memory://a/b.png", file="memory://a/b.png", remote=True).read()
    assert raised.value.code == code


def test_an_encrypted_member_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", picture())
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[6] |= 1  # the flag, in the member's header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    (item,) = found(tmp_path / "a.zip")
    with pytest.raises(InputError, match="encrypted"):
        item.read()
