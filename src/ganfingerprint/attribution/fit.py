"""A gallery from labelled pictures: the space from those that the network learnt from, everything that is said with a
probability from those that it has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.attribution.basis import Basis, as_kept, fit_basis
from ganfingerprint.attribution.gallery import FEWEST_ENROLLED, PHOTOGRAPH, Background, Gallery
from ganfingerprint.attribution.space import FEWEST, FingerprintSpace, Scatter, scatter_of
from ganfingerprint.attribution.weighing import Weighing, explanations, fit_weighing
from ganfingerprint.calibrate import Calibration, fit_calibration
from ganfingerprint.errors import DataError
from ganfingerprint.types import BoolArray, Float32Array, Float64Array, Int8Array, Int64Array

TextArray = NDArray[np.str_]
REFERENCES = (1, 2, 5, 10)  # pictures on one side of the comparisons that are calibrated
_ROUNDS, _QUESTIONS = 8, 60  # draws of references of each generator, and pictures that are held against them
MOST_ENROLLED = 60  # pictures of a generator; more make its place no surer, and the file larger
_MOST_PHOTOGRAPHS = 400
_LATER = (10, 25)  # pictures that people enrol a generator by
_LN10 = math.log(10.0)
_Part = tuple[Float64Array, Int64Array, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Pictures whose origin is known, as a detector sees them."""

    traces: Float32Array  # [n, t] see `traces_of`
    embedding: int  # numbers of a trace that are the embedding's, its first
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
        detector_id: of the detector whose traces these are.
        aside: generators that are enrolled and that the space is not learnt from.
        fewest: pictures of `learnt` that a generator needs to be enrolled.
        origin: what all this is, in words.
        seed: of the draws of references, and of which pictures stand for many.

    Raises:
        DataError: too few origins or pictures.
    """
    counting = [at for at, name in enumerate(learnt.names) if name not in aside]
    basis = fit_basis(learnt.traces[counting], learnt.embedding)
    enough = _enough(learnt, max(fewest, FEWEST_ENROLLED))
    known = _Known(basis, learnt, unseen, aside, enough)
    rng = np.random.default_rng(seed)
    files = {unseen.hashes[at] for at in np.flatnonzero(known.of == PHOTOGRAPH)}
    if len(files) <= len(known.origins):
        raise DataError(f"a gallery needs more than {len(known.origins)} photographs that the network has not seen")
    background = known.background()
    seen_photographs = basis.rounded(known.unseen[_photographs(unseen, rng)])
    background = replace(background, spread=known.spread(background))
    gallery = _empty(detector_id, basis, background, seen_photographs, origin)
    for name, at in enough.items():
        gallery = _with(gallery, learnt, name, at[_some(len(at), MOST_ENROLLED, rng)])
    seen = [name for name in gallery.generators if name in known.origins and (known.of == name).any()]
    if not seen:
        raise DataError("no generator that is enrolled has pictures that the network has not seen")
    met = {name: _met(gallery, known, learnt, name, enough[name], rng) for name in seen}
    return replace(
        gallery,
        weighing=_fit_weighing(gallery, met, known, unseen),
        pairs=_fit_pairs({name: other.never.space for name, other in met.items()}, known, unseen, rng),
        claims=_fit_claims(gallery, met, known, unseen, rng),
    )


def _empty(detector_id: str, basis: Basis, background: Background, photographs: Int8Array, origin: str) -> Gallery:
    """Without generators, and with nothing that says what evidence is worth."""
    return Gallery(
        detector_id=detector_id,
        basis=basis,
        background=background,
        seen_photographs=photographs,
        weighing=Weighing(weights=np.zeros(5)),
        pairs=Calibration.unfitted(),
        claims=Calibration.unfitted(),
        origin=origin,
        codes=np.zeros((0, basis.size), np.int8),
        names=(),
        ids=(),
        hashes=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """The gallery had it never met a generator, and had somebody enrolled that one later, from few and more."""

    never: Gallery
    later: tuple[Gallery, ...]


class _Known:
    """The features of all pictures by origin, and how origins scatter, with and without one of them."""

    def __init__(
        self, basis: Basis, learnt: Labelled, unseen: Labelled, aside: Collection[str], enrolled: Collection[str]
    ) -> None:
        self.unseen, self.of = basis.features(unseen.traces), np.asarray(unseen.names, dtype=object)
        features, names = basis.features(learnt.traces), np.asarray(learnt.names, dtype=object)
        parts = {name: features[names == name] for name in sorted({*learnt.names} - {*aside})}
        self.origins: Mapping[str, Float64Array] = {name: part for name, part in parts.items() if len(part) >= FEWEST}
        if len(self.origins) <= FEWEST:  # each generator is left out once
            raise DataError(f"a gallery needs {FEWEST + 1} origins of {FEWEST} pictures each, got {len(self.origins)}")
        self.names = tuple(sorted({*self.origins, *enrolled} - {PHOTOGRAPH}))
        self._scatters = {name: scatter_of(part) for name, part in self.origins.items()}
        later = {name: self.unseen[self.of == name] for name in self.origins}
        self._later = {name: scatter_of(part) for name, part in later.items() if len(part) >= FEWEST}
        if len(self._later) < 2:
            raise DataError(f"fewer than two origins have {FEWEST} pictures that the network has not seen")

    def background(self, left_out: str = "") -> Background:
        """Of all origins but one. Pictures that the network learnt from scatter too little: others count as much."""
        kept = [name for name in self.origins if name != left_out]
        first = _summed([self._scatters[name] for name in kept])
        then = _summed([scatter for name, scatter in self._later.items() if name != left_out])
        return Background(
            names=tuple(name for name in self.names if name != left_out),
            origins=tuple(kept),
            middles=as_kept(np.stack([self.origins[name].mean(axis=0) for name in kept])),
            counts=np.array([len(self.origins[name]) for name in kept]),
            scatter=Scatter(covariance=as_kept(first.covariance + then.covariance) / 2, pictures=first.pictures),
            spread=1.0,
        )

    def spread(self, background: Background) -> float:
        """The variance of unseen pictures of a generator in the background's space, over all directions."""
        placed, space = {}, background.space(())
        for name in sorted({*self._later} - {PHOTOGRAPH}):
            placed[name] = space.project(self.unseen[self.of == name])
        return float(np.mean([part.var(axis=0, ddof=1).mean() for part in placed.values()]))


def _summed(scatters: Sequence[Scatter]) -> Scatter:
    total = scatters[0]
    for scatter in scatters[1:]:
        total = total + scatter
    return total


def _some(count: int, most: int, rng: np.random.Generator) -> Int64Array:
    """The places of `most` of `count`, drawn, in their order."""
    return np.sort(rng.permutation(count)[:most])


def _photographs(unseen: Labelled, rng: np.random.Generator) -> Int64Array:
    """The places of photographs, each file once, in one of the ways in which it was delivered."""
    drawn = rng.permutation(np.flatnonzero(np.asarray(unseen.names, dtype=object) == PHOTOGRAPH))
    once = {unseen.hashes[at]: int(at) for at in drawn}
    return np.sort([*once.values()][:_MOST_PHOTOGRAPHS])


def _enough(learnt: Labelled, fewest: int) -> dict[str, Int64Array]:
    """The places of the pictures of each generator that has as many different ones."""
    names = np.asarray(learnt.names, dtype=object)
    places = {name: np.flatnonzero(names == name) for name in sorted({*learnt.names} - {PHOTOGRAPH})}
    return {name: at for name, at in places.items() if len({learnt.hashes[i] for i in at}) >= fewest}


def _with(gallery: Gallery, learnt: Labelled, name: str, at: Int64Array) -> Gallery:
    return gallery.enrolled(name, learnt.traces[at], [learnt.ids[i] for i in at], [learnt.hashes[i] for i in at])


def _met(
    gallery: Gallery, known: _Known, learnt: Labelled, name: str, at: Int64Array, rng: np.random.Generator
) -> _Met:
    background = replace(known.background(name), spread=gallery.background.spread)
    never = replace(gallery.without(name), background=background)
    later = [_with(never, learnt, name, at[_some(len(at), count, rng)]) for count in _LATER]
    return _Met(never=never, later=tuple(later))


def _fit_weighing(gallery: Gallery, met: Mapping[str, _Met], known: _Known, unseen: Labelled) -> Weighing:
    """Photographs count a half, generators that are not enrolled a quarter; those that are enrolled the rest, half of
    it as the gallery knows them, half as it would had somebody enrolled them later.
    """
    parts = [_part(gallery, known, unseen, PHOTOGRAPH, 0.5)]
    total = sum(int((known.of == name).sum()) for name in met)
    for name, other in met.items():
        share = float((known.of == name).sum() / total)
        parts.append(_part(gallery, known, unseen, name, 0.125 * share))
        parts += [_part(later, known, unseen, name, 0.125 / len(other.later) * share) for later in other.later]
        parts.append(_part(other.never, known, unseen, name, 0.25 * share))
    return Weighing(weights=as_kept(fit_weighing(parts).weights))


def _part(gallery: Gallery, known: _Known, unseen: Labelled, name: str, mass: float) -> _Part:
    """The unseen pictures of an origin, as this gallery sees them, and what it should answer."""
    generators = [*gallery.generators]
    rows = np.flatnonzero(known.of == name)
    fingerprints = gallery.space.project(known.unseen[rows])
    ratios = gallery.space.log_ratios(fingerprints, gallery.places, gallery.counts)
    photographs = gallery.photographs.log_ratios(fingerprints, gallery.space)
    numbers = explanations(ratios, photographs, _LN10 * unseen.log10_lr[rows])  # [n, c + 2, 5]
    if name == PHOTOGRAPH:
        answer = len(generators) + 1
    else:
        answer = generators.index(name) if name in generators else len(generators)
    return numbers, np.full(len(rows), answer), mass


@dataclass(slots=True)
class _Asked:
    """Ratios of pictures that were held against generators, and whether they are of them."""

    scores: list[Float64Array] = field(default_factory=list)
    same: list[BoolArray] = field(default_factory=list)
    names: list[TextArray] = field(default_factory=list)  # of the pictures' own origins

    def add(self, scores: Float64Array, same: BoolArray, names: TextArray) -> None:
        self.scores.append(scores)
        self.same.append(same)
        self.names.append(names)

    def calibration(self) -> Calibration:
        """The bound counts generators, not pictures: the claim is about generators, of which only so many are seen."""
        groups = np.concatenate(self.names).tolist()
        return fit_calibration(np.concatenate(self.scores), np.concatenate(self.same), groups=groups)


def _fit_pairs(
    spaces: Mapping[str, FingerprintSpace], known: _Known, unseen: Labelled, rng: np.random.Generator
) -> Calibration:
    """Evidence from ratios: pictures held against a few references of their own generator, another one, or a photo.

    Each generator is asked about in a space that was made without it: most that people compare are strangers.
    References and pictures in question never share a group.
    """
    names, groups, found = np.array(unseen.names), np.array(unseen.groups), _Asked()
    for name, space in sorted(spaces.items()):
        own = np.flatnonzero(names == name)
        fingerprints = space.project(known.unseen)
        for count in REFERENCES:
            if len(set(groups[own])) < count + 2:
                continue
            for _ in range(_ROUNDS):
                references = _of_different_groups(own, groups, count, rng)
                place = fingerprints[references].mean(axis=0)[None]
                asked = _questions(names, groups, references, name, rng)
                ratios = space.log_ratios(fingerprints[asked], place, [count])[:, 0]
                found.add(ratios, names[asked] == name, names[asked])
    if not found.scores:
        raise DataError("no generator has the three unseen groups of pictures that comparisons are calibrated on")
    return found.calibration()


def _fit_claims(
    gallery: Gallery, met: Mapping[str, _Met], known: _Known, unseen: Labelled, rng: np.random.Generator
) -> Calibration:
    """Evidence from ratios of pictures and generators that are enrolled, at first or later: these made the space.

    What a generator is held apart from are pictures of generators that the gallery has never met, held against any
    one that it has, and photographs.
    """
    names, found = np.array(unseen.names), _Asked()

    def ask(seen: Gallery, asked: Int64Array, held: Int64Array, of_it: bool) -> None:
        ratios = seen.space.log_ratios(seen.space.project(known.unseen[asked]), seen.places, seen.counts)
        found.add(ratios[np.arange(len(asked)), held], np.full(len(asked), of_it), names[asked])

    for name, other in sorted(met.items()):
        own = rng.permutation(np.flatnonzero(names == name))[:_QUESTIONS]
        for seen in (gallery, *other.later):
            ask(seen, own, np.full(len(own), seen.generators.index(name)), of_it=True)
        if other.never.generators:  # else photographs alone are not of it
            ask(other.never, own, rng.integers(len(other.never.generators), size=len(own)), of_it=False)
        photographs = rng.permutation(np.flatnonzero(names == PHOTOGRAPH))[: _QUESTIONS // 4]
        ask(gallery, photographs, np.full(len(photographs), gallery.generators.index(name)), of_it=False)
    return found.calibration()


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
