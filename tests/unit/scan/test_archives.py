"""Members of archives become items, and no archive can fill the memory, go on for ever or hide a member."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image as PilImage

from ganfingerprint.errors import InputError
from ganfingerprint.scan import archives
from ganfingerprint.scan import item as one_item
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.sources import items


def picture(shade: int = 90) -> bytes:
    stream = io.BytesIO()
    PilImage.new("RGB", (64, 64), (shade, 100, 110)).save(stream, "PNG")
    return stream.getvalue()


def found(path: Path) -> list[Item]:
    return list(items([str(path)], recursive=False))


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
    small = archives.DecodeLimits(max_bytes=1000)
    for module in (archives, one_item):
        monkeypatch.setattr(module, "DecodeLimits", lambda: small)
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
    assert "a header is too long" in only.problem[1]


def test_an_archive_that_has_gone_is_a_failure_of_its_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("a.png")
        info.size = len(picture())
        tar.addfile(info, io.BytesIO(picture()))
    (only,) = found(tmp_path / "a.tar")
    (tmp_path / "a.tar").unlink()
    with pytest.raises(InputError, match="any more"):
        only.read()


def header(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (header("again.png", size=-512), "negative size"),  # tarfile would read it again and again
        (header("again.png", size=-1), "negative size"),
        (header("x", size=6, kind=tarfile.GNUTYPE_LONGNAME) + b"b.png".ljust(512, b"\0"), "header is too long"),
        (b"no header".ljust(512), "header is damaged"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_tar_with_a_header_of_nonsense_ends_there_and_says_so(
    tmp_path: Path, end: bytes, said: str, packed: bool
) -> None:
    path = tmp_path / "a.tar"
    repeated = end * (3000 if b"b.png" in end else 1)  # tarfile would call itself for each
    whole = header("a.png") + repeated + header("late.png") + bytes(1024)
    path.write_bytes(gzip.compress(whole) if packed else whole)
    first, last = found(path)
    assert (first.path, first.problem) == (f"{path}!a.png", None)
    assert last.path == str(path)
    assert last.problem is not None
    assert said in last.problem[1]


def test_a_tar_that_unpacks_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives._Unpacked, "STEP", 2**14)
    monkeypatch.setattr(archives._Unpacked, "AT_ONCE", 2**20)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header("a.png") + header("nothing.bin", size=2**40) + bytes(2**23)))
    first, last = found(path)
    assert first.path == f"{path}!a.png"
    assert last.problem is not None
    assert "far more than pictures" in last.problem[1]


def test_what_follows_the_end_of_a_tar_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header("a.png") + bytes(1024) + b"anything")
    assert [item.problem for item in found(tmp_path / "a.tar")] == [None]


def test_folders_and_members_without_a_name_are_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("folder.png/", "x", "a.png"):
            file.writestr(name, b"")
    content = path.read_bytes()
    place = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)  # of x
    path.write_bytes(content[: place + 28] + b"\0\0\1\0" + content[place + 32 :])  # its name becomes its extra field
    assert [item.path for item in found(path)] == [f"{path}!a.png"]


def test_a_member_that_says_it_is_too_large_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.png", picture())
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 20 : place + 28] = b"\0\0\0\x7f" * 2
    path.write_bytes(content)
    (only,) = found(path)
    with pytest.raises(InputError) as raised:
        only.read()
    assert raised.value.code == "too_large"
