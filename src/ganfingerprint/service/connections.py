"""Clients that keep the service waiting: uvicorn by itself waits for a head, or for an answer to be read, for ever."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from ganfingerprint.service.answers import error_response

HEAD, BODY, REST, TAKE = "a head", "a body", "the rest of a body that was refused", "that the answer is taken"


class Connection(H11Protocol):
    """A connection with an end, and one that makes room.

    uvicorn's `timeout_keep_alive` is the seconds in which a head has to be
    here, since the connection or the last answer; in which what remains of a
    refused body has to come; and in which some more of an answer has to be
    taken. How long a body may take is the affair of who reads it.
    `limit_concurrency` is the number of places. When all are taken, who comes
    gets that of the client that has kept the service waiting longest; 503
    where it waits for none.
    """

    look_s = 0.25  # between two looks at who keeps it waiting

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.places, self.limit_concurrency = config.limit_concurrency, None  # uvicorn would refuse who comes
        self._owed: tuple[str | None, object, int] = (None, None, 0)  # during which request, and what is to be taken
        self._since = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._look()
        if self.places is not None and len(self.connections) > self.places:
            self._take_a_place()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(400, "bad_request", "this is not HTTP/1.1 as it is understood here, or its head is too long")

    def owed(self) -> str | None:
        """What is waited for that only the client can do."""
        if self.transport.is_closing() or self.flow.write_paused:
            return TAKE
        if self.conn.their_state is h11.IDLE:
            return HEAD
        if self.conn.their_state is h11.SEND_BODY:
            return REST if self.conn.our_state is h11.DONE else BODY
        return None

    def waited(self) -> float:
        """Seconds that it has been waited for; 0 where the service itself is at work."""
        owed = self.owed(), self.cycle, self.transport.get_write_buffer_size()
        if owed != self._owed:
            self._owed, self._since = owed, self.loop.time()
        return 0.0 if owed[0] is None else self.loop.time() - self._since

    def _look(self) -> None:
        waited, owed = self.waited(), self._owed[0]
        late = waited > self.timeout_keep_alive
        if late and owed is TAKE:
            self.transport.abort()  # closing would wait for the client once more
        elif late and owed in (HEAD, REST):
            if self.conn.trailing_data[0] and owed is HEAD:
                self._refuse(408, "too_slow", f"a head has to be here within {self.timeout_keep_alive:g} seconds")
            self.transport.close()
        self._timer = self.loop.call_later(self.look_s, self._look)

    def _take_a_place(self) -> None:
        others = (other for other in self.connections if isinstance(other, Connection) and other is not self)
        waiting = [other for other in others if other.owed() is not None]
        if not waiting:
            self._refuse(503, "busy", "too many requests are here already")
            return
        longest = max(waiting, key=Connection.waited)
        self.connections.discard(longest)
        longest.transport.abort()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """An answer in the one shape, outside of what answers requests; then the end."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # whoever is at work on it need not answer any more
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = error_response(uuid.uuid4().hex[:16], status, code, message)
            headers = [*answer.raw_headers, (b"connection", b"close")]
            events = (
                h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            )
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
