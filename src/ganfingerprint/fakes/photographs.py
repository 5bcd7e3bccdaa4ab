"""Which photographs of a folder there are to make fakes of, and what must stay together with them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganfingerprint.catalog import read_catalog, true_label
from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.listing import find_images
from ganfingerprint.types import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """One photograph on disk."""

    path: Path
    group: str = ""  # of the data root that it comes from; empty in a plain folder
    source: str = ""


def list_photographs(root: Path, *, from_split: str = "", below: Path | None = None) -> list[Photograph]:
    """The photographs of a folder, sorted by path.

    Of a data root (`from_split` given) those of that split, with their groups. Of any other folder every picture
    below it that no folder or name calls fake, and that does not lie below the folder `below`.

    Raises:
        UsageError: the folder has a manifest, and no split was named.
        DataError: there is no such folder, no such split, or no photograph.
        InputError: the folder cannot be listed.
    """
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    if from_split:
        samples = read_catalog(root).split(from_split)
        found = [Photograph(path=s.path, group=s.group, source=s.source) for s in samples if not s.is_fake]
    elif (root / "manifest.csv").is_file():
        splits = ", ".join(sorted(read_catalog(root).splits))
        raise UsageError(f"{root} has a manifest: say which photographs with --from-split (there are: {splits})")
    else:
        apart = Path(os.path.realpath(below)) if below is not None else None  # which loops of links do not stop
        if apart is not None and Path(os.path.realpath(root)).is_relative_to(apart):
            raise UsageError(f"{root} lies within the output folder {below}, which is never searched; choose another")
        found = [
            Photograph(path=path, source=Path(os.path.realpath(root)).name)
            for path in find_images(root, recursive=True)
            if true_label(path, below=root) is not Label.FAKE
            and not (apart is not None and Path(os.path.realpath(path)).is_relative_to(apart))
        ]
    if not found:
        raise DataError(f"{root}: there is no photograph to make a fake of")
    return sorted(found, key=lambda photograph: photograph.path)


def draw(photographs: list[Photograph], limit: int | None, *, seed: int) -> list[Photograph]:
    """At most `limit` of the photographs, drawn by the seed, in their order."""
    if limit is None or limit >= len(photographs):
        return photographs
    chosen = np.random.default_rng([seed, len(photographs)]).choice(len(photographs), size=limit, replace=False)
    return [photographs[i] for i in sorted(chosen)]


def hash_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; empty where it cannot be read, which decoding it explains."""
    try:
        if not path.is_file():  # opening a pipe could wait for ever
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
