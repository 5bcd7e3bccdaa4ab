"""The nearest of many fingerprints: by looking at all of them, or through an index when they are very many."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ganfingerprint.errors import MissingExtraError
from ganfingerprint.types import Float32Array, Float64Array, Int64Array

EXACT_UP_TO = 200_000  # fingerprints of some 20 numbers: some milliseconds a question
_LISTS, _PROBES = 1024, 64
_SAMPLE = 64  # of a list, that its middle is learnt from
_BLOCK = 2**24  # similarities that are held at once


def nearest(enrolled: Float32Array, asked: Float64Array, count: int) -> tuple[Int64Array, Float64Array]:
    """The places [n, k] in `enrolled` [m, d] of the fingerprints nearest to each asked [n, d], and 1 - cos [n, k].

    Nearest first; k is `count`, or m where that is less.

    Raises:
        MissingExtraError: there are more than `EXACT_UP_TO` and faiss is not installed.
    """
    count = max(0, min(count, len(enrolled)))
    if count == 0 or len(asked) == 0:
        return np.zeros((len(asked), count), np.int64), np.zeros((len(asked), count))
    questions = _unit(asked.astype(np.float32))
    return _looked_at(enrolled).nearest(questions, count)


class Exact:
    """Fingerprints that are all looked at."""

    def __init__(self, enrolled: Float32Array) -> None:
        self._references = np.ascontiguousarray(_unit(enrolled).T)  # [d, m]

    def nearest(self, questions: Float32Array, count: int) -> tuple[Int64Array, Float64Array]:
        """As the function of that name, of questions of unit length."""
        rows = max(1, _BLOCK // self._references.shape[1])
        starts = range(0, len(questions), rows)
        parts = [_by_all(questions[at : at + rows] @ self._references, count) for at in starts]
        return np.concatenate([found for found, _ in parts]), np.concatenate([distances for _, distances in parts])


def _by_all(alike: Float32Array, count: int) -> tuple[Int64Array, Float64Array]:
    found = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(found, np.argsort(-np.take_along_axis(alike, found, 1), axis=1, kind="stable"), 1)
    return found, _distances(np.take_along_axis(alike, found, 1))


class Index:
    """Fingerprints in lists by where they lie, of which a question looks at the nearest (faiss, IVF).

    Raises:
        MissingExtraError: faiss is not installed.
    """

    def __init__(self, enrolled: Float32Array, *, lists: int = _LISTS, probes: int = _PROBES) -> None:
        self._faiss = _faiss()
        vectors = np.ascontiguousarray(_unit(enrolled))
        size = vectors.shape[1]
        self._middles = self._faiss.IndexFlatIP(size)  # held here: the index has no more than its address
        self._index = self._faiss.IndexIVFFlat(self._middles, size, lists, self._faiss.METRIC_INNER_PRODUCT)
        step = max(1, len(vectors) // (_SAMPLE * lists))
        self._index.train(vectors[::step])
        self._index.add(vectors)
        self._index.nprobe = probes

    def nearest(self, questions: Float32Array, count: int) -> tuple[Int64Array, Float64Array]:
        """As the function of that name."""
        asked = np.ascontiguousarray(_unit(questions))
        alike, places = self._index.search(asked, count)
        short = (places < 0).any(axis=1)  # the nearest lists hold fewer than `count`
        if short.any():
            everywhere = self._faiss.SearchParametersIVF(nprobe=self._index.nlist)
            alike[short], places[short] = self._index.search(asked[short], count, params=everywhere)
        return places.astype(np.int64), _distances(alike)


_latest: list[tuple[Float32Array, Exact | Index]] = []  # the last, and of what: to make one takes as long as answers


def _looked_at(enrolled: Float32Array) -> Exact | Index:
    for known, index in tuple(_latest):
        if known is enrolled:
            return index
    index = Index(enrolled) if len(enrolled) > EXACT_UP_TO else Exact(enrolled)
    _latest[:] = [(enrolled, index)]
    return index


@functools.cache
def _faiss() -> Any:
    try:
        import faiss
    except ImportError as problem:
        raise MissingExtraError("faiss", "attribution", f"a gallery of more than {EXACT_UP_TO} pictures") from problem
    return faiss


def _distances(alike: Float32Array) -> Float64Array:
    """1 - cos; rounding alone leads out of 0..2."""
    return np.clip(1.0 - alike.astype(np.float64), 0.0, 2.0)


def _unit(vectors: Float32Array) -> Float32Array:
    unit: Float32Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
