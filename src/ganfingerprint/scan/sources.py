"""What there is to judge: files, folders, globs, lists and archives become items, one at a time.

An item says where its bytes are and is small; a decoder reads them, in another process.
"""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO, cast

import pyarrow.parquet as pq

from ganfingerprint.errors import (
    FileMissingError,
    GanFingerprintError,
    InputError,
    UnreachableError,
    UnreadableImageError,
    UsageError,
)
from ganfingerprint.listing import iter_images
from ganfingerprint.scan.archives import is_picture, readable, tar_items, zip_items
from ganfingerprint.scan.item import Item, file_system, require_store

LISTS = frozenset({".txt", ".csv", ".parquet"})
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PATH_COLUMN = "path"
# How pictures, archives and documents begin, which somebody may have called a list.
_NO_TEXT = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"PK\x03\x04", b"\x1f\x8b", b"%PDF")
LONGEST_LINE = 2**16  # characters; a file that has a longer one is no list, and might fill the memory


def items(inputs: Sequence[str], *, recursive: bool) -> Iterator[Item]:
    """Every item of the inputs, in their order; what cannot be listed is an item with its problem.

    Raises:
        UsageError: there are no inputs.
    """
    if not inputs:
        raise UsageError("a scan needs at least one input")
    for text in inputs:  # before hours of work on those before it
        if "://" in text:
            require_store(text)
    for text in inputs:
        for name in _matches(text):
            try:
                yield from _remote(name, recursive=recursive) if "://" in name else _local(name, recursive=recursive)
            except InputError as problem:
                yield Item(path=problem.source, file=problem.source, problem=(problem.code, problem.reason))


def count(inputs: Sequence[str], *, recursive: bool, stop: Callable[[], bool]) -> int | None:
    """How many items there are.

    None where that cannot be known without reading them (tar archives) or asking a store, or when `stop` says so.
    """
    if any("://" in text for text in inputs):
        return None
    total = 0
    for item in items(inputs, recursive=recursive):
        if stop() or item.span is not None or item.payload is not None:
            return None
        total += 1
    return total


def _matches(text: str) -> Iterator[str]:
    """What a glob matches; the text itself where it is none, is a file's name, or matches nothing."""
    found = False
    if "://" not in text and glob.has_magic(text) and not os.path.lexists(text):
        for match in glob.iglob(text, recursive=True):
            found = True
            yield match
    if not found:
        yield text


def _local(text: str, *, recursive: bool) -> Iterator[Item]:
    if glob.has_magic(text) and not os.path.lexists(text):
        raise FileMissingError(text, "no file has a name like this")
    path = Path(text)
    for ending, read in _CONTAINERS:
        if text.lower().endswith(ending) and os.path.isfile(path):  # opening a pipe could wait for ever
            yield from read(path)
            return
    for picture in iter_images(path, recursive=recursive):
        yield Item(path=str(picture), file=str(picture))


def _remote(address: str, *, recursive: bool) -> Iterator[Item]:
    """Files at an address that fsspec reads: one, those below a folder, or those that a glob matches."""
    try:
        system, place = file_system(address)
        if glob.has_magic(place):
            matches: list[str] = system.glob(place)
            if not matches:
                raise FileMissingError(address, "no file has a name like this")
            found = iter(matches)
        elif system.isdir(place):
            walk = system.walk(place, maxdepth=None if recursive else 1, on_error="raise")
            found = (f"{folder}/{name}" for folder, _, names in walk for name in sorted(names) if is_picture(name))
        else:
            found = iter([place])
        for entry in found:
            name = system.unstrip_protocol(entry)
            yield Item(path=name, file=name, remote=True)
    except GanFingerprintError:
        raise
    except Exception as problem:  # each store has errors of its own
        raise UnreachableError(address, f"it cannot be listed ({problem})") from problem


def _listed(path: Path) -> Iterator[Item]:
    """The paths and addresses of a list, paths that are not absolute below the list's own folder."""
    readers: dict[str, Callable[[Path], Iterator[str | None]]]
    readers = {".txt": _lines, ".csv": _csv_paths, ".parquet": _parquet_paths}
    reader = readers[path.suffix.lower()]
    with readable(path, "the list cannot be read"):
        for number, entry in enumerate(reader(path), start=1):
            if isinstance(entry, str) and "://" in entry:
                yield Item(path=entry, file=entry, remote=True)
            elif isinstance(entry, str) and entry.strip():
                yield Item(path=str(path.parent / entry), file=str(path.parent / entry))
            else:
                problem = (UnreadableImageError.code, f"entry {number} of the list names no file")
                yield Item(path=f"{path}#{number}", file=str(path), problem=problem)


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as start:
        if start.read(8).startswith(_NO_TEXT):
            raise ValueError("it is not text")
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        yield from (line.rstrip("\r\n") for line in _bounded(stream) if line.strip())


def _csv_paths(path: Path) -> Iterator[str | None]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(_bounded(stream))
        if PATH_COLUMN not in (rows.fieldnames or ()):
            raise ValueError(f"it has no column '{PATH_COLUMN}'")
        for row in rows:
            yield row[PATH_COLUMN]


def _bounded(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise ValueError(f"a line of {LONGEST_LINE} characters or more")
        yield line


def _parquet_paths(path: Path) -> Iterator[str | None]:
    with pq.ParquetFile(path) as file:
        if PATH_COLUMN not in file.schema_arrow.names:
            raise ValueError(f"it has no column '{PATH_COLUMN}'")
        for batch in file.iter_batches(columns=[PATH_COLUMN]):
            yield from cast(list[str | None], batch.column(0).to_pylist())


_CONTAINERS: tuple[tuple[str, Callable[[Path], Iterator[Item]]], ...] = (
    *((ending, _listed) for ending in sorted(LISTS)),
    (".zip", zip_items),
    *((ending, tar_items) for ending in TARS),
)
