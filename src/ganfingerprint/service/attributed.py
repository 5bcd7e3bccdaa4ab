"""What a client gets who asks which generator it was, or whether two are one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganfingerprint.attribution import Gallery, words
from ganfingerprint.report import wording
from ganfingerprint.report.content import attribution_content
from ganfingerprint.service.answers import SCHEMA_VERSION, ServiceError, failed
from ganfingerprint.service.uploads import SIDES
from ganfingerprint.types import Answer, Attribution, Comparison, Failure, Prediction


def no_gallery() -> ServiceError:
    """The end of a request that asks for generators where none are known."""
    return ServiceError(404, "no_gallery", "this service knows no generators: there is no gallery for its detector")


def attributed_content(answer: Answer, found: Attribution | None) -> dict[str, Any]:
    """Which generator made one picture; `error` as in `answer_content`."""
    if isinstance(answer, Failure):
        return {"name": answer.source, "error": {"code": answer.code, "message": answer.error}}
    told = attribution_content(found, answer.verdict, candidates=None) or {}
    judged = {"verdict": answer.verdict.value, "words": wording.WORDS[answer.verdict], "sha256": answer.sha256}
    return {"name": answer.source, "error": None, **judged, **told, "detector_id": answer.detector_id}


def comparison_content(found: Comparison, sides: Sequence[Sequence[Prediction]], gallery: Gallery) -> dict[str, Any]:
    """Whether two sides are of one generator."""
    bound = gallery.pairs.log10_lr_bound
    reservations = [words.side_reservation(name, side) for name, side in zip(SIDES, sides, strict=True)]
    return {
        "schema_version": SCHEMA_VERSION,
        "sentence": words.comparison_sentence(found, bound),
        "log10_lr": found.log10_lr,
        "log10_lr_bound": bound,
        "prob_same": found.prob_same,
        "distance": found.distance,
        **{name: [_compared(item) for item in side] for name, side in zip(SIDES, sides, strict=True)},
        "reservations": [said for said in reservations if said],
        "note": words.COMPARED,
        "gallery_id": gallery.gallery_id,
        "detector_id": gallery.detector_id,
    }


def _compared(item: Prediction) -> dict[str, Any]:
    said = {"verdict": item.verdict.value, "words": wording.WORDS[item.verdict], "prob_fake": item.prob_fake}
    return {"name": item.source, "sha256": item.sha256, **said}


def gallery_content(gallery: Gallery | None) -> dict[str, Any] | None:
    """Which generators are known, and by how many pictures."""
    if gallery is None:
        return None
    known = zip(gallery.generators, gallery.counts.tolist(), strict=True)
    return {"id": gallery.gallery_id, "generators": [{"name": name, "pictures": count} for name, count in known]}


def judged_or_raise(answer: Answer) -> Prediction:
    """The answer, where it is needed for that of another question.

    Raises:
        ServiceError: the picture could not be judged; the message names it.
    """
    if isinstance(answer, Failure):
        problem = failed(answer)
        raise ServiceError(problem.status, problem.code, f"{answer.source}: {problem.message}")
    return answer
