"""The colour of decoded pictures, through `decode`: the only way in."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL import ImageCms

from ganfingerprint.decode import decode
from ganfingerprint.types import UInt8Array


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


def png_of_chunks(width: int, height: int, depth: int, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, for what Pillow cannot write."""
    every = ((b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), *chunks, (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in every)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# ---- transparency ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_published_error_20_alpha_is_composited_on_white(mode: str, format: str) -> None:
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
def test_published_error_20_transparent_palette_entry_becomes_white(format: str, transparency: int | bytes) -> None:
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
def test_published_error_20_grey_of_16_bits_is_scaled_and_not_clipped(format: str) -> None:
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
def test_published_error_20_tiff_depth_byte_order_and_polarity_are_respected(data: bytes, expected: int) -> None:
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
def test_published_error_20_cmyk_has_the_right_polarity(format: str, ink: tuple[int, ...], expected: int) -> None:
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
