"""The space in which fingerprints of one generator lie close together, and how close speaks for one generator.

Features of pictures are turned and scaled so that pictures of one origin scatter alike in every direction, and those
directions are kept in which origins differ (linear discriminant analysis). There, what is known of generators is a
model of two scatters (Ioffe 2006, "Probabilistic linear discriminant analysis"): a generator has a place, drawn around
the middle with the variances `between`; its pictures lie around that place with the variances `within`. It answers the
forensic question as a likelihood ratio, for any number of reference pictures, and for generators that nobody trained
on. A space takes milliseconds to make (fingerprints of 100,000 pictures in it some seconds), so that every generator
that is enrolled brings the directions that tell it from the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array

FEWEST = 3  # origins, and pictures of each, that a space can be learnt from
SHRINKAGE = 0.1  # of the mean variance, added to every direction: where few pictures happen not to scatter
MOST = 100  # pictures of one origin that count, so that the largest collection does not decide alone
_SMALLEST = 1e-2  # variance between generators; below it a direction would say nothing, with great certainty
_ALIKE = 1e-12  # variance that is no more than rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """How pictures of one origin scatter, whichever it is."""

    covariance: Float64Array  # [f, f] of features around the middle of their origin
    pictures: float  # how many it stands for

    def __post_init__(self) -> None:
        square = self.covariance.shape == (len(self.covariance),) * 2
        if not (square and np.isfinite(self.covariance).all() and 0 <= self.pictures < math.inf):
            raise ValueError("a scatter must be a square of finite numbers, of 0 or more pictures")

    def __add__(self, other: Scatter) -> Scatter:
        """That of the pictures of both."""
        pictures = self.pictures + other.pictures
        mixed = self.pictures * self.covariance + other.pictures * other.covariance
        return Scatter(covariance=mixed / max(pictures, 1.0), pictures=pictures)


def scatter_of(features: Float64Array) -> Scatter:
    """Of the pictures [n, f] of one origin, n >= 2; of many they count as `MOST`."""
    covariance = np.atleast_2d(np.cov(features.T))
    return Scatter(covariance=np.asarray(covariance, dtype=np.float64), pictures=float(min(len(features), MOST)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintSpace:
    """A projection of features, and the scatters of fingerprints within and between generators."""

    mean: Float64Array  # [f] the middle
    matrix: Float64Array  # [f, d]
    radius: float  # length of every fingerprint
    within: Float64Array  # [d] variances
    between: Float64Array  # [d] variances

    def __post_init__(self) -> None:
        f, d = self.matrix.shape
        if self.mean.shape != (f,) or self.within.shape != (d,) or self.between.shape != (d,):
            raise ValueError(f"a space of {f} to {d} numbers cannot have such a mean or variances")
        if not (self.radius > 0 and (self.within > 0).all() and (self.between > 0).all()):
            raise ValueError("radius and variances of a space must be above 0")
        parts = (self.mean, self.matrix, self.within, self.between)
        if not (math.isfinite(self.radius) and all(np.isfinite(part).all() for part in parts)):
            raise ValueError("a space must hold finite numbers")

    @property
    def size(self) -> int:
        """Numbers of a fingerprint."""
        return int(self.matrix.shape[1])

    def project(self, features: ArrayLike) -> Float64Array:
        """Features [n, f] of pictures as fingerprints [n, d], all of the length `radius`.

        Only the direction counts: compression shortens fingerprints more than it turns them.
        """
        values = np.asarray(features, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.mean):
            raise ValueError(f"features must be [n, {len(self.mean)}], got {list(values.shape)}")
        points = (values - self.mean) @ self.matrix
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        placed: Float64Array = points * (self.radius / np.maximum(lengths, 1e-9))
        return placed

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


def fit_space(middles: Float64Array, counts: ArrayLike, scatter: Scatter, *, spread: float = 1.0) -> FingerprintSpace:
    """The space of origins (photographs are one of them) whose middles [c, f] are means of `counts` pictures [c].

    Args:
        middles: of the features of each origin.
        counts: pictures behind each middle; the scatter of middles of few is chance in part.
        scatter: of pictures around the middle of their origin.
        spread: variance within a generator, in every direction, of pictures that the network has not seen: those of
            its training lie closer together.

    Raises:
        DataError: fewer than three origins, or the pictures of each origin are all alike.
    """
    if len(middles) < FEWEST:
        raise DataError(f"a space needs {FEWEST} origins, got {len(middles)}")
    mean = middles.mean(axis=0)
    variance = float(np.trace(scatter.covariance)) / len(mean)
    if not variance > _ALIKE:
        raise DataError("a space cannot be learnt from pictures of one origin that are all alike")
    variances, axes = np.linalg.eigh(scatter.covariance + SHRINKAGE * variance * np.eye(len(mean)))
    if not variances[0] > 0:
        raise DataError("pictures cannot scatter by less than nothing in any direction")
    whiten = axes / np.sqrt(variances)
    apart = (middles - mean) @ whiten
    strengths, turned = np.linalg.eigh(apart.T @ apart / len(middles))
    first = np.argsort(-strengths)[: min(len(middles) - 1, len(mean))]
    between = np.maximum(strengths[first] - np.mean(1 / np.asarray(counts, dtype=np.float64)), _SMALLEST)
    return FingerprintSpace(
        mean=mean,
        matrix=whiten @ turned[:, first],
        radius=float(np.sqrt(len(first) + between.sum())),
        within=np.full(len(first), spread),
        between=between,
    )
