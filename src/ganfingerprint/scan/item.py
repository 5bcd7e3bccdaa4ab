"""One thing to judge: where its bytes are, and how to read them, in whatever process."""

from __future__ import annotations

import csv
import functools
import lzma
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa

from ganfingerprint.decode import DecodeLimits
from ganfingerprint.errors import (
    FileMissingError,
    ImageTooLargeError,
    InputError,
    MissingExtraError,
    UnreachableError,
    UnreadableImageError,
)

DAMAGE = (  # what readers of lists and archives raise
    *(OSError, EOFError, ValueError, LookupError, RuntimeError, MemoryError, struct.error, csv.Error),
    *(pa.ArrowException, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to judge."""

    path: str  # what its row says
    file: str  # that the bytes are in
    member: tuple[str, int] | None = None  # of a zip archive: its name, and how many before it have the same
    span: tuple[int, int] | None = None  # offset and length in the file: a member of a tar archive
    remote: bool = False  # the file is an address of fsspec
    payload: bytes | None = None  # the bytes themselves, where they could not be found again
    problem: tuple[str, str] | None = None  # code and sentence: there is nothing to read

    def read(self) -> str | bytes:
        """What `decode` reads: a path, or bytes.

        Raises:
            InputError: the archive or its member cannot be read.
        """
        if self.payload is not None:
            return self.payload
        if self.remote:
            return _fetched(self.file)
        if self.member is not None:
            return _zip_member(self.file, self.member, self.path)
        if self.span is not None:
            return _part_of(self.file, self.span, self.path)
        return self.file


def _fetched(address: str) -> bytes:
    """The bytes at an address."""
    try:
        system, place = file_system(address)
        with system.open(place, "rb") as stream:
            return _content(stream, address)
    except InputError:
        raise
    except FileNotFoundError as problem:
        cause = problem.__cause__  # a server that cannot be asked is called a missing file by fsspec
        if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
            raise UnreachableError(address, f"it cannot be fetched ({cause})") from problem
        raise FileMissingError(address, "there is no such file") from problem
    except Exception as problem:  # each store has errors of its own
        raise UnreachableError(address, f"it cannot be fetched ({problem})") from problem


def file_system(address: str) -> tuple[Any, str]:
    """Who reads an address, and what the place is called there.

    Raises:
        MissingExtraError: a package that it needs is not installed.
    """
    try:
        import fsspec
    except ModuleNotFoundError as absent:
        raise MissingExtraError("fsspec", "cloud", "an address") from absent
    try:
        system, place = fsspec.core.url_to_fs(address)
    except ImportError as absent:  # the store's own package
        raise MissingExtraError(str(absent), "cloud", f"the address {address}") from absent
    return system, place


def require_store(address: str) -> None:
    """Check that what reads an address is installed; whether it is there, nobody is asked.

    Raises:
        MissingExtraError: it is not.
    """
    try:
        import fsspec

        fsspec.get_filesystem_class(address.partition("://")[0].rpartition("::")[2])
    except ImportError as absent:
        raise MissingExtraError(str(absent), "cloud", f"the address {address}") from absent
    except ValueError:  # no such protocol: its item will say so
        return


def _part_of(file: str, span: tuple[int, int], shown: str) -> bytes:
    offset, length = span
    try:
        with open(file, "rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except OSError as problem:
        raise UnreadableImageError(shown, f"its archive cannot be read any more ({problem.strerror})") from problem


def _zip_member(file: str, member: tuple[str, int], shown: str) -> bytes:
    """The bytes of a member; no more than the limit are ever unpacked, whatever the archive says of its size."""
    try:
        archive, directory = _archive(file)
        name, number = member
        info = directory[name][number]
        if info.file_size > DecodeLimits().max_bytes:
            raise ImageTooLargeError(shown, over_the_limit())
        if info.flag_bits & 1:
            raise UnreadableImageError(shown, "the member of the archive is encrypted")
        with archive.open(info) as stream:
            return _content(stream, shown)
    except DAMAGE as problem:
        raise UnreadableImageError(shown, f"the member of the archive cannot be read ({problem})") from problem


def _content(stream: IO[bytes], shown: str) -> bytes:
    """All bytes of a stream; no more than the limit and one are ever read."""
    limit = DecodeLimits().max_bytes
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise ImageTooLargeError(shown, over_the_limit())
    return content


def over_the_limit() -> str:
    """The sentence for a file of too many bytes."""
    return f"the file is over the limit of {DecodeLimits().max_bytes / 2**20:g} MiB"


@functools.lru_cache(maxsize=2)
def _archive(file: str) -> tuple[zipfile.ZipFile, dict[str, list[zipfile.ZipInfo]]]:
    """An archive and its directory, which may be long: read once a process."""
    archive, directory = zipfile.ZipFile(file), dict[str, list[zipfile.ZipInfo]]()
    for info in archive.infolist():
        directory.setdefault(info.filename, []).append(info)
    return archive, directory
