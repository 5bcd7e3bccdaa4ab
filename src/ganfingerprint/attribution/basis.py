"""What a network says of a picture, in few numbers: those that pictures are enrolled by.

A network says two things: its embedding, which was learnt to tell the generators of its training apart, and the
backbone's own summary (the class tokens of a ViT), which was not and therefore tells strangers apart too. Together
they are a picture's trace. Principal axes keep what varies, and 8 bits a number are all that a gallery holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.errors import DataError, GalleryError
from ganfingerprint.types import Float32Array, Float64Array, Int8Array, Prediction

SIZE = 256  # axes; 512 are no better on validation and take twice the room
_LEARNT = 0.7  # of the embedding's deviation to the summary's: more is better for the generators of the training, less
# for others (folds of leave-one-family-out)
_WIDEST = 127  # the largest 8-bit number
_DEVIATIONS = 6.0  # of a feature, that 8 bits reach
_BLOCK = 2**12  # traces that are reduced at once
_ALIKE = 1e-9  # of the largest variance, and of a deviation; less is no more than rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """From traces [n, t] to features [n, f]."""

    embedding: int  # numbers of a trace that are the embedding's, its first
    mean: Float64Array  # [t] of square roots of embeddings, and of summaries as they are
    scale: Float64Array  # [t] what each is multiplied with
    axes: Int8Array  # [t, f]
    steps: Float64Array  # [f] what a unit of each axis is
    grain: Float64Array  # [f] what a unit of each feature is, where it is kept in 8 bits

    def __post_init__(self) -> None:
        t, f = self.axes.shape
        if not (f and self.mean.shape == self.scale.shape == (t,) and self.steps.shape == self.grain.shape == (f,)):
            raise ValueError(f"a basis of {t} to {f} numbers cannot have such a mean, scale, steps or grain")
        if self.axes.dtype != np.int8 or not 0 <= self.embedding <= t:
            raise ValueError("the axes of a basis must be of 8 bits, and the embedding a part of the trace")
        if not all(np.isfinite(part).all() for part in (self.mean, self.scale, self.steps, self.grain)):
            raise ValueError("a basis must hold finite numbers")
        if not (self.grain > 0).all():
            raise ValueError("the grain of features must be above 0")

    @property
    def size(self) -> int:
        """Numbers of a picture."""
        return int(self.axes.shape[1])

    def features(self, traces: ArrayLike) -> Float64Array:
        """Traces [n, t] as features [n, f], as far out as 8 bits reach: what is asked about as what is enrolled.

        Raises:
            GalleryError: the traces have another length, or numbers that are not finite.
        """
        values = np.asarray(traces)
        if values.ndim != 2 or values.shape[1] != len(self.mean):
            given = values.shape[-1] if values.ndim else 0
            remedy = (
                "an exported graph of an earlier version gives fewer, and `ganfingerprint export` makes a new one"
                if given < len(self.mean)
                else "it was fitted with an engine that gives fewer; `ganfingerprint gallery fit` makes a new one"
            )
            raise GalleryError(
                f"the gallery takes {len(self.mean)} numbers of a picture, and the engine gave {given}: {remedy}"
            )
        if not np.isfinite(values).all():
            raise GalleryError("the engine gave numbers of a picture that are not finite")
        axes = self.axes * self.steps
        found = np.zeros((len(values), self.size))
        for at in range(0, len(values), _BLOCK):
            part = _evened(np.asarray(values[at : at + _BLOCK], dtype=np.float64), self.embedding)
            found[at : at + _BLOCK] = ((part - self.mean) * self.scale) @ axes
        reach = _WIDEST * self.grain
        return np.clip(found, -reach, reach, out=found)

    def codes(self, traces: ArrayLike) -> Int8Array:
        """Traces [n, t] as a gallery keeps them, in 8 bits: [n, f]."""
        return self.rounded(self.features(traces))

    def rounded(self, features: Float64Array) -> Int8Array:
        """Features [n, f] in 8 bits."""
        found: Int8Array = np.clip(np.rint(features / self.grain), -_WIDEST, _WIDEST).astype(np.int8)
        return found

    def opened(self, codes: Int8Array) -> Float64Array:
        """What 8 bits [n, f] stand for: features [n, f]."""
        found: Float64Array = codes * self.grain
        return found


def traces_of(predictions: Sequence[Prediction]) -> Float32Array:
    """What a network said of each picture: its embedding, then the backbone's summary, [n, t].

    Raises:
        GalleryError: there is a summary of some of them only.
    """
    if not predictions:
        return np.zeros((0, 0), np.float32)
    rows = [
        item.embedding if item.summary is None else np.concatenate([item.embedding, item.summary])
        for item in predictions
    ]
    if len({len(row) for row in rows}) > 1:
        raise GalleryError("these pictures were judged by engines that say differently much of a picture; take one")
    return np.stack(rows).astype(np.float32, copy=False)


def fit_basis(traces: ArrayLike, embedding: int, *, size: int = SIZE) -> Basis:
    """The principal axes of traces [n, t] of which the first `embedding` numbers are the embedding's.

    Raises:
        DataError: fewer than two traces, or all are alike.
    """
    values = _evened(np.asarray(traces, dtype=np.float64), embedding)
    if len(values) < 2 or not (values.std(axis=0) > _ALIKE).any():
        raise DataError("a basis needs pictures that differ")
    mean = values.mean(axis=0)
    scale = np.concatenate([_even_scale(values[:, :embedding]), _each_scale(values[:, embedding:])])
    scaled = (values - mean) * scale  # [n, t]
    variances, axes = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    first = np.argsort(-variances)[: min(size, len(scaled) - 1)]
    first = first[variances[first] > _ALIKE * variances.max()]
    axes = axes[:, first] * np.where(axes[:, first].sum(axis=0) < 0, -1, 1)  # a sign that does not hang on the library
    steps = np.abs(axes).max(axis=0) / _WIDEST
    grain = np.sqrt(variances[first]) * _DEVIATIONS / _WIDEST
    codes = np.rint(axes / steps).astype(np.int8)
    parts = {"mean": mean, "scale": scale, "steps": steps, "grain": grain}
    return Basis(embedding=embedding, axes=codes, **{name: as_kept(part) for name, part in parts.items()})


def as_kept(numbers: Float64Array) -> Float64Array:
    """As a file keeps them, so that a gallery answers the same before and after it was saved."""
    return numbers.astype(np.float32).astype(np.float64)


def _evened(values: Float64Array, embedding: int) -> Float64Array:
    """Square roots of embeddings: a unit that fires ten times as strongly shall not count ten times."""
    found = values.copy()
    found[:, :embedding] = np.sqrt(np.maximum(values[:, :embedding], 0))
    return found


def _even_scale(values: Float64Array) -> Float64Array:
    """One for all numbers of an embedding: those that vary little were not found worth more in training."""
    scattered = float(np.sqrt(values.var(axis=0).sum()))
    return np.full(values.shape[1], _LEARNT / scattered if scattered > _ALIKE else 0.0)


def _each_scale(values: Float64Array) -> Float64Array:
    """One for each number of a summary, whose deviations differ by hundreds."""
    deviations = values.std(axis=0)
    varying = deviations > _ALIKE
    scale: Float64Array = np.where(varying, 1 / np.where(varying, deviations, 1.0), 0.0)
    evened: Float64Array = scale / np.sqrt(max(int(varying.sum()), 1))
    return evened
