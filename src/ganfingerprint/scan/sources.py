"""What there is to judge: files, folders, globs, lists and archives become items, one at a time.

An item says where its bytes are and is small; a decoder reads them, in another process. Members of archives are named
`archive.zip!member.jpg`, and are read and never written anywhere, whatever they are called.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import functools
import glob
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from ganfingerprint.decode import FOREIGN_SUFFIXES, IMAGE_SUFFIXES, DecodeLimits, iter_images
from ganfingerprint.errors import (
    FileMissingError,
    ImageTooLargeError,
    InputError,
    MissingExtraError,
    UnreachableError,
    UnreadableImageError,
    UsageError,
)

LISTS = frozenset({".txt", ".csv", ".parquet"})
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PATH_COLUMN = "path"
_DAMAGE = (  # what readers of lists and archives raise
    *(OSError, EOFError, ValueError, NotImplementedError),
    *(csv.Error, pa.ArrowException, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
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


def items(inputs: Sequence[str], *, recursive: bool) -> Iterator[Item]:
    """Every item of the inputs, in their order; what cannot be listed is an item with its problem.

    Raises:
        UsageError: there are no inputs.
    """
    if not inputs:
        raise UsageError("a scan needs at least one input")
    for text in inputs:
        try:
            yield from _of_input(text, recursive=recursive)
        except InputError as problem:
            yield Item(path=problem.source, file=problem.source, problem=(problem.code, problem.reason))


def _of_input(text: str, *, recursive: bool) -> Iterator[Item]:
    if "://" in text:
        yield from _remote(text, recursive=recursive)
        return
    path = Path(text)
    if glob.has_magic(text) and not path.exists():
        found = False
        for match in glob.iglob(text, recursive=True):
            found = True
            yield from _of_input(match, recursive=recursive)
        if not found:
            raise FileMissingError(text, "no file has a name like this")
        return
    if not path.is_dir():
        for ending, read in _CONTAINERS:
            if text.lower().endswith(ending):
                yield from read(path)
                return
    for picture in iter_images(path, recursive=recursive):
        yield Item(path=str(picture), file=str(picture))


def _remote(address: str, *, recursive: bool) -> Iterator[Item]:
    """Files at an address that fsspec reads: one, those below a folder, or those that a glob matches."""
    try:
        system, place = _system(address)
        if glob.has_magic(place):
            found: Iterator[str] = iter(system.glob(place))
        elif system.isdir(place):
            walk = system.walk(place, maxdepth=None if recursive else 1)
            found = (f"{folder}/{name}" for folder, _, names in walk for name in sorted(names) if _is_picture(name))
        else:
            found = iter([place])
        for entry in found:
            name = system.unstrip_protocol(entry)
            yield Item(path=name, file=name, remote=True)
    except (OSError, ValueError, KeyError) as problem:
        raise UnreachableError(address, f"it cannot be listed ({problem})") from problem


def _fetched(address: str) -> bytes:
    """The bytes at an address."""
    try:
        system, place = _system(address)
        with system.open(place, "rb") as stream:
            return _content(stream, address)
    except InputError:
        raise
    except FileNotFoundError as problem:
        raise FileMissingError(address, "there is no such file") from problem
    except Exception as problem:  # each store has errors of its own
        raise UnreachableError(address, f"it cannot be fetched ({problem})") from problem


def _system(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ModuleNotFoundError as absent:
        raise MissingExtraError("fsspec", "cloud", "an address") from absent
    try:
        system, place = fsspec.core.url_to_fs(address)
    except ImportError as absent:  # the store's own package
        raise MissingExtraError(str(absent), "cloud", f"the address {address}") from absent
    return system, place


def _listed(path: Path) -> Iterator[Item]:
    """The paths of a list, those that are not absolute below the list's own folder."""
    readers: dict[str, Callable[[Path], Iterator[str | None]]]
    readers = {".txt": _lines, ".csv": _csv_paths, ".parquet": _parquet_paths}
    reader = readers[path.suffix.lower()]
    with _readable(path, "the list cannot be read"):
        for number, entry in enumerate(reader(path), start=1):
            if isinstance(entry, str):
                yield Item(path=str(path.parent / entry), file=str(path.parent / entry))
            else:
                problem = (UnreadableImageError.code, f"entry {number} of the list names no file")
                yield Item(path=f"{path}#{number}", file=str(path), problem=problem)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        yield from (line.rstrip("\r\n") for line in stream if line.strip())


def _csv_paths(path: Path) -> Iterator[str | None]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        if PATH_COLUMN not in (rows.fieldnames or ()):
            raise ValueError(f"it has no column '{PATH_COLUMN}'")
        for row in rows:
            yield row[PATH_COLUMN]


def _parquet_paths(path: Path) -> Iterator[str | None]:
    with pq.ParquetFile(path) as file:
        if PATH_COLUMN not in file.schema_arrow.names:
            raise ValueError(f"it has no column '{PATH_COLUMN}'")
        for batch in file.iter_batches(columns=[PATH_COLUMN]):
            yield from cast(list[str | None], batch.column(0).to_pylist())


def _zip_items(path: Path) -> Iterator[Item]:
    with _readable(path, "the archive cannot be read"), zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if _is_picture(info.filename)]
    seen: Counter[str] = Counter()
    for name in names:
        yield Item(path=_named(path, name, seen), file=str(path), member=(name, seen[name] - 1))


def _tar_items(path: Path) -> Iterator[Item]:
    """Members of a plain tar are found again by their place; those of a compressed one come along."""
    seen: Counter[str] = Counter()
    with (
        _readable(path, "the archive cannot be read to its end"),
        _Bounded.open(path) as stream,
        tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as archive,
    ):
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            if info.isdir() or not _is_picture(info.name):
                continue
            name = _named(path, info.name, seen)
            if not info.isfile():
                said = "this is a link or a device in an archive, not a file"
                yield Item(path=name, file=str(path), problem=(UnreadableImageError.code, said))
            elif info.size > DecodeLimits().max_bytes:
                yield Item(path=name, file=str(path), problem=(ImageTooLargeError.code, _over_the_limit()))
            elif stream.plain and not info.issparse():
                yield Item(path=name, file=str(path), span=(info.offset_data, info.size))
            else:
                with stream.unbounded():
                    content = cast(BinaryIO, archive.extractfile(info)).read()
                yield Item(path=name, file=str(path), payload=content)


@contextlib.contextmanager
def _readable(path: Path, said: str) -> Iterator[None]:
    """Whatever reading a list or an archive raises becomes an InputError; `said` is what cannot be done."""
    try:
        yield
    except FileNotFoundError as problem:
        raise FileMissingError(str(path), "there is no such file or folder") from problem
    except _DAMAGE as problem:
        raise UnreadableImageError(str(path), f"{said} ({problem})") from problem


class _Bounded:
    """The bytes of a tar archive, unpacked; headers are read in pieces that are no larger than headers are.

    tarfile reads the long name of a member whole, whatever length the archive states.
    """

    LONGEST = 2**20

    def __init__(self, stream: BinaryIO, *, plain: bool) -> None:
        self._stream, self.plain, self._free = stream, plain, False
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[_Bounded]:
        """By what the bytes are, whatever the name says."""
        with path.open("rb") as file:
            start = file.read(6)
        for magic, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
            if start.startswith(magic):
                with opener(path, "rb") as stream:
                    yield cls(cast(BinaryIO, stream), plain=False)
                return
        with path.open("rb") as stream:
            yield cls(stream, plain=True)

    @contextlib.contextmanager
    def unbounded(self) -> Iterator[None]:
        """While a member is read whose size was looked at."""
        self._free = True
        try:
            yield
        finally:
            self._free = False

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        if not self._free and not 0 <= size <= self.LONGEST:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)


def _part_of(file: str, span: tuple[int, int], shown: str) -> bytes:
    offset, length = span
    try:
        with open(file, "rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except OSError as problem:
        raise UnreadableImageError(shown, f"its archive cannot be read any more ({problem.strerror})") from problem


def _named(archive: Path, member: str, seen: Counter[str]) -> str:
    """What the row of a member says, and counts it: of one name there may be several."""
    seen[member] += 1
    return f"{archive}!{member}#{seen[member]}" if seen[member] > 1 else f"{archive}!{member}"


def _zip_member(file: str, member: tuple[str, int], shown: str) -> bytes:
    """The bytes of a member; no more than the limit are ever unpacked, whatever the archive says of its size."""
    try:
        archive, directory = _archive(file)
        name, number = member
        with archive.open(directory[name][number]) as stream:
            return _content(stream, shown)
    except (*_DAMAGE, LookupError, RuntimeError) as problem:
        raise UnreadableImageError(shown, f"the member of the archive cannot be read ({problem})") from problem


def _content(stream: IO[bytes], shown: str) -> bytes:
    """All bytes of a stream; no more than the limit and one are ever read."""
    limit = DecodeLimits().max_bytes
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise ImageTooLargeError(shown, _over_the_limit())
    return content


def _over_the_limit() -> str:
    return f"the file is over the limit of {DecodeLimits().max_bytes / 2**20:g} MiB"


@functools.lru_cache(maxsize=2)
def _archive(file: str) -> tuple[zipfile.ZipFile, dict[str, list[zipfile.ZipInfo]]]:
    """An archive and its directory, which may be long: read once a process."""
    archive, directory = zipfile.ZipFile(file), dict[str, list[zipfile.ZipInfo]]()
    for info in archive.infolist():
        directory.setdefault(info.filename, []).append(info)
    return archive, directory


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES | FOREIGN_SUFFIXES and not path.name.startswith(".")


_CONTAINERS: tuple[tuple[str, Callable[[Path], Iterator[Item]]], ...] = (
    *((ending, _listed) for ending in sorted(LISTS)),
    (".zip", _zip_items),
    *((ending, _tar_items) for ending in TARS),
)
