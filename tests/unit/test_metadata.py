"""What files say of their own making, read and never believed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image as PilImage
from PIL import PngImagePlugin

from ganfingerprint.decode import decode
from ganfingerprint.errors import UnreadableImageError
from ganfingerprint.metadata import MOST_TEXT, Mark, estimate_jpeg_quality, read_metadata
from ganfingerprint.types import Encoding

GREY = PilImage.new("RGB", (64, 48), (90, 90, 90))


def saved(kind: str, picture: PilImage.Image = GREY, **settings: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()


def with_exif(**entries: Any) -> bytes:
    numbers = {"Make": 271, "Model": 272, "Software": 305, "ImageDescription": 270}
    exif = PilImage.Exif()
    for name, value in entries.items():
        exif[numbers[name]] = value
    return saved("JPEG", exif=exif)


def with_text(**chunks: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in chunks.items():
        info.add_text(name, text)
    return saved("PNG", pnginfo=info)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_file_that_says_nothing_has_nothing(kind: str) -> None:
    found = read_metadata(saved(kind))
    assert (found.exif, found.marks, found.source_type, found.has_manifest) == ({}, (), "", False)


def test_exif_is_told_by_name_and_in_one_order() -> None:
    found = read_metadata(with_exif(Software="GIMP 2.10", Make="Canon", Model="EOS\nR5\0"))
    assert list(found.exif.items()) == [("Make", "Canon"), ("Model", "EOS R5"), ("Software", "GIMP 2.10")]
    assert found.marks == ()


def test_a_comment_of_the_camera_is_read_in_its_own_code() -> None:
    exif = PilImage.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "Steps: 20, Stable Diffusion".encode("utf-16-be")
    found = read_metadata(saved("JPEG", exif=exif))
    assert found.exif == {"UserComment": "Steps: 20, Stable Diffusion"}
    assert found.marks == (Mark(place="EXIF UserComment", text="Steps: 20, Stable Diffusion"),)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (with_exif(Software="Midjourney v6"), "EXIF Software"),
        (with_text(parameters="a cat, masterpiece, Steps: 20"), "text parameters"),
        (with_text(Comment="made with DALL-E 3"), "text Comment"),
        (with_text(prompt='{"3": {"class_type": "KSampler"}}'), "text prompt"),
        (saved("JPEG", comment=b"ComfyUI"), "text comment"),
    ],
)
def test_a_generator_that_signs_is_named(data: bytes, place: str) -> None:
    assert [mark.place for mark in read_metadata(data).marks] == [place]


@pytest.mark.parametrize(
    "data",
    [
        with_exif(Software="Adobe Photoshop 25.0", ImageDescription="a fluxion of geminids over Ideogramma"),
        with_text(Title="Imagine the flux of time"),
    ],
)
def test_what_people_write_is_no_mark(data: bytes) -> None:
    assert read_metadata(data).marks == ()


def test_the_source_type_of_the_iptc_is_a_mark_where_it_says_generated() -> None:
    start, end = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">', b"</x:xmpmeta>"
    address = b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
    generated = read_metadata(saved("JPEG", xmp=start + address + b'trainedAlgorithmicMedia"' + end))
    assert generated.marks == (Mark(place="XMP DigitalSourceType", text="trainedAlgorithmicMedia"),)
    captured = read_metadata(saved("JPEG", xmp=start + address + b'digitalCapture"' + end))
    assert (captured.marks, captured.source_type) == ((), "digitalCapture")


def test_long_and_hostile_texts_are_cut_and_made_harmless() -> None:
    found = read_metadata(with_text(parameters="\x1b[31m" + "x" * 5000))
    (mark,) = found.marks
    assert len(mark.text) == MOST_TEXT
    assert mark.text.isprintable()


def test_a_manifest_is_noticed() -> None:
    data = saved("JPEG")
    box = b"\xff\xeb\x00\x10JP\0\0jumb\0c2pa"
    assert read_metadata(data[:2] + box + data[2:]).has_manifest


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UnreadableImageError):
        read_metadata(b"nothing")
    with pytest.raises(UnreadableImageError):
        read_metadata(saved("PNG")[:20])


@pytest.mark.parametrize("quality", [10, 49, 50, 75, 90, 99, 100])
def test_the_quality_of_the_common_library_is_found(quality: int, draw_picture: Callable[..., Any]) -> None:
    picture = PilImage.fromarray(draw_picture(1))
    assert estimate_jpeg_quality(decode(saved("JPEG", picture, quality=quality)).facts.encoding) == quality


def test_what_has_no_table_has_no_quality() -> None:
    assert estimate_jpeg_quality(Encoding(format="PNG")) is None


def test_a_file_full_of_beginnings_is_read_in_a_moment() -> None:
    start = time.perf_counter()
    found = read_metadata(saved("JPEG") + b"<x:xmpmeta" * 200_000)
    assert found.marks == ()
    assert time.perf_counter() - start < 5  # looked at again from each beginning, it would take an hour


@pytest.mark.parametrize(
    "said",
    [
        b'<rdf:Description dcterms:provenance="https://a.example/m.c2pa"/>',
        b"<dcterms:provenance> https://a.example/m.c2pa</dcterms:provenance>",
    ],
)
def test_the_address_of_a_manifest_elsewhere_is_noted(said: bytes) -> None:
    found = read_metadata(saved("JPEG", xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + said + b"</x:xmpmeta>"))
    assert found.manifest_address == "https://a.example/m.c2pa"
    assert not found.has_manifest
