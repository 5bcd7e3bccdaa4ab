from __future__ import annotations

import hashlib
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL import ImageFile, features

from ganfingerprint.decode import DecodeLimits, decode
from ganfingerprint.errors import (
    FileMissingError,
    ImageTooLargeError,
    ImageTooSmallError,
    InputError,
    UnreadableImageError,
)
from ganfingerprint.listing import find_images
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
def test_published_error_20_every_mode_size_and_orientation_gives_the_upright_picture(
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
def test_published_error_20_exif_orientation_is_applied_in_every_format(format: str, value: int) -> None:
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
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"avif", "HEIC"),  # what follows the box is no brand
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"P6 20 20 255\n" + bytes(1200), "not a picture in JPEG"),  # Pillow could read it; it is not on our list
        (b"\xff\xd8\xff\xe0", "damaged or cut short"),
        (b"BM" + bytes(60), "damaged or cut short"),
    ],
)
def test_published_error_15_what_is_no_picture_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=sentence) as caught:
        decode(path)
    assert caught.value.source == str(path)
    assert "\n" not in caught.value.reason


@pytest.mark.skipif(os.name != "posix", reason="no named pipes")
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
