"""Archives become items. Their members are named `archive.zip!member.jpg`, and are never written anywhere."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import math
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from ganfingerprint.decode import FOREIGN_SUFFIXES, IMAGE_SUFFIXES, DecodeLimits
from ganfingerprint.errors import ImageTooLargeError, UnreadableImageError
from ganfingerprint.scan.item import DAMAGE, Item, over_the_limit


def zip_items(path: Path) -> Iterator[Item]:
    """The pictures in a zip archive.

    Raises:
        InputError: its directory cannot be read.
    """
    with readable(path, "the archive cannot be read"), zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if is_picture(info.filename) and not info.is_dir()]
    seen: Counter[str] = Counter()
    for name in names:
        yield Item(path=_named(path, name, seen), file=str(path), member=(name, seen[name] - 1))


def tar_items(path: Path) -> Iterator[Item]:
    """The pictures in a tar archive: of a plain one they are found again by their place, else they come along.

    Raises:
        InputError: it cannot be read to its end.
    """
    seen: Counter[str] = Counter()
    with (
        readable(path, "the archive cannot be read to its end"),
        _Unpacked.open(path) as stream,
        tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as archive,
    ):
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            if info.size < 0:  # tarfile would go back and read it again, for ever
                raise tarfile.ReadError("a member of negative size")
            stream.left = stream.HEADERS
            if info.isdir() or not is_picture(info.name):
                continue
            name = _named(path, info.name, seen)
            if not info.isfile():
                said = "this is a link or a device in an archive, not a file"
                yield Item(path=name, file=str(path), problem=(UnreadableImageError.code, said))
            elif info.size > DecodeLimits().max_bytes:
                yield Item(path=name, file=str(path), problem=(ImageTooLargeError.code, over_the_limit()))
            elif stream.plain and not info.issparse():
                yield Item(path=name, file=str(path), span=(info.offset_data, info.size))
            else:
                stream.left = math.inf  # the size was looked at
                content = cast(BinaryIO, archive.extractfile(info)).read()
                stream.left = stream.HEADERS
                yield Item(path=name, file=str(path), payload=content)
        stream.seek(archive.offset)  # tarfile takes whatever is no header for the end
        if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError("a header is damaged")


@contextlib.contextmanager
def readable(path: Path, said: str) -> Iterator[None]:
    """Whatever reading a list or an archive raises becomes an InputError; `said` is what cannot be done."""
    try:
        yield
    except DAMAGE as problem:
        raise UnreadableImageError(str(path), f"{said} ({problem})") from problem


class _Unpacked:
    """The bytes of a tar archive, unpacked, and no more of them than pictures ask for.

    tarfile reads what a header states, however long it is and however many follow one another, and unpacks what it
    skips: a file of some kilobytes could fill the memory or take days.
    """

    HEADERS = 2**16  # bytes for each member
    STEP, AT_ONCE, RATIO = 2**24, 2**30, 200  # so many bytes may be unpacked, and so many for each byte of the file

    def __init__(self, stream: BinaryIO, file: BinaryIO) -> None:
        self._stream, self._file, self.plain = stream, file, stream is file
        self.tell, self.close = stream.tell, stream.close
        self.left: float = self.HEADERS  # of the present member's headers

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[_Unpacked]:
        """By what the bytes are, whatever the name says."""
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
                if start.startswith(magic):
                    with opener(file, "rb") as stream:
                        yield cls(cast(BinaryIO, stream), file)
                    return
            yield cls(file, file)

    def read(self, size: int = -1) -> bytes:
        """As a file's.

        Raises:
            tarfile.ReadError: it is too much.
        """
        self.left -= size
        if size < 0 or self.left < 0:
            raise tarfile.ReadError("a header is too long")
        self._refuse_bomb()
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        """As a file's.

        Raises:
            tarfile.ReadError: it is too much.
        """
        here, before = self._stream.tell(), -1
        while not self.plain and before < here < place - self.STEP:
            before, here = here, self._stream.seek(here + self.STEP)
            self._refuse_bomb()
        return self._stream.seek(place)

    def _refuse_bomb(self) -> None:
        if not self.plain and self._stream.tell() > self.AT_ONCE + self.RATIO * self._file.tell():
            raise tarfile.ReadError("it unpacks to far more than pictures do")


def _named(archive: Path, member: str, seen: Counter[str]) -> str:
    """What the row of a member says, and counts it: of one name there may be several."""
    seen[member] += 1
    return f"{archive}!{member}#{seen[member]}" if seen[member] > 1 else f"{archive}!{member}"


def is_picture(name: str) -> bool:
    """Whether something of this name is taken for a picture where nobody named it; hidden files are not."""
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES | FOREIGN_SUFFIXES and not path.name.startswith(".")
