"""A space gathers pictures of one generator, and its ratios are those of the model that it states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import FingerprintSpace, fit_space
from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array

KNOWN = tuple(f"origin {number}" for number in range(8))


def drawn(count: int = 30, seed: int = 0) -> tuple[Float64Array, list[str]]:
    """Eight clusters of 15 numbers, never negative."""
    middles = np.random.default_rng(1).uniform(0, 4, (8, 15))
    rng = np.random.default_rng(seed)
    values = np.concatenate([middle + 0.5 * rng.normal(size=(count, 15)) for middle in middles])
    return np.maximum(values, 0), [name for name in KNOWN for _ in range(count)]


def plain(within: Any = (1.0, 0.5), between: Any = (2.0, 3.0), **changes: Any) -> FingerprintSpace:
    d = len(within)
    parts: dict[str, Any] = {"mean": np.zeros(d), "matrix": np.eye(d), "radius": 2.0}
    parts.update(within=np.array(within), between=np.array(between))
    return FingerprintSpace(**{**parts, **changes})


@pytest.mark.parametrize(("known", "each"), [(1, 1), (3, 1), (10, 4)])
def test_ratios_are_those_of_the_joint_normal_distribution(known: int, each: int, rng: np.random.Generator) -> None:
    """The ratio of one joint density to two apart, with no posterior anywhere in the computation."""
    stats = pytest.importorskip("scipy.stats")
    space = plain()
    asked, places = rng.normal(size=(5, 2)), rng.normal(size=(3, 2))
    found = space.log_ratios(asked, places, [known] * 3, each=each)
    for i, x in enumerate(asked):
        for j, y in enumerate(places):
            expected = 0.0
            for at in range(2):
                w, b = space.within[at], space.between[at]
                together = [[w / each + b, b], [b, w / known + b]]
                expected += stats.multivariate_normal([0, 0], together).logpdf([x[at], y[at]])
                expected -= stats.norm(0, np.sqrt(w / each + b)).logpdf(x[at])
                expected -= stats.norm(0, np.sqrt(w / known + b)).logpdf(y[at])
            assert found[i, j] == pytest.approx(expected, abs=1e-10)


def test_ratios_are_those_of_an_integral_over_all_places_of_a_generator() -> None:
    w, b, x, references = 0.7, 1.9, 0.8, np.array([1.1, 0.3, 2.0])
    places = np.linspace(-25, 25, 200_001)

    def density(value: Any, middle: Any, variance: float) -> Any:
        return np.exp(-0.5 * (value - middle) ** 2 / variance) / np.sqrt(2 * np.pi * variance)

    of_references = density(places, 0, b) * np.prod([density(value, places, w) for value in references], axis=0)
    of_all = of_references * density(x, places, w)
    step = places[1] - places[0]
    alone = (density(places, 0, b) * density(x, places, w)).sum() * step
    expected = np.log(of_all.sum() / of_references.sum() / alone)
    space = plain([w], [b])
    assert space.log_ratios(np.array([[x]]), references.mean()[None, None], [3])[0, 0] == pytest.approx(expected)


def test_a_ratio_is_the_same_from_either_side(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(1, 2)), rng.normal(size=(1, 2))
    there, back = plain().log_ratios(a, b, [7], each=3), plain().log_ratios(b, a, [3], each=7)
    assert there[0, 0] == pytest.approx(back[0, 0], abs=1e-12)


def test_more_references_make_a_near_generator_likelier_and_a_far_one_less() -> None:
    near = [plain().log_ratios(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]]), [n])[0, 0] for n in (1, 3, 30)]
    far = [plain().log_ratios(np.array([[-2.0, -2.0]]), np.array([[3.0, 3.0]]), [n])[0, 0] for n in (1, 3, 30)]
    assert near == sorted(near)
    assert near[0] > 0
    assert far == sorted(far, reverse=True)
    assert far[0] < 0


def test_fingerprints_have_one_length_and_do_not_depend_on_the_company() -> None:
    values, names = drawn()
    space = fit_space(values, names)
    fingerprints = space.project(values)
    assert fingerprints.shape == (240, 7)  # 8 origins differ in 7 directions
    assert np.linalg.norm(fingerprints, axis=1) == pytest.approx(space.radius)
    assert space.project(values[5:6])[0] == pytest.approx(fingerprints[5], abs=1e-12)
    by_hand = (np.sqrt(values[9]) - space.mean) @ space.matrix
    assert fingerprints[9] == pytest.approx(by_hand / np.linalg.norm(by_hand) * space.radius)


def test_pictures_of_the_middle_itself_have_a_finite_fingerprint() -> None:
    assert np.isfinite(plain().project([[0.0, 0.0]])).all()


def test_unseen_pictures_lie_nearest_to_the_place_of_their_origin() -> None:
    values, names = drawn()
    space = fit_space(values, names, size=5)
    assert space.size == 5
    fingerprints = space.project(values)
    places = np.stack([fingerprints[np.array(names) == name].mean(axis=0) for name in KNOWN])
    unseen, truth = drawn(seed=5)
    found = space.log_ratios(space.project(unseen), places, [30] * 8).argmax(axis=1)
    assert np.mean(np.array(KNOWN)[found] == truth) > 0.97


def test_the_order_of_pictures_and_the_names_change_nothing(rng: np.random.Generator) -> None:
    values, names = drawn()
    space = fit_space(values, names)
    order = rng.permutation(len(values))
    other = fit_space(values[order], [names[at].upper() for at in order])
    assert np.abs(other.matrix) == pytest.approx(np.abs(space.matrix), abs=1e-8)  # an axis may point either way
    assert other.within == pytest.approx(space.within)
    assert other.between == pytest.approx(space.between)


def test_origins_of_two_pictures_do_not_count() -> None:
    values, names = drawn()
    extra = np.concatenate([values, np.full((2, 15), 9.0)])
    assert np.array_equal(fit_space(extra, [*names, "few", "few"]).matrix, fit_space(values, names).matrix)


def test_one_large_origin_does_not_decide_alone(rng: np.random.Generator) -> None:
    """A hundred pictures and a thousand have the same say in what counts as scatter."""
    space = plain([1.0] * 4, [1.0] * 4, mean=np.full(4, 9.0))
    tight = [9 + np.eye(4)[at] + 0.01 * rng.normal(size=(100, 4)) for at in range(3)]
    parts = [9 + rng.normal(size=(1000, 4)), *tight]
    names = [str(at) for at, part in enumerate(parts) for _ in part]
    again = space.remeasured(np.concatenate(parts) ** 2, names)
    expected = np.mean([space.project(part**2).var(axis=0, ddof=1) for part in parts], axis=0)
    assert again.within == pytest.approx(expected)


def test_scatters_are_those_of_other_pictures_and_the_projection_stays() -> None:
    values, names = drawn(10)
    space = fit_space(values, names)
    unseen, truth = drawn(2000, seed=8)
    again = space.remeasured(unseen, truth)
    assert np.array_equal(again.matrix, space.matrix)
    assert again.radius == space.radius
    parts = np.split(space.project(unseen), 8)
    assert again.within == pytest.approx(np.mean([part.var(axis=0, ddof=1) for part in parts], axis=0))
    assert again.between == pytest.approx(np.var([part.mean(axis=0) for part in parts], axis=0), rel=0.02)


def test_middles_of_few_pictures_are_not_taken_for_generators_that_differ() -> None:
    """All pictures are of one distribution: what their middles scatter is chance, and is taken off."""
    rng = np.random.default_rng(4)
    space = plain([1.0] * 4, [1.0] * 4, mean=np.full(4, 9.0))  # on a sphere of radius 2: a variance of 1 each
    names = [str(number) for number in range(300) for _ in range(3)]
    again = space.remeasured((9 + rng.normal(size=(900, 4))) ** 2, names)
    assert again.within == pytest.approx([1] * 4, abs=0.15)
    assert again.between.max() < 0.1  # the middles themselves scatter by a third


@pytest.mark.parametrize("names", [["a"] * 4 + ["b"] * 4, ["a"] * 6 + ["b", "c"], [str(at) for at in range(8)]])
def test_fewer_than_three_origins_with_three_pictures_are_refused(names: list[str], rng: np.random.Generator) -> None:
    values = rng.uniform(size=(8, 2))
    with pytest.raises(DataError, match="3 origins with at least 3 pictures"):
        fit_space(values, names)
    with pytest.raises(DataError, match="3 origins with at least 3 pictures"):
        plain().remeasured(values, names)


def test_copies_of_one_picture_are_refused() -> None:
    values = np.repeat(np.random.default_rng(0).uniform(size=(4, 15)), 5, axis=0)
    names = [str(at // 5) for at in range(20)]
    with pytest.raises(DataError, match="all alike"):
        fit_space(values, names)
    with pytest.raises(DataError, match="all alike"):
        fit_space(*drawn()).remeasured(values, names)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 2)])
def test_embeddings_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \[n, 2\]"):
        plain().project(np.zeros(shape))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(3)},
        {"within": np.ones(3)},
        {"between": np.ones(1)},
        {"radius": 0.0},
        {"radius": np.inf},
        {"radius": np.nan},
        {"within": np.array([1.0, 0.0])},
        {"between": np.array([1.0, np.nan])},
        {"between": np.array([1.0, np.inf])},
        {"mean": np.array([0.0, np.nan])},
        {"matrix": np.array([[1.0, 0.0], [np.inf, 1.0]])},
    ],
)
def test_a_space_that_cannot_be_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"space"):
        replace(plain(), **changes)
