from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.decode import decode
from ganfingerprint.encoding import SUFFIXES, encode, encoding_of, estimate_webp_quality, stored_format, webp_chunks
from ganfingerprint.types import Encoding, UInt8Array

CAT = Path(__file__).resolve().parents[2] / "samples" / "real" / "cat.jpg"


def saved(pixels: UInt8Array, kind: str, *, mode: str = "RGB", **settings: Any) -> bytes:
    stream = io.BytesIO()
    PilImage.fromarray(pixels).convert(mode).save(stream, kind, **settings)
    return stream.getvalue()


@pytest.fixture(scope="module")
def cat() -> UInt8Array:
    return decode(CAT).pixels[:256, :320]


@pytest.mark.parametrize("quality", [40, 75, 92, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_keeps_its_tables_and_its_subsampling(cat: UInt8Array, quality: int, subsampling: int) -> None:
    image = decode(saved(cat, "JPEG", quality=quality, subsampling=subsampling))
    found = image.facts.encoding
    assert (found.format, found.subsampling, found.grey, found.lossless) == ("JPEG", subsampling, False, False)
    again = decode(encode(image.pixels, found))
    assert again.facts.encoding == found


def test_tables_are_in_the_order_that_they_are_written_in(cat: UInt8Array) -> None:
    """A table that is not symmetric would come back transposed or in zigzag."""
    table = [min(1 + i, 99) for i in range(64)]
    found = decode(saved(cat, "JPEG", qtables=[table, table], subsampling=0)).facts.encoding
    assert found.qtables[0] == tuple(table)
    assert decode(encode(cat, found)).facts.encoding.qtables == found.qtables


def test_a_jpeg_that_is_encoded_again_hardly_changes(cat: UInt8Array) -> None:
    """Same tables on the same grid: what was quantised stays where it is."""
    image = decode(saved(cat, "JPEG", quality=85, subsampling=0))
    again = decode(encode(image.pixels, image.facts.encoding)).pixels
    other = decode(saved(image.pixels, "JPEG", quality=80, subsampling=0)).pixels
    change = np.abs(again.astype(int) - image.pixels).mean()
    assert change < 0.05
    assert np.abs(other.astype(int) - image.pixels).mean() > 10 * change


@pytest.mark.parametrize(
    ("kind", "mode", "settings", "stored", "grey"),
    [
        ("PNG", "RGB", {}, "PNG", False),
        ("PNG", "L", {}, "PNG", True),
        ("PNG", "P", {}, "PNG", False),
        ("PNG", "RGBA", {}, "PNG", False),
        ("JPEG", "L", {"quality": 80}, "JPEG", True),
        ("JPEG", "CMYK", {"quality": 80}, "JPEG", False),
        ("WEBP", "RGB", {"lossless": True}, "WEBP", False),
        ("WEBP", "RGB", {"quality": 80}, "WEBP", False),
        ("TIFF", "RGB", {}, "PNG", False),
        ("BMP", "RGB", {}, "PNG", False),
        ("GIF", "RGB", {}, "PNG", False),
    ],
)
def test_every_format_has_one_to_be_stored_in(
    cat: UInt8Array, kind: str, mode: str, settings: dict[str, Any], stored: str, grey: bool
) -> None:
    image = decode(saved(cat, kind, mode=mode, **settings))
    found = image.facts.encoding
    assert (stored_format(found), found.grey) == (stored, grey)
    content = encode(image.pixels, found)
    again = decode(content)
    assert again.facts.format == stored
    assert again.pixels.shape == image.pixels.shape
    assert again.facts.mode == ("L" if grey else "RGB")
    if found.lossless:
        assert np.array_equal(again.pixels, image.pixels)


def test_nothing_but_pixels_is_stored(cat: UInt8Array) -> None:
    exif = PilImage.Exif()
    exif[0x010E] = "a secret"
    image = decode(saved(cat, "JPEG", exif=exif, comment=b"another"))
    with PilImage.open(io.BytesIO(encode(image.pixels, image.facts.encoding))) as again:
        assert not again.getexif()
        assert "comment" not in again.info


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("extras", [{}, {"exif": b"Exif\0\0"}, {"xmp": b"<x/>"}])
def test_webp_says_whether_it_lost_anything(cat: UInt8Array, lossless: bool, extras: dict[str, bytes]) -> None:
    """With extras the file has a chunk of flags before the picture."""
    assert decode(saved(cat, "WEBP", lossless=lossless, **extras)).facts.encoding.lossless is lossless


def test_frames_of_an_animation_are_looked_into(cat: UInt8Array) -> None:
    frames = [PilImage.fromarray(np.roll(cat, 20 * i, axis=0)) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert webp_chunks(stream.getvalue()).count(b"ANMF") == 3
    assert b"VP8L" in webp_chunks(stream.getvalue())


def test_chunks_of_a_file_that_is_cut_short_end() -> None:
    assert webp_chunks(b"RIFF\0\0\0\0WEBPVP8L\xff\xff\xff\xff") == [b"VP8L"]
    assert webp_chunks(b"RIFF") == []


@pytest.mark.parametrize(("quality", "tolerance"), [(75, 9), (85, 6), (95, 4)])
def test_the_quality_of_a_lossy_webp_is_found_by_its_length(cat: UInt8Array, quality: int, tolerance: int) -> None:
    content = saved(cat, "WEBP", quality=quality)
    assert estimate_webp_quality(decode(content).pixels, len(content)) == pytest.approx(quality, abs=tolerance)


@pytest.mark.parametrize(
    "tables", [(), ((0,) * 64,), ((1,) * 63,), ((40000,) * 64,)], ids=["none", "zero", "short", "too large"]
)
def test_tables_that_no_encoder_takes_make_a_png(cat: UInt8Array, tables: tuple[tuple[int, ...], ...]) -> None:
    odd = Encoding(format="JPEG", qtables=tables, lossless=False)
    assert stored_format(odd) == "PNG"
    assert encode(cat, odd).startswith(b"\x89PNG")


def test_an_unusual_subsampling_becomes_the_usual_one(cat: UInt8Array) -> None:
    known = decode(saved(cat, "JPEG", quality=80, subsampling=0)).facts.encoding
    odd = Encoding(format="JPEG", qtables=known.qtables, subsampling=-1, lossless=False)
    assert decode(encode(cat, odd)).facts.encoding.subsampling == 2


def test_a_drawn_picture_is_a_png() -> None:
    assert encoding_of(PilImage.new("RGB", (8, 8)), b"") == Encoding(format="PNG")
    assert set(SUFFIXES) == {"JPEG", "PNG", "WEBP"}
