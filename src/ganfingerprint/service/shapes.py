"""What the description for programs says of answers: their shapes, statuses, headers and kinds.

Nothing is built or checked by these classes while the service runs; a test holds its answers against them.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from ganfingerprint.service.limits import OPEN_PATHS
from ganfingerprint.types import Label, Verdict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Shape):
    """Why a picture was not judged."""

    code: str = Field(description="For programs; it does not change.")
    message: str = Field(description="For a person.")


class RequestProblem(Problem):
    """Why a request was not answered."""

    request_id: str = Field(description="As in the header X-Request-Id and in the log.")


class ErrorAnswer(_Shape):
    """The one shape of everything that goes wrong."""

    error: RequestProblem


class WindowAnswer(_Shape):
    """A window of the picture by itself."""

    box: list[int] = Field(min_length=4, max_length=4, description="Left, top, right, bottom in pixels.")
    prob_fake: float = Field(ge=0, le=1)


class Judged(_Shape):
    """A picture's answer."""

    name: str
    error: None
    verdict: Verdict
    words: str = Field(description="The verdict for a person.")
    meaning: list[str] = Field(description="What it means, in sentences.")
    prob_fake: float = Field(ge=0, le=1, description="Calibrated, at even prior odds.")
    log10_lr: float = Field(description="The same as weight of evidence; above 0 for a fake.")
    score: float = Field(description="Before calibration; comparable within one detector only.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    format: str
    size_bytes: int = Field(ge=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    windows: list[WindowAnswer] = Field(min_length=1)
    detector_id: str
    latency_ms: float = Field(ge=0)


class NotJudged(_Shape):
    """A file of several that could not be judged."""

    name: str
    error: Problem


class Answers(_Shape):
    """A row for each file, in their order."""

    schema_version: Literal[1]
    answers: list[Judged | NotJudged] = Field(min_length=1)


class FingerprintAnswer(_Shape):
    """What the network makes of a picture."""

    schema_version: Literal[1]
    detector_id: str
    fingerprint: list[float] = Field(min_length=512, max_length=512)


class Thresholds(_Shape):
    """Between which weights of evidence the verdict is `uncertain`."""

    real_below: float
    fake_above: float


class Limits(_Shape):
    """What a request may hold."""

    max_body: int = Field(description="Bytes.")
    max_files: int


class DetectorAnswer(_Shape):
    """What judges here."""

    schema_version: Literal[1]
    id: str
    name: str
    engine: str
    precision: str
    window: dict[str, Any]
    calibration: dict[str, Any]
    log10_lr_thresholds: Thresholds
    reliability: str = Field(description="How often verdicts are wrong, as far as it was measured.")
    figures: dict[str, Any]
    licence: str
    limits: Limits


class Alive(_Shape):
    """The process lives."""

    status: Literal["ok"]
    version: str


class Ready(_Shape):
    """It takes pictures."""

    status: Literal["ready"]
    detector_id: str


Responses = dict[int | str, dict[str, Any]]
_TEXT = {"schema": {"type": "string"}}
_REQUEST_ID = {"X-Request-Id": {**_TEXT, "required": True, "description": "As in the log."}}
_REASONS = {
    400: "The form cannot be read: `bad_form`",
    401: "No key, or a wrong one: `unauthorized`",
    408: "The body came too slowly: `too_slow`",
    413: "Too many bytes, pixels or files: `too_large`, `too_many_files`",
    415: "Not a form with files: `not_a_form`",
    422: "No picture that can be judged: `no_file`, `unreadable_image`, `too_small`, `timeout`, `decoder_crashed`",
    500: "Something went wrong here: `internal`",
    501: "This engine has no heat maps: `no_heat`",
    503: "Too much is here already, or the service is ending: `busy`, `stopping`",
}
_HEADERS = {401: {"WWW-Authenticate": {**_TEXT, "required": True}}, 503: {"Retry-After": {**_TEXT, "required": True}}}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def errors(*statuses: int) -> Responses:
    """These, and those that any request may meet."""
    return {
        status: {
            "description": _REASONS[status],
            "model": ErrorAnswer,
            "headers": {**_REQUEST_ID, **_HEADERS.get(status, {})},
        }
        for status in sorted({*statuses, 413, 500, 503})
    }


OF_GET = errors()
OF_FORM = errors(400, 408, 415, 422)


def good(shape: type[BaseModel], others: Responses) -> Responses:
    """Answers in JSON, and what may be said instead."""
    return {200: {"description": "Answered", "model": shape, "headers": _REQUEST_ID}, **others}


def other(kind: str, others: Responses, **headers: Any) -> Responses:
    """Answers of another kind, and what may be said instead."""
    told = {"description": "Answered", "content": {kind: _TEXT}, "headers": {**_REQUEST_ID, **headers}}
    return {200: told, **others}


_SPEAKS = {"schema": {"enum": list(Label)}, "required": True, "description": "The class that the heat speaks for."}
HEAT_MAP = other("image/png", errors(400, 408, 415, 422, 501), **{"X-Heat-Speaks-For": _SPEAKS})


def describe(app: FastAPI, *, keys: bool) -> None:
    """Add to the description what is asked for and answered before any path is looked at."""
    document = app.openapi()  # kept by the application: what is added stays
    if not keys:
        return
    document["components"]["securitySchemes"] = _KEYS
    document["security"] = [{name: []} for name in _KEYS]
    unauthorized = {
        "description": _REASONS[401],
        "headers": {**_REQUEST_ID, **_HEADERS[401]},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN_PATHS:
                operation["security"] = []
            else:
                operation["responses"]["401"] = unauthorized
