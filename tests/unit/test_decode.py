from __future__ import annotations

import hashlib
import io
import os
import struct
import tempfile
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL import ImageCms, ImageFile, features

from ganfingerprint.decode import IMAGE_SUFFIXES, DecodeLimits, decode, find_images
from ganfingerprint.errors import (
    FileMissingError,
    ImageTooLargeError,
    ImageTooSmallError,
    InputError,
    UnreadableImageError,
)
from ganfingerprint.types import UInt8Array

NO_LIMITS = DecodeLimits(min_side=1)
LOSSLESS = ("PNG", "BMP", "TIFF", "WEBP")
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")

# Pillow's own operation that stores an upright picture so that the EXIF value turns it back
STORED_AS = {
    1: (),
    2: (PilImage.Transpose.FLIP_LEFT_RIGHT,),
    3: (PilImage.Transpose.ROTATE_180,),
    4: (PilImage.Transpose.FLIP_TOP_BOTTOM,),
    5: (PilImage.Transpose.FLIP_LEFT_RIGHT, PilImage.Transpose.ROTATE_90),
    6: (PilImage.Transpose.ROTATE_90,),
    7: (PilImage.Transpose.FLIP_LEFT_RIGHT, PilImage.Transpose.ROTATE_270),
    8: (PilImage.Transpose.ROTATE_270,),
}


def drawn(width: int = 40, height: int = 28) -> UInt8Array:
    """Colours that differ at every place and have no symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6 % 256, y * 9 % 256, (x * 2 + y * 5) % 256], axis=-1).astype(np.uint8)


def stored(picture: PilImage.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}), **options)
    return stream.getvalue()


def png(pixels: UInt8Array | None = None, **options: Any) -> bytes:
    return stored(PilImage.fromarray(drawn() if pixels is None else pixels), "PNG", **options)


def jpeg(pixels: UInt8Array | None = None, **options: Any) -> bytes:
    return stored(PilImage.fromarray(drawn() if pixels is None else pixels), "JPEG", **options)


def png_of_chunks(width: int, height: int, depth: int, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, for what Pillow cannot write."""
    every = ((b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), *chunks, (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in every)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def oriented(upright: PilImage.Image, value: int, format: str) -> bytes:
    for step in STORED_AS[value]:
        upright = upright.transpose(step)
    exif = PilImage.Exif()
    exif[0x0112] = value
    return stored(upright, format, exif=exif)


# ---- what comes out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", LOSSLESS)
def test_pixels_of_a_plain_picture_are_those_of_the_file(format: str) -> None:
    data = stored(PilImage.fromarray(drawn()), format)
    image = decode(data)
    np.testing.assert_array_equal(image.pixels, drawn())
    assert image.pixels.flags.writeable  # torch warns of arrays that are not
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    facts = image.facts
    assert (facts.format, facts.mode, facts.width, facts.height) == (format, "RGB", 40, 28)
    assert (facts.size_bytes, facts.orientation, facts.frames) == (len(data), 1, 1)
    assert (facts.had_alpha, facts.had_profile) == (False, False)


@pytest.mark.parametrize("format", ["JPEG", "GIF", "MPO", pytest.param("AVIF", marks=needs_avif)])
def test_other_formats_are_read_about_as_drawn(format: str) -> None:
    smooth = np.broadcast_to(np.linspace(40, 200, 64).astype(np.uint8)[:, None, None], (64, 48, 3)).copy()
    image = decode(stored(PilImage.fromarray(smooth), format))
    assert np.abs(image.pixels.astype(int) - smooth).mean() < 6
    assert image.facts.format in (format, "JPEG")


@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]),
    format=st.sampled_from(["PNG", "TIFF"]),
    width=st.integers(1, 33),
    height=st.integers(1, 33),
    orientation=st.integers(1, 8),
)
@settings(deadline=None, max_examples=120)
def test_error_20_every_mode_size_and_orientation_gives_the_upright_picture(
    mode: str, format: str, width: int, height: int, orientation: int
) -> None:
    if mode == "CMYK" and format == "PNG":
        format = "TIFF"
    grey = drawn(width, height)[..., 2]
    source = PilImage.fromarray(drawn(width, height)).convert("RGB" if mode == "I;16" else mode)
    if mode == "I;16":
        source = PilImage.fromarray(grey.astype(np.uint16) << 8 | 255)
    expected = np.stack([grey] * 3, axis=-1) if mode == "I;16" else np.array(source.convert("RGB"))
    image = decode(oriented(source, orientation, format), limits=NO_LIMITS)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.facts.orientation == orientation
    turned = orientation >= 5
    assert (image.facts.width, image.facts.height) == ((height, width) if turned else (width, height))
    assert (image.width, image.height) == (width, height)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_error_20_exif_orientation_is_applied_in_every_format(format: str, value: int) -> None:
    corner = np.full((48, 64, 3), 30, np.uint8)
    corner[:24, :32] = 220  # the upper left quarter is bright
    image = decode(oriented(PilImage.fromarray(corner), value, format))
    assert image.pixels.shape == (48, 64, 3)
    np.testing.assert_allclose(image.pixels[4:20, 4:28].mean(), 220, atol=8)
    np.testing.assert_allclose(image.pixels[28:, 36:].mean(), 30, atol=8)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12"]
)
def test_broken_exif_leaves_the_picture_as_it_is(exif: bytes) -> None:
    image = decode(jpeg(exif=exif))
    assert image.facts.orientation == 1
    assert image.pixels.shape == (28, 40, 3)


def test_an_orientation_that_follows_the_pixels_of_a_png_is_found() -> None:
    exif = PilImage.Exif()
    exif[0x0112] = 6
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in drawn()))
    after = png_of_chunks(40, 28, 8, 2, (b"IDAT", rows), (b"eXIf", exif.tobytes()[6:]))
    np.testing.assert_array_equal(decode(after).pixels, np.rot90(drawn(), -1))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(value: int) -> None:
    exif = PilImage.Exif()
    exif[0x0112] = value
    image = decode(png(exif=exif))
    assert image.facts.orientation == 1
    np.testing.assert_array_equal(image.pixels, drawn())


# ---- transparency ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_error_20_alpha_is_composited_on_white(mode: str, format: str) -> None:
    grey = np.full((20, 20), 100, np.uint8)
    alpha = np.repeat(np.array([0, 51, 128, 255], np.uint8), 5)[None, :].repeat(20, 0)
    bands = [grey, alpha] if mode == "LA" else [grey, grey, grey, alpha]
    image = decode(stored(PilImage.merge(mode, [PilImage.fromarray(band) for band in bands]), format))
    expected = np.rint((100.0 * alpha + 255.0 * (255 - alpha)) / 255)
    np.testing.assert_allclose(image.pixels, np.stack([expected] * 3, -1), atol=1)
    np.testing.assert_array_equal(image.pixels[:, :5], 255)
    np.testing.assert_array_equal(image.pixels[:, 15:], 100)
    assert image.facts.had_alpha


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_an_alpha_channel_that_hides_nothing_is_not_transparency(mode: str) -> None:
    source = PilImage.fromarray(drawn()).convert("L" if mode != "RGBA" else "RGB").convert(mode)
    image = decode(stored(source, "TIFF" if mode == "PA" else "PNG"))
    assert not image.facts.had_alpha
    np.testing.assert_array_equal(image.pixels, np.array(source.convert("RGB")))


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 255])])
@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_error_20_transparent_palette_entry_becomes_white(format: str, transparency: int | bytes) -> None:
    source = PilImage.fromarray(np.arange(20, dtype=np.uint8)[None, :].repeat(20, 0) % 3)
    source.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image = decode(stored(source, format, transparency=1 if format == "GIF" else transparency, optimize=False))
    np.testing.assert_array_equal(image.pixels[0, :3], [[10, 20, 30], [255, 255, 255], [70, 80, 90]])
    assert image.facts.had_alpha
    assert image.facts.mode == "P"


@pytest.mark.parametrize(
    ("depth", "kind", "row", "key", "expected"),
    [
        (8, 0, bytes([7, 9] * 8), b"\0\7", [255, 9]),  # grey
        (4, 0, bytes([0x2C] * 8), b"\0\2", [255, 12 * 17]),  # grey of 4 bits
        (2, 0, bytes([0b01_10_01_10] * 4), b"\0\1", [255, 170]),  # grey of 2 bits
        (1, 0, bytes([0b0101_0101] * 2), b"\0\1", [0, 255]),  # black and white: white hidden
        (16, 0, struct.pack(">16H", *[512, 513] * 8), b"\2\1", [2, 255]),  # only one of two that share the high byte
        (8, 2, bytes([7, 7, 7, 9, 9, 9] * 8), b"\0\7\0\7\0\7", [255, 9]),  # colour
        (16, 2, struct.pack(">48H", *[512, 512, 512, 2304, 2304, 2304] * 8), b"\2\0" * 3, [255, 9]),
    ],
)
def test_the_transparent_colour_of_a_png_is_found_at_any_depth(
    depth: int, kind: int, row: bytes, key: bytes, expected: list[int]
) -> None:
    data = zlib.compress((b"\0" + row) * 16)
    image = decode(png_of_chunks(16, 16, depth, kind, (b"tRNS", key), (b"IDAT", data)))
    np.testing.assert_array_equal(image.pixels[3, :2, 1], expected)
    assert image.facts.had_alpha


# ---- depth, colour spaces, profiles ----------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_error_20_grey_of_16_bits_is_scaled_and_not_clipped(format: str) -> None:
    deep = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    image = decode(stored(PilImage.fromarray(deep), format))
    np.testing.assert_array_equal(image.pixels[..., 0], deep >> 8)
    assert len(np.unique(image.pixels)) == 256


def tiff_of_samples(samples: bytes, bits: int, photometric: int, order: str = "<") -> bytes:
    """One strip of 20 x 20 grey samples, written by hand."""
    tags = [
        (256, 20),
        (257, 20),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, 20),
        (279, len(samples)),
    ]
    entry = order + "HHIHH"
    directory = struct.pack(order + "H", len(tags))
    directory += b"".join(struct.pack(entry, tag, 3, 1, value, 0) for tag, value in tags) + bytes(4)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "I", 8 + len(samples)) + samples + directory


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff_of_samples(struct.pack("<400H", *[0x1234] * 400), 16, 1), 0x12),
        (tiff_of_samples(struct.pack(">400H", *[0x1234] * 400), 16, 1, ">"), 0x12),
        (tiff_of_samples(struct.pack("<400H", *[0x1234] * 400), 16, 0), 255 - 0x12),  # white is zero
        (tiff_of_samples(bytes([0x12, 0x31, 0x23] * 200), 12, 1), 0x12),  # two samples of 12 bits in 3 bytes
        (tiff_of_samples(bytes([7] * 400), 8, 0), 248),
    ],
)
def test_error_20_tiff_depth_byte_order_and_polarity_are_respected(data: bytes, expected: int) -> None:
    pixels = decode(data).pixels
    assert pixels.shape == (20, 20, 3)
    assert set(np.unique(pixels)) == {expected}


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (np.float32, [0.0, 0.5, 1.0, -3.0], [0, 128, 255, 0]),
        (np.float32, [0.0, 100.0, 255.0, np.nan], [0, 100, 255, 0]),
        (np.float32, [0.0, 1000.0, 2000.0, 100000.0], [0, 3, 5, 255]),
        (np.int32, [0, 100, 200, -1], [0, 100, 200, 0]),
        (np.int32, [0, 32768, 65535, 257], [0, 128, 255, 1]),
        (np.int32, [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_samples_of_32_bits_are_scaled_by_the_first_full_scale_that_holds_them(
    kind: type, values: list[float], expected: list[int]
) -> None:
    samples: np.ndarray[Any, Any] = np.array(values, kind)[None, :].repeat(16, 0).repeat(4, 1)
    image = decode(stored(PilImage.fromarray(samples), "TIFF"))
    np.testing.assert_array_equal(image.pixels[0, ::4, 0], expected)
    assert image.facts.mode in ("I", "F")


@pytest.mark.parametrize(
    ("ink", "expected"), [((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((255, 255, 255, 0), 0), ((0, 0, 0, 100), 155)]
)
@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_error_20_cmyk_has_the_right_polarity(format: str, ink: tuple[int, ...], expected: int) -> None:
    image = decode(stored(PilImage.new("CMYK", (24, 24), ink), format))  # Pillow writes JPEG inverted, as Adobe does
    np.testing.assert_allclose(image.pixels, expected, atol=3)
    assert image.facts.mode == "CMYK"


def test_lab_is_converted() -> None:
    lab = ImageCms.profileToProfile(
        PilImage.new("RGB", (20, 20), (200, 60, 90)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    with_profile = stored(lab, "TIFF")
    del lab.info["icc_profile"]
    for data, had_profile in [(with_profile, True), (stored(lab, "TIFF"), False)]:
        image = decode(data)
        np.testing.assert_allclose(image.pixels[0, 0], [200, 60, 90], atol=4)
        assert image.facts.had_profile is had_profile


def s15f16(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile_of(space: bytes, gamma: float) -> bytes:
    """A small ICC profile, version 2: sRGB's own primaries (or grey) with a pure power as tone curve."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    xyz = {b"rXYZ": (0.4360, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971), b"bXYZ": (0.1431, 0.0606, 0.7141)}
    tags = {b"wtpt": b"XYZ " + bytes(4) + s15f16(0.9642, 1.0, 0.8249), b"cprt": b"text" + bytes(4) + b"none\0\0\0\0"}
    tags |= {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79)}
    if space == b"GRAY":
        tags |= {b"kTRC": curve}
    else:
        tags |= {name: b"XYZ " + bytes(4) + s15f16(*values) for name, values in xyz.items()}
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = at + len(body)
    head = struct.pack(">I4sI", size, b"none", 0x02400000) + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += s15f16(0.9642, 1.0, 0.8249)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def srgb_level(linear: float) -> int:
    """The transfer curve of sRGB, IEC 61966-2-1."""
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(("mode", "space"), [("RGB", b"RGB "), ("L", b"GRAY"), ("L", b"RGB "), ("P", b"RGB ")])
@pytest.mark.parametrize("level", [64, 128, 250])
def test_a_profile_is_converted_to_srgb(mode: str, space: bytes, level: int) -> None:
    source = PilImage.new("RGB", (20, 20), (level, level, level))
    source = source.quantize(4) if mode == "P" else source.convert(mode)
    image = decode(stored(source, "PNG", icc_profile=profile_of(space, 1.0)))
    np.testing.assert_allclose(image.pixels, srgb_level(level / 255), atol=2)
    assert image.facts.had_profile


def test_a_profile_is_converted_before_alpha_is_composited() -> None:
    source = PilImage.new("RGBA", (20, 20), (64, 64, 64, 128))
    image = decode(stored(source, "PNG", icc_profile=profile_of(b"RGB ", 1.0)))
    expected = (srgb_level(64 / 255) * 128 + 255 * 127) / 255
    np.testing.assert_allclose(image.pixels, expected, atol=2)
    assert image.facts.had_alpha
    assert image.facts.had_profile


def test_the_srgb_profile_leaves_every_pixel_as_it_is() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = decode(png(icc_profile=profile))
    np.testing.assert_array_equal(image.pixels, drawn())
    assert not image.facts.had_profile


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
@pytest.mark.parametrize(
    "profile",
    [b"x", bytes(128), profile_of(b"RGB ", 1.0)[:150], profile_of(b"RGB ", 1.0)[:-60], profile_of(b"CMYK", 1.0)],
)
def test_a_broken_profile_is_ignored(mode: str, profile: bytes) -> None:
    source = PilImage.fromarray(drawn()).convert(mode)
    image = decode(stored(source, "TIFF", icc_profile=profile))
    np.testing.assert_array_equal(image.pixels, np.array(source.convert("RGB")))
    assert not image.facts.had_profile


@given(start=st.integers(0, 400), noise=st.binary(min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_no_damage_to_a_profile_makes_a_picture_unreadable(start: int, noise: bytes) -> None:
    profile = profile_of(b"RGB ", 1.0)
    damaged = profile[:start] + noise + profile[start + len(noise) :]
    assert decode(png(icc_profile=damaged)).pixels.shape == (28, 40, 3)


# ---- frames ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_of_several_frames_is_taken(format: str) -> None:
    frames = [PilImage.new("RGB", (32, 24), (level, level, level)) for level in (30, 120, 220)]
    image = decode(stored(frames[0], format, save_all=True, append_images=frames[1:]))
    np.testing.assert_allclose(image.pixels, 30, atol=2)
    assert image.facts.frames == 3


def test_frames_with_their_own_palettes_and_transparency_are_counted_too() -> None:
    frames = [PilImage.fromarray(np.roll(drawn(), 7 * i, axis=1)).quantize(16 + i) for i in range(5)]
    image = decode(
        stored(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, disposal=2, transparency=3)
    )
    assert image.facts.frames == 5


def test_pages_after_a_damaged_one_do_not_matter() -> None:
    first = stored(PilImage.fromarray(drawn()), "TIFF")
    directory = struct.unpack("<I", first[4:8])[0]
    entries = struct.unpack("<H", first[directory : directory + 2])[0]
    link = directory + 2 + 12 * entries
    data = first[:link] + struct.pack("<I", len(first)) + first[link + 4 :] + b"\xff" * 40
    image = decode(data)
    np.testing.assert_array_equal(image.pixels, drawn())
    assert image.facts.frames == 1


# ---- limits ----------------------------------------------------------------------------------------------------


def test_limits_hold_exactly() -> None:
    data = png()
    exact = DecodeLimits(max_bytes=len(data), max_pixels=40 * 28, min_side=28)
    assert decode(data, limits=exact).width == 40
    for limits, error in [
        (DecodeLimits(max_bytes=len(data) - 1), ImageTooLargeError),
        (DecodeLimits(max_pixels=40 * 28 - 1), ImageTooLargeError),
        (DecodeLimits(min_side=29), ImageTooSmallError),
    ]:
        with pytest.raises(error):
            decode(data, limits=limits)


@pytest.mark.parametrize(
    ("width", "height", "error"), [(60000, 60000, ImageTooLargeError), (60000, 8, ImageTooSmallError)]
)
def test_limits_are_checked_before_any_pixel_is_decoded(width: int, height: int, error: type[InputError]) -> None:
    no_pixels = png_of_chunks(width, height, 8, 2, (b"IDAT", zlib.compress(b"")))
    with pytest.raises(error, match=f"{width} x {height}"):
        decode(no_pixels)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as stream:
        stream.truncate(2**40)  # sparse: has the size, takes no room
    with pytest.raises(ImageTooLargeError, match=r"1048576\.0 MiB"):
        decode(path)


def test_an_endless_stream_is_left_at_the_limit() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            part = b"x" * min(size, 1000)
            self.given += len(part)
            return part

    stream = Endless()
    with pytest.raises(ImageTooLargeError):
        decode(cast(BinaryIO, stream), limits=DecodeLimits(max_bytes=4096))
    assert stream.given == 4097


def test_pillows_process_wide_settings_are_neither_used_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PilImage, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(decode(png()).pixels, drawn())
    assert PilImage.MAX_IMAGE_PIXELS == 100
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


# ---- sources ---------------------------------------------------------------------------------------------------


class OneWay(io.RawIOBase):
    """A stream like a socket: gives a few bytes at a time and cannot go back."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 37))

    def seekable(self) -> bool:
        return False


def test_path_text_bytes_and_streams_give_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    with path.open("rb") as opened:
        images = [decode(s) for s in (path, str(path), png(), io.BytesIO(png()), cast(BinaryIO, OneWay(png())), opened)]
    for image in images:
        np.testing.assert_array_equal(image.pixels, drawn())
    assert len({image.sha256 for image in images}) == 1
    assert [i.source for i in images] == [str(path), str(path), "<bytes>", "<stream>", "<stream>", str(path)]
    assert decode(path, name="photo").source == "photo"


@pytest.mark.parametrize("bad", ["nothing.jpg", "there.png/more.png"])
def test_a_file_that_is_not_there_is_missing(tmp_path: Path, bad: str) -> None:
    (tmp_path / "there.png").write_bytes(png())
    with pytest.raises(FileMissingError, match="no such file") as caught:
        decode(tmp_path / bad)
    assert caught.value.source == str(tmp_path / bad)
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"just some notes\n" * 40, "not a picture in JPEG"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"<svg xmlns='x'/>", "drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n", "PostScript"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"P6 20 20 255\n" + bytes(1200), "not a picture in JPEG"),  # Pillow could read it; it is not on our list
        (b"\xff\xd8\xff\xe0", "damaged or cut short"),
        (b"BM" + bytes(60), "damaged or cut short"),
    ],
)
def test_error_15_what_is_no_picture_is_refused_with_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=sentence) as caught:
        decode(path)
    assert caught.value.source == str(path)
    assert "\n" not in caught.value.reason


def test_folders_pipes_and_odd_paths_are_refused_with_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for path, sentence in [
        (tmp_path, "a folder"),
        (tmp_path / "pipe.jpg", "a pipe"),
        (tmp_path / "loop.jpg", "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (Path("a\0b.jpg"), "cannot be read"),
    ]:
        with pytest.raises(UnreadableImageError, match=sentence):
            decode(path)


def test_streams_that_cannot_be_read_are_refused_with_a_sentence() -> None:
    closed = io.BytesIO(png())
    closed.close()
    with pytest.raises(UnreadableImageError, match="closed file"):
        decode(closed)
    with pytest.raises(UnreadableImageError, match="binary mode"):
        decode(cast(BinaryIO, io.StringIO("text")))


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)  # permissions do not hold for root
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_what_may_not_be_read_says_so_and_is_never_dropped() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "secret.png").write_bytes(png())
        (root / "secret.png").chmod(0)
        (root / "closed").mkdir(mode=0)
        with as_a_plain_user():
            with pytest.raises(UnreadableImageError, match="no permission"):
                decode(root / "secret.png")
            assert find_images(root, recursive=True) == [root / "closed", root / "secret.png"]
            with pytest.raises(UnreadableImageError, match="cannot be listed"):
                find_images(root / "closed", recursive=False)
        (root / "closed").chmod(0o700)


# ---- damage ----------------------------------------------------------------------------------------------------


def examples() -> dict[str, bytes]:
    picture = PilImage.fromarray(drawn())
    made = {format: stored(picture, format) for format in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")}
    made["progressive JPEG"] = stored(picture, "JPEG", progressive=True)
    made["TIFF, LZW"] = stored(picture, "TIFF", compression="tiff_lzw")
    made["MPO"] = stored(picture, "MPO", save_all=True, append_images=[picture])
    if features.check("avif"):
        made["AVIF"] = stored(picture, "AVIF")
    return made


EXAMPLES = examples()


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "PNG"])
def test_error_15_a_file_cut_short_at_any_byte_is_refused(kind: str) -> None:
    data = EXAMPLES[kind]
    # the pixels are complete before the closing marks: 2 bytes in JPEG, checksum and IEND in PNG
    closing = 2 if kind != "PNG" else 4 + 4 + 12
    for length in range(len(data) - closing):
        with pytest.raises(UnreadableImageError):
            decode(data[:length])
    for length in range(len(data) - closing, len(data)):
        with suppress(UnreadableImageError):
            np.testing.assert_array_equal(decode(data[:length]).pixels, decode(data).pixels)


@given(kind=st.sampled_from(sorted(EXAMPLES)), part=st.floats(0, 1))
@settings(deadline=None, max_examples=200)
def test_error_15_cutting_any_format_raises_input_errors_only(kind: str, part: float) -> None:
    data = EXAMPLES[kind]
    decode_or_refuse(data[: int(part * len(data))])


@given(kind=st.sampled_from(sorted(EXAMPLES)), place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=24))
@settings(deadline=None, max_examples=400)
def test_error_15_damage_anywhere_raises_input_errors_only(kind: str, place: float, noise: bytes) -> None:
    data = EXAMPLES[kind]
    at = int(place * len(data))
    decode_or_refuse(data[:at] + noise + data[at + len(noise) :])


@given(
    start=st.sampled_from([data[:n] for data in EXAMPLES.values() for n in (0, 4, 12, 30)]),
    rest=st.binary(max_size=300),
)
@settings(deadline=None, max_examples=300)
def test_error_15_random_bytes_raise_input_errors_only(start: bytes, rest: bytes) -> None:
    decode_or_refuse(start + rest)


def decode_or_refuse(data: bytes) -> None:
    with suppress(InputError):
        image = decode(data, limits=DecodeLimits(max_pixels=10**6, min_side=1))
        assert 0 < image.pixels.size <= 3 * 10**6


def test_pillows_warnings_do_not_reach_the_caller() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\xff\0\0\xff\xff\0\0\0\0\0\0"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(jpeg(exif=exif))
        decode(tiff_of_samples(bytes(400), 8, 1)[:-6] + bytes(2))  # Pillow warns that the directory ends too early
    assert caught == []


def test_threads_that_decode_together_leave_the_warnings_of_the_process_as_they_were() -> None:
    before = list(warnings.filters)
    data = jpeg()
    threads = [threading.Thread(target=lambda: [decode(data) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


# ---- finding ---------------------------------------------------------------------------------------------------


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def found(root: Path, *, recursive: bool = True) -> list[str]:
    return [str(path.relative_to(root)) for path in find_images(root, recursive=recursive)]


def test_error_14_each_file_is_listed_once_whatever_the_case_of_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.jpg", "c.Jpeg", "d.PnG", "notes.txt", "jpg", "e.jpg.bak")
    assert found(tmp_path) == ["a.jpg", "b.JPG", "c.Jpeg", "d.PnG"]


def test_every_suffix_is_found_and_hidden_files_are_not(tmp_path: Path) -> None:
    touch(tmp_path, *(f"x{suffix}" for suffix in IMAGE_SUFFIXES), ".hidden.jpg", ".cache/a.jpg", "._x.jpg")
    assert found(tmp_path) == sorted(f"x{suffix}" for suffix in IMAGE_SUFFIXES)


def test_folders_are_entered_only_when_asked(tmp_path: Path) -> None:
    touch(tmp_path, "z.png", "sub/a.png", "sub/deep/b.png", "odd.jpg/c.png")
    assert found(tmp_path, recursive=False) == ["z.png"]
    assert found(tmp_path) == ["odd.jpg/c.png", "sub/a.png", "sub/deep/b.png", "z.png"]


def test_a_file_given_itself_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "picture.dat", ".hidden")
    for name in ("picture.dat", ".hidden"):
        assert find_images(tmp_path / name, recursive=False) == [tmp_path / name]
    with pytest.raises(FileMissingError):
        find_images(tmp_path / "nothing", recursive=True)


def test_links_in_a_circle_end_and_linked_folders_are_listed_once(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "real/a.png")
    touch(outside, "b.png")
    (root / "real" / "up").symlink_to(root, target_is_directory=True)
    (root / "again").symlink_to(root / "real", target_is_directory=True)
    (root / "out").symlink_to(outside, target_is_directory=True)
    (root / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    assert found(root) == ["dangling.jpg", "out/b.png", "real/a.png"]
    with pytest.raises(FileMissingError):
        decode(root / "dangling.jpg")


@given(names=st.lists(st.sampled_from(["a", "b", "ä", "c d"]), unique=True), upper=st.booleans())
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_list_is_sorted_and_complete(names: list[str], upper: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = {f"{name}.{'JPG' if upper else 'jpg'}" for name in names}
        touch(Path(folder), *wanted)
        listed = find_images(Path(folder), recursive=False)
        assert listed == sorted(listed)
        assert {path.name for path in listed} == wanted
