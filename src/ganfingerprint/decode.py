"""File, bytes or stream → Image: upright, sRGB, 8 bits, three channels. The only importer of Pillow for input.

What the file says about itself (format, orientation, transparency, profile, frames) is kept in `Image.facts`; the
pixels carry none of it any more. Limits are checked on the header, before any pixel is decoded. Whatever is wrong
with the input, the error is an `InputError`. Pillow's process-wide settings are neither read nor changed: its
plugins are called directly, so only the decoders of `_OPENERS` can ever run.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image as PilImage
from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile, jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ganfingerprint.colour import raw_mode, to_rgb
from ganfingerprint.encoding import encoding_of
from ganfingerprint.errors import (
    FileMissingError,
    ImageTooLargeError,
    ImageTooSmallError,
    InputError,
    UnreadableImageError,
)
from ganfingerprint.types import Image, ImageFacts

_Opener = Callable[[io.BytesIO, str], ImageFile.ImageFile]
try:
    from PIL.AvifImagePlugin import AvifImageFile
except ImportError:  # Pillow before 11.3
    _AVIF: tuple[_Opener, ...] = ()
else:
    _AVIF = (AvifImageFile,)

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"]
)
"""Suffixes of pictures that can be read; lower case, with the dot."""

FOREIGN_SUFFIXES: frozenset[str] = frozenset(
    [".heic", ".heif", ".jxl", ".jp2", ".j2k", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"]
)
"""Suffixes of pictures that cannot be read; `listing` lists them too, so that their rows say so."""

_OPENERS: tuple[tuple[tuple[bytes, ...], _Opener], ...] = (
    ((b"\xff\xd8\xff",), jpeg_factory),  # MPO too: several JPEG in one file
    ((b"\x89PNG\r\n\x1a\n",), PngImageFile),
    ((b"GIF87a", b"GIF89a"), GifImageFile),
    ((b"BM",), BmpImageFile),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"mif1", b"msf1")  # of the container, which holds AVIF or HEIC; the brands that follow say which
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (  # offset, what stands there, what it is
    (4, b"ftypmif1", "a HEIC picture, which is not read; save it as JPEG or PNG"),
    (4, b"ftypmsf1", "a HEIC picture, which is not read; save it as JPEG or PNG"),
    (4, b"ftyphe", "a HEIC picture, which is not read; save it as JPEG or PNG"),
    (0, b"\xff\x0a", "a JPEG XL picture, which is not read; save it as JPEG or PNG"),
    (4, b"JXL ", "a JPEG XL picture, which is not read; save it as JPEG or PNG"),
    (4, b"jP  ", "a JPEG 2000 picture, which is not read; save it as JPEG or PNG"),
    (0, b"%PDF", "a PDF document, not a picture"),
    (0, b"%!PS", "a PostScript document, not a picture"),
    (0, b"<svg", "a drawing (SVG), not a picture made of pixels"),
    (0, b"<!doctype html", "a web page, not a picture"),
    (0, b"<html", "a web page, not a picture"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the picture itself; run 'git lfs pull'"),
)
_UPRIGHT = {
    2: PilImage.Transpose.FLIP_LEFT_RIGHT,
    3: PilImage.Transpose.ROTATE_180,
    4: PilImage.Transpose.FLIP_TOP_BOTTOM,
    5: PilImage.Transpose.TRANSPOSE,
    6: PilImage.Transpose.ROTATE_270,
    7: PilImage.Transpose.TRANSVERSE,
    8: PilImage.Transpose.ROTATE_90,
}
_ORIENTATION, _TIFF_WIDTH, _TIFF_HEIGHT = 0x0112, 256, 257
_JPEG_PASS, _MOST_JPEG_PASSES = b"\xff\xda", 20  # of the largest picture; some bytes each could keep it for days
_MOST_TIFF_PAGES = 1000  # Pillow's walk from page to page is quadratic, so a hostile file could take minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What is refused before any pixel is decoded: bytes of the file, pixels of the picture, its shorter side."""

    max_bytes: int = 100 * 2**20
    max_pixels: int = 200_000_000
    min_side: int = 16


def decode(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, limits: DecodeLimits = DecodeLimits()
) -> Image:
    """Read one picture: a path, the bytes of a file, or a binary stream (it need not be seekable; it is not closed).

    The EXIF orientation is applied; transparency is composited on white; palettes, grey, CMYK and 16 bits become
    RGB of 8 bits; an ICC profile is converted to sRGB (a broken one is ignored); of several frames the first is
    taken. Pixels that need none of this are those of the file. `name` is what `Image.source` and errors say.

    Raises:
        FileMissingError: there is no file at the path.
        ImageTooLargeError: over the limit on bytes or pixels, or over the memory there is.
        ImageTooSmallError: a side is below the limit.
        UnreadableImageError: not a picture of a format that is read, damaged, cut short, or not permitted to read.
    """
    shown = _name_of(source) if name is None else name
    data = _read(source, shown, limits.max_bytes)
    if not data:
        raise UnreadableImageError(shown, "the file is empty")
    try:
        with _quiet_pillow:
            return _decode_bytes(data, shown, limits)
    except InputError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(shown, "there is not enough memory to decode it") from error
    except PilImage.DecompressionBombError as error:  # Pillow's own ceiling, which its TIFF reader keeps
        raise ImageTooLargeError(shown, f"the picture has too many pixels ({error})") from error
    except Exception as error:  # decoders raise nearly everything on damaged files: struct.error, KeyError, ...
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImageError(shown, f"the file is damaged or cut short ({why})") from error


def read_bytes(
    source: str | Path | bytes | BinaryIO, *, name: str | None = None, limits: DecodeLimits = DecodeLimits()
) -> bytes:
    """All bytes of a source that `decode` takes.

    Raises:
        FileMissingError, ImageTooLargeError, UnreadableImageError: as `decode`.
    """
    return _read(source, _name_of(source) if name is None else name, limits.max_bytes)


def open_header(data: bytes, *, name: str = "<bytes>") -> ImageFile.ImageFile:
    """The opened file, for what it says beside its pixels; nothing is decoded, no limit is checked. Close it.

    Raises:
        UnreadableImageError: not a picture of a format that is read, or its header is damaged.
    """
    try:
        with _quiet_pillow:
            return _open(data, name)
    except InputError:
        raise
    except Exception as error:
        raise UnreadableImageError(name, "the file is damaged or cut short") from error


def _name_of(source: str | Path | bytes | BinaryIO) -> str:
    if isinstance(source, str | Path):
        return str(source)
    given = getattr(source, "name", None)
    return given if isinstance(given, str) else "<bytes>" if isinstance(source, bytes) else "<stream>"


def _read(source: str | Path | bytes | BinaryIO, name: str, max_bytes: int) -> bytes:
    """All bytes of the source, or an InputError; no more than `max_bytes` + 1 are ever read."""
    try:
        if isinstance(source, bytes):
            data = source
        elif isinstance(source, str | Path):
            data = _read_file(Path(source), name, max_bytes)
        elif hasattr(source, "read"):
            data = _read_stream(source, name, max_bytes)
        else:
            kind = type(source).__name__
            raise TypeError(f"a picture must be a path, the bytes of a file, a binary stream or an Image, got {kind}")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileMissingError(name, "there is no such file") from error
    except PermissionError as error:
        raise UnreadableImageError(name, "there is no permission to read it") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnreadableImageError(name, f"it cannot be read ({why})") from error
    if len(data) > max_bytes:
        raise ImageTooLargeError(name, f"the file is over the limit of {max_bytes / 2**20:g} MiB")
    return data


def _read_file(path: Path, name: str, max_bytes: int) -> bytes:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise UnreadableImageError(name, "there is no permission to list this folder")
        raise UnreadableImageError(name, "this is a folder, not a picture")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe could wait for ever
        raise UnreadableImageError(name, "this is a device or a pipe, not a file")
    if status.st_size > max_bytes:
        size, limit = status.st_size / 2**20, max_bytes / 2**20
        raise ImageTooLargeError(name, f"the file has {size:.1f} MiB, over the limit of {limit:g} MiB")
    with path.open("rb") as stream:
        return stream.read(max_bytes + 1)


def _read_stream(stream: BinaryIO, name: str, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    missing = max_bytes + 1
    while missing > 0 and (part := stream.read(missing)):  # a pipe or socket gives less than it is asked for
        if not isinstance(part, bytes | bytearray | memoryview):
            raise UnreadableImageError(name, "the stream gives text; open it in binary mode")
        parts.append(bytes(part))
        missing -= len(part)
    return b"".join(parts)


class _QuietPillow:
    """Ignores Pillow's warnings while any thread decodes. What matters of them is in facts and errors.

    `warnings.catch_warnings` swaps process-wide lists; two threads inside it could restore them in the wrong order
    and leave the process silent for good. So the first thread in opens it and the last one out closes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


_quiet_pillow = _QuietPillow()


def _decode_bytes(data: bytes, name: str, limits: DecodeLimits) -> Image:
    with _open(data, name) as picture:
        width, height = _stored_size(picture)
        _check_size(picture, data, name, limits)
        mode, layout, encoding = picture.mode, raw_mode(picture), encoding_of(picture, data)
        applied = _orientation(picture) if isinstance(picture, TiffImageFile) else 1  # Pillow turns TIFF in load
        picture.load()  # asking PNG for EXIF would already load it, so everything else asks afterwards
        left = _orientation(picture)
        rgb, had_alpha, had_profile = to_rgb(picture, layout)
        turn = _UPRIGHT.get(left)
        pixels = np.array(rgb if turn is None else rgb.transpose(turn))  # [height, width, 3]
        facts = ImageFacts(
            size_bytes=len(data),
            format=picture.format or "",
            mode=mode,
            width=width,
            height=height,
            orientation=max(applied, left),
            frames=_count_frames(picture, data),  # last: it may move the file to another frame
            had_alpha=had_alpha,
            had_profile=had_profile,
            encoding=encoding,
        )
    return Image(source=name, pixels=pixels, sha256=hashlib.sha256(data).hexdigest(), facts=facts)


def _check_size(picture: ImageFile.ImageFile, data: bytes, name: str, limits: DecodeLimits) -> None:
    width, height = _stored_size(picture)
    size = f"the picture has {width} x {height} pixels"
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(name, f"{size}, over the limit of {limits.max_pixels} in all")
    if min(width, height) < limits.min_side:
        raise ImageTooSmallError(name, f"{size}; each side must have at least {limits.min_side}")
    if isinstance(picture, JpegImageFile):
        passes = data.count(_JPEG_PASS)
        if passes * width * height > _MOST_JPEG_PASSES * limits.max_pixels:
            raise ImageTooLargeError(name, f"{size} in {passes} passes, which would take too long")


def _open(data: bytes, name: str) -> ImageFile.ImageFile:
    """Parse the header with the one decoder that the first bytes ask for."""
    stream = io.BytesIO(data)
    for beginnings, opener in _OPENERS:
        if data.startswith(beginnings):
            return opener(stream, "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImageFile(stream, "")
    if _AVIF and _is_avif(data):
        return _AVIF[0](stream, "")
    for offset, mark, kind in _FOREIGN:
        if data[offset : offset + len(mark)].lower() == mark.lower():
            raise UnreadableImageError(name, f"this is {kind}")
    raise UnreadableImageError(name, "this is not a picture in JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP")


def _is_avif(data: bytes) -> bool:
    if data[4:8] != b"ftyp":
        return False
    if data[8:12] in _AVIF_BRANDS:
        return True
    compatible = data[16 : min(int.from_bytes(data[:4], "big"), 256)]
    brands = [compatible[at : at + 4] for at in range(0, len(compatible), 4)]
    return data[8:12] in _HEIF_BRANDS and any(brand in _AVIF_BRANDS for brand in brands)


def _orientation(picture: PilImage.Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none that makes sense."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF says nothing about the pixels; Pillow raises many kinds of error on it
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _stored_size(picture: ImageFile.ImageFile) -> tuple[int, int]:
    if isinstance(picture, TiffImageFile):  # Pillow gives the upright size here, for all others the stored one
        return picture.tag_v2[_TIFF_WIDTH], picture.tag_v2[_TIFF_HEIGHT]
    return picture.size


def _count_frames(picture: ImageFile.ImageFile, data: bytes) -> int:
    """Frames or pages of the file, as far as it can be walked."""
    if isinstance(picture, GifImageFile):
        return max(1, _count_gif_frames(data))
    if not isinstance(picture, TiffImageFile):
        return int(getattr(picture, "n_frames", 1))
    pages = 1
    try:
        while pages < _MOST_TIFF_PAGES:
            picture.seek(pages)
            pages += 1
    except Exception:  # EOFError after the last page; a damaged later page does not matter either
        return pages
    return pages


def _count_gif_frames(data: bytes) -> int:
    """Image blocks of a GIF, by its block lengths alone; Pillow's own count takes minutes on a hostile file."""
    frames = 0
    at = 13 + _colour_table_bytes(data[10])
    while at + 10 < len(data) and data[at] in (0x21, 0x2C):  # extension, image
        if data[at] == 0x2C:
            frames += 1
            at += 11 + _colour_table_bytes(data[at + 9])
        else:
            at += 2
        while at < len(data) and data[at]:  # sub-blocks, each after its length, until one of length 0
            at += data[at] + 1
        at += 1
    return frames


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
