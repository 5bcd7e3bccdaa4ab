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


class CandidateAnswer(_Shape):
    """A generator that may have made the picture."""

    name: str
    probability: float = Field(ge=0, le=1)
    log10_lr: float = Field(description="Above 0 it speaks for this generator rather than another one.")
    references: int = Field(ge=1, description="Enrolled pictures behind it.")


class NeighbourAnswer(_Shape):
    """An enrolled picture whose fingerprint is near."""

    id: str
    name: str = Field(description="The generator that it was enrolled for.")
    distance: float = Field(description="1 - cos, from 0 for equal fingerprints to 2.")


class Attributed(_Shape):
    """Which generator made a picture, as far as the gallery can tell."""

    name: str
    error: None
    verdict: Verdict
    words: str = Field(description="The verdict for a person.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    answer: str = Field(description="A candidate's name, `unknown generator` or `photograph`.")
    probability: float = Field(ge=0, le=1, description="Of the answer.")
    sentence: str = Field(description="The answer for a person.")
    reservation: str = Field(description="Empty where answer and verdict go together.")
    prob_photograph: float = Field(ge=0, le=1)
    prob_unknown: float = Field(ge=0, le=1, description="Of a generator that is not enrolled.")
    candidates: list[CandidateAnswer] = Field(description="All that are enrolled, likeliest first.")
    nearest: list[NeighbourAnswer] = Field(description="Nearest first.")
    gallery_id: str
    priors: str = Field(description="Where the probabilities hold.")
    note: str = Field(description="What an attribution is worth.")
    detector_id: str


class Attributions(_Shape):
    """A row for each file, in their order."""

    schema_version: Literal[1]
    answers: list[Attributed | NotJudged] = Field(min_length=1)


class ComparedPicture(_Shape):
    """A picture of one side, by itself."""

    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    verdict: Verdict
    words: str
    prob_fake: float = Field(ge=0, le=1)


class ComparisonAnswer(_Shape):
    """Whether two sides are of one generator, given that generators made them."""

    schema_version: Literal[1]
    sentence: str = Field(description="The answer for a person.")
    log10_lr: float = Field(description="Above 0 it speaks for one generator rather than two.")
    log10_lr_bound: float = Field(ge=0, description="The largest of it that the gallery supports.")
    prob_same: float = Field(ge=0, le=1, description="The same at even prior odds.")
    distance: float = Field(description="1 - cos of the mean fingerprints, from 0 for equal ones to 2.")
    first: list[ComparedPicture] = Field(min_length=1)
    second: list[ComparedPicture] = Field(min_length=1)
    reservations: list[str] = Field(description="Of sides that were not judged to be generated.")
    note: str
    gallery_id: str
    detector_id: str


class KnownGenerator(_Shape):
    """A generator that is enrolled."""

    name: str
    pictures: int = Field(ge=1)


class GalleryAnswer(_Shape):
    """Which generators are known."""

    id: str
    generators: list[KnownGenerator]


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
    gallery: GalleryAnswer | None
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
    404: "There is no gallery of generators for this detector: `no_gallery`",
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
OF_GALLERY = errors(400, 404, 408, 415, 422)


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
