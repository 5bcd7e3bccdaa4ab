"""How a file stored its pixels, and storing other pixels the same way.

Two pictures that are to differ in their content alone must have lived through the same codec. For JPEG that is the
file's own quantisation tables and chroma subsampling, for WebP lossless or its quality; what has no codec of its own
that is written here (TIFF, GIF, BMP, AVIF) becomes PNG. Nothing else of a file is repeated: no EXIF, no profile.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as PilImage
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from ganfingerprint.types import Encoding, UInt8Array

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
"""Suffix of a file that `encode` writes, by the format of its encoding."""

WEBP_QUALITY = 80
"""What a lossy WebP is stored with where its quality is not known."""

_GREY_MODES = ("1", "L", "LA", "La", "I", "F")
_MOST_STEP = 32767  # libjpeg's largest step of a quantisation table
_QUALITIES = (30, 98)  # what is searched for the quality of a lossy WebP


def encoding_of(picture: PilImage.Image, data: bytes) -> Encoding:
    """How an opened picture is stored in the bytes `data` of its file; read from the header, no pixel is decoded."""
    grey = picture.mode in _GREY_MODES or picture.mode.startswith("I;")
    if isinstance(picture, JpegImageFile):  # MPO too
        tables = [picture.quantization[key] for key in sorted(picture.quantization)]
        return Encoding(
            format="JPEG",
            grey=grey,
            qtables=tuple(tuple(int(step) for step in table) for table in tables),
            subsampling=-1 if grey else get_sampling(picture),
            lossless=False,
        )
    if picture.format == "WEBP":
        return Encoding(format="WEBP", lossless=b"VP8L" in webp_chunks(data))
    return Encoding(format=picture.format or "PNG", grey=grey, lossless=picture.format != "AVIF")


def webp_chunks(data: bytes) -> list[bytes]:
    """Names of the chunks of a WebP file, those within frames of an animation too, as far as it can be walked."""
    names, at = [], 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        names.append(name)
        at += 8 + (16 if name == b"ANMF" else length + length % 2)  # a frame's own chunks follow its header
    return names


def stored_format(encoding: Encoding) -> str:
    """The format that `encode` writes: that of the file where it is one of `SUFFIXES`, else PNG."""
    usable = encoding.format in SUFFIXES and (encoding.format != "JPEG" or _usable(encoding.qtables))
    return encoding.format if usable else "PNG"


def encode(pixels: UInt8Array, encoding: Encoding, *, webp_quality: int = WEBP_QUALITY) -> bytes:
    """Pixels [h, w, 3] as a file of the same format, tables, subsampling and number of channels; no metadata.

    A JPEG of a subsampling that Pillow cannot write gets 4:2:0, as nearly all of them are. `webp_quality` (0..100)
    is for a lossy WebP, whose file does not say its own.
    """
    picture = PilImage.fromarray(pixels)
    if encoding.grey:
        picture = picture.convert("L")
    kind = stored_format(encoding)
    settings: dict[str, Any] = {}
    if kind == "JPEG":
        settings = {"qtables": [list(table) for table in encoding.qtables[: len(picture.getbands())]]}
        if not encoding.grey:
            settings["subsampling"] = encoding.subsampling if encoding.subsampling >= 0 else 2
    elif kind == "WEBP":
        settings = {"lossless": True, "exact": True} if encoding.lossless else {"quality": webp_quality}
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()


def estimate_webp_quality(pixels: UInt8Array, size_bytes: int) -> int:
    """The quality (30..98) at which pixels [h, w, 3] of a decoded lossy WebP take as many bytes as its file.

    A picture that was quantised once is about as long when it is quantised alike again. Metadata in the file make
    the estimate too high.
    """
    low, high = _QUALITIES
    lossy = Encoding(format="WEBP", lossless=False)
    while low < high:
        middle = (low + high) // 2
        if len(encode(pixels, lossy, webp_quality=middle)) < size_bytes:
            low = middle + 1
        else:
            high = middle
    return low


def _usable(tables: tuple[tuple[int, ...], ...]) -> bool:
    return bool(tables) and all(len(table) == 64 and 0 < min(table) <= max(table) <= _MOST_STEP for table in tables)
