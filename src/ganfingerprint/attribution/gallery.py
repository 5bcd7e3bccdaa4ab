"""Generators that are known by some of their pictures: a value, changed only by making another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.attribution.basis import Basis, traces_of
from ganfingerprint.attribution.space import FEWEST, FingerprintSpace, Scatter, fit_space, scatter_of
from ganfingerprint.attribution.weighing import Weighing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.errors import GalleryError
from ganfingerprint.types import Float32Array, Float64Array, Int8Array, Int64Array, Prediction

PHOTOGRAPH, UNKNOWN = "photograph", "unknown generator"  # what an answer may be beside the name of a generator
_RIDGE = 0.05  # of the mean variance of photographs, added in every direction; of few photographs more
_BLOCK = 2**16  # pictures that are projected at once
_SHAPING = 500  # pictures of a new generator that shape the space; of more, as many at equal steps
FEWEST_SHAPING = 10  # of fewer pictures the direction to their middle is noise, and the space is better without it
FEWEST_ENROLLED = 3  # pictures; the place of a generator is a mean, and one picture is no mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """Where photographs lie in the space."""

    mean: Float64Array  # [d]
    precision: Float64Array  # [d, d] inverse of the covariance

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.precision.shape != (len(self.mean), len(self.mean)):
            raise ValueError(f"a mean {self.mean.shape} cannot have a precision {self.precision.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.precision).all()):
            raise ValueError("the place of photographs must be finite numbers")
        np.linalg.cholesky(self.precision)  # LinAlgError, a ValueError, where it is no inverse of a covariance

    def log_ratios(self, fingerprints: Float64Array, space: FingerprintSpace) -> Float64Array:
        """Natural log of how much likelier fingerprints [n, d] are of a photograph than of any generator: [n]."""
        apart = fingerprints - self.mean
        _, log_volume = np.linalg.slogdet(self.precision)
        of_it = 0.5 * (log_volume - ((apart @ self.precision) * apart).sum(axis=1))
        spread = space.within + space.between
        ratios: Float64Array = of_it + 0.5 * (fingerprints**2 / spread + np.log(spread)).sum(axis=1)
        return ratios


def photographs_at(fingerprints: Float64Array) -> Photographs:
    """The place of photographs with these fingerprints [n, d]; where n is not far above d, a vague one."""
    covariance = np.atleast_2d(np.cov(fingerprints.T))
    share = max(_RIDGE, len(covariance) / len(fingerprints))  # of few photographs nobody knows how they scatter
    covariance = covariance + share * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return Photographs(
        mean=fingerprints.mean(axis=0), precision=np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is known of generators in general: how those differ that the space was first learnt from."""

    names: tuple[str, ...]  # generators whose enrolment does not change the space
    origins: tuple[str, ...]  # [c] generators and photographs that the space is made of
    middles: Float64Array  # [c, f] of the features of each origin
    counts: Int64Array  # [c] pictures behind each
    scatter: Scatter
    spread: float  # see `fit_space`

    def __post_init__(self) -> None:
        f = len(self.scatter.covariance)
        if self.middles.shape != (len(self.origins), f) or self.counts.shape != (len(self.origins),):
            raise ValueError(f"the middles of {len(self.origins)} origins must be [c, {f}], and as many counts")
        if len(self.middles) < FEWEST or not np.isfinite(self.middles).all() or (self.counts < 1).any():
            raise ValueError(f"a background needs the finite middles of {FEWEST} origins with pictures")
        if not 0 < self.spread < float("inf"):
            raise ValueError("the spread of pictures must be above 0")

    def without(self, name: str) -> Background:
        """Had the space never been made of this generator; its pictures stay a part of the scatter."""
        kept = [at for at, other in enumerate(self.origins) if other != name]
        return replace(
            self,
            names=tuple(other for other in self.names if other != name),
            origins=tuple(self.origins[at] for at in kept),
            middles=self.middles[kept],
            counts=self.counts[kept],
        )

    def space(self, strangers: Sequence[Float64Array]) -> FingerprintSpace:
        """Of these origins and of further generators, by the features [n, f] of each one's pictures, n >= 2."""
        scatter, middles, counts = self.scatter, [*self.middles], [*self.counts]
        for features in strangers:
            scatter = scatter + scatter_of(features)
            middles.append(features.mean(axis=0))
            counts.append(len(features))
        return fit_space(np.stack(middles), counts, scatter, spread=self.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Pictures whose generators are known, and what makes evidence of how near others lie to them.

    The space is made of what is enrolled: each generator brings the directions that tell it from the others.
    """

    detector_id: str  # of the network whose traces these are; no other's can be compared with them
    basis: Basis
    background: Background
    seen_photographs: Int8Array = field(repr=False)  # [m, f] codes of photographs that the network has not learnt from
    weighing: Weighing
    pairs: Calibration  # natural log ratio → evidence that two sets of pictures are of one generator
    claims: Calibration  # the same of one picture, and a generator that is enrolled
    origin: str = ""  # what the space was learnt from, in words
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # what was measured → value, low, high, n
    profiles: Mapping[str, Float32Array] = field(default_factory=dict, repr=False)  # generator or PHOTOGRAPH → [3, r]:
    # a tenth, a half and nine tenths of its pictures have less detail in a ring of the spectrum, decibels; for the eye
    codes: Int8Array = field(repr=False)  # [n, f] of each picture, in the basis
    names: tuple[str, ...]  # [n] the generator of each picture
    ids: tuple[str, ...]  # [n] what each is called, for people
    hashes: tuple[str, ...]  # [n] sha256 of each file
    generators: tuple[str, ...] = field(init=False)  # in alphabetical order
    space: FingerprintSpace = field(init=False)
    common: FingerprintSpace = field(init=False)  # of the background alone: comparisons shall not change by enrolments
    photographs: Photographs = field(init=False)  # in that space
    fingerprints: Float32Array = field(init=False, repr=False)  # [n, d]
    places: Float64Array = field(init=False, repr=False)  # [c, d] mean fingerprint of each generator
    counts: Int64Array = field(init=False)  # [c] pictures of each generator
    gallery_id: str = field(init=False)  # 12 hexadecimal digits that change with all that answers depend on

    def __post_init__(self) -> None:
        self._check()
        generators = tuple(sorted(set(self.names)))
        if not all(map(_can_be_called, generators)):
            raise ValueError("a generator has a name that cannot be one")
        of = np.asarray(self.names, dtype=object)
        rows = [np.flatnonzero(of == name) for name in generators]
        new = [at for name, at in zip(generators, rows, strict=True) if name not in self.background.names]
        some = [at[:: -(-len(at) // _SHAPING)] for at in new if len(at) >= FEWEST_SHAPING]
        common = self.background.space(())
        space = self.background.space([self.basis.opened(self.codes[at]) for at in some]) if some else common
        fingerprints = self._projected(space)
        places = [fingerprints[at].mean(axis=0, dtype=np.float64) for at in rows]
        photographs = photographs_at(space.project(self.basis.opened(self.seen_photographs)))
        for name, value in (
            ("generators", generators),
            ("space", space),
            ("common", common),
            ("photographs", photographs),
            ("fingerprints", fingerprints),
            ("places", np.stack(places) if places else np.zeros((0, space.size))),
            ("counts", np.array([len(at) for at in rows], dtype=np.int64)),
            ("gallery_id", self._identity()),
        ):
            object.__setattr__(self, name, value)

    def _check(self) -> None:
        f = self.basis.size
        shape = (len(self.names), f)
        if self.codes.shape != shape or not len(self.names) == len(self.ids) == len(self.hashes):
            raise ValueError(f"a gallery of {shape[0]} pictures needs codes {shape} and as many ids and hashes")
        if self.background.middles.shape[1] != f or self.seen_photographs.shape[1:] != (f,):
            raise ValueError(f"background and photographs of a gallery must be of its {f} features")
        if len(self.seen_photographs) < 2:
            raise ValueError("a gallery needs photographs, to know where they lie")
        if self.codes.dtype != np.int8 or self.seen_photographs.dtype != np.int8:
            raise ValueError("codes must be of 8 bits")
        shapes = {profile.shape for profile in self.profiles.values()}
        if len(shapes) > 1 or not all(len(shape) == 2 and shape[0] == 3 for shape in shapes):
            raise ValueError(f"profiles must all be [3, r], got {sorted(shapes)}")

    def _projected(self, space: FingerprintSpace) -> Float32Array:
        """The fingerprints [n, d] of what is enrolled, some at a time: there may be a million."""
        found = np.zeros((len(self.codes), space.size), np.float32)
        for at in range(0, len(found), _BLOCK):
            found[at : at + _BLOCK] = space.project(self.basis.opened(self.codes[at : at + _BLOCK]))
        return found

    def fingerprints_of(self, traces: ArrayLike) -> Float64Array:
        """Traces [n, t] of pictures, see `traces_of`, as fingerprints [n, d].

        Raises:
            GalleryError: the traces are of another length.
        """
        return self.space.project(self.basis.features(traces))

    def _identity(self) -> str:
        found = hashlib.sha256(repr((self.detector_id, self.names, self.hashes)).encode("utf-8", "surrogateescape"))
        for array in self.arrays().values():
            found.update(array.tobytes())
        basis, background = self.basis, self.background
        numbers = ([*map(int, background.counts)], float(background.scatter.pictures), float(background.spread))
        words = (basis.embedding, background.names, background.origins, *numbers, self.pairs, self.claims)
        found.update(repr(words).encode("utf-8", "surrogateescape"))
        return found.hexdigest()[:12]

    def arrays(self) -> dict[str, Float32Array | Int8Array]:
        """All numbers that answers depend on, by name, as they are kept: 32-bit ones, and codes of 8 bits."""
        basis, background = self.basis, self.background
        numbers = {
            "basis.mean": basis.mean,
            "basis.scale": basis.scale,
            "basis.steps": basis.steps,
            "basis.grain": basis.grain,
            "background.middles": background.middles,
            "background.scatter": background.scatter.covariance,
            "weights": self.weighing.weights,
        }
        codes = {"basis.axes": basis.axes, "photographs": self.seen_photographs, "codes": self.codes}
        return {
            **{name: np.ascontiguousarray(part, dtype=np.float32) for name, part in numbers.items()},
            **{name: np.ascontiguousarray(part) for name, part in codes.items()},
        }

    def require(self, detector_id: str) -> None:
        """Refuse a detector that the fingerprints are not of.

        Raises:
            GalleryError: its identity is another.
        """
        if self.detector_id != detector_id:
            raise GalleryError(
                f"the gallery is of detector {self.detector_id}, and this is {detector_id}: fingerprints of two "
                "detectors cannot be compared; `ganfingerprint gallery fit` makes a gallery for a detector"
            )

    def require_all(self, predictions: Sequence[Prediction]) -> None:
        """Refuse predictions of another detector; raises as `require`."""
        for detector_id in sorted({item.detector_id for item in predictions}):
            self.require(detector_id)

    def require_as_seen_by(self, predictions: Sequence[Prediction]) -> None:
        """Refuse what these come from: another detector, or an engine that says more or less of a picture.

        Raises:
            GalleryError: as said.
        """
        self.require_all(predictions)
        self.basis.features(traces_of(predictions))

    def enrolled(self, name: str, traces: ArrayLike, ids: Sequence[str], hashes: Sequence[str]) -> Gallery:
        """The gallery with further pictures of a generator, new or known; a file that it has already counts once.

        Args:
            name: the generator.
            traces: of the pictures, [n, t]; see `traces_of`.
            ids: what each is called, for people.
            hashes: sha256 of each file.

        Raises:
            GalleryError: the name cannot be one, too few pictures, or a file that is enrolled for another generator.
        """
        traces = np.asarray(traces)
        if not _can_be_called(name):
            raise GalleryError(f"a generator cannot be called {name!r}")
        if not len(traces) == len(ids) == len(hashes):
            raise ValueError(f"{len(traces)} traces cannot have {len(ids)} ids and {len(hashes)} hashes")
        known = dict(zip(self.hashes, self.names, strict=True))
        other = sorted({known[digest] for digest in hashes if known.get(digest, name) != name})
        if other:
            taken = [text for text, digest in zip(ids, hashes, strict=True) if known.get(digest, name) != name]
            raise GalleryError(
                f"{len(taken)} of these files are enrolled for {', '.join(other)} already ({', '.join(taken[:3])}"
                f"{', ...' if len(taken) > 3 else ''}); leave them out, or remove that first"
            )
        alike = next((known for known in self.generators if known != name and known.casefold() == name.casefold()), "")
        if alike:
            raise GalleryError(f"a generator is enrolled as '{alike}'; two names that differ in case alone mislead")
        fresh = list({digest: at for at, digest in enumerate(hashes) if digest not in known}.values())
        if len(fresh) + self.names.count(name) < FEWEST_ENROLLED:
            raise GalleryError(
                f"{name} would have {len(fresh) + self.names.count(name)} different pictures; at least "
                f"{FEWEST_ENROLLED} are needed, and 25 or more are of use"
            )
        if not fresh:
            return self
        added = self.basis.codes(traces[fresh])
        return replace(
            self,
            figures={},  # they were measured on another gallery
            codes=np.concatenate([self.codes, added]),
            names=(*self.names, *[name] * len(fresh)),
            ids=(*self.ids, *(ids[at] for at in fresh)),
            hashes=(*self.hashes, *(hashes[at] for at in fresh)),
        )

    def without(self, name: str) -> Gallery:
        """The gallery without a generator.

        Raises:
            GalleryError: it is not enrolled.
        """
        if name not in self.generators:
            raise GalleryError(f"'{name}' is not enrolled (there are: {', '.join(self.generators) or 'none'})")
        kept = [at for at, other in enumerate(self.names) if other != name]
        stays = name in self.background.origins  # else nothing stands for it, and it is a stranger from now on
        return replace(
            self,
            background=self.background if stays else self.background.without(name),
            figures={},  # they were measured on another gallery
            profiles={other: profile for other, profile in self.profiles.items() if other != name},
            codes=self.codes[kept],
            names=tuple(self.names[at] for at in kept),
            ids=tuple(self.ids[at] for at in kept),
            hashes=tuple(self.hashes[at] for at in kept),
        )


def _can_be_called(name: str) -> bool:
    """Whether a generator may have this name: one that people can see, and that is not another answer's."""
    taken = name.casefold() in (PHOTOGRAPH, UNKNOWN)
    return bool(name) and name == name.strip() and name.isprintable() and not taken
