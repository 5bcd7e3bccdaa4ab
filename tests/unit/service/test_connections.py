"""Connections whose clients keep the service waiting end, and give way to others; all else is as uvicorn has it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn")

import uvicorn

from ganfingerprint.service.connections import Connection

PLACES, PATIENCE_S = 4, 0.4
ANSWER = 32 * 2**20  # bytes of a large one, more than the system's buffers hold
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
GOOD = HEAD + b"\r\n"


class Quick(Connection):
    look_s = 0.05


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers; /refuse does not read it, /large answers much, /slow works until the client goes."""
    path = scope["path"]
    while path != "/refuse":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if not message["more_body"]:
            break
    if path == "/slow":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"." * (ANSWER if path == "/large" else 1), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    config = uvicorn.Config(
        app, http=Quick, ws="none", lifespan="off", log_config=None, limit_concurrency=PLACES,
        timeout_keep_alive=PATIENCE_S, h11_max_incomplete_event_size=32 * 2**10, timeout_graceful_shutdown=1,
    )  # fmt: skip
    made = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]})
        thread.start()
        made.address = listening.getsockname()
        yield made
        made.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _nobody_is_left(server: Any) -> Iterator[None]:
    yield
    until_nobody_is_left(server)


def until_nobody_is_left(server: Any) -> None:
    end = time.monotonic() + 10
    while server.server_state.connections and time.monotonic() < end:
        time.sleep(0.02)
    assert not server.server_state.connections


def opened(server: Any, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(server.address, timeout=10)
    made.sendall(sent)
    return made


def said(client: socket.socket) -> bytes:
    """Everything that comes until the connection ends."""
    found = b""
    try:
        while piece := client.recv(2**16):
            found += piece
    except ConnectionResetError:
        pass
    return found


def answered(client: socket.socket) -> bytes:
    """One answer, in chunks; more may come."""
    found = b""
    while not found.endswith(b"\r\n0\r\n\r\n") and (piece := client.recv(2**16)):
        found += piece
    return found


def error_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def test_a_head_that_never_ends_is_given_up_in_time(server: Any) -> None:
    begun = time.monotonic()
    with opened(server, HEAD) as client:
        trickling = threading.Thread(target=trickle, args=(client, b"X-More: 1\r\n", 100))
        trickling.start()
        assert error_of(said(client)) == (408, "too_slow")
        trickling.join()
    assert PATIENCE_S < time.monotonic() - begun < 5 * PATIENCE_S


def trickle(client: socket.socket, piece: bytes, times: int) -> None:
    try:
        for _ in range(times):
            client.sendall(piece)
            time.sleep(PATIENCE_S / 10)
    except OSError:  # it has been closed
        pass


def test_a_client_that_says_nothing_is_told_nothing(server: Any) -> None:
    with opened(server) as client:
        assert said(client) == b""
    with opened(server, GOOD) as client:
        assert answered(client).startswith(b"HTTP/1.1 200")
        client.sendall(HEAD)  # nor may the second head be slow
        assert error_of(said(client)) == (408, "too_slow")


def test_a_connection_that_is_used_stays(server: Any) -> None:
    with opened(server) as client:
        for _ in range(12):
            client.sendall(GOOD)
            assert answered(client).startswith(b"HTTP/1.1 200")
            time.sleep(PATIENCE_S / 4)


def test_what_remains_of_a_refused_body_is_not_waited_for_long(server: Any) -> None:
    begun = time.monotonic()
    with opened(server, b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n") as client:
        trickling = threading.Thread(target=trickle, args=(client, b"x", 100))
        trickling.start()
        assert said(client).startswith(b"HTTP/1.1 200")
        trickling.join()
    assert PATIENCE_S < time.monotonic() - begun < 5 * PATIENCE_S


def test_an_answer_that_is_not_taken_is_thrown_away(server: Any) -> None:
    for sent in (
        b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ):
        with opened(server, sent) as client:
            assert client.recv(1) == b"H"  # it has begun to answer
            until_nobody_is_left(server)
            assert 0 < len(said(client)) < ANSWER


def test_an_answer_that_is_taken_slowly_is_whole(server: Any) -> None:
    begun, taken = time.monotonic(), 0
    with opened(server, b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as client:
        while piece := client.recv(2**22, socket.MSG_WAITALL):
            taken += len(piece)
            time.sleep(PATIENCE_S / 4)
    assert taken > ANSWER
    assert time.monotonic() - begun > 1.5 * PATIENCE_S


def test_clients_that_keep_it_waiting_give_way(server: Any) -> None:
    """More idle connections than there are places, of each kind: who comes then is answered at once."""
    kinds = (b"", HEAD, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", GOOD)
    for kind in kinds:
        idle = [opened(server, kind) for _ in range(3 * PLACES)]
        begun = time.monotonic()
        with opened(server, GOOD) as client:
            assert answered(client).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begun < PATIENCE_S
        for other in idle:
            other.close()


def test_who_has_waited_longest_gives_way_first(server: Any) -> None:
    idle = []
    for _ in range(PLACES):
        idle.append(opened(server, b""))
        time.sleep(0.02)
    with opened(server, GOOD) as client:
        assert answered(client).startswith(b"HTTP/1.1 200")
    idle[0].settimeout(PATIENCE_S / 2)
    with contextlib.suppress(ConnectionResetError):
        assert idle[0].recv(1) == b""  # gone
    idle[-1].settimeout(0.1)
    with pytest.raises(TimeoutError):
        idle[-1].recv(1)  # still there, with nothing to say
    for other in idle:
        other.close()


def test_work_under_way_is_kept_and_who_comes_is_told(server: Any) -> None:
    working = [opened(server, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(PLACES)]
    time.sleep(0.2)
    with opened(server) as client:
        answer = said(client)
        assert error_of(answer) == (503, "busy")
        assert b"retry-after: 1" in answer.lower()
    assert len(server.server_state.connections) == PLACES
    for client in working:
        client.close()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # TLS
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"X-Long: " + b"x" * 100_000,
        HEAD + b"X-Many: 1\r\n" * 10_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"\r\n\r\n\r\n" * 100_000,
    ],
)
def test_what_is_no_http_is_told_so_in_the_one_shape(server: Any, rubbish: bytes) -> None:
    with opened(server, rubbish) as client:
        answer = said(client)
    assert not answer or error_of(answer) == (400, "bad_request")  # bytes that are not read any more reset it
    with opened(server, GOOD + rubbish) as client:
        answer = said(client)
    assert not answer or answer.startswith(b"HTTP/1.1 200")


def test_heads_of_other_times_are_answered_or_end(server: Any) -> None:
    for head in (b"GET / HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\r\n\r\n"):
        with opened(server, head) as client:
            assert said(client)[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 400")
