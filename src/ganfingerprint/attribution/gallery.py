"""Generators that are known by some of their pictures: a value, changed only by making another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.attribution.space import FingerprintSpace
from ganfingerprint.attribution.weighing import Weighing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.errors import GalleryError
from ganfingerprint.types import Float32Array, Float64Array, Int64Array

PHOTOGRAPH, UNKNOWN = "photograph", "unknown generator"  # what an answer may be beside the name of a generator
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Fingerprints of pictures whose generators are known, and what makes evidence of the distance to them."""

    detector_id: str  # of the network that the fingerprints are of; no other's can be compared with them
    space: FingerprintSpace
    photographs: Photographs
    weighing: Weighing
    pairs: Calibration  # natural log ratio → evidence that two sets of pictures are of one generator
    origin: str = ""  # what the space was learnt from, in words
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # what was measured → value, low, high, n
    profiles: Mapping[str, Float32Array] = field(default_factory=dict, repr=False)  # generator or PHOTOGRAPH → [3, r]:
    # a tenth, a half and nine tenths of its pictures have less detail in a ring of the spectrum, decibels; for the eye
    fingerprints: Float32Array  # [n, d]
    names: tuple[str, ...]  # [n] the generator of each picture
    ids: tuple[str, ...]  # [n] what each is called, for people
    hashes: tuple[str, ...]  # [n] sha256 of each file
    generators: tuple[str, ...] = field(init=False)  # in alphabetical order
    places: Float64Array = field(init=False, repr=False)  # [c, d] mean fingerprint of each generator
    counts: Int64Array = field(init=False)  # [c] pictures of each generator
    gallery_id: str = field(init=False)  # 12 hexadecimal digits that change with pictures, space and weighing

    def __post_init__(self) -> None:
        shape = (len(self.names), self.space.size)
        if self.fingerprints.shape != shape or not len(self.names) == len(self.ids) == len(self.hashes):
            raise ValueError(f"a gallery of {shape[0]} pictures needs fingerprints {shape} and as many ids and hashes")
        if self.photographs.mean.shape != (self.space.size,):
            raise ValueError(f"photographs of {len(self.photographs.mean)} numbers in a space of {self.space.size}")
        if not np.isfinite(self.fingerprints).all():
            raise ValueError("fingerprints must be finite numbers")
        shapes = {profile.shape for profile in self.profiles.values()}
        if len(shapes) > 1 or not all(len(shape) == 2 and shape[0] == 3 for shape in shapes):
            raise ValueError(f"profiles must all be [3, r], got {sorted(shapes)}")
        generators = tuple(sorted(set(self.names)))
        if not all(map(_can_be_called, generators)):
            raise ValueError("a generator has a name that cannot be one")
        of = np.asarray(self.names, dtype=object)
        parts = [self.fingerprints[of == name] for name in generators]
        places = [part.mean(axis=0, dtype=np.float64) for part in parts]
        object.__setattr__(self, "generators", generators)
        object.__setattr__(self, "places", np.stack(places) if places else np.zeros((0, self.space.size)))
        object.__setattr__(self, "counts", np.array([len(part) for part in parts], dtype=np.int64))
        object.__setattr__(self, "gallery_id", self._identity())

    def _identity(self) -> str:
        found = hashlib.sha256(repr((self.detector_id, self.names, self.hashes)).encode("utf-8", "surrogateescape"))
        space = self.space
        parts = (space.mean, space.matrix, space.within, space.between, self.photographs.mean, self.weighing.weights)
        for part in (*parts, self.photographs.precision, self.fingerprints):
            found.update(np.ascontiguousarray(part, dtype=np.float32).tobytes())
        found.update(repr((round(space.radius, 6), self.pairs)).encode())
        return found.hexdigest()[:12]

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

    def enrolled(self, name: str, embeddings: ArrayLike, ids: Sequence[str], hashes: Sequence[str]) -> Gallery:
        """The gallery with further pictures of a generator, new or known; a file that it has already counts once.

        Args:
            name: the generator.
            embeddings: of the pictures, [n, e].
            ids: what each is called, for people.
            hashes: sha256 of each file.

        Raises:
            GalleryError: the name cannot be one, too few pictures, or a file that is enrolled for another generator.
        """
        embeddings = np.asarray(embeddings)
        if not _can_be_called(name):
            raise GalleryError(f"a generator cannot be called {name!r}")
        if not len(embeddings) == len(ids) == len(hashes):
            raise ValueError(f"{len(embeddings)} embeddings cannot have {len(ids)} ids and {len(hashes)} hashes")
        known = dict(zip(self.hashes, self.names, strict=True))
        other = sorted({known[digest] for digest in hashes if known.get(digest, name) != name})
        if other:
            raise GalleryError(f"some of these files are enrolled for {', '.join(other)} already; remove that first")
        fresh = list({digest: at for at, digest in enumerate(hashes) if digest not in known}.values())
        if len(fresh) + self.names.count(name) < FEWEST_ENROLLED:
            raise GalleryError(
                f"{name} would have {len(fresh) + self.names.count(name)} different pictures; at least "
                f"{FEWEST_ENROLLED} are needed, and 25 or more are of use"
            )
        if not fresh:
            return self
        added = self.space.project(embeddings[fresh]).astype(np.float32)
        return replace(
            self,
            figures={},  # they were measured on another gallery
            fingerprints=np.concatenate([self.fingerprints, added]),
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
        return replace(
            self,
            figures={},  # they were measured on another gallery
            profiles={other: profile for other, profile in self.profiles.items() if other != name},
            fingerprints=self.fingerprints[kept],
            names=tuple(self.names[at] for at in kept),
            ids=tuple(self.ids[at] for at in kept),
            hashes=tuple(self.hashes[at] for at in kept),
        )


def _can_be_called(name: str) -> bool:
    """Whether a generator may have this name: one that people can see, and that is not another answer's."""
    taken = name.casefold() in (PHOTOGRAPH, UNKNOWN)
    return bool(name) and name == name.strip() and name.isprintable() and not taken
