"""What a service allows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Limits, and who may ask."""

    api_keys: frozenset[str] = frozenset()  # none: everybody who reaches it
    max_body: int = 20 * 2**20  # bytes of a request
    max_files: int = 32  # pictures of a request
    max_waiting: int = 256  # pictures that wait for the engine
    max_held: int = 256 * 2**20  # bytes of all requests that are here at once
    max_pixels: int = 50_000_000  # of a picture whose heat map or report is asked for
    body_wait_s: float = 15.0  # that a body may pause while it comes
    body_s: float = 120.0  # in which it has to be here
    workers: int = 2  # processes that decode
    timeout_s: float = 20.0  # in which a picture has to be decoded
    batch_windows: int = 16  # windows that are judged at once
