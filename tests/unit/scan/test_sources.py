"""Inputs become items: folders, globs, lists, archives, and what is wrong with them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as PilImage

from ganfingerprint.errors import InputError, UsageError
from ganfingerprint.scan import sources
from ganfingerprint.scan.sources import Item, items


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


ODD = ("../../outside.png", "/absolute.png", "dir/a.png", "dir/.hidden.png", "dir/readme.txt")
TAKEN = ["../../outside.png", "/absolute.png", "dir/a.png"]


@pytest.fixture(params=["zip", "tar", "tar.gz", "tgz"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"a.{request.param}"
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for shade, name in enumerate(ODD):
                file.writestr(name, picture(shade))
        return path
    with tarfile.open(path, "w:gz" if "gz" in request.param else "w") as tar:
        for shade, name in enumerate(ODD):
            info = tarfile.TarInfo(name)
            info.size = len(picture(shade))
            tar.addfile(info, io.BytesIO(picture(shade)))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def test_members_of_archives_are_read_in_place_whatever_they_are_called(archive: Path) -> None:
    listed = [item for item in found(archive) if item.problem is None]
    assert [item.path for item in listed] == [f"{archive}!{name}" for name in TAKEN]
    assert [item.read() for item in listed] == [picture(0), picture(1), picture(2)]
    links = [item.path for item in found(archive) if item.problem is not None]
    assert links == ([] if archive.suffix == ".zip" else [f"{archive}!link.png"])
    assert sorted(path.name for path in archive.parent.iterdir()) == [archive.name]


def test_a_member_that_unpacks_to_more_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = sources.DecodeLimits(max_bytes=1000)
    monkeypatch.setattr(sources, "DecodeLimits", lambda: small)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.png", bytes(10**6))
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("bomb.png")
        info.size = 10**6
        tar.addfile(info, io.BytesIO(bytes(10**6)))
    (zipped,) = found(tmp_path / "bomb.zip")
    with pytest.raises(InputError, match="over the limit"):
        zipped.read()
    (tarred,) = found(tmp_path / "bomb.tar.gz")
    assert tarred.problem is not None
    assert tarred.problem[0] == "too_large"


def test_a_damaged_member_is_one_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.png", picture())
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    (only,) = found(path)
    with pytest.raises(InputError, match="member of the archive"):
        only.read()


def test_an_archive_that_is_cut_short_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    whole = tmp_path / "whole.tar.gz"
    with tarfile.open(whole, "w:gz", compresslevel=0) as tar:
        for number in range(3):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = 20_000
            tar.addfile(info, io.BytesIO(bytes([number]) * 20_000))
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:50_000])
    *members, last = found(cut)
    assert [item.path for item in members] == [f"{cut}!0.png", f"{cut}!1.png"]
    assert last.path == str(cut)
    assert last.problem is not None
    assert "to its end" in last.problem[1]


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


def test_what_a_store_does_not_give_is_a_failure() -> None:
    pytest.importorskip("fsspec")
    (absent,) = found("memory://nowhere/a.png")
    with pytest.raises(InputError) as raised:
        absent.read()
    assert raised.value.code == "not_found"
    (unknown,) = found("nonsense://a/b.png")
    assert unknown.problem is not None
    assert unknown.problem[0] == "unreachable"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_all_there(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for shade in (1, 2):
            file.writestr("a.png", picture(shade))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for shade in (1, 2):
            info = tarfile.TarInfo("a.png")
            info.size = len(picture(shade))
            tar.addfile(info, io.BytesIO(picture(shade)))
    for name in ("a.zip", "a.tar"):
        listed = found(tmp_path / name)
        assert [item.path.rpartition("!")[2] for item in listed] == ["a.png", "a.png#2"]
        assert [item.read() for item in listed] == [picture(1), picture(2)]


def test_a_tar_is_what_its_bytes_are(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "really.gz", "w:gz") as tar:
        info = tarfile.TarInfo("a.png")
        info.size = len(picture())
        tar.addfile(info, io.BytesIO(picture()))
    (tmp_path / "really.gz").rename(tmp_path / "a.tar")
    (only,) = found(tmp_path / "a.tar")
    assert only.read() == picture()


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 600 * 2**20
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(2**21))
    (only,) = found(tmp_path / "a.tar.gz")
    assert only.problem is not None
    assert "a header of 629145600 bytes" in only.problem[1]


def test_entries_of_a_list_that_are_no_paths_are_failures(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a.png", None]}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("id,path\n1\n")
    listed = found(tmp_path / "a.parquet", tmp_path / "b.csv")
    assert [item.problem is None for item in listed] == [True, False, False]
    assert listed[1].path == f"{tmp_path}/a.parquet#2"


def test_an_archive_that_has_gone_is_a_failure_of_its_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("a.png")
        info.size = len(picture())
        tar.addfile(info, io.BytesIO(picture()))
    (only,) = found(tmp_path / "a.tar")
    (tmp_path / "a.tar").unlink()
    with pytest.raises(InputError, match="any more"):
        only.read()
