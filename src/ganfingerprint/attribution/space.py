"""The space in which fingerprints of one generator lie close together, and how close speaks for one generator.

Embeddings of a network are turned and scaled so that pictures of one generator scatter alike in every direction, and
those directions are kept in which generators differ most (linear discriminant analysis). There, what is known of
generators is a model of two scatters (Ioffe 2006, "Probabilistic linear discriminant analysis"): a generator has a
place, drawn around the middle with the variances `between`; its pictures lie around that place with the variances
`within`. It answers the forensic question as a likelihood ratio, for any number of reference pictures, and for
generators that nobody trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganfingerprint.errors import DataError
from ganfingerprint.types import Float32Array, Float64Array, Int64Array

FEWEST = 3  # pictures of a generator that its scatter is learnt from
_MOST = 100  # pictures of one generator that count, so that the largest collection does not decide alone
_SMALLEST = 1e-2  # variance between generators; below it a direction would say nothing, with great certainty


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintSpace:
    """A projection of embeddings, and the scatters of fingerprints within and between generators."""

    mean: Float64Array  # [e] the middle, of square roots of embeddings
    matrix: Float64Array  # [e, d]
    radius: float  # length of every fingerprint
    within: Float64Array  # [d] variances
    between: Float64Array  # [d] variances

    def __post_init__(self) -> None:
        e, d = self.matrix.shape
        if self.mean.shape != (e,) or self.within.shape != (d,) or self.between.shape != (d,):
            raise ValueError(f"a space of {e} to {d} numbers cannot have such a mean or variances")
        if not (self.radius > 0 and (self.within > 0).all() and (self.between > 0).all()):
            raise ValueError("radius and variances of a space must be above 0")

    @property
    def size(self) -> int:
        """Numbers of a fingerprint."""
        return int(self.matrix.shape[1])

    def project(self, embeddings: Float32Array) -> Float64Array:
        """Embeddings [n, e] of pictures, never negative, as fingerprints [n, d] of equal length."""
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.mean):
            raise ValueError(f"embeddings must be [n, {len(self.mean)}], got {list(embeddings.shape)}")
        return _on_sphere((_roots(embeddings) - self.mean) @ self.matrix, self.radius)

    def log_ratios(self, fingerprints: Float64Array, places: Float64Array, counts: Int64Array) -> Float64Array:
        """Natural log of how much likelier each fingerprint [n, d] is of each generator than of any other: [n, c].

        Args:
            fingerprints: in question, each by itself.
            places: mean fingerprints of the references of each generator, [c, d].
            counts: how many references that were, [c]; the fewer, the less certain is the place.
        """
        known = counts[:, None] * self.between
        share = known / (known + self.within)  # [c, d] of the mean that is believed
        spread = self.within + share * self.within / counts[:, None]
        apart = fingerprints[:, None] - share * places  # [n, c, d]
        of_it = -0.5 * (apart**2 / spread + np.log(spread)).sum(axis=2)
        return of_it - self.log_densities(fingerprints)[:, None]

    def log_densities(self, fingerprints: Float64Array) -> Float64Array:
        """Natural log of the density of fingerprints [n, d] of a generator that is not known, up to a constant: [n]."""
        spread = self.within + self.between
        density: Float64Array = -0.5 * (fingerprints**2 / spread + np.log(spread)).sum(axis=1)
        return density
