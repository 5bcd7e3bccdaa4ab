"""Which pictures lie at a path, one by one: linked folders once, hidden ones not, and nothing dropped in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ganfingerprint.decode import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from ganfingerprint.errors import FileMissingError, UnreadableImageError


def find_images(path: Path, *, recursive: bool) -> list[Path]:
    """The pictures at a path, sorted: the path itself if it is a file, whatever its suffix, else those in the folder.

    In a folder the suffix decides, in any case, and each file is listed once. Hidden files and folders are left out.
    Linked folders are followed, but no folder is listed twice, so loops end. What cannot be opened (a dangling link,
    a folder without permission) is listed too, so that reading it says why and nothing is dropped in silence.

    Raises:
        FileMissingError: there is nothing at the path.
        UnreadableImageError: the folder cannot be listed.
    """
    return sorted(iter_images(path, recursive=recursive))


def iter_images(path: Path, *, recursive: bool) -> Iterator[Path]:
    """The same one by one, folder by folder, sorted within each: nothing of a large tree is held but its folders."""
    if not os.path.lexists(path):
        raise FileMissingError(str(path), "there is no such file or folder")
    if not os.path.isdir(path):
        yield path
        return
    seen: set[str] = set()
    folders, linked = [path], list[Path]()
    while folders or linked:  # links last, so that a folder inside the tree is listed by its own name
        folder = folders.pop() if folders else linked.pop(0)
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as found:
                entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=_entry_name)
        except OSError as error:
            if folder == path:
                raise UnreadableImageError(str(path), f"the folder cannot be listed ({error.strerror})") from error
            yield folder
            continue
        for entry in entries:
            if _is_folder(entry):
                if recursive:
                    (linked if entry.is_symlink() else folders).append(folder / entry.name)
            elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES | FOREIGN_SUFFIXES:
                yield folder / entry.name


def _entry_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes round in circles, or leads where there is no permission
        return False
