"""How much each kind of evidence counts when a picture is a photograph, of an enrolled generator, or of another one.

Every explanation of a picture has a few numbers that speak for it; their weighted sum is its log-odds, and the
probabilities of all explanations make 1 (conditional logit, McFadden 1974). The weights are fitted on pictures that
the network has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array, Int64Array

_NUMBERS = 5  # of an explanation
_RIDGE = 1e-3
_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Weights of: the ratio for a generator, being enrolled, the ratio for photographs, the detector, being a photo."""

    weights: Float64Array  # [5]

    def __post_init__(self) -> None:
        if self.weights.shape != (_NUMBERS,) or not np.isfinite(self.weights).all():
            raise ValueError(f"weights must be {_NUMBERS} finite numbers, got {self.weights}")

    def probabilities(
        self, generators: Float64Array, photographs: Float64Array, detector: Float64Array
    ) -> Float64Array:
        """Probabilities [n, c + 2] that pictures are of each generator, of an unknown one, a photograph.

        Args:
            generators: natural log ratios of each enrolled generator to any other, [n, c].
            photographs: natural log ratio of photographs to any generator, [n].
            detector: natural log ratio of *fake* to photograph that the detector gives, [n].
        """
        odds = explanations(generators, photographs, detector) @ self.weights
        return _softmax(odds)


def explanations(generators: Float64Array, photographs: Float64Array, detector: Float64Array) -> Float64Array:
    """The numbers that speak for each explanation, [n, c + 2, 5]; see `Weighing.probabilities`.

    The enrolled share one prior, however many they are; an unknown generator is what the others are compared with.
    """
    n, c = generators.shape
    numbers = np.zeros((n, c + 2, _NUMBERS))
    numbers[:, :c, 0] = generators
    numbers[:, :c, 1] = 1.0
    numbers[:, c + 1, 2] = photographs
    numbers[:, c + 1, 3] = -detector
    numbers[:, c + 1, 4] = 1.0
    return numbers


def fit_weighing(parts: Sequence[tuple[Float64Array, Int64Array, float]]) -> Weighing:
    """Fit to parts of pictures: the numbers of their explanations [n, k, 5], which is true [n], and the part's mass.

    Each part has explanations of its own; the enrolled of a part share one prior.

    Raises:
        DataError: a part has no picture.
    """
    if any(len(truth) == 0 for _, truth, _ in parts):
        raise DataError("evidence cannot be weighed without photographs, known and unknown generators")
    weights = np.zeros(_NUMBERS)
    for _ in range(_STEPS):
        slope, curvature = -_RIDGE * weights, _RIDGE * np.eye(_NUMBERS)
        for numbers, truth, mass in parts:
            chances = _softmax(numbers @ weights)  # [n, k]
            expected = np.einsum("nk,nkf->nf", chances, numbers)
            slope += mass * (numbers[np.arange(len(truth)), truth] - expected).mean(axis=0)
            spread = np.einsum("nk,nkf,nkg->fg", chances, numbers, numbers) - expected.T @ expected
            curvature += mass * spread / len(truth)
        step = np.linalg.solve(curvature, slope)
        weights = weights + step / max(1.0, float(np.abs(step).max()) / 2)  # far steps are not trusted whole
        if float(np.abs(step).max()) < 1e-9:
            break
    return Weighing(weights=weights)


def _softmax(odds: Float64Array) -> Float64Array:
    """Along the last axis; the enrolled, all but the last two, share the prior of one."""
    enrolled = odds.shape[1] - 2
    shared = odds.copy()
    shared[:, :enrolled] -= np.log(max(enrolled, 1))
    risen = np.exp(shared - shared.max(axis=1, keepdims=True))
    chances: Float64Array = risen / risen.sum(axis=1, keepdims=True)
    return chances
