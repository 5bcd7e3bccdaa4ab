"""Examinations → the content of a report: plain values under a versioned schema, from which pages are made."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import ganfingerprint
from ganfingerprint.artifact import Card
from ganfingerprint.artifact.card import plain
from ganfingerprint.attribution import words
from ganfingerprint.calibrate import Calibration
from ganfingerprint.detector import Detector
from ganfingerprint.examine import Examination
from ganfingerprint.metadata import estimate_jpeg_quality
from ganfingerprint.report import claims, pictures, wording
from ganfingerprint.report.profile import profile_content
from ganfingerprint.report.scanned import Scanned
from ganfingerprint.types import Attribution, Failure, Prediction, Verdict

SCHEMA, SCHEMA_VERSION = "ganfingerprint-report", 2
HERE = "each with its SHA-256, size and time of reading above; none was changed, none left this machine"
CANDIDATES = 3  # generators that are named, likeliest first
_LIBRARIES = ("numpy", "pillow", "openvino", "torch", "onnxruntime", "c2pa-python")
_HEADLINE = ("auc", "recall_shipped", "miss_rate_shipped", "false_alarm_rate_shipped", "decided_right_shipped")


PictureContent = dict[str, Any]  # what a report says of one picture, JSON-ready


def report_content(
    examinations: Iterable[Examination | PictureContent],
    detector: Detector,
    *,
    case: str = "",
    examiner: str = "",
    command: str = "",
    custody: str = HERE,
    trust: str = "",
    scan: Scanned | None = None,
) -> dict[str, Any]:
    """The report of these examinations: JSON-ready, pictures included as data.

    Args:
        examinations: taken one by one; each picture is held only as it is shown. Or what `picture_content` made of it.
        detector: the one that examined.
        case: an identifier of the reader's.
        examiner: who answers for it.
        command: what to call to get the same again.
        custody: a sentence on what became of the files.
        trust: the certificates that manifests were held against.
        scan: whose rows the examinations are of, if they are of a scan's.
    """
    found = [item if isinstance(item, dict) else picture_content(item, detector) for item in examinations]
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "case": _text(case),
        "examiner": _text(examiner),
        "command": _text(command),
        "custody": custody,
        "software": _software(),
        "detector": _detector(detector),
        "propositions": list(wording.PROPOSITIONS),
        "manifest_meaning": claims.MEANING,
        "trust": claims.trust_content(trust),
        "histogram": wording.histogram(detector.card),
        "counts": _counts(found) if scan is None else scan.counts,
        "scan": None if scan is None else scan.content(),
        "rows": [_row(number, picture) for number, picture in enumerate(found)] if scan is None else scan.entries(),
        "pictures": found,
    }
    plain_content: dict[str, Any] = plain(content)  # as it will be read from JSON
    return plain_content


def picture_content(examination: Examination, detector: Detector) -> PictureContent:
    """What a report says of one file."""
    known: dict[str, Any] = {
        "source": _text(examination.source),
        "received": examination.received,
        "sha256": examination.sha256,
        "size_bytes": examination.size_bytes,
        "error": None,
    }
    answer = examination.answer
    if isinstance(answer, Failure):
        return {
            **known,
            "error": {"code": answer.code, "text": answer.error},
            "verdict": None,
            "words": wording.NOT_READ,
        }
    return known | _judged(examination, answer, detector)


def _judged(examination: Examination, answer: Prediction, detector: Detector) -> dict[str, Any]:
    image = examination.image
    assert image is not None  # it was judged
    encoding = image.facts.encoding
    quality = estimate_jpeg_quality(encoding)
    return {
        "format": answer.format,
        "width": answer.width,
        "height": answer.height,
        "verdict": answer.verdict.value,
        "words": wording.WORDS[answer.verdict],
        "score": answer.logit,
        "log10_lr": answer.log10_lr,
        "evidence": wording.evidence(answer, detector.calibration),
        "probability": wording.probability(answer, detector.card),
        "threshold": wording.threshold(detector.card),
        "windows": [
            {"box": box, "prob_fake": float(prob)}
            for box, prob in zip(answer.boxes.tolist(), answer.window_prob_fake, strict=True)
        ],
        "windows_for_fake": answer.windows_for_fake,
        "stability": _stability(examination),
        "encoding": {**dataclasses.asdict(encoding), "estimated_quality": quality},
        "metadata": None if examination.metadata is None else dataclasses.asdict(examination.metadata),
        "manifest": claims.manifest_content(examination.metadata, examination.provenance),
        "attribution": attribution_content(examination.attribution, answer.verdict),
        "profile": profile_content(examination),
        "limits": wording.limits(image, answer, quality, detector.card),
        "images": {
            "picture": pictures.shown(image.pixels),
            "thumbnail": pictures.shown(image.pixels, longest=96),
            "heat": None if examination.heat is None else pictures.heat(image, examination.heat),
            "heat_speaks_for": None if examination.heat is None else examination.heat.label.value,
            "spectrum": None if examination.spectrum is None else pictures.spectrum(examination.spectrum),
        },
    }


def attribution_content(
    found: Attribution | None, verdict: Verdict, *, candidates: int | None = CANDIDATES
) -> dict[str, Any] | None:
    """What is said of which generator made a picture: candidates, nearest pictures, and what it is worth.

    Args:
        found: None where no gallery was asked, and nothing is said.
        verdict: of the detector on the same picture.
        candidates: how many are named, likeliest first; None for all.
    """
    if found is None:
        return None
    return {
        "answer": found.answer,
        "probability": found.probability,
        "sentence": words.answer_sentence(found, verdict),
        "reservation": words.reservation(verdict, found),
        "prob_photograph": found.prob_photograph,
        "prob_unknown": found.prob_unknown,
        "candidates": [dataclasses.asdict(candidate) for candidate in found.candidates[:candidates]],
        "nearest": [{**dataclasses.asdict(near), "id": _text(near.id)} for near in found.nearest],
        "gallery_id": found.gallery_id,
        "priors": words.PRIORS,
        "note": words.LEAD,
    }


def _row(number: int, picture: dict[str, Any]) -> dict[str, Any]:
    """The line of a picture in the table of all."""
    read = picture["error"] is None
    return {
        **{name: picture[name] for name in ("source", "sha256", "verdict", "words", "error")},
        "score": picture["score"] if read else None,
        "prob_fake": picture["probability"]["prob_fake"] if read else None,
        "log10_lr": picture["log10_lr"] if read else None,
        "windows": len(picture["windows"]) if read else None,
        "windows_for_fake": picture["windows_for_fake"] if read else None,
        "generator": None,  # its section says it, with all that belongs to it
        "picture": number,
        "note": "",
    }


def _stability(examination: Examination) -> dict[str, Any] | None:
    stability = examination.stability
    if stability is None:
        return None
    after = [
        {
            "name": name,
            "verdict": answer.verdict.value,
            "words": wording.WORDS[answer.verdict],
            "prob_fake": answer.prob_fake,
        }
        for name, answer in stability.after.items()
    ]
    return {"after": after, "agreeing": stability.agreeing, "flips": stability.flips, "first": stability.verdict.value}


def _text(name: str) -> str:
    """A text that any file can hold; of names that are none, the bytes that are no text are written out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _counts(found: list[dict[str, Any]]) -> dict[str, int]:
    verdicts = [entry["verdict"] for entry in found]
    counts = {verdict.value: verdicts.count(verdict.value) for verdict in Verdict}
    return {"pictures": len(found), **counts, "not read": verdicts.count(None)}


def _detector(detector: Detector) -> dict[str, Any]:
    card: Card = detector.card
    calibration = Calibration.from_mapping(card.calibration)
    figures = {
        split: {name: values[name] for name in _HEADLINE if name in values} for split, values in card.figures.items()
    }
    return {
        "id": detector.detector_id,
        "name": card.name,
        "engine": detector.engine.name,
        "precision": detector.engine.precision,
        "weights": [dataclasses.asdict(item) for item in (*card.weights, *card.graphs)],
        "window": dict(card.window),
        "calibration": calibration.to_mapping(),
        "figures": figures,
        "licence": card.licence,
    }


def _software() -> dict[str, str]:
    versions = {"ganfingerprint": ganfingerprint.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
