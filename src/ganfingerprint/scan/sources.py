"""What there is to judge: files, folders, globs, lists and archives become items, one at a time.

An item says where its bytes are and is small; a decoder reads them, in another process. Members of archives are named
`archive.zip!member.jpg`, and are read and never written anywhere, whatever they are called.
"""

from __future__ import annotations

import csv
import functools
import glob
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to judge."""

    path: str  # what its row says
    file: str  # that the bytes are in
    member: str | None = None  # of a zip archive
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
            offset, length = self.span
            with open(self.file, "rb") as stream:
                stream.seek(offset)
                return stream.read(length)
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
    """The bytes at an address; no more than the limit are ever taken."""
    limit = DecodeLimits().max_bytes
    try:
        system, place = _system(address)
        with system.open(place, "rb") as stream:
            content: bytes = stream.read(limit + 1)
    except FileNotFoundError as problem:
        raise FileMissingError(address, "there is no such file") from problem
    except Exception as problem:  # each store has errors of its own
        raise UnreachableError(address, f"it cannot be fetched ({problem})") from problem
    if len(content) > limit:
        raise ImageTooLargeError(address, f"the file is over the limit of {limit / 2**20:g} MiB")
    return content


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
    reader = {".txt": _lines, ".csv": _csv_paths, ".parquet": _parquet_paths}[path.suffix.lower()]
    try:
        for entry in reader(path):
            yield Item(path=entry, file=str(path.parent / entry))
    except FileNotFoundError as problem:
        raise FileMissingError(str(path), "there is no such file or folder") from problem
    except (OSError, UnicodeDecodeError, KeyError, csv.Error, pa.ArrowException) as problem:
        raise UnreadableImageError(str(path), f"the list cannot be read ({problem})") from problem


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        yield from (line.rstrip("\r\n") for line in stream if line.strip())


def _csv_paths(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            yield row[PATH_COLUMN]


def _parquet_paths(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        if PATH_COLUMN not in file.schema_arrow.names:
            raise KeyError(PATH_COLUMN)
        for batch in file.iter_batches(columns=[PATH_COLUMN]):
            yield from cast(list[str], batch.column(0).to_pylist())


def _zip_items(path: Path) -> Iterator[Item]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir() and _is_picture(info.filename)]
    except FileNotFoundError as problem:
        raise FileMissingError(str(path), "there is no such file or folder") from problem
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        raise UnreadableImageError(str(path), f"the archive cannot be read ({problem})") from problem
    for name in dict.fromkeys(names):
        yield Item(path=f"{path}!{name}", file=str(path), member=name)


def _tar_items(path: Path) -> Iterator[Item]:
    """Members of a plain tar are found again by their place; those of a compressed one come along."""
    limit = DecodeLimits().max_bytes
    try:
        with tarfile.open(path) as archive:
            plain = path.suffix.lower() == ".tar"
            for info in archive:
                if not info.isfile() or not _is_picture(info.name):
                    continue
                name = f"{path}!{info.name}"
                if info.size > limit:
                    said = f"the file is over the limit of {limit / 2**20:g} MiB"
                    yield Item(path=name, file=str(path), problem=(ImageTooLargeError.code, said))
                elif plain:
                    yield Item(path=name, file=str(path), span=(info.offset_data, info.size))
                else:
                    content = cast(BinaryIO, archive.extractfile(info)).read()
                    yield Item(path=name, file=str(path), payload=content)
    except FileNotFoundError as problem:
        raise FileMissingError(str(path), "there is no such file or folder") from problem
    except (OSError, EOFError, tarfile.TarError, ValueError) as problem:
        raise UnreadableImageError(str(path), f"the archive cannot be read to its end ({problem})") from problem


def _zip_member(file: str, member: str, shown: str) -> bytes:
    """The bytes of a member; no more than the limit are ever unpacked, whatever the archive says of its size."""
    limit = DecodeLimits().max_bytes
    try:
        with _archive(file).open(member) as stream:
            content = stream.read(limit + 1)
    except (OSError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, ValueError) as problem:
        raise UnreadableImageError(shown, f"the member of the archive cannot be read ({problem})") from problem
    except zipfile.zlib.error as problem:  # type: ignore[attr-defined]
        raise UnreadableImageError(shown, f"the member of the archive is damaged ({problem})") from problem
    if len(content) > limit:
        raise ImageTooLargeError(shown, f"the file is over the limit of {limit / 2**20:g} MiB")
    return content


@functools.lru_cache(maxsize=2)
def _archive(file: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(file)  # its directory may be long: read once a process


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES | FOREIGN_SUFFIXES and not path.name.startswith(".")


_CONTAINERS: tuple[tuple[str, Callable[[Path], Iterator[Item]]], ...] = (
    *((ending, _listed) for ending in sorted(LISTS)),
    (".zip", _zip_items),
    *((ending, _tar_items) for ending in TARS),
)
