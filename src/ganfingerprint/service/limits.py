"""What is checked before a request is looked at: its key, its size while it comes, and what every answer carries."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganfingerprint.service import pages
from ganfingerprint.service.answers import ServiceError, error_response
from ganfingerprint.service.metrics import Metrics
from ganfingerprint.service.settings import ServiceSettings

OPEN_PATHS = frozenset({*pages.PATHS, "/healthz", "/readyz", "/openapi.json"})  # need no key
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; img-src data: blob: 'self'; style-src 'self' 'unsafe-inline'; "
     b"script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
)  # fmt: skip
_log = logging.getLogger("ganfingerprint.service")


class Gate:
    """An ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self.held = 0  # bytes of all bodies that are here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it; what is written to the log holds nothing of its content."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, request_id, status = time.perf_counter(), uuid.uuid4().hex[:16], 500
        scope.setdefault("state", {})["request_id"] = request_id
        begun, held = False, [0]  # bytes of the body so far

        async def answer(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                begun, status = True, message["status"]
                own = [(b"x-request-id", request_id.encode()), *_HEADERS]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self.app(scope, self._counted(receive, held), answer)
            else:
                await error_response(request_id, *refusal)(scope, receive, answer)
        except ServiceError as problem:  # raised while the body came, outside of what answers errors
            if not begun:
                refusal = problem.status, problem.code, problem.message
                await error_response(request_id, *refusal)(scope, receive, answer)
        finally:
            self.held -= held[0]
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.observe(route, status, seconds)
            _log.info(
                json.dumps({"request_id": request_id, "route": route, "status": status, "ms": round(1000 * seconds, 1)})
            )

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Why a request is not even read, as far as its head tells."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        keys = self.settings.api_keys
        if keys and scope["path"] not in OPEN_PATHS and not _is_known(_key_in(headers), keys):
            return 401, "unauthorized", "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.settings.max_body:
            return self._too_large()
        return None

    def _too_large(self) -> tuple[int, str, str]:
        return 413, "too_large", f"a request may have at most {self.settings.max_body:,} bytes"

    def _counted(self, receive: Receive, held: list[int]) -> Receive:
        """The body as it comes; one that is too large or too slow is given up, whatever its head said."""
        limits, begun = self.settings, time.monotonic()
        complete = False  # once it is whole, only a client that goes away is waited for

        async def counted() -> Message:
            nonlocal complete
            left = limits.body_s - (time.monotonic() - begun)
            try:
                message = await asyncio.wait_for(receive(), None if complete else min(limits.body_wait_s, left))
            except TimeoutError:
                allowed = f"at most {limits.body_wait_s:g} seconds of silence, {limits.body_s:g} in all"
                raise ServiceError(408, "too_slow", f"the body came too slowly: {allowed}") from None
            complete = complete or not message.get("more_body", False)
            more = len(message.get("body", b""))
            held[0] += more
            self.held += more
            if held[0] > limits.max_body:
                raise ServiceError(*self._too_large())
            if self.held > limits.max_held:
                raise ServiceError(503, "busy", "too many requests are here already")
            return message

        return counted


def _key_in(headers: dict[bytes, bytes]) -> bytes:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")


def _is_known(key: bytes, keys: frozenset[str]) -> bool:
    """Compared with all, in the same time whichever it is."""
    return sum(hmac.compare_digest(key, known.encode()) for known in keys) > 0
