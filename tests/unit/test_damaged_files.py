from __future__ import annotations

import io
import threading
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL import features

from ganfingerprint.decode import DecodeLimits, decode
from ganfingerprint.errors import (
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
)
from ganfingerprint.types import UInt8Array


def drawn(width: int = 40, height: int = 28) -> UInt8Array:
    """Colours that differ at every place and have no symmetry."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6 % 256, y * 9 % 256, (x * 2 + y * 5) % 256], axis=-1).astype(np.uint8)


def stored(picture: PilImage.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}), **options)
    return stream.getvalue()


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
def test_published_error_15_a_file_cut_short_at_any_byte_is_refused(kind: str) -> None:
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
def test_published_error_15_cutting_any_format_raises_input_errors_only(kind: str, part: float) -> None:
    data = EXAMPLES[kind]
    decode_or_refuse(data[: int(part * len(data))])


@given(kind=st.sampled_from(sorted(EXAMPLES)), place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=24))
@settings(deadline=None, max_examples=400)
def test_published_error_15_damage_anywhere_raises_input_errors_only(kind: str, place: float, noise: bytes) -> None:
    data = EXAMPLES[kind]
    at = int(place * len(data))
    decode_or_refuse(data[:at] + noise + data[at + len(noise) :])


@given(
    start=st.sampled_from([data[:n] for data in EXAMPLES.values() for n in (0, 4, 12, 30)]),
    rest=st.binary(max_size=300),
)
@settings(deadline=None, max_examples=300)
def test_published_error_15_random_bytes_raise_input_errors_only(start: bytes, rest: bytes) -> None:
    decode_or_refuse(start + rest)


def decode_or_refuse(data: bytes) -> None:
    with suppress(InputError):
        image = decode(data, limits=DecodeLimits(max_pixels=10**6, min_side=1))
        assert 0 < image.pixels.size <= 3 * 10**6


def test_a_picture_that_is_looked_at_again_and_again_is_refused_before_the_first_time() -> None:
    data = EXAMPLES["progressive JPEG"]
    start = data.index(b"\xff\xda")
    repeated = data[:-2] + data[start:-2] * 300 + data[-2:]
    passes = repeated.count(b"\xff\xda")
    limits = DecodeLimits(max_pixels=passes * 40 * 28 // 20)
    assert decode(repeated, limits=limits).width == 40
    with pytest.raises(ImageTooLargeError, match=f"40 x 28 pixels in {passes} passes"):
        decode(repeated, limits=replace(limits, max_pixels=limits.max_pixels - 1))


def test_pillows_warnings_do_not_reach_the_caller() -> None:
    broken = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\xff\0\0\xff\xff\0\0\0\0\0\0"
    data = stored(PilImage.fromarray(drawn()), "JPEG", exif=broken)
    with pytest.warns(UserWarning, match="larger than file"):
        PilImage.open(io.BytesIO(data)).getexif()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(data)
        for length in range(8, len(EXAMPLES["TIFF"]), 3):
            decode_or_refuse(EXAMPLES["TIFF"][:length])
    assert caught == []


def test_threads_that_decode_together_leave_the_warnings_of_the_process_as_they_were() -> None:
    before = list(warnings.filters)
    data = EXAMPLES["JPEG"]
    threads = [threading.Thread(target=lambda: [decode(data) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
