"""A gallery from labelled pictures: the space from those that the network learnt from, everything that is said with a
probability from those that it has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.attribution.gallery import FEWEST_ENROLLED, PHOTOGRAPH, Gallery, Photographs
from ganfingerprint.attribution.space import FingerprintSpace, fit_space
from ganfingerprint.attribution.weighing import Weighing, explanations, fit_weighing
from ganfingerprint.calibrate import Calibration, fit_calibration
from ganfingerprint.errors import DataError
from ganfingerprint.types import Float32Array, Float64Array, Int64Array

TextArray = NDArray[np.str_]
REFERENCES = (1, 2, 5, 10)  # pictures on one side of the comparisons that are calibrated
_ROUNDS, _QUESTIONS = 8, 60  # draws of references of each generator, and pictures that are held against them
_RIDGE = 0.05  # of the mean variance of photographs, added in every direction
_LN10 = math.log(10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Pictures whose origin is known, as a detector sees them."""

    embeddings: Float32Array  # [n, e]
    log10_lr: Float64Array  # [n] the detector's weight of evidence for *fake*
    names: tuple[str, ...]  # [n] the generator, or PHOTOGRAPH
    ids: tuple[str, ...]  # [n] for people
    hashes: tuple[str, ...]  # [n] sha256 of the files
    groups: tuple[str, ...]  # [n] pictures that share one (a scene, a person) are not independent

    def __len__(self) -> int:
        return len(self.names)


def fit_gallery(
    learnt: Labelled,
    unseen: Labelled,
    *,
    detector_id: str,
    aside: Collection[str] = (),
    fewest: int = 10,
    origin: str = "",
    seed: int = 42,
) -> Gallery:
    """Learn a space, enrol the generators of `learnt`, and fit what evidence is worth to `unseen`.

    Args:
        learnt: pictures that the network may have been trained on.
        unseen: others of the same generators, and photographs; the same file may come several times, as it was
            delivered in several ways.
        detector_id: of the detector whose embeddings these are.
        aside: generators that are enrolled and that the space is not learnt from.
        fewest: pictures of `learnt` that a generator needs to be enrolled.
        origin: what all this is, in words.
        seed: of the draws of references.

    Raises:
        DataError: too few origins or pictures.
    """
    chosen = [at for at, name in enumerate(learnt.names) if name not in aside]
    space = fit_space(learnt.embeddings[chosen], [learnt.names[at] for at in chosen])
    of = np.asarray(unseen.names, dtype=object)
    counting = ~np.isin(unseen.names, [*aside])
    space = space.remeasured(unseen.embeddings[counting], list(of[counting]))
    fingerprints = space.project(unseen.embeddings)
    if int((of == PHOTOGRAPH).sum()) <= space.size:
        raise DataError(f"a gallery needs more than {space.size} photographs that the network has not seen")
    gallery = Gallery(
        detector_id=detector_id,
        space=space,
        photographs=_photographs(fingerprints[of == PHOTOGRAPH]),
        weighing=Weighing(weights=np.zeros(5)),
        pairs=Calibration.unfitted(),
        origin=origin,
        fingerprints=np.zeros((0, space.size), np.float32),
        names=(),
        ids=(),
        hashes=(),
    )
    gallery = _with_all(gallery, learnt, max(fewest, FEWEST_ENROLLED))
    pairs = _fit_pairs(space, fingerprints, unseen, np.random.default_rng(seed))
    return replace(gallery, weighing=_fit_weighing(gallery, fingerprints, unseen), pairs=pairs)


def _photographs(fingerprints: Float64Array) -> Photographs:
    covariance: Float64Array = np.cov(fingerprints.T)
    covariance += _RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return Photographs(
        mean=fingerprints.mean(axis=0), precision=np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    )


def _with_all(gallery: Gallery, learnt: Labelled, fewest: int) -> Gallery:
    for name in sorted(set(learnt.names) - {PHOTOGRAPH}):
        at = [i for i, other in enumerate(learnt.names) if other == name]
        if len({learnt.hashes[i] for i in at}) >= fewest:
            ids, hashes = [learnt.ids[i] for i in at], [learnt.hashes[i] for i in at]
            gallery = gallery.enrolled(name, learnt.embeddings[at], ids, hashes)
    return gallery


def _fit_weighing(gallery: Gallery, fingerprints: Float64Array, unseen: Labelled) -> Weighing:
    """Photographs count a half; of the rest half is of enrolled generators, half of the same with that one left out."""
    generators = list(gallery.generators)
    truth = np.array([generators.index(name) if name in generators else -1 for name in unseen.names])
    ratios = gallery.space.log_ratios(fingerprints, gallery.places, gallery.counts)
    photographs = gallery.photographs.log_ratios(fingerprints, gallery.space)
    numbers = explanations(ratios, photographs, _LN10 * unseen.log10_lr)  # [n, c + 2, 5]
    is_photograph, known = np.array([name == PHOTOGRAPH for name in unseen.names]), truth >= 0
    last = np.full(int(is_photograph.sum()), len(generators) + 1)
    parts: list[tuple[Float64Array, Int64Array, float]] = [
        (numbers[is_photograph], last, 0.5),
        (numbers[known], truth[known], 0.25),
    ]
    for at in sorted(set(truth[known])):
        rows = truth == at
        others = np.delete(numbers[rows], at, axis=1)
        share = 0.25 * float(rows.sum() / known.sum())
        parts.append((others, np.full(len(others), len(generators) - 1), share))
    return fit_weighing(parts)


def _fit_pairs(
    space: FingerprintSpace, fingerprints: Float64Array, unseen: Labelled, rng: np.random.Generator
) -> Calibration:
    """Evidence from ratios: pictures held against a few references of their own generator, another one, or a photo.

    References and pictures in question never share a group. The bound counts generators, not pictures: the
    claim is about generators, and of those only so many have been seen.
    """
    names, groups = np.array(unseen.names), np.array(unseen.groups)
    scores: list[Float64Array] = []
    same: list[bool] = []
    counted: list[str] = []
    for name in sorted(set(unseen.names) - {PHOTOGRAPH}):
        own = np.flatnonzero(names == name)
        for count in REFERENCES:
            if len(set(groups[own])) < count + 2:
                continue
            for _ in range(_ROUNDS):
                references = _of_different_groups(own, groups, count, rng)
                place = fingerprints[references].mean(axis=0)[None]
                asked = _questions(names, groups, references, name, rng)
                scores.append(space.log_ratios(fingerprints[asked], place, [count])[:, 0])
                same.extend(names[asked] == name)
                counted.extend(names[asked])
    if not scores:
        raise DataError("no generator has the three unseen groups of pictures that comparisons are calibrated on")
    return fit_calibration(np.concatenate(scores), np.array(same), groups=counted)


def _of_different_groups(own: Int64Array, groups: TextArray, count: int, rng: np.random.Generator) -> Int64Array:
    drawn = rng.permutation(own)
    first = {groups[at]: int(at) for at in drawn[::-1]}
    return np.array(list(first.values())[:count])


def _questions(
    names: TextArray, groups: TextArray, references: Int64Array, name: str, rng: np.random.Generator
) -> Int64Array:
    """As many pictures of the generator as of others, of which every fourth is a photograph."""
    free = ~np.isin(groups, groups[references])
    own = np.flatnonzero((names == name) & free)
    photographs = np.flatnonzero((names == PHOTOGRAPH) & free)
    fakes = np.flatnonzero((names != name) & (names != PHOTOGRAPH) & free)
    parts = ((own, _QUESTIONS), (fakes, 3 * _QUESTIONS // 4), (photographs, _QUESTIONS // 4))
    return np.concatenate([rng.permutation(part)[:most] for part, most in parts])
