"""What strangers may send to the service: each is answered or ended in time, and the next client notices nothing."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("requests")

import requests
from hostile_pictures import JUDGED, UNREADABLE, drawn, not_pictures, odd_pngs, sizes, stored
from PIL import Image

KEY = {"X-API-Key": "a-key-for-tests"}
PATIENCE_S = 1  # of the service
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nX-API-Key: a-key-for-tests\r\n"
FORM = HEAD + b"Content-Type: multipart/form-data; boundary=x\r\n"
FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
FILES_OF_A_FORM = 32


@pytest.fixture(autouse=True)
def _it_goes_on_as_before(served: Any) -> Iterator[None]:
    """After each test: it lives, judges as ever, and nothing unforeseen has happened."""
    yield
    begun = time.monotonic()
    assert requests.get(f"{served.url}/healthz", timeout=5).status_code == 200
    (answer,) = judged(served, [("good.png", served.picture)])
    assert (answer["error"], answer["verdict"]) == (None, "fake")
    assert time.monotonic() - begun < 5
    assert served.process.poll() is None
    said = served.log.read_text()
    assert "Traceback" not in said
    assert '"status": 500' not in said


def judged(served: Any, files: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """The answers for these files, which are sent with one more, so that there is a row for each."""
    sent = [("files", file) for file in (*files, ("last.png", served.picture))]
    reply = requests.post(f"{served.url}/v1/predict", files=sent, headers=KEY, timeout=60)
    assert reply.status_code == 200, reply.text
    *rows, last = reply.json()["answers"]
    assert last["error"] is None
    return rows


def ask(served: Any, sent: bytes) -> tuple[int, str]:
    """Status of the first answer to these bytes and, of an error, the code; 0 where there is none."""
    with opened(served) as client:
        with suppress(ConnectionError):  # it may have seen enough before all is sent
            client.sendall(sent)
        return answer_of(client)


def opened(served: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=20)


def answer_of(client: socket.socket) -> tuple[int, str]:
    found = b""
    with suppress(ConnectionError):
        while not is_whole(found) and (piece := client.recv(2**16)):
            found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    if not head:
        return 0, ""
    status = int(head.split()[1])
    return status, str(json.loads(body[: length_in(head)])["error"]["code"]) if status >= 400 else ""


def is_whole(found: bytes) -> bool:
    head, end, body = found.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= length_in(head)


def length_in(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head.lower())
    assert found is not None
    return int(found[1])


def test_bombs_and_other_files_that_are_no_pictures_are_rows(served: Any) -> None:
    """PNG that unpack to gigabytes or say so, pages, drawings and programs under names of pictures, polyglots."""
    rng = np.random.default_rng(7)
    largest = 1_000_000  # of a file; a form has to stay within 4 MiB
    entries = [entry for group in (sizes, odd_pngs, not_pictures) for entry in group(rng) if len(entry[1]) < largest]
    assert len(entries) > 60
    rows: list[dict[str, Any]] = []
    while len(rows) < len(entries):
        form = entries[len(rows) :][: FILES_OF_A_FORM - 1]
        while sum(len(content) for _, content, _ in form) > 3_500_000:
            form.pop()
        rows += judged(served, [(name, content) for name, content, _ in form])
    found = [(name, (row["error"] or {"code": JUDGED})["code"]) for (name, *_), row in zip(entries, rows, strict=True)]
    wrong = [(name, code) for (name, code), (*_, expected) in zip(found, entries, strict=True)
             if code not in expected.split("|")]  # fmt: skip
    assert wrong == []


def test_archives_and_pages_are_no_pictures(served: Any) -> None:
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50_000_000))
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("good.png", served.picture)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    files = [("nested.png", outer.getvalue()), ("drawing.jpg", svg), ("page.jpg", b"<!doctype html><script>1</script>")]
    assert [row["error"]["code"] for row in judged(served, files)] == [UNREADABLE] * 3
    polyglot = stored(drawn(np.random.default_rng(1)), "JPEG") + outer.getvalue() + svg
    (row,) = judged(served, [("both.jpg", polyglot)])
    assert row["error"] is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"C:\\\\windows\\\\win.ini", "win.ini"),
        (b"/dev/stdin", "stdin"),
        (b"a\x1b[31mred\x07\x7f.png", "a[31mred.png"),
        (b"new\xe2\x80\xa8line\xe2\x80\xae.png", "newline.png"),
        (b"..", ".."),
        (b"", "file"),
        (b"\xff\xfe", "ÿþ"),
        (b"{{7*7}}${x}%s%n.png", "{{7*7}}${x}%s%n.png"),
        (b"x" * 3000, "x" * 200),
    ],
)
def test_names_lose_folders_and_what_cannot_be_seen(served: Any, name: bytes, shown: str) -> None:
    body = FILE.replace(b"a.png", name) + b"rubbish\r\n" + FILE + served.picture + b"\r\n--x--\r\n"
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=x"}
    reply = requests.post(f"{served.url}/v1/predict", data=body, headers=headers, timeout=20)
    assert [row["name"] for row in reply.json()["answers"]] == [shown, "a.png"]


def length(number: int) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % number


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


MANY = FILE + b"a\r\n"
CHUNKS = FORM + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = 500_000  # bytes that no head has
WHOLE = FILE + b"a\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (FORM + length(len(MANY) * 10_000) + MANY * 10_000, (413, "too_many_files")),
        (FORM + length(len(WHOLE) - 20) + WHOLE[:-20], (400, "bad_form")),  # cut short
        (FORM + length(len(WHOLE)) + WHOLE.replace(b"--x", b"--y"), (400, "bad_form")),
        (FORM + length(2**62) + WHOLE, (413, "too_large")),
        (FORM + length(len(WHOLE) + 1) + WHOLE, (408, "too_slow")),  # it does not come
        (FORM + length(5) + WHOLE, (400, "bad_form")),  # and what does is no other request
        (FORM + b"Content-Length: 5\r\n" + length(6) + WHOLE, (400, "bad_request")),
        (FORM + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, "bad_request")),
        (CHUNKS + b"5\r\n--x\r\nrubbish", (400, "bad_request")),
        (CHUNKS + chunk(FILE) + chunk(b"a" * 2**20) * 5, (413, "too_large")),
        (CHUNKS + chunk(WHOLE[:60]) + chunk(WHOLE[60:]) + b"0\r\n\r\n", (422, UNREADABLE)),
        (CHUNKS + b"1;" + b"x" * LONG, (400, "bad_request")),
        (FORM + b"Content-Encoding: gzip\r\n" + length(4) + b"\x1f\x8b\x08\x00", (400, "bad_form")),
        (HEAD.replace(b"a-key-for-tests", b"another") + length(0), (401, "unauthorized")),
        (HEAD.replace(b"a-key-for-tests", b"\xff\x00") + length(0), (400, "bad_request")),
        (HEAD.replace(b"X-API-Key: ", b"Authorization: Bearer x") + length(0), (401, "unauthorized")),
        (HEAD + b"X-More: 1\r\n" * (LONG // 11) + length(0), (400, "bad_request")),
        (HEAD + b"X-Long: " + b"x" * LONG + length(0), (400, "bad_request")),
        (b"GET /%00 HTTP/1.1\r\nHost: a\r\nX-API-Key: a-key-for-tests\r\n\r\n", (404, "no_such_path")),
        (HEAD.replace(b"/v1/predict", b"/page/../../etc/passwd") + length(0), (404, "no_such_path")),
        (b"GET /page/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", (401, "unauthorized")),
        (b"GET http://elsewhere/healthz HTTP/1.1\r\nHost: a\r\n\r\n", (401, "unauthorized")),  # no proxy
        (b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: a\r\n\r\n", (401, "unauthorized")),
        (b"BREW /v1/predict HTTP/1.1\r\nHost: a\r\nX-API-Key: a-key-for-tests\r\n\r\n", (405, "no_such_method")),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), (400, "bad_request")),
        (ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"), (200, "")),  # as if it had not asked
        (ALIVE + b"rubbish\r\n\r\n" * 1000, (200, "")),
        (ALIVE * 200 + bytes(1000), (200, "")),
    ],
)  # fmt: skip
def test_each_request_that_is_none_has_its_answer(served: Any, sent: bytes, answer: tuple[int, str]) -> None:
    begun = time.monotonic()
    found = ask(served, sent)
    assert found == answer or (found == (0, "") and len(sent) > LONG)  # what was not read any more takes the answer
    assert time.monotonic() - begun < PATIENCE_S + 4


def test_a_body_that_is_slower_than_allowed_is_given_up(served: Any) -> None:
    with opened(served) as client:
        client.sendall(FORM + length(10_000) + FILE)
        time.sleep(PATIENCE_S / 2)
        client.sendall(b"a")
        begun = time.monotonic()
        assert answer_of(client) == (408, "too_slow")
        assert PATIENCE_S / 2 < time.monotonic() - begun < PATIENCE_S + 4


def test_heads_without_end_keep_nobody_else_waiting(served: Any) -> None:
    """More than there are places: while they trickle others are served, and then they are gone."""
    begun, given_up = time.monotonic(), []

    def trickle() -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(opened(served)) for _ in range(270)]
            while clients and time.monotonic() - begun < 20:
                for client in list(clients):
                    try:
                        client.sendall(b"X-More: 1\r\n" if client in started else HEAD)
                    except OSError:
                        clients.remove(client)
                        given_up.append(time.monotonic() - begun)
                    started.add(client)
                time.sleep(0.1)

    started: set[socket.socket] = set()
    threads = [threading.Thread(target=trickle) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        asked = time.monotonic()
        assert requests.get(f"{served.url}/healthz", timeout=5).status_code == 200
        assert time.monotonic() - asked < 3
        time.sleep(0.1)
    assert len(given_up) == 540


def test_many_pictures_that_take_long_keep_no_other_client_waiting(served: Any) -> None:
    slow = stored(Image.new("RGB", (3000, 2500)), "PNG")
    done: list[float] = []

    def send() -> None:
        rows = judged(served, [("slow.png", slow)] * 20)
        assert {row["error"] for row in rows} == {None}
        done.append(time.monotonic())

    many = threading.Thread(target=send)
    begun = time.monotonic()
    many.start()
    time.sleep(0.3)  # they wait to be decoded now
    judged(served, [])
    asked = time.monotonic()
    many.join()
    assert done[0] - begun > 3 * (asked - begun - 0.3)


def test_nothing_of_requests_is_in_the_log(served: Any) -> None:
    said = served.log.read_text()
    assert said.count('"request_id"') > 50
    for secret in ("a-key-for-tests", "another", "passwd", "good.png", "Expected boundary"):
        assert secret not in said
