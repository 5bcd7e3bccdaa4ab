"""What a client gets: answers as plain values, and one shape for everything that goes wrong."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

from ganfingerprint.calibrate import Calibration
from ganfingerprint.detector import Detector
from ganfingerprint.report import wording
from ganfingerprint.service.settings import ServiceSettings
from ganfingerprint.types import Answer, Failure, Prediction

SCHEMA_VERSION = 1
STATUS_OF = {"busy": 503, "stopping": 503, "too_large": 413, "timeout": 422, "unauthorized": 401}
RETRY_AFTER_S = 1


class ServiceError(Exception):
    """A request that is not answered: its status, our code, and a sentence for a person."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def error_response(request_id: str, status: int, code: str, message: str) -> JSONResponse:
    """The one shape: `{"error": {"code", "message", "request_id"}}`."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    error = {"code": code, "message": message, "request_id": request_id}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def failed(failure: Failure) -> ServiceError:
    """The error of a request for one picture that could not be judged."""
    return ServiceError(STATUS_OF.get(failure.code, 422), failure.code, failure.error)


def gone() -> ServiceError:
    """The end of a request whose client no longer listens; nobody reads it but the log."""
    return ServiceError(499, "client_gone", "the client has gone")


def answer_content(answer: Answer, calibration: Calibration) -> dict[str, Any]:
    """One picture's answer; `error` is null where it was judged, all else where it was not."""
    if isinstance(answer, Failure):
        return {"name": answer.source, "error": {"code": answer.code, "message": answer.error}}
    return {"name": answer.source, "error": None, **_judged(answer, calibration)}


def _judged(answer: Prediction, calibration: Calibration) -> dict[str, Any]:
    return {
        "verdict": answer.verdict.value,
        "words": wording.WORDS[answer.verdict],
        "meaning": [wording.evidence(answer, calibration)["sentence"], wording.share(answer)],
        "prob_fake": answer.prob_fake,
        "log10_lr": answer.log10_lr,
        "score": answer.logit,
        "sha256": answer.sha256,
        "format": answer.format,
        "size_bytes": answer.size_bytes,
        "width": answer.width,
        "height": answer.height,
        "windows": [
            {"box": box, "prob_fake": float(prob)}
            for box, prob in zip(answer.boxes.tolist(), answer.window_prob_fake, strict=True)
        ],
        "detector_id": answer.detector_id,
        "latency_ms": answer.latency_ms,
    }


def detector_content(detector: Detector, settings: ServiceSettings) -> dict[str, Any]:
    """What is told of the detector; its thresholds are as weight of evidence too."""
    card, calibration = detector.card, detector.calibration
    return {
        "schema_version": SCHEMA_VERSION,
        "id": detector.detector_id,
        "name": card.name,
        "engine": detector.engine.name,
        "precision": detector.engine.precision,
        "window": dict(card.window),
        "calibration": calibration.to_mapping(),
        "log10_lr_thresholds": {
            "real_below": float(calibration.log10_lr(calibration.real_threshold)),
            "fake_above": float(calibration.log10_lr(calibration.fake_threshold)),
        },
        "reliability": wording.threshold(card),
        "figures": dict(card.figures),
        "licence": card.licence,
        "limits": {"max_body": settings.max_body, "max_files": settings.max_files},
    }
