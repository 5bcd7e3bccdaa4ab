"""What a file says about its own making: EXIF, marks of generators, a signed manifest. Shown, never judged by.

Anybody can write or remove such marks; only a manifest that is validated was not changed since it was signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from PIL import ExifTags
from PIL import Image as PilImage

from ganfingerprint.decode import open_header
from ganfingerprint.types import Encoding

MOST_TEXT = 300  # characters of one entry that are kept

_EXIF_SHOWN = (
    "Make", "Model", "LensModel", "Software", "DateTime", "DateTimeOriginal", "Artist", "Copyright",
    "ImageDescription", "UserComment", "ExposureTime", "FNumber", "ISOSpeedRatings", "FocalLength",
)  # fmt: skip
_EXIF_IFD = 0x8769
# What generators, and programs that run them, write of themselves; whole words, and none that people write too.
_GENERATORS = re.compile(
    r"\b(stable[ -]?diffusion|sdxl|comfyui|automatic1111|invoke[ -]?ai|novelai|midjourney|dall[·-]?e|adobe firefly"
    r"|imagen \d|gemini \d|flux\.[12]|gpt-image|chatgpt|openai|leonardo\.ai|ideogram|stylegan\d?|bing image creator"
    r"|grok imagine)\b",
    re.IGNORECASE,
)
# Text chunks that only programs of diffusion models write.
_GENERATOR_KEYS = frozenset({"parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "dream"})
# The IPTC's words for how a picture came about, https://cv.iptc.org/newscodes/digitalsourcetype/
_SOURCE_TYPE = re.compile(rb"digitalsourcetype/([A-Za-z]{3,60})")
_GENERATED_TYPES = frozenset(
    {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic"}
)
_ELSEWHERE = re.compile(rb"""dcterms:provenance\s{0,9}(?:=\s{0,9}["']|>)\s{0,9}([^"'<>]{1,2000})""")
_PACKET_START, _PACKET_END = b"<x:xmpmeta", b"</x:xmpmeta>"
_MOST_PACKETS, _LONGEST_PACKET = 4, 2**20

# Quantisation of luma and chroma at quality 50 in the library of the Independent JPEG Group, row by row.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in a file that names a generator or says that the picture is generated."""

    place: str  # EXIF Software, PNG text parameters, XMP DigitalSourceType, ...
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What one file says of itself."""

    exif: Mapping[str, str]  # those of `_EXIF_SHOWN` that there are
    marks: tuple[Mark, ...]
    source_type: str  # the IPTC's word, if there is one
    has_manifest: bool  # of C2PA; there, not yet validated
    manifest_address: str = ""  # where else one is said to be; nobody is asked


def read_metadata(data: bytes) -> Metadata:
    """What the bytes of a picture file say, as far as they can be read; pixels are not decoded.

    Raises:
        InputError: not a picture of a format that is read.
    """
    with open_header(data) as picture:
        exif, texts = _exif(picture), _texts(picture)
    packets = list(_packets(data))
    kinds = [kind.decode("ascii") for part in packets for kind in _SOURCE_TYPE.findall(part)]
    elsewhere = next((found for part in packets for found in _ELSEWHERE.findall(part)), b"")
    marks = [Mark(place=f"EXIF {name}", text=text) for name, text in exif.items() if _GENERATORS.search(text)]
    marks += [Mark(place=f"text {name}", text=text) for name, text in texts.items() if _is_mark(name, text)]
    marks += [Mark(place="XMP DigitalSourceType", text=kind) for kind in kinds if kind in _GENERATED_TYPES]
    return Metadata(
        exif=exif,
        marks=tuple(marks),
        source_type=kinds[0] if kinds else "",
        has_manifest=b"jumb" in data and b"c2pa" in data,
        manifest_address=one_line(elsewhere),
    )


def _packets(data: bytes) -> Iterator[bytes]:
    """The first XMP packets of a file; each byte is looked at once, whatever the file is full of."""
    at = 0
    for _ in range(_MOST_PACKETS):
        start = data.find(_PACKET_START, at)
        end = data.find(_PACKET_END, start) if start >= 0 else -1
        if end < 0:
            return
        yield data[start : min(end, start + _LONGEST_PACKET)]
        at = end


def estimate_jpeg_quality(encoding: Encoding) -> int | None:
    """The quality 1..100 of the common JPEG library whose luma table is nearest; None where there is no table.

    Cameras and some programs have tables of their own, which it can only be near to.
    """
    if not encoding.qtables or len(encoding.qtables[0]) != 64:
        return None
    table = encoding.qtables[0]
    return min(range(1, 101), key=lambda quality: sum(abs(a - b) for a, b in zip(table, _scaled(quality), strict=True)))


def _scaled(quality: int) -> tuple[int, ...]:
    """The luma table of a quality, as that library scales it."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((step * factor + 50) // 100, 1), 255) for step in _LUMA)


def _exif(picture: PilImage.Image) -> dict[str, str]:
    try:
        held = picture.getexif()
        entries = {**dict(held), **dict(held.get_ifd(_EXIF_IFD))}
    except Exception:  # broken EXIF says nothing; Pillow raises many kinds of error on it
        return {}
    named = {ExifTags.TAGS.get(number, ""): one_line(value) for number, value in entries.items()}
    return {name: named[name] for name in _EXIF_SHOWN if named.get(name)}


def _texts(picture: PilImage.Image) -> dict[str, str]:
    """Named texts of the file: chunks of PNG, comments of JPEG and GIF."""
    found = {str(name): one_line(value) for name, value in picture.info.items() if isinstance(value, str | bytes)}
    return {name: text for name, text in found.items() if name not in ("exif", "icc_profile", "xmp", "photoshop")}


def _is_mark(name: str, text: str) -> bool:
    return name.lower() in _GENERATOR_KEYS or bool(_GENERATORS.search(text))


def one_line(value: object) -> str:
    """A value as one line of printable text, at most `MOST_TEXT` characters."""
    if isinstance(value, bytes):
        value = value[: 8 * MOST_TEXT]  # before anything is done to all of it
        body = value[8:] if value[:8] in _CHARACTER_CODES else value
        value = body.decode("utf-16-be" if value[:8] == b"UNICODE\0" and b"\0" in body else "utf-8", "replace")
    line = " ".join("".join(_printable(str(value)[: 4 * MOST_TEXT])).split())
    return line if len(line) <= MOST_TEXT else line[: MOST_TEXT - 1] + "…"


_CHARACTER_CODES = (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0", b"\0\0\0\0\0\0\0\0")  # how a UserComment begins


def _printable(text: str) -> Iterator[str]:
    for sign in text:
        yield sign if sign.isprintable() else " "
