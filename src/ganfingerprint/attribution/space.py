"""The space in which fingerprints of one generator lie close together, and how close speaks for one generator.

Embeddings of a network are turned and scaled so that pictures of one generator scatter alike in every direction, and
those directions are kept in which generators differ most (linear discriminant analysis). There, what is known of
generators is a model of two scatters (Ioffe 2006, "Probabilistic linear discriminant analysis"): a generator has a
place, drawn around the middle with the variances `between`; its pictures lie around that place with the variances
`within`. It answers the forensic question as a likelihood ratio, for any number of reference pictures, and for
generators that nobody trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array

FEWEST = 3  # origins, and pictures of each, that a space can be learnt from
SIZE = 20  # numbers of a fingerprint; of 12, 16, 20 and 23 the best on validation
_SHRINKAGE = 0.1  # of the mean variance, added to every direction: where few pictures happen not to scatter
_MOST = 100  # pictures of one origin that count, so that the largest collection does not decide alone
_SMALLEST = 1e-2  # variance between generators; below it a direction would say nothing, with great certainty
_ALIKE = 1e-12  # variance that is no more than rounding


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
        parts = (self.mean, self.matrix, self.within, self.between)
        if not (math.isfinite(self.radius) and all(np.isfinite(part).all() for part in parts)):
            raise ValueError("a space must hold finite numbers")

    @property
    def size(self) -> int:
        """Numbers of a fingerprint."""
        return int(self.matrix.shape[1])

    def remeasured(self, embeddings: ArrayLike, names: Sequence[str]) -> FingerprintSpace:
        """The same projection, with the scatters of other pictures [n, e] whose origins are named.

        A network's pictures of training lie closer together than any others: scatters must be those of pictures that
        it has not seen. Origins of fewer than `FEWEST` pictures say nothing of a scatter and do not count.

        Raises:
            DataError: fewer than three origins with three pictures, or the pictures of each origin are all alike.
        """
        parts = _parts(self.project(embeddings), names)
        within = _scattering(_pooled([part.var(axis=0, ddof=1) for part in parts], parts))
        middles = np.stack([part.mean(axis=0) for part in parts])
        by_chance = within * np.mean([1 / len(part) for part in parts])  # middles of few pictures scatter by themselves
        between = np.maximum(middles.var(axis=0) - by_chance, _SMALLEST)
        return replace(self, within=within, between=between)

    def project(self, embeddings: ArrayLike) -> Float64Array:
        """Embeddings [n, e] of pictures, never negative, as fingerprints [n, d], all of the length `radius`."""
        values = np.asarray(embeddings, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.mean):
            raise ValueError(f"embeddings must be [n, {len(self.mean)}], got {list(values.shape)}")
        return _on_sphere((_roots(values) - self.mean) @ self.matrix, self.radius)

    def log_ratios(
        self, fingerprints: Float64Array, places: Float64Array, counts: ArrayLike, *, each: int = 1
    ) -> Float64Array:
        """Natural log of how much likelier fingerprints [n, d] are of each generator than of another one: [n, c].

        Args:
            fingerprints: in question, each by itself; or each the mean of `each` pictures of one origin.
            places: mean fingerprints of the references of each generator, [c, d].
            counts: how many references that were, [c]; the fewer, the less certain is the place.
            each: pictures behind a fingerprint in question.
        """
        known = np.asarray(counts, dtype=np.float64)[:, None]
        share = known * self.between / (known * self.between + self.within)  # [c, d] of the place that is believed
        spread = self.within / each + share * self.within / known
        apart = fingerprints[:, None] - share * places  # [n, c, d]
        of_it = -0.5 * (apart**2 / spread + np.log(spread)).sum(axis=2)
        anywhere = self.within / each + self.between
        of_another = -0.5 * (fingerprints**2 / anywhere + np.log(anywhere)).sum(axis=1)
        ratios: Float64Array = of_it - of_another[:, None]
        return ratios


def fit_space(embeddings: ArrayLike, names: Sequence[str], *, size: int = SIZE) -> FingerprintSpace:
    """Learn a space from embeddings [n, e] of pictures whose origins are named (photographs are one more origin).

    Args:
        embeddings: of the network's, as they come.
        names: the origin of each.
        size: numbers of a fingerprint; fewer where there are no more directions that tell origins apart.

    Raises:
        DataError: fewer than three origins with three pictures, or the pictures of each origin are all alike.
    """
    parts = _parts(_roots(np.asarray(embeddings, dtype=np.float64)), names)
    middles = np.stack([part.mean(axis=0) for part in parts])  # [c, e]
    mean = middles.mean(axis=0)
    scatter = _pooled([(part - part.mean(axis=0)).T @ (part - part.mean(axis=0)) / len(part) for part in parts], parts)
    scatter += _SHRINKAGE * _scattering(np.trace(scatter)) / len(scatter) * np.eye(len(scatter))
    variances, axes = np.linalg.eigh(scatter)
    whiten = axes / np.sqrt(variances)
    apart = (middles - mean) @ whiten
    strengths, turned = np.linalg.eigh(apart.T @ apart)
    matrix = whiten @ turned[:, np.argsort(-strengths)[: min(size, len(parts) - 1)]]
    placed = [(part - mean) @ matrix for part in parts]
    radius = float(np.sqrt(np.mean([(part**2).sum(axis=1).mean() for part in placed])))
    placed = [_on_sphere(part, radius) for part in placed]
    within = _scattering(_pooled([part.var(axis=0) for part in placed], parts))
    between = np.stack([part.mean(axis=0) for part in placed]).var(axis=0)
    return FingerprintSpace(
        mean=mean, matrix=matrix, radius=radius, within=within, between=np.maximum(between, _SMALLEST)
    )


def _parts(values: Float64Array, names: Sequence[str]) -> list[Float64Array]:
    """The rows of each origin that has enough of them."""
    origins = np.asarray(names)
    parts = [values[origins == name] for name in sorted(set(names))]
    parts = [part for part in parts if len(part) >= FEWEST]
    if len(parts) < FEWEST:
        raise DataError(f"a space needs {FEWEST} origins with at least {FEWEST} pictures each, got {len(parts)}")
    return parts


def _pooled(scatters: list[Float64Array], parts: list[Float64Array]) -> Float64Array:
    weights = np.array([min(len(part), _MOST) for part in parts], dtype=np.float64)
    pooled: Float64Array = np.tensordot(weights / weights.sum(), np.stack(scatters), axes=1)
    return pooled


def _scattering(variances: Float64Array) -> Float64Array:
    if not (variances > _ALIKE).all():
        raise DataError("a space cannot be learnt from pictures of one origin that are all alike")
    return variances


def _roots(embeddings: Float64Array) -> Float64Array:
    """Square roots: a unit that fires ten times as strongly shall not count ten times."""
    roots: Float64Array = np.sqrt(np.maximum(embeddings, 0))
    return roots


def _on_sphere(points: Float64Array, radius: float) -> Float64Array:
    """Only the direction counts: compression shortens fingerprints more than it turns them."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    placed: Float64Array = points * (radius / np.maximum(lengths, 1e-9))
    return placed
