"""One file, everything that is found out about it, and no exception for what is wrong with it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

from ganfingerprint.attribution import Gallery
from ganfingerprint.detector import Detector
from ganfingerprint.errors import GalleryError
from ganfingerprint.examine import examine, with_manifest
from ganfingerprint.provenance import ManifestState
from ganfingerprint.types import Failure, Prediction


@pytest.fixture
def photo(tmp_path: Path, draw_picture: Callable[..., Any]) -> Path:
    exif = PilImage.Exif()
    exif[271] = "Canon"
    PilImage.fromarray(draw_picture(1, height=160, width=200)).save(tmp_path / "a.jpg", exif=exif, quality=80)
    return tmp_path / "a.jpg"


def test_a_picture_is_judged_and_looked_at(bright_detector: Detector, photo: Path) -> None:
    found = examine(bright_detector, photo)
    assert isinstance(found.answer, Prediction)
    assert found.answer.logit == bright_detector.predict(photo).logit
    assert found.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert found.size_bytes == photo.stat().st_size
    assert found.metadata is not None
    assert found.metadata.exif == {"Make": "Canon"}
    assert found.stability is not None
    assert len(found.stability.after) == 3
    assert found.spectrum is not None
    assert found.heat is None  # arithmetic has no places
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found.received)) < timedelta(minutes=1)


def test_bytes_have_the_name_that_they_are_given(bright_detector: Detector, photo: Path) -> None:
    found = examine(bright_detector, photo.read_bytes(), name="upload.jpg")
    assert found.source == "upload.jpg"
    assert isinstance(found.answer, Prediction)
    assert found.answer.source == "upload.jpg"


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "unreadable_image"), (b"nothing", "unreadable_image"), (None, "not_found")]
)
def test_what_cannot_be_judged_is_an_examination_all_the_same(
    bright_detector: Detector, tmp_path: Path, content: bytes | None, code: str
) -> None:
    place = tmp_path / "bad.jpg"
    if content is not None:
        place.write_bytes(content)
    found = examine(bright_detector, place)
    assert isinstance(found.answer, Failure)
    assert found.answer.code == code
    assert found.sha256 == (hashlib.sha256(content).hexdigest() if content else "")
    assert (found.image, found.metadata, found.stability, found.heat) == (None, None, None, None)


def test_a_picture_that_is_too_small_when_scaled_has_no_stability(bright_detector: Detector) -> None:
    stream = io.BytesIO()
    PilImage.new("RGB", (50, 50), (90, 90, 90)).save(stream, "PNG")
    found = examine(bright_detector, stream.getvalue())
    assert isinstance(found.answer, Prediction)
    assert found.stability is None


def test_a_manifest_is_read_beside_the_verdict_and_changes_nothing_of_it(
    bright_detector: Detector, signer: Any, draw_picture: Callable[..., Any]
) -> None:
    data = signer.sign(draw_picture(2))
    found = examine(bright_detector, data, trust=signer.root)
    assert found.provenance is not None
    assert found.provenance.state is ManifestState.TRUSTED
    assert isinstance(found.answer, Prediction)
    assert found.answer.logit == bright_detector.predict(data).logit
    unread = examine(bright_detector, data, trust=None)
    assert unread.provenance is None
    later = with_manifest(unread, data).provenance
    assert later is not None
    assert later.state is ManifestState.VALID


def test_a_file_without_manifest_has_none(bright_detector: Detector, photo: Path) -> None:
    assert examine(bright_detector, photo).provenance is None


def test_a_gallery_is_asked_which_generator_it_was(
    bright_detector: Detector, photo: Path, tint_gallery: Callable[[str], Gallery], tinted: Callable[..., bytes]
) -> None:
    gallery = tint_gallery(bright_detector.detector_id)
    assert examine(bright_detector, photo).attribution is None
    found = examine(bright_detector, tinted("greens"), name="a.png", gallery=gallery).attribution
    assert found is not None
    assert (found.source, found.answer, found.gallery_id) == ("a.png", "greens", gallery.gallery_id)
    assert examine(bright_detector, b"nothing", gallery=gallery).attribution is None
    with pytest.raises(GalleryError, match="two detectors cannot be compared"):
        examine(bright_detector, photo, gallery=tint_gallery("another"))
