"""The nearest are those that a loop finds; an index finds nearly all of them."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from ganfingerprint.attribution import search
from ganfingerprint.attribution.search import Index, nearest
from ganfingerprint.types import Float32Array, Float64Array


def clustered(count: int = 5000, seed: int = 0) -> Float32Array:
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(0, 3, (50, 20))
    return (middles[np.arange(count) % 50] + rng.normal(size=(count, 20))).astype(np.float32)


def by_loop(enrolled: Float32Array, asked: Float64Array, count: int) -> tuple[list[list[int]], list[list[float]]]:
    places, distances = [], []
    for question in asked:
        apart = [
            1 - float(question @ row) / float(np.linalg.norm(question) * np.linalg.norm(row.astype(np.float64)))
            for row in enrolled
        ]
        order = sorted(range(len(apart)), key=apart.__getitem__)[:count]
        places.append(order)
        distances.append([apart[at] for at in order])
    return places, distances


@pytest.mark.parametrize("count", [1, 5, 60])
def test_the_nearest_are_those_of_a_loop_nearest_first(count: int) -> None:
    enrolled, asked = clustered(60), clustered(7, seed=1).astype(np.float64)
    places, distances = nearest(enrolled, asked, count)
    expected, apart = by_loop(enrolled, asked, count)
    assert places.tolist() == expected
    assert distances == pytest.approx(np.array(apart), abs=1e-6)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_length_does_not_count_and_opposite_is_two_away() -> None:
    enrolled = np.array([[0, 9], [3, 0], [-1, 0]], np.float32)
    places, distances = nearest(enrolled, np.array([[0.5, 0.0]]), 3)
    assert places.tolist() == [[1, 0, 2]]
    assert distances.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(("count", "expected"), [(-1, 0), (0, 0), (3, 3), (9, 4)])
def test_no_more_than_there_are(count: int, expected: int) -> None:
    places, distances = nearest(clustered(4), clustered(2).astype(np.float64), count)
    assert places.shape == distances.shape == (2, expected)
    assert nearest(clustered(0), clustered(2).astype(np.float64), 5)[0].shape == (2, 0)
    assert nearest(clustered(4), np.zeros((0, 20)), count)[1].shape == (0, expected)


def test_distances_stay_in_their_range_in_spite_of_rounding() -> None:
    vectors = clustered(400)
    for found in (nearest(vectors, vectors.astype(np.float64), 3), nearest(vectors, -vectors.astype(np.float64), 400)):
        assert found[1].min() >= 0
        assert found[1].max() <= 2


def test_many_questions_are_answered_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    enrolled, asked = clustered(300), clustered(50, seed=3).astype(np.float64)
    whole = nearest(enrolled, asked, 4)
    monkeypatch.setattr(search, "_BLOCK", 300 * 7)
    parts = nearest(enrolled, asked, 4)
    assert np.array_equal(parts[0], whole[0])
    assert parts[1] == pytest.approx(whole[1], abs=1e-6)


def test_an_index_finds_nearly_all_that_looking_at_all_finds() -> None:
    pytest.importorskip("faiss")
    enrolled, asked = clustered(), clustered(200, seed=1)
    exact = nearest(enrolled, asked.astype(np.float64), 10)
    places, distances = Index(enrolled, lists=64, probes=16).nearest(asked, 10)
    recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(places.tolist(), exact[0].tolist(), strict=True)])
    assert recall > 0.95
    assert (np.diff(distances, axis=1) >= 0).all()
    everywhere = Index(enrolled, lists=64, probes=64).nearest(asked, 10)
    assert everywhere[1] == pytest.approx(exact[1], abs=1e-6)
    assert np.mean(everywhere[0] == exact[0]) > 0.99  # two at the same distance may change places


def test_an_index_is_the_same_each_time() -> None:
    pytest.importorskip("faiss")
    enrolled, asked = clustered(), clustered(50, seed=1)
    first, second = (Index(enrolled, lists=64, probes=8).nearest(asked, 10) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_an_index_keeps_what_it_only_has_the_address_of() -> None:
    """The middles of the lists belong to us: freed while the index lives, answers would come from freed memory."""
    pytest.importorskip("faiss")
    enrolled, asked = clustered(), clustered(50, seed=1)
    index = Index(enrolled, lists=64, probes=8)
    before = index.nearest(asked, 10)
    assert index._index.own_fields is False  # so that it is not freed twice either
    assert int(index._index.quantizer.this) == int(index._middles.this)
    gc.collect()
    others = [Index(clustered(3000, seed=at), lists=64) for at in range(5)]  # would take the freed memory
    del others
    gc.collect()
    assert np.array_equal(index.nearest(asked, 10)[0], before[0])
    assert index._middles.ntotal == 64


def test_where_the_nearest_lists_hold_too_few_all_are_looked_at() -> None:
    pytest.importorskip("faiss")
    enrolled, asked = clustered(), clustered(20, seed=1)
    places, distances = Index(enrolled, lists=64, probes=1).nearest(asked, 2000)
    assert places.min() >= 0
    assert distances.max() <= 2
    assert all(len(set(row)) == 2000 for row in places.tolist())


def test_very_many_are_searched_through_one_index(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    enrolled, asked = clustered(42_000), clustered(20, seed=1).astype(np.float64)
    exact = nearest(enrolled, asked, 5)
    monkeypatch.setattr(search, "EXACT_UP_TO", 1000)
    monkeypatch.setattr(search, "_latest", [])
    places, distances = nearest(enrolled, asked, 5)
    assert np.mean(places == exact[0]) > 0.9
    assert distances[:, 0] == pytest.approx(exact[1][:, 0], abs=1e-6)
    made = search._latest[0][1]
    nearest(enrolled, asked, 5)
    assert search._latest[0][1] is made  # kept, as it takes long to make
    nearest(enrolled.copy(), asked, 5)
    assert search._latest[0][1] is not made
