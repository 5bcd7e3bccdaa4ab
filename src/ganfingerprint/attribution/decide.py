"""The two questions to a gallery: which generator made this picture, and are these pictures of one generator?

An answer is a lead and no proof: fingerprints can be removed, and forged (Wesselkamp et al. 2022, "Misleading
deep-fake detection with GAN fingerprints").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ganfingerprint.attribution.basis import traces_of
from ganfingerprint.attribution.gallery import PHOTOGRAPH, UNKNOWN, Gallery
from ganfingerprint.attribution.search import nearest
from ganfingerprint.errors import GalleryError, SameFileError
from ganfingerprint.types import Attribution, Candidate, Comparison, Float64Array, Neighbour, Prediction

_LN10 = math.log(10.0)


def attribute(predictions: Sequence[Prediction], gallery: Gallery, *, neighbours: int = 5) -> list[Attribution]:
    """Which generator made each picture: an enrolled one, an unknown one, or none as it is a photograph.

    Args:
        predictions: the detector's answers.
        gallery: of the same detector.
        neighbours: how many of the nearest enrolled pictures are named.

    Raises:
        GalleryError: the gallery is of another detector, or empty.
    """
    if not predictions:
        return []
    gallery.require_all(predictions)
    if not gallery.generators:
        raise GalleryError("no generator is enrolled in this gallery")
    fingerprints = gallery.fingerprints_of(traces_of(predictions))
    ratios, chances = chances_of(fingerprints, np.array([item.log10_lr for item in predictions]), gallery)
    places, distances = nearest(gallery.fingerprints, fingerprints, neighbours)
    return [
        _attribution(item, gallery, ratios[i], chances[i], _named(gallery, places[i], distances[i]))
        for i, item in enumerate(predictions)
    ]


def chances_of(
    fingerprints: Float64Array, log10_lr: Float64Array, gallery: Gallery
) -> tuple[Float64Array, Float64Array]:
    """Natural log ratios [n, c] of the enrolled generators, and the probabilities [n, c + 2]: theirs, unknown, photo.

    Args:
        fingerprints: in the gallery's space, [n, d].
        log10_lr: the detector's weight of evidence for *fake*, [n].
        gallery: what is enrolled.
    """
    ratios = gallery.space.log_ratios(fingerprints, gallery.places, gallery.counts)
    photographs = gallery.photographs.log_ratios(fingerprints, gallery.space)
    return ratios, gallery.weighing.probabilities(ratios, photographs, _LN10 * log10_lr)


def compare(first: Sequence[Prediction], second: Sequence[Prediction], gallery: Gallery) -> Comparison:
    """Whether generated pictures of two origins are of one generator; the generator need not be enrolled.

    Args:
        first: answers of the detector for pictures of one origin, one or more.
        second: for those of the other.
        gallery: whose background they are compared by; what else is enrolled changes nothing.

    Raises:
        SameFileError: both sides have the same file.
        GalleryError: the gallery is of another detector, or a side has no picture.
    """
    if not first or not second:
        raise GalleryError("a comparison needs at least one picture on either side")
    if {item.sha256 for item in first} & {item.sha256 for item in second}:
        raise SameFileError("the same file is on both sides: compared with itself it says nothing of its generator")
    gallery.require_all([*first, *second])
    sides = [gallery.common.project(gallery.basis.features(traces_of(side))) for side in (first, second)]
    return compared(sides[0], sides[1], gallery)


def compared(first: Float64Array, second: Float64Array, gallery: Gallery) -> Comparison:
    """The same of fingerprints [n, d] and [m, d] in the space that no enrolment changes, `gallery.common`."""
    a, b = first.mean(axis=0), second.mean(axis=0)
    ratio = gallery.common.log_ratios(b[None], a[None], [len(first)], each=len(second))[0, 0]
    return Comparison(
        distance=_cosine_distance(a, b),
        log10_lr=float(gallery.pairs.log10_lr(ratio)),
        prob_same=float(gallery.pairs.prob_fake(ratio)),
        counts=(len(first), len(second)),
    )


def _named(gallery: Gallery, places: Sequence[int], distances: Float64Array) -> tuple[Neighbour, ...]:
    return tuple(
        Neighbour(id=gallery.ids[place], name=gallery.names[place], distance=float(distance))
        for place, distance in zip(places, distances, strict=True)
    )


def _attribution(
    item: Prediction,
    gallery: Gallery,
    ratios: Float64Array,
    chances: Float64Array,
    near: tuple[Neighbour, ...],
) -> Attribution:
    candidates = tuple(
        Candidate(
            name=gallery.generators[at],
            probability=float(chances[at]),
            log10_lr=float(gallery.claims.log10_lr(ratios[at])),
            references=int(gallery.counts[at]),
        )
        for at in np.argsort(-chances[:-2], kind="stable")
    )
    unknown, photograph = float(chances[-2]), float(chances[-1])
    answer, probability = _answer(candidates, unknown, photograph)
    return Attribution(
        source=item.source,
        answer=answer,
        probability=probability,
        prob_photograph=photograph,
        prob_unknown=unknown,
        candidates=candidates,
        nearest=near,
        gallery_id=gallery.gallery_id,
        detector_id=gallery.detector_id,
    )


def _answer(candidates: Sequence[Candidate], unknown: float, photograph: float) -> tuple[str, float]:
    """A photograph only where that is likelier than all generators together; else the likeliest of those."""
    if photograph > 0.5:
        return PHOTOGRAPH, photograph
    made = [*((candidate.name, candidate.probability) for candidate in candidates[:1]), (UNKNOWN, unknown)]
    return max(made, key=lambda pair: pair[1])


def fingerprint_distance(first: Prediction, second: Prediction) -> float:
    """Cosine distance 1 - cos of the embeddings of two pictures, 0 (equal) to 2; `compare` says what it is worth.

    Raises:
        GalleryError: they were judged by two detectors.
    """
    if first.detector_id != second.detector_id:
        raise GalleryError(f"embeddings of {first.detector_id} and {second.detector_id} cannot be compared")
    return _cosine_distance(*(item.embedding.astype(np.float64) for item in (first, second)))


def _cosine_distance(a: Float64Array, b: Float64Array) -> float:
    alike = float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
    return min(max(1 - alike, 0.0), 2.0)  # beyond by rounding alone
