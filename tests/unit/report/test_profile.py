"""The picture's detail at each frequency beside photographs' and the likeliest generator's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import PHOTOGRAPH, Gallery
from ganfingerprint.detector import Detector
from ganfingerprint.examine import Examination, examine
from ganfingerprint.explain.spectrum import INNERMOST_RING, levelled_profile
from ganfingerprint.report.content import report_content
from ganfingerprint.report.page import report_page
from ganfingerprint.report.profile import profile_content, profile_drawing

RINGS = 48  # of spectra of the bright detector's windows


@pytest.fixture(scope="module")
def gallery(bright_detector: Detector, tint_gallery: Callable[[str], Gallery]) -> Gallery:
    levels = np.linspace(5, -5, RINGS, dtype=np.float32) + np.array([[-1], [0], [1]], np.float32)
    plain = tint_gallery(bright_detector.detector_id)
    return replace(plain, profiles={PHOTOGRAPH: levels, "reds": levels + 2, "blues": levels + 4})


@pytest.fixture(scope="module")
def examined(bright_detector: Detector, gallery: Gallery, tinted: Callable[..., bytes]) -> Examination:
    return examine(bright_detector, tinted("reds"), name="a.png", gallery=gallery)


@pytest.fixture(scope="module")
def profile(examined: Examination) -> dict[str, Any]:
    found = profile_content(examined)
    assert found is not None
    return found


def test_it_is_of_the_picture_photographs_and_the_likeliest_generator(
    examined: Examination, profile: dict[str, Any], gallery: Gallery
) -> None:
    assert [(band["name"], band["of"]) for band in profile["bands"]] == [
        ("photographs", "photographs"),
        ("reds", "fakes"),
    ]
    assert examined.spectrum is not None
    own = levelled_profile(examined.spectrum)[INNERMOST_RING:]
    np.testing.assert_allclose(profile["picture"], own, atol=0.0051)
    assert len(profile["picture"]) == RINGS - INNERMOST_RING
    np.testing.assert_allclose(profile["bands"][1]["high"], gallery.profiles["reds"][2, INNERMOST_RING:], atol=0.0051)
    assert profile["step"] == 1 / 96


def test_there_is_none_without_profiles_or_of_another_size(
    bright_detector: Detector, gallery: Gallery, tinted: Callable[..., bytes]
) -> None:
    shorter = {name: levels[:, :40] for name, levels in gallery.profiles.items()}
    for profiles in ({}, shorter):
        found = examine(bright_detector, tinted("reds"), gallery=replace(gallery, profiles=profiles))
        assert found.attribution is not None
        assert profile_content(found) is None
    assert profile_content(examine(bright_detector, tinted("reds"))) is None


def test_the_drawing_holds_all_of_it(profile: dict[str, Any]) -> None:
    drawing = profile_drawing(profile)
    count = len(profile["picture"])
    assert (len(drawing["bars"]), len(drawing["lines"])) == (2 * count, count - 1)
    for bar in drawing["bars"]:
        assert -0.01 <= bar["y"] <= bar["y"] + bar["height"] <= drawing["height"] + 0.01
        assert 0 <= bar["x"] <= bar["x"] + bar["width"] <= drawing["width"]
    ends = [line[name] for line in drawing["lines"] for name in ("y1", "y2")]
    assert min(ends) >= 0
    assert max(ends) <= drawing["height"]
    levels = [level for band in profile["bands"] for level in (*band["low"], *band["high"])]
    assert drawing["top"] == max(*levels, *profile["picture"])
    assert drawing["bottom"] == min(*levels, *profile["picture"])
    highest = int(np.argmax(profile["picture"]))
    assert min(drawing["lines"], key=lambda line: line["y1"]) == drawing["lines"][min(highest, count - 2)]
    assert [tick["text"] for tick in drawing["ticks"]] == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert drawing["ticks"][0]["x"] == pytest.approx((0.1 * 96 - 4 + 0.5) * 640 / count)


def test_the_page_and_the_paper_show_it(examined: Examination, bright_detector: Detector) -> None:
    content = report_content([examined], bright_detector)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    page = report_page(content)
    assert "beside photographs and reds" in page
    assert "photographs, blue; reds, orange" in unescape(page)
    assert page.count('<line class="mark"') == RINGS - INNERMOST_RING - 1
    pdf = pytest.importorskip("ganfingerprint.report.pdf")
    assert pdf.page_pdf(page).startswith(b"%PDF")
