"""`/v1/attribute` and `/v1/compare`: answers, what they are worth, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from ganfingerprint.attribution import Gallery, attribute, compare, words
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import GalleryError
from ganfingerprint.service.app import create_app
from ganfingerprint.service.settings import ServiceSettings
from ganfingerprint.types import Outputs, UInt8Array

SETTINGS = ServiceSettings(max_files=4, workers=1, max_waiting=8)
BROKEN = ("b.jpg", b"nothing")


@pytest.fixture(scope="module")
def gallery(bright_detector: Detector, tint_gallery: Callable[[str], Gallery]) -> Gallery:
    return tint_gallery(bright_detector.detector_id)


@pytest.fixture(scope="module")
def client(bright_detector: Detector, gallery: Gallery) -> Iterator[TestClient]:
    with TestClient(create_app(bright_detector, SETTINGS, gallery)) as made:
        yield made


@pytest.fixture(scope="module")
def knows_none(bright_detector: Detector) -> Iterator[TestClient]:
    with TestClient(create_app(bright_detector, SETTINGS)) as made:
        yield made


class Talkative(FakeEngine):
    """The arithmetic engine, and a summary."""

    def run(self, windows: UInt8Array) -> Outputs:
        return replace(super().run(windows), summaries=np.ones((len(windows), 2), np.float32))


def test_an_engine_that_says_more_than_the_gallery_takes_is_refused_before_anybody_asks(
    bright_detector: Detector, gallery: Gallery
) -> None:
    other = replace(bright_detector, engine=Talkative())
    assert other.detector_id == gallery.detector_id
    with pytest.raises(GalleryError, match=r"takes 512 numbers of a picture, and the engine gave 514: .*gallery fit"):
        create_app(other, SETTINGS, gallery)


def form(**fields: list[tuple[str, bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, file) for field, files in fields.items() for file in files]


def code_of(reply: Any) -> tuple[int, str]:
    assert set(reply.json()) == {"error"}
    return reply.status_code, reply.json()["error"]["code"]


def test_pictures_are_attributed_in_their_order_bad_ones_too(
    client: TestClient, bright_detector: Detector, gallery: Gallery, tinted: Callable[..., bytes]
) -> None:
    sent = [("a.png", tinted("reds")), BROKEN, ("c.png", tinted("photograph"))]
    reply = client.post("/v1/attribute", files=form(files=sent))
    assert reply.status_code == 200
    first, broken, last = reply.json()["answers"]
    (expected,) = attribute([bright_detector.predict(tinted("reds"))], gallery)
    assert (first["name"], first["answer"], first["verdict"]) == ("a.png", "reds", "fake")
    assert first["probability"] == expected.probability
    assert [c["name"] for c in first["candidates"]] == [c.name for c in expected.candidates]
    assert [near["id"] for near in first["nearest"]] == [near.id for near in expected.nearest]
    assert (first["gallery_id"], first["note"], first["reservation"]) == (gallery.gallery_id, words.LEAD, "")
    assert broken == {"name": "b.jpg", "error": {"code": "unreadable_image", "message": broken["error"]["message"]}}
    assert (last["verdict"], last["reservation"]) == ("real", words.IF_GENERATED)


def test_ids_that_are_no_text_can_be_told(
    bright_detector: Detector, gallery: Gallery, tinted: Callable[..., bytes]
) -> None:
    odd = replace(gallery, ids=tuple(f"{text}\udce9" for text in gallery.ids))
    with TestClient(create_app(bright_detector, SETTINGS, odd)) as client:
        (answer,) = client.post("/v1/attribute", files=form(file=[("a.png", tinted("reds"))])).json()["answers"]
    assert answer["nearest"][0]["id"].endswith("\\udce9")


def test_two_sides_are_compared_and_what_limits_it_is_said(
    client: TestClient, bright_detector: Detector, gallery: Gallery, tinted: Callable[..., bytes]
) -> None:
    reds = [(f"{number}.png", tinted("reds", number)) for number in range(3)]
    greens, dark = [("g.png", tinted("greens"))], [("d.png", tinted("photograph"))]
    same = client.post("/v1/compare", files=form(first=reds[:1], second=reds[1:])).json()
    two = client.post("/v1/compare", files=form(second=greens, first=reds)).json()
    sides = [[bright_detector.predict(data) for _, data in side] for side in (reds, greens)]
    expected = compare(sides[0], sides[1], gallery)
    assert two["log10_lr"] == pytest.approx(expected.log10_lr)
    assert same["log10_lr"] > 0.5 > -0.5 > two["log10_lr"]
    assert abs(two["log10_lr"]) <= two["log10_lr_bound"] == gallery.pairs.log10_lr_bound
    assert same["prob_same"] > 0.5 > two["prob_same"]
    assert same["distance"] < two["distance"]
    assert [picture["name"] for picture in two["first"]] == ["0.png", "1.png", "2.png"]
    assert "if they are of one generator (" in same["sentence"]
    assert "if they are of two generators (" in two["sentence"]
    assert two["reservations"] == []
    assert two["note"] == words.COMPARED
    of_dark = client.post("/v1/compare", files=form(first=reds[:1], second=dark)).json()
    assert of_dark["second"][0]["verdict"] == "real"
    assert of_dark["reservations"] == [f"Of the second side the detector says: 1 real. {words.NOT_FOR_PHOTOGRAPHS}"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"first": 1}, (422, "no_file")),
        ({"second": 2}, (422, "no_file")),
        ({"first": 1, "second": 1, "third": 1}, (422, "usage")),
        ({"files": 2}, (422, "usage")),
        ({"first": 3, "second": 2}, (413, "too_many_files")),
    ],
)
def test_a_comparison_needs_files_on_both_sides_and_nowhere_else(
    client: TestClient, tinted: Callable[..., bytes], fields: dict[str, int], expected: tuple[int, str]
) -> None:
    files = {field: [("a.png", tinted("reds"))] * count for field, count in fields.items()}
    assert code_of(client.post("/v1/compare", files=form(**files))) == expected


def test_a_picture_that_cannot_be_judged_is_the_answer_where_the_others_need_it(
    client: TestClient, tinted: Callable[..., bytes]
) -> None:
    good = ("a.png", tinted("reds"))
    reply = client.post("/v1/compare", files=form(first=[good], second=[good, BROKEN]))
    assert code_of(reply) == (422, "unreadable_image")
    assert reply.json()["error"]["message"].startswith("b.jpg: ")
    assert code_of(client.post("/v1/attribute", files=form(files=[BROKEN]))) == (422, "unreadable_image")


def test_the_gallery_is_named_and_is_in_reports(
    client: TestClient, gallery: Gallery, tinted: Callable[..., bytes]
) -> None:
    generators = [{"name": name, "pictures": 12} for name in ("blues", "greens", "reds")]
    assert client.get("/v1/detector").json()["gallery"] == {"id": gallery.gallery_id, "generators": generators}
    page = client.post("/v1/report", files=form(files=[("a.png", tinted("greens"))])).text
    assert "Likeliest: greens made it" in page


def test_without_a_gallery_it_is_said_so(knows_none: TestClient, tinted: Callable[..., bytes]) -> None:
    good = ("a.png", tinted("reds"))
    assert knows_none.get("/v1/detector").json()["gallery"] is None
    for path in ("/v1/attribute", "/v1/compare"):
        assert code_of(knows_none.post(path, files=form(first=[good], second=[good]))) == (404, "no_gallery")
    assert "Which generator" not in knows_none.post("/v1/report", files=form(files=[good])).text
