"""The service does what its description for programs says, whatever is sent: statuses, kinds, headers, shapes."""

from __future__ import annotations

import io
import json
import urllib.request
from typing import Any

import httpx2
import pytest
import requests
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image as PilImage

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

import schemathesis
from schemathesis.specs.openapi import checks

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.service.app import create_app
from ganfingerprint.service.settings import ServiceSettings


def stored(kind: str, shade: int) -> bytes:
    stream = io.BytesIO()
    PilImage.new("RGB", (120, 100), (shade,) * 3).save(stream, kind)
    return stream.getvalue()


GOOD = [stored(kind, shade) for kind in ("PNG", "JPEG", "WEBP") for shade in (10, 250)]
FILES = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from([picture[: len(picture) // 2] for picture in GOOD]),
    st.binary(max_size=200),
)
# What becomes of an error of the service is asked below; and a file that may be sent need not be a picture.
NOT_HELD_TO = [schemathesis.checks.not_a_server_error, checks.positive_data_acceptance]
DESCRIBED = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
KEY = {"X-API-Key": "a-key-for-tests"}
FORM = {"file": GOOD[0]}
SEEN: set[tuple[str, int]] = set()  # paths, and the statuses of their answers
schemathesis.openapi.format("binary", FILES)


def description() -> Any:
    """Of a service that asks for keys; nothing is started."""
    card = Card(architecture={}, window={}, calibration=Calibration.unfitted().to_mapping())
    gate = create_app(Detector(engine=FakeEngine(), card=card), ServiceSettings(api_keys=frozenset({"some"})))
    return gate.app.openapi()


schema = schemathesis.openapi.from_dict(description())


def test_it_is_the_description_that_is_served(served: Any) -> None:
    with urllib.request.urlopen(f"{served.url}/openapi.json", timeout=10) as reply:
        assert json.load(reply) == description()


@schema.auth()
class Key:
    def get(self, case: Any, context: Any) -> dict[str, str]:
        return KEY

    def set(self, case: Any, data: dict[str, str], context: Any) -> None:
        case.headers.update(data)


@schema.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
def test_every_answer_is_one_that_is_described(case: Any, served: Any) -> None:
    reply = case.call_and_validate(base_url=served.url, excluded_checks=NOT_HELD_TO)
    SEEN.add((case.operation.path, reply.status_code))


def test_two_good_pictures_are_compared_as_described(served: Any) -> None:
    """Two that can be judged and differ are rarely drawn."""
    sides = {"first": GOOD[0], "second": GOOD[-1]}
    reply = httpx2.post(f"{served.url}/v1/compare", files=sides, headers=KEY)
    assert reply.status_code == 200
    shape = description()["components"]["schemas"]["ComparisonAnswer"]
    assert {*shape["required"]} <= {*reply.json()} <= {*shape["properties"]}
    twice = httpx2.post(f"{served.url}/v1/compare", files={"first": GOOD[0], "second": GOOD[0]}, headers=KEY)
    assert (twice.status_code, twice.json()["error"]["code"]) == (422, "same_file")


def test_that_was_worth_something() -> None:
    """After the last one: pictures were judged, and mistakes made."""
    unseen = {(path, 200) for path in schema} - SEEN
    # no heat maps with the arithmetic engine; two different good pictures: the test before this one
    assert {("/v1/explain", 200)} <= unseen <= {("/v1/explain", 200), ("/v1/compare", 200)}
    assert {
        ("/v1/predict", 422),
        ("/v1/predict", 415),
        ("/v1/report", 415),
        ("/v1/compare", 422),
        ("/healthz", 405),
    } <= SEEN
    assert {status for _, status in SEEN if status >= 500} == {501}
    assert {path for path, status in SEEN if status == 501} == {"/v1/explain"}


PATHS = ("attribute", "compare", "explain", "fingerprint", "predict", "report", "spectrum")


@pytest.mark.parametrize("path", [f"/v1/{name}" for name in PATHS])
@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [
        (401, "unauthorized", {"files": FORM, "headers": {"X-API-Key": "another"}}),
        (400, "bad_form", {"data": b"--x", "headers": {**KEY, "Content-Type": "multipart/form-data; boundary=x"}}),
        (413, "too_large", {"files": {"file": b"x" * 5_000_000}, "headers": KEY}),
        (413, "too_many_files", {"files": [("file", picture) for picture in GOOD * 6], "headers": KEY}),
        (415, "not_a_form", {"data": GOOD[0], "headers": KEY}),
        (422, "no_file", {"files": {"file": (None, "text")}, "headers": KEY}),
    ],
)
def test_every_mistake_has_the_status_and_the_shape_that_are_described(
    path: str, status: int, code: str, sent: dict[str, Any], served: Any
) -> None:
    reply = requests.post(served.url + path, **sent, timeout=20)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.json()["error"]["request_id"] == reply.headers["X-Request-Id"]
    schema[path]["POST"].Case().validate_response(reply, checks=DESCRIBED)
