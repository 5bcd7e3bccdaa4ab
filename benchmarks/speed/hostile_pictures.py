"""Pictures that nobody should have to read, each with what a scan has to say of it. `hostile_folder.py` stores them.

An outcome is `judged` or an error code; where libraries may differ there are several, with a bar between.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageCms, features

JUDGED, UNREADABLE, LARGE, SMALL = "judged", "unreadable_image", "too_large", "too_small"
EITHER = f"{JUDGED}|{UNREADABLE}"  # damage that a decoder may or may not notice
Entry = tuple[str, bytes, str]  # name, content, outcome


def drawn(rng: np.random.Generator, width: int = 96, height: int = 80) -> Image.Image:
    """Noise in colours, no two alike."""
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def stored(picture: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def pictures(rng: np.random.Generator) -> Iterator[Entry]:
    """All of them, in folders by what is the matter with them."""
    groups = {
        "cut": cut_short,
        "odd": odd_but_good,
        "sizes": sizes,
        "jpeg": odd_jpegs,
        "png": odd_pngs,
        "others": odd_others,
        "not": not_pictures,
    }
    for folder, group in groups.items():
        for name, content, outcome in group(rng):
            yield f"{folder}/{name}", content, outcome


def cut_short(rng: np.random.Generator) -> Iterator[Entry]:
    """Every format at every tenth of its length."""
    picture = drawn(rng)
    whole = {
        "baseline.jpg": stored(picture, "JPEG", quality=90),
        "progressive.jpg": stored(picture, "JPEG", progressive=True),
        "plain.png": stored(picture, "PNG"),
        "lossy.webp": stored(picture, "WEBP"),
        "lossless.webp": stored(picture, "WEBP", lossless=True),
        "plain.tif": stored(picture, "TIFF"),
        "lzw.tif": stored(picture, "TIFF", compression="tiff_lzw"),
        "palette.gif": stored(picture, "GIF"),
        "plain.bmp": stored(picture, "BMP"),
        "several.mpo": stored(picture, "MPO", save_all=True, append_images=[picture]),
    }
    if features.check("avif"):
        whole["plain.avif"] = stored(picture, "AVIF")
    for name, content in whole.items():
        yield name, content, JUDGED
        for tenth in range(1, 10):
            first_is_whole = name == "several.mpo" and tenth >= 5
            outcome = JUDGED if first_is_whole else UNREADABLE
            yield f"{tenth}-{name}", content[: len(content) * tenth // 10], outcome


def odd_but_good(rng: np.random.Generator) -> Iterator[Entry]:
    """What is unusual and allowed."""
    picture = drawn(rng)
    grey = np.asarray(picture.convert("L"))
    alpha = Image.fromarray(np.dstack([np.asarray(picture), grey]))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    wild = Image.fromarray(np.where(grey > 250, np.nan, grey.astype(np.float32) * 1e30))
    for format, suffix in (("JPEG", "jpg"), ("TIFF", "tif")):
        yield f"cmyk.{suffix}", stored(picture.convert("CMYK"), format), JUDGED
    for format, suffix in (("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
        yield f"alpha.{suffix}", stored(alpha, format), JUDGED
        frames = {"save_all": True, "append_images": [drawn(rng), drawn(rng)]}
        yield f"animated.{suffix}", stored(picture, format, **frames), JUDGED
    yield "animated.gif", stored(picture, "GIF", save_all=True, append_images=[drawn(rng)] * 20), JUDGED
    yield "deep.png", stored(deep, "PNG"), JUDGED
    yield "deep.tif", stored(deep, "TIFF"), JUDGED
    yield "wild.tif", stored(wild, "TIFF"), JUDGED
    yield "lab.tif", stored(as_lab(picture), "TIFF"), JUDGED
    yield "bits.png", stored(picture.convert("1"), "PNG"), JUDGED
    yield "bits.tif", stored(picture.convert("1"), "TIFF", compression="group4"), JUDGED
    yield "palette.png", stored(picture.quantize(7), "PNG", transparency=3), JUDGED
    yield "grey.jpg", stored(picture.convert("L"), "JPEG"), JUDGED


def as_lab(picture: Image.Image) -> Image.Image:
    made = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert made is not None
    return made


def sizes(rng: np.random.Generator) -> Iterator[Entry]:
    """From a dot to more than any memory holds."""
    for width, height in ((1, 1), (20000, 1), (1, 20000), (15, 15), (47, 300), (300, 47)):
        for format, suffix in (("PNG", "png"), ("BMP", "bmp")):
            yield f"{width}x{height}.{suffix}", stored(drawn(rng, width, height), format), SMALL
    yield "48x48.png", stored(drawn(rng, 48, 48), "PNG"), JUDGED
    yield "48x20000.png", stored(drawn(rng, 48, 20000), "PNG", compress_level=0), JUDGED
    for side in (15_000, 100_000, 2**31 - 1):
        yield f"declared-{side}.png", png(side, side, zlib.compress(bytes(1000))), LARGE
    yield "bomb.png", png(6000, 6000, zlib.compress(bytes((6000 * 3 + 1) * 6000), 9)), JUDGED
    yield "more-than-it-says.png", png(64, 64, zlib.compress(bytes(50_000_000), 9)), JUDGED
    jpeg = bytearray(stored(drawn(rng), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    yield "declared.jpg", bytes(jpeg), LARGE
    jpeg[frame + 5 : frame + 9] = b"\0\0\0\x40"
    yield "no-height.jpg", bytes(jpeg), UNREADABLE
    yield "declared.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b"," + bytes(30), LARGE
    yield "declared.webp", webp(b"VP8X", bytes(4) + (16383).to_bytes(3, "little") * 2), LARGE
    yield "declared.bmp", bmp(100_000, 100_000, b""), LARGE
    yield "back.bmp", bmp(96, -80, bytes(96 * 80), bits=8), JUDGED
    yield "jumps.bmp", bmp(1_000_000, 64, b"\x00\x02\x00\xff" * 4, bits=8, compression=1), EITHER
    yield "runs.bmp", bmp(1000, 1000, (b"\x01\x05" * 1000 + b"\0\0") * 1000 + b"\0\1", bits=8, compression=1), JUDGED


def odd_jpegs(rng: np.random.Generator) -> Iterator[Entry]:
    """What may stand in a JPEG besides a picture."""
    picture = drawn(rng)
    plain = stored(picture, "JPEG")
    frame, start = plain.index(b"\xff\xc0"), plain.index(b"\xff\xda")
    for kind in (0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA):  # extended, progressive, lossless, ..., arithmetic coding
        yield f"frame-{kind:x}.jpg", plain[: frame + 1] + bytes([kind]) + plain[frame + 2 :], EITHER
    yield "twelve-bits.jpg", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :], EITHER
    for value in (0, 1, 5, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = value
        yield f"orientation-{value}.jpg", stored(picture, "JPEG", exif=exif), JUDGED
    yield "orientation-text.jpg", stored(picture, "JPEG", exif=_exif(0x0112, b"upside down\0")), JUDGED
    yield "exif-large.jpg", stored(picture, "JPEG", exif=_exif(0x010E, b"x" * 65_000)), JUDGED
    yield "exif-broken.jpg", stored(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(50)), JUDGED
    for name, profile in profiles(rng):
        yield f"profile-{name}.jpg", stored(picture, "JPEG", icc_profile=profile), JUDGED
    segments = b"".join(b"\xff\xe1\xff\xff" + rng.bytes(65533) for _ in range(100))
    yield "a-hundred-segments.jpg", plain[:2] + segments + plain[2:], JUDGED
    yield "comments.jpg", plain[:2] + b"\xff\xfe\x00\x02" * 100_000 + plain[2:], JUDGED
    yield "after-the-end.jpg", plain + rng.bytes(100_000), JUDGED
    yield "before-the-start.jpg", b"\n" + plain, UNREADABLE
    yield "no-tables.jpg", plain[:2] + plain[frame:], UNREADABLE
    yield "only-tables.jpg", plain[:start], UNREADABLE
    yield "two-bytes.jpg", b"\xff\xd8", UNREADABLE
    yield "noise-inside.jpg", plain[: start + 20] + rng.bytes(2000) + plain[start + 2020 :], EITHER
    yield "many-passes.jpg", passes(96, 80, 3000), JUDGED
    yield "passes-for-minutes.jpg", passes(16_000, 12_000, 3000), LARGE


def passes(width: int, height: int, number: int) -> bytes:
    """A progressive JPEG in which each pass costs a dozen bytes of file and looks at all coefficients again."""
    plain = stored(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    frame, start = plain.index(b"\xff\xc2"), plain.index(b"\xff\xda")
    head = plain[: frame + 5] + struct.pack(">HH", height, width) + plain[frame + 9 : start]
    table = b"\xff\xc4" + struct.pack(">H", 20) + b"\x10\x01" + bytes(15) + b"\xe0"  # one code: nothing to the end
    blocks = -(-width // 8) * -(-height // 8)
    bits = "".join("0" + "1" * 14 for _ in range(-(-blocks // 32767)))  # each skips 32767 blocks
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    refining = b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\x00\x01\x3f\x10" + coded
    return head + table + refining * number + b"\xff\xd9"


def profiles(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """ICC profiles that are none, or of something else."""
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield "noise", rng.bytes(3000)
    yield "cut", good[:100]
    yield "large", good + rng.bytes(400_000)
    yield "damaged", good[:128] + rng.bytes(len(good) - 128)
    yield "counting", good[:128] + b"\xff" * 4 + good[132:]
    yield "lab", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def odd_pngs(rng: np.random.Generator) -> Iterator[Entry]:
    """Checksums, chunks and animations that do not fit."""
    picture = drawn(rng)
    plain = stored(picture, "PNG")
    bad = bytearray(plain)
    bad[29] ^= 1
    yield "header-checksum.png", bytes(bad), UNREADABLE
    raw = lines(np.asarray(picture))
    for interlaced, rows in enumerate((raw, adam7(np.asarray(picture)))):
        good = png(96, 80, zlib.compress(rows), interlaced=interlaced)
        place = good.index(b"IDAT") + 5000
        yield f"interlaced-{interlaced}.png", good, JUDGED
        yield f"checksum-{interlaced}.png", good[:place] + b"\0\1\2\3" + good[place + 4 :], UNREADABLE
    for depth, kind in ((3, 2), (8, 7), (16, 3)):
        yield f"depth-{depth}-{kind}.png", png(96, 80, zlib.compress(raw), depth=depth, kind=kind), UNREADABLE
    header, rest = plain[:33], plain[33:]
    extra = {
        "text-bomb": (chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9)), EITHER),
        "texts": (chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * 80, EITHER),
        "profile-bomb": (chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000), 9)), EITHER),
        "frames": (chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), EITHER),
        "long-chunk": (struct.pack(">I", 2**31 - 1) + b"junk", UNREADABLE),
        "transparency": (chunk(b"tRNS", bytes(1)), EITHER),
        "exif": (chunk(b"eXIf", rng.bytes(5000)), JUDGED),
    }
    for name, (part, outcome) in extra.items():
        yield f"{name}.png", header + part + rest, outcome
    yield "no-end.png", plain[:-12], EITHER
    yield "no-pixels.png", header + plain[-12:], UNREADABLE
    yield "twice.png", plain + plain, JUDGED


def lines(pixels: np.ndarray) -> bytes:
    """As PNG stores them, without a filter."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def adam7(pixels: np.ndarray) -> bytes:
    """The seven pictures of an interlaced PNG."""
    steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    return b"".join(lines(pixels[top::down, left::right]) for top, left, down, right in steps)


def odd_others(rng: np.random.Generator) -> Iterator[Entry]:
    """TIFF, GIF, BMP and WebP with pointers and lengths that lead astray."""
    picture = drawn(rng)
    tiff = stored(picture, "TIFF")
    tables = int.from_bytes(tiff[4:8], "little")
    number = int.from_bytes(tiff[tables : tables + 2], "little")
    chain = tables + 2 + 12 * number
    yield "pages-in-a-circle.tif", tiff[:chain] + tiff[4:8] + tiff[chain + 4 :], JUDGED
    yield "no-table.tif", tiff[:4] + b"\xff\xff\xff\x7f" + tiff[8:], UNREADABLE
    yield "counts.tif", tiff[: tables + 6] + b"\xff\xff\xff\x7f" + tiff[tables + 10 :], EITHER
    yield "no-tags.tif", b"II*\0\x08\0\0\0\0\0\0\0\0\0", UNREADABLE
    yield "big.tif", stored(picture, "TIFF", big_tiff=True), JUDGED
    for compression in ("tiff_deflate", "packbits", "jpeg"):
        whole = stored(picture, "TIFF", compression=compression)
        yield f"{compression}.tif", whole, JUDGED
        yield f"{compression}-noise.tif", whole[:300] + rng.bytes(3000) + whole[3300:], EITHER
    gif = stored(picture, "GIF")
    yield "no-picture.gif", gif[:13] + b";", UNREADABLE
    yield "comments.gif", gif[:781] + b"!\xfe\x01x\0" * 100_000 + gif[781:], JUDGED
    yield "code-size.gif", gif.replace(b"\x08\xff", b"\x00\xff", 1), EITHER
    yield "bits.bmp", bmp(96, 80, bytes(30_000), bits=7), UNREADABLE
    yield "palette.bmp", bmp(96, 80, bytes(100), bits=8, colours=2**31), UNREADABLE
    webp_bytes = stored(picture, "WEBP")
    yield "length.webp", webp_bytes[:4] + b"\xff\xff\xff\xff" + webp_bytes[8:], EITHER
    yield "noise.webp", webp_bytes[:40] + rng.bytes(len(webp_bytes) - 40), EITHER
    yield "chunks.webp", webp(b"VP8X", bytes(4) + b"\x5f\0\0\x4f\0\0") + b"junk\0\0\0\0" * 10_000, UNREADABLE


def not_pictures(rng: np.random.Generator) -> Iterator[Entry]:
    """Other things under names of pictures, and pictures under names of others."""
    png_bytes, jpeg = stored(drawn(rng), "PNG"), stored(drawn(rng), "JPEG")
    yield "really-a-png.jpg", png_bytes, JUDGED
    yield "really-a-jpeg.gif", jpeg, JUDGED
    yield "really-a-webp.png", stored(drawn(rng), "WEBP"), JUDGED
    yield "jpeg-and-zip.jpg", jpeg + b"PK\x03\x04" + rng.bytes(500) + b"PK\x05\x06" + bytes(18), JUDGED
    yield "png-and-page.png", png_bytes + b"<script>alert(1)</script>", JUDGED
    yield "gif-and-script.gif", b"GIF89a/*" + bytes(50) + b"*/=1;alert(1)", UNREADABLE
    others = {
        "empty.jpg": b"",
        "text.png": b"no picture\n" * 100,
        "page.jpg": b"<!DOCTYPE html><img src=x onerror=alert(1)>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
        "entities.png": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>',
        "document.jpg": b"%PDF-1.7\n" + jpeg,
        "program.jpg": b"%!PS\n(/etc/passwd) (r) file\n",
        "pointer.png": b"version https://git-lfs.github.com/spec/v1\n",
        "binary.jpg": b"\x7fELF" + rng.bytes(1000),
        "noise.webp": rng.bytes(5000),
        "zeros.bmp": bytes(100_000),
        "photo.heic": b"\0\0\0\x18ftypheic" + bytes(100),
        "photo.jxl": b"\xff\x0a" + rng.bytes(100),
        "photo.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        "photo.psd": b"8BPS\0\1" + bytes(100),
        "raw.cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(100),
        "lossy.dng": b"MM\0*\0\0\0\x08\0\0",
    }
    for name, content in others.items():
        yield name, content, UNREADABLE


def chunk(kind: bytes, content: bytes) -> bytes:
    """One of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, packed: bytes, *, depth: int = 8, kind: int = 2, interlaced: int = 0) -> bytes:
    """A PNG that says what it is told to."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bmp(width: int, height: int, pixels: bytes, *, bits: int = 24, compression: int = 0, colours: int = 256) -> bytes:
    """A BMP that says what it is told to."""
    palette = bytes(range(256)) * 4 if bits == 8 else b""
    start = 54 + len(palette)
    sizes = (len(pixels), 0, 0, colours if bits == 8 else 0, 0)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, *sizes)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels


def webp(kind: bytes, content: bytes) -> bytes:
    """A WebP of one chunk."""
    body = b"WEBP" + kind + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _exif(tag: int, text: bytes) -> bytes:
    """EXIF of one tag, in text."""
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", tag, 2, len(text), 26) + bytes(4) + text
