"""The nearest of many fingerprints: by looking at all of them, or through an index when they are very many."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ganfingerprint.errors import MissingExtraError
from ganfingerprint.types import Float32Array, Float64Array, Int64Array

EXACT_UP_TO = 200_000  # fingerprints of 20 numbers: some milliseconds a question
_LISTS, _PROBES = 1024, 64
_SAMPLE = 64  # of a list, that its middle is learnt from


def nearest(enrolled: Float32Array, asked: Float64Array, count: int) -> tuple[Int64Array, Float64Array]:
    """The places [n, k] in `enrolled` [m, d] of the fingerprints nearest to each asked [n, d], and 1 - cos [n, k].

    Nearest first; k is `count`, or m where that is less.

    Raises:
        MissingExtraError: there are more than `EXACT_UP_TO` and faiss is not installed.
    """
    count = min(count, len(enrolled))
    if count == 0:
        return np.zeros((len(asked), 0), np.int64), np.zeros((len(asked), 0))
    questions = _unit(asked.astype(np.float32))
    if len(enrolled) > EXACT_UP_TO:
        return Index(enrolled).nearest(questions, count)
    alike = questions @ _unit(enrolled).T  # [n, m]
    found = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(found, np.argsort(-np.take_along_axis(alike, found, 1), axis=1, kind="stable"), 1)
    return found, 1.0 - np.take_along_axis(alike, found, 1).astype(np.float64)


class Index:
    """Fingerprints in lists by where they lie, of which a question looks at the nearest (faiss, IVF).

    Raises:
        MissingExtraError: faiss is not installed.
    """

    def __init__(self, enrolled: Float32Array, *, lists: int = _LISTS, probes: int = _PROBES) -> None:
        faiss = _faiss()
        vectors = np.ascontiguousarray(_unit(enrolled))
        size = vectors.shape[1]
        self._index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, lists, faiss.METRIC_INNER_PRODUCT)
        self._index.own_fields = False
        step = max(1, len(vectors) // (_SAMPLE * lists))
        self._index.train(vectors[::step])
        self._index.add(vectors)
        self._index.nprobe = probes

    def nearest(self, questions: Float32Array, count: int) -> tuple[Int64Array, Float64Array]:
        """As the function of that name."""
        alike, places = self._index.search(np.ascontiguousarray(_unit(questions)), count)
        return places.astype(np.int64), 1.0 - alike.astype(np.float64)


@functools.cache
def _faiss() -> Any:
    try:
        import faiss
    except ImportError as problem:
        raise MissingExtraError("faiss", "attribution", f"a gallery of more than {EXACT_UP_TO} pictures") from problem
    return faiss


def _unit(vectors: Float32Array) -> Float32Array:
    unit: Float32Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
