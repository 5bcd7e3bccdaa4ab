"""Weights are the likeliest ones; probabilities are those of a conditional logit, with one prior for all enrolled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ganfingerprint.attribution import Weighing
from ganfingerprint.attribution.weighing import explanations, fit_weighing
from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array, Int64Array

RIDGE = 1e-3
Part = tuple[Float64Array, Int64Array, float]


def drawn(seed: int = 0, n: int = 200, c: int = 4) -> Part:
    """Pictures whose truth is drawn from probabilities of known weights."""
    rng = np.random.default_rng(seed)
    ratios, photographs, detector = rng.normal(0, 2, (n, c)), rng.normal(0, 2, n), rng.normal(0, 2, n)
    chances = Weighing(weights=np.array([0.8, 0.5, 0.6, 0.9, -0.3])).probabilities(ratios, photographs, detector)
    truth = np.array([rng.choice(c + 2, p=row) for row in chances], dtype=np.int64)
    return explanations(ratios, photographs, detector), truth, 1.0


def objective(weights: Float64Array, parts: list[Part]) -> float:
    """What is to be as high as can be, picture by picture."""
    total = -0.5 * RIDGE * float(weights @ weights)
    for numbers, truth, mass in parts:
        enrolled = numbers.shape[1] - 2
        priors = np.array([1 / max(enrolled, 1)] * enrolled + [1, 1])
        for row, true in zip(numbers, truth, strict=True):
            likely = priors * np.exp(row @ weights)
            total += mass / len(truth) * float(np.log(likely[true] / likely.sum()))
    return total


def test_probabilities_by_hand() -> None:
    weighing = Weighing(weights=np.array([1.0, np.log(2.0), 1.0, 1.0, np.log(3.0)]))
    found = weighing.probabilities(np.log([[4.0, 6.0]]), np.log([5.0]), np.log([10.0]))
    likely = np.array([4 * 2 / 2, 6 * 2 / 2, 1, 5 / 10 * 3])
    assert found[0] == pytest.approx(likely / likely.sum())


@pytest.mark.parametrize("c", [0, 1, 7])
def test_probabilities_make_one_however_large_the_evidence(c: int, rng: np.random.Generator) -> None:
    weighing = Weighing(weights=rng.normal(size=5))
    found = weighing.probabilities(rng.normal(0, 1e4, (50, c)), rng.normal(0, 1e4, 50), rng.normal(0, 1e4, 50))
    assert found.shape == (50, c + 2)
    assert found.sum(axis=1) == pytest.approx(1)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_share_of_all_enrolled_does_not_depend_on_how_many_they_are() -> None:
    weighing = Weighing(weights=np.array([1.0, 0.4, 1.0, 1.0, 0.2]))
    shares = [
        weighing.probabilities(np.zeros((1, c)), np.array([0.3]), np.array([-0.5]))[0, :-2].sum() for c in (1, 5, 100)
    ]
    assert shares == pytest.approx([shares[0]] * 3)
    assert 0.1 < shares[0] < 0.9


def test_each_evidence_moves_the_explanation_that_it_speaks_for(rng: np.random.Generator) -> None:
    weighing = Weighing(weights=np.ones(5))
    ratios, photographs, detector = np.zeros((1, 3)), np.zeros(1), np.zeros(1)
    before = weighing.probabilities(ratios, photographs, detector)[0]
    nearer = weighing.probabilities(np.array([[0.0, 2.0, 0.0]]), photographs, detector)[0]
    assert nearer[1] > before[1]
    assert (np.delete(nearer, 1) < np.delete(before, 1)).all()
    fake = weighing.probabilities(ratios, photographs, detector + 2)[0]
    assert fake[-1] < before[-1]
    assert (fake[:-1] > before[:-1]).all()
    assert weighing.probabilities(ratios, photographs + 2, detector)[0, -1] > before[-1]


def test_the_fit_is_a_summit_in_every_direction() -> None:
    parts = [drawn(0), (*drawn(1, n=90, c=2)[:2], 0.4), (*drawn(2, n=30, c=0)[:2], 0.25)]
    weights = fit_weighing(parts).weights
    top = objective(weights, parts)
    for axis, step in itertools.product(range(5), (1e-4, -1e-4)):
        moved = weights + step * np.eye(5)[axis]
        assert objective(moved, parts) < top
        # so near to the summit that what is lost is of the second order
        assert top - objective(moved, parts) < 1e-7


def test_the_fit_finds_the_weights_that_pictures_were_drawn_by() -> None:
    weights = fit_weighing([drawn(3, n=20_000)]).weights
    assert weights == pytest.approx([0.8, 0.5, 0.6, 0.9, -0.3], abs=0.06)


def test_with_two_explanations_the_fit_is_the_share_itself() -> None:
    """No generator and no evidence: only how often a photograph is right, so the log-odds of that share."""
    numbers = explanations(np.zeros((10, 0)), np.zeros(10), np.zeros(10))
    truth = np.array([1] * 7 + [0] * 3)
    weights = fit_weighing([(numbers, truth, 1.0)]).weights
    assert weights[:4] == pytest.approx([0, 0, 0, 0])
    share = 1 / (1 + np.exp(-weights[4]))
    assert share - 0.7 == pytest.approx(-RIDGE * weights[4])  # the slope there, ridge and all, is 0
    assert weights[4] == pytest.approx(np.log(7 / 3), rel=0.01)


def test_evidence_that_is_always_right_gives_finite_weights_at_the_summit() -> None:
    n = 60
    numbers = explanations(np.full((n, 1), 8.0), np.full(n, -8.0), np.full(n, 8.0))
    parts: list[Part] = [(numbers, np.zeros(n, np.int64), 0.5), (-numbers, np.full(n, 2), 0.5)]
    weights = fit_weighing(parts).weights
    assert np.isfinite(weights).all()
    for axis in range(5):
        assert objective(weights, parts) >= objective(weights + 1e-3 * np.eye(5)[axis], parts)
        assert objective(weights, parts) >= objective(weights - 1e-3 * np.eye(5)[axis], parts)


def test_the_mass_of_a_part_counts_and_not_its_pictures() -> None:
    numbers, truth, _ = drawn(0)
    other = (*drawn(1)[:2], 0.5)
    once = fit_weighing([(numbers, truth, 0.5), other]).weights
    thrice = fit_weighing([(np.tile(numbers, (3, 1, 1)), np.tile(truth, 3), 0.5), other]).weights
    assert thrice == pytest.approx(once, abs=1e-8)
    heavier = fit_weighing([(numbers, truth, 1.5), other]).weights
    assert np.abs(heavier - once).max() > 1e-3


def test_a_part_without_pictures_is_refused() -> None:
    numbers, truth, _ = drawn()
    with pytest.raises(DataError, match="cannot be weighed"):
        fit_weighing([(numbers, truth, 0.5), (numbers[:0], truth[:0], 0.5)])


@pytest.mark.parametrize("weights", [np.zeros(4), np.zeros((5, 1)), np.array([0, 0, np.nan, 0, 0])])
def test_weights_are_five_finite_numbers(weights: Float64Array) -> None:
    with pytest.raises(ValueError, match="5 finite numbers"):
        Weighing(weights=weights)
