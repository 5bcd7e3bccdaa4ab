"""The service as its clients meet it: answers, one shape of errors, limits, and nothing that brings it down."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import ScanError
from ganfingerprint.scan.decoders import Decoders
from ganfingerprint.service.app import create_app
from ganfingerprint.service.decoding import DecodingPool
from ganfingerprint.service.settings import ServiceSettings
from ganfingerprint.types import Float32Array, UInt8Array

SAMPLES = Path(__file__).parents[3] / "samples"
SETTINGS = ServiceSettings(max_body=300_000, max_files=3, workers=1, max_waiting=4, body_wait_s=0.2)


def png(shade: int, size: tuple[int, int] = (120, 100)) -> bytes:
    stream = io.BytesIO()
    PilImage.new("RGB", size, (shade,) * 3).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def client(bright_detector: Detector) -> Iterator[TestClient]:
    with TestClient(create_app(bright_detector, SETTINGS), raise_server_exceptions=False) as made:
        yield made


def sent(*pictures: tuple[str, bytes], field: str = "files") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, picture) for picture in pictures]


def error_of(reply: Any) -> dict[str, str]:
    assert set(reply.json()) == {"error"}
    error: dict[str, str] = reply.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["request_id"] == reply.headers["x-request-id"]
    return error


def test_pictures_are_answered_in_their_order_bad_ones_too(client: TestClient, bright_detector: Detector) -> None:
    reply = client.post("/v1/predict", files=sent(("a.png", png(250)), ("b.jpg", b"nothing"), ("c.png", png(10))))
    assert reply.status_code == 200
    first, broken, last = reply.json()["answers"]
    assert (first["name"], first["verdict"], first["error"]) == ("a.png", "fake", None)
    assert first["score"] == bright_detector.predict(png(250)).logit
    assert (broken["name"], broken["error"]["code"]) == ("b.jpg", "unreadable_image")
    assert last["verdict"] == "real"
    assert len(first["windows"]) == 1
    assert first["detector_id"] == bright_detector.detector_id


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        (sent(("a.jpg", b"nothing")), 422, "unreadable_image"),
        (sent(("a.svg", b"<svg xmlns='x'></svg>")), 422, "unreadable_image"),
        (sent(("a.png", png(9, (20, 20)))), 422, "too_small"),
        (sent(("a.png", b"")), 422, "unreadable_image"),
        (sent(*[(f"{n}.png", png(9)) for n in range(4)]), 413, "too_many_files"),
        (sent(("a.png", b"x" * 400_000)), 413, "too_large"),
    ],
)
def test_each_mistake_has_its_status_and_code(client: TestClient, files: Any, status: int, code: str) -> None:
    reply = client.post("/v1/predict", files=files)
    assert (reply.status_code, error_of(reply)["code"]) == (status, code)


def test_requests_that_are_no_forms_are_refused(client: TestClient) -> None:
    for content, kind in ((png(9), "image/png"), (b"{}", "application/json"), (b"", "")):
        reply = client.post("/v1/predict", content=content, headers={"content-type": kind})
        assert (reply.status_code, error_of(reply)["code"]) == (415, "not_a_form")
    reply = client.post(
        "/v1/predict", content=b"--x\r\nrubbish", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert (reply.status_code, error_of(reply)["code"]) in {(400, "bad_form"), (422, "no_file")}
    reply = client.post("/v1/predict", files={"files": (None, b"text")})
    assert (reply.status_code, error_of(reply)["code"]) == (422, "no_file")
    reply = client.get("/v1/predict")
    assert (error_of(reply)["code"], reply.headers["allow"]) == ("no_such_method", "POST")
    for path in ("/nowhere", "/v1/predict/", "//v1/predict"):  # nor is anybody sent elsewhere
        assert error_of(client.get(path, follow_redirects=False))["code"] == "no_such_path"


def test_a_form_of_thousands_of_parts_is_refused(client: TestClient) -> None:
    many = [("x", (None, b"1")) for _ in range(2000)]
    reply = client.post("/v1/predict", files=many)
    assert reply.status_code in (400, 413)
    assert error_of(reply)


def test_a_name_is_repeated_without_its_folders_and_without_tricks(client: TestClient) -> None:
    reply = client.post("/v1/predict", files=sent(("../../etc/\x1bpasswd.png", png(9)), ("x" * 900, png(9))))
    first, second = (answer["name"] for answer in reply.json()["answers"])
    assert first == "passwd.png" or "/" not in first
    assert first.isprintable()
    assert len(second) == 200


def test_a_fingerprint_is_the_networks_numbers(client: TestClient, bright_detector: Detector) -> None:
    reply = client.post("/v1/fingerprint", files=sent(("a.png", png(51)), field="file"))
    assert reply.status_code == 200
    numbers = reply.json()["fingerprint"]
    assert len(numbers) == 512
    assert numbers[:3] == pytest.approx([0.2, 0.2, 0.2], abs=1e-6)


class WarmEngine(FakeEngine):
    """Arithmetic with a heat map: the left half speaks for a fake."""

    def heat(self, windows: UInt8Array) -> Float32Array:
        heat = np.full((len(windows), 4, 4), -1, np.float32)
        heat[:, :, :2] = 1
        return heat


def test_an_explanation_is_a_picture(bright_detector: Detector) -> None:
    warm = Detector(engine=WarmEngine(), card=bright_detector.card)
    with TestClient(create_app(warm, SETTINGS)) as client:
        reply = client.post("/v1/explain", files=sent(("a.png", png(250)), field="file"))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    assert reply.headers["x-heat-speaks-for"] == "fake"
    with PilImage.open(io.BytesIO(reply.content)) as shown:
        assert (shown.format, shown.size) == ("PNG", (120, 100))


def test_an_engine_without_heat_maps_says_so(client: TestClient) -> None:
    reply = client.post("/v1/explain", files=sent(("a.png", png(9)), field="file"))
    assert (reply.status_code, error_of(reply)["code"]) == (501, "no_heat")


def test_a_spectrum_is_that_of_the_windows_that_are_judged(client: TestClient, bright_detector: Detector) -> None:
    pixels = np.random.default_rng(4).integers(60, 100, (100, 120, 3), dtype=np.uint8)
    pixels[:, ::4] += 60  # a grid of period 4: dots at a quarter of the sampling rate
    stream = io.BytesIO()
    PilImage.fromarray(pixels).save(stream, "PNG")
    reply = client.post("/v1/spectrum", files=sent(("a.png", stream.getvalue()), field="file"))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    grey = np.asarray(PilImage.open(io.BytesIO(reply.content)))
    assert grey.shape == (96, 96)
    assert [grey[48, 24], grey[48, 72]] == [255, 255]
    assert np.median(grey) < 200
    reply = client.post("/v1/spectrum", files=sent(("a.jpg", b"nothing"), field="file"))
    assert (reply.status_code, error_of(reply)["code"]) == (422, "unreadable_image")
    several = sent(("a.png", png(9)), ("b.png", png(9)))
    assert error_of(client.post("/v1/spectrum", files=several))["code"] == "too_many_files"


def test_an_answer_says_what_it_means(client: TestClient) -> None:
    fake, unsure, real = (
        client.post("/v1/predict", files=sent(("a.png", png(shade)))).json()["answers"][0] for shade in (250, 128, 10)
    )
    assert [answer["words"] for answer in (fake, unsure, real)] == [
        "looks generated",
        "cannot tell",
        "no trace of generation found",
    ]
    assert "100 times as likely if the picture was made by a generator" in fake["meaning"][0]
    assert "about 99 in 100 were generated" in fake["meaning"][1]
    assert "supports neither" in unsure["meaning"][0]
    assert "100 times as likely if the picture is a photograph" in real["meaning"][0]


def test_a_report_is_a_page_with_the_bad_files_in_it(client: TestClient) -> None:
    reply = client.post("/v1/report", files=sent(("a.png", png(250)), ("<b>.jpg", b"nothing")))
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert "looks generated" in reply.text
    assert "unreadable_image" in reply.text
    assert "<b>.jpg" not in reply.text


def test_a_report_reads_manifests_too(client: TestClient, signer: Any, draw_picture: Any) -> None:
    reply = client.post("/v1/report", files=sent(("a.jpg", signer.sign(draw_picture(1)))))
    assert reply.status_code == 200
    assert "valid, signer not established" in reply.text


def test_the_state_is_told(client: TestClient, bright_detector: Detector) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["detector_id"] == bright_detector.detector_id
    about = client.get("/v1/detector").json()
    assert about["id"] == bright_detector.detector_id
    assert about["limits"] == {"max_body": 300_000, "max_files": 3}
    assert about["log10_lr_thresholds"]["fake_above"] == pytest.approx(3.0 / np.log(10))
    assert about["log10_lr_thresholds"]["real_below"] == pytest.approx(-1.0 / np.log(10))
    assert "at most 1 % of the calibration photographs" in about["reliability"]
    client.post("/v1/predict", files=sent(("a.png", png(250))))
    text = client.get("/metrics").text
    assert re.search(r'ganfingerprint_requests_total\{route="/v1/predict",status="200"\} \d', text)
    assert re.search(r'ganfingerprint_pictures_total\{answer="fake"\} \d', text)
    assert "ganfingerprint_pictures_waiting 0.0" in text


def test_the_description_names_every_path_and_every_status(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    posts = {"/v1/predict", "/v1/explain", "/v1/spectrum", "/v1/fingerprint", "/v1/report"}
    assert posts | {"/v1/detector", "/healthz"} <= set(paths)
    for path in posts:
        statuses = set(paths[path]["post"]["responses"])
        assert statuses - {"501"} == {"200", "400", "408", "413", "415", "422", "500", "503"}
        assert ("501" in statuses) == (path == "/v1/explain")
    assert set(paths["/healthz"]["get"]["responses"]) == {"200", "413", "500", "503"}
    docs = client.get("/docs")
    assert docs.status_code == 200
    assert not re.search(r"https?://", docs.text)


def test_every_answer_carries_the_headers_of_a_careful_host(client: TestClient) -> None:
    for reply in (client.get("/healthz"), client.get("/nowhere"), client.post("/v1/predict", content=b"x" * 400_000)):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "access-control-allow-origin" not in reply.headers


def test_keys_are_asked_for_where_there_are_some(bright_detector: Detector) -> None:
    settings = ServiceSettings(workers=1, api_keys=frozenset({"secret", "other"}))
    with TestClient(create_app(bright_detector, settings)) as client:
        assert client.get("/healthz").status_code == 200
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer "}, {"Authorization": "Basic secret"}):
            reply = client.post("/v1/predict", files=sent(("a.png", png(9))), headers=headers)
            assert (reply.status_code, error_of(reply)["code"]) == (401, "unauthorized")
        assert client.get("/v1/detector", headers={"X-API-Key": "other"}).status_code == 200
        assert client.get("/v1/detector", headers={"authorization": "bearer secret"}).status_code == 200
        document = client.get("/openapi.json").json()
        assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
        asked = {path: "401" in methods.popitem()[1]["responses"] for path, methods in document["paths"].items()}
        assert {path for path, is_asked in asked.items() if not is_asked} == {"/healthz", "/readyz"}


def run_app(client: TestClient, messages: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]) -> tuple[int, str]:
    """Status and code of a request whose body comes as these messages; an empty one never comes."""
    statuses: list[int] = []
    said: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if not messages or not messages[0]:
            await asyncio.sleep(60)
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        said.append(message.get("body", b""))

    scope = {
        "type": "http", "method": "POST", "path": "/v1/predict", "raw_path": b"/v1/predict", "query_string": b"",
        "scheme": "http", "server": ("test", 80), "client": ("test", 1), "root_path": "", "http_version": "1.1",
        "headers": [*headers, (b"content-type", b"multipart/form-data; boundary=x")],
    }  # fmt: skip
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    (status,) = statuses
    code: str = json.loads(b"".join(said))["error"]["code"]
    return status, code


def part(size: int, more: bool) -> dict[str, Any]:
    start = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return {"type": "http.request", "body": start + b"x" * size, "more_body": more}


def test_a_body_that_lies_about_its_length_or_does_not_come_is_given_up(client: TestClient) -> None:
    lied = [part(200_000, True), {"type": "http.request", "body": b"x" * 200_000, "more_body": True}]
    assert run_app(client, lied, [(b"content-length", b"10")]) == (413, "too_large")
    assert run_app(client, [part(10, True), {}], []) == (408, "too_slow")
    assert run_app(client, [], [(b"content-length", b"999999999")]) == (413, "too_large")
    assert run_app(client, [part(10, True), {"type": "http.disconnect"}], []) == (499, "client_gone")


def test_what_is_held_of_all_requests_has_a_bound(bright_detector: Detector) -> None:
    settings = ServiceSettings(workers=1, max_held=1000)
    with TestClient(create_app(bright_detector, settings)) as client:
        reply = client.post("/v1/predict", files=sent(("a.png", b"x" * 2000)))
        assert (reply.status_code, error_of(reply)["code"]) == (503, "busy")
        assert reply.headers["retry-after"] == "1"
        assert client.app.held == 0  # type: ignore[attr-defined]  # nothing of it is counted any more
        assert client.post("/v1/predict", files=sent(("a.png", b"x"))).status_code == 422


def test_a_look_at_a_huge_picture_is_refused(bright_detector: Detector) -> None:
    with TestClient(create_app(bright_detector, ServiceSettings(workers=1, max_pixels=10_000))) as client:
        for path, field in (("/v1/explain", "file"), ("/v1/report", "files")):
            reply = client.post(path, files=sent(("a.png", png(9)), field=field))
            assert (reply.status_code, error_of(reply)["code"]) == (413, "too_large")
        assert client.post("/v1/predict", files=sent(("a.png", png(9)))).status_code == 200


def test_a_process_that_dies_costs_an_answer_and_no_more(bright_detector: Detector, monkeypatch: Any) -> None:
    pool = DecodingPool(bright_detector.window, workers=1, timeout_s=20)
    try:
        first = pool.prepare(png(9), "a.png")
        assert first.source == "a.png"
        with monkeypatch.context() as broken:
            broken.setattr(Decoders, "ready", lambda *_: (_ for _ in ()).throw(ScanError("no process")))
            with pytest.raises(ScanError):
                pool.prepare(png(9), "a.png")
        assert pool.prepare(b"nothing", "b.png").source == "b.png"
    finally:
        pool.close()


def test_the_page_is_whole_and_asks_no_other_host(client: TestClient) -> None:
    page, style = client.get("/"), client.get("/page/style.css")
    first = client.get("/page/page.js")
    modules = [client.get(f"/page/{name}") for name in sorted(set(re.findall(r'from "./([a-z]+\.js)"', first.text)))]
    assert len(modules) == 4
    kinds = [reply.headers["content-type"].partition(";")[0] for reply in (page, style, first, *modules)]
    assert kinds == ["text/html", "text/css", *["text/javascript"] * 5]
    for reply in (page, style, first, *modules):
        assert reply.status_code == 200
        assert not re.search(r"https?://|//cdn|@import", reply.text)
    assert max(len(reply.text.splitlines()) for reply in (first, *modules)) < 400
    asked = {name for reply in (first, *modules) for name in re.findall(r"\$\(\"([\w-]+)\"\)", reply.text)}
    there = set(re.findall(r'id="([\w-]+)"', page.text))
    assert len(asked) > 15
    assert asked <= there
    for control in re.findall(r"<input[^>]*>", page.text):  # each has words of its own for who cannot see it
        name = re.search(r'id="([\w-]+)"', control)
        assert name is not None
        assert f'for="{name[1]}"' in page.text or "aria-label=" in control


def test_the_samples_of_the_page_are_those_of_the_repository(client: TestClient) -> None:
    paths = re.findall(r'src="page/samples/([\w/.-]+)"', client.get("/").text)
    assert len(paths) == 4
    for path in paths:
        reply = client.get(f"/page/samples/{path}")
        assert reply.headers["content-type"] == "image/jpeg"
        assert reply.content == (SAMPLES / path).read_bytes()
        assert f'"samples/{path}"' in (SAMPLES.parent / "pyproject.toml").read_text()  # the wheel has it too
    assert client.get("/page/samples/real/../../../README.md").status_code == 404
    assert client.get("/page/samples/real/coffee.jpg").status_code == 404
