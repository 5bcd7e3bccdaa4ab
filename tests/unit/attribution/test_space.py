"""A space gathers pictures of one generator, and its ratios are those of the model that it states."""

from __future__ import annotations

import functools
import operator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import FingerprintSpace, Scatter, fit_space, scatter_of
from ganfingerprint.attribution.space import SHRINKAGE
from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array


def drawn(count: int = 30, seed: int = 0) -> list[Float64Array]:
    """Eight clusters of 15 numbers, which vary by more in some directions than in others."""
    middles = np.random.default_rng(1).uniform(0, 4, (8, 15))
    mixing = np.random.default_rng(2).normal(0, 0.2, (15, 15))
    rng = np.random.default_rng(seed)
    return [middle + rng.normal(size=(count, 15)) @ mixing for middle in middles]


def middles_of(parts: list[Float64Array]) -> tuple[Float64Array, list[int]]:
    return np.stack([part.mean(axis=0) for part in parts]), [len(part) for part in parts]


def pooled(parts: list[Float64Array]) -> Scatter:
    return functools.reduce(operator.add, map(scatter_of, parts))


def ridge_of(parts: list[Float64Array]) -> Float64Array:
    """So much less makes a space that shrinks nothing."""
    covariance = pooled(parts).covariance
    shrunk: Float64Array = (
        SHRINKAGE / (1 + SHRINKAGE) * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    )
    return shrunk


def fitted(parts: list[Float64Array]) -> FingerprintSpace:
    return fit_space(*middles_of(parts), pooled(parts))


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
    parts = drawn()
    space = fitted(parts)
    values = np.concatenate(parts)
    fingerprints = space.project(values)
    assert fingerprints.shape == (240, 7)  # 8 origins differ in 7 directions
    assert np.linalg.norm(fingerprints, axis=1) == pytest.approx(space.radius)
    assert space.project(values[5:6])[0] == pytest.approx(fingerprints[5], abs=1e-12)
    by_hand = (values[9] - space.mean) @ space.matrix
    assert fingerprints[9] == pytest.approx(by_hand / np.linalg.norm(by_hand) * space.radius)


def test_pictures_of_the_middle_itself_have_a_finite_fingerprint() -> None:
    assert np.isfinite(plain().project([[0.0, 0.0]])).all()


def test_unseen_pictures_lie_nearest_to_the_place_of_their_origin() -> None:
    parts = drawn()
    space = fitted(parts)
    places = np.stack([space.project(part).mean(axis=0) for part in parts])
    found = [space.log_ratios(space.project(part), places, [30] * 8).argmax(axis=1) for part in drawn(seed=5)]
    assert np.mean(np.stack(found) == np.arange(8)[:, None]) > 0.97


def test_pictures_scatter_alike_in_every_direction_and_origins_in_each_by_itself() -> None:
    parts = drawn()
    space, scatter = fitted(parts), pooled(parts)
    ridge = SHRINKAGE * np.trace(scatter.covariance) / 15 * np.eye(15)
    scattered = space.matrix.T @ (scatter.covariance + ridge) @ space.matrix
    assert scattered == pytest.approx(np.eye(7), abs=1e-9)
    middles = (np.stack([part.mean(axis=0) for part in parts]) - space.mean) @ space.matrix
    assert middles.mean(axis=0) == pytest.approx([0] * 7, abs=1e-9)
    apart = middles.T @ middles / 8
    assert apart == pytest.approx(np.diag(np.diag(apart)), abs=1e-8)
    assert np.diag(apart).tolist() == sorted(np.diag(apart), reverse=True)
    assert space.between == pytest.approx(np.diag(apart) - 1 / 30)  # the middle of 30 pictures lies that far off
    assert space.radius**2 == pytest.approx(7 + space.between.sum())


def test_directions_are_those_of_discriminant_analysis() -> None:
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    parts = drawn(400)
    found = discriminant.LinearDiscriminantAnalysis(solver="eigen", n_components=7)
    found.fit(np.concatenate(parts), np.repeat(np.arange(8), 400))
    space = fit_space(*middles_of(parts), replace(pooled(parts), covariance=pooled(parts).covariance - ridge_of(parts)))
    for mine, other in zip(space.matrix.T, found.scalings_[:, :7].T, strict=True):
        assert abs(mine @ other) / np.linalg.norm(mine) / np.linalg.norm(other) == pytest.approx(1, abs=0.02)


def test_the_order_of_origins_and_of_pictures_changes_nothing(rng: np.random.Generator) -> None:
    parts = drawn()
    space, other = fitted(parts), fitted([rng.permutation(part) for part in parts[::-1]])
    assert np.abs(other.matrix) == pytest.approx(np.abs(space.matrix), abs=1e-8)  # an axis may point either way
    assert other.between == pytest.approx(space.between)
    assert other.radius == pytest.approx(space.radius)


def test_the_variance_within_is_the_spread_that_is_stated() -> None:
    parts = drawn()
    narrow, wide = fitted(parts), fit_space(*middles_of(parts), pooled(parts), spread=2.5)
    assert narrow.within.tolist() == [1.0] * 7
    assert wide.within.tolist() == [2.5] * 7
    assert np.array_equal(wide.matrix, narrow.matrix)
    assert np.array_equal(wide.between, narrow.between)


def test_there_are_no_more_directions_than_numbers_of_a_picture() -> None:
    assert fitted([part[:, :3] for part in drawn()]).size == 3


def test_middles_of_few_pictures_are_not_taken_for_generators_that_differ() -> None:
    """All pictures are of one distribution: what their middles scatter is chance, and is taken off."""
    rng = np.random.default_rng(4)
    space = fitted([rng.normal(size=(3, 4)) for _ in range(300)])
    assert space.between.max() < 0.1  # the middles themselves scatter by a third
    assert space.between.min() >= 0.01  # and never less: a direction would speak with great certainty of nothing


def test_a_scatter_is_that_of_pictures_around_their_middle(rng: np.random.Generator) -> None:
    features = rng.normal(size=(40, 3)) + 7
    found = scatter_of(features)
    around = features - features.mean(axis=0)
    assert found.covariance == pytest.approx(around.T @ around / 39)
    assert found.pictures == 40
    assert scatter_of(features[:, :1]).covariance.shape == (1, 1)


def test_scatters_add_up_by_their_pictures(rng: np.random.Generator) -> None:
    parts = [rng.normal(size=(count, 3)) * size for count, size in ((10, 1.0), (30, 2.0), (60, 0.5))]
    one, two, three = map(scatter_of, parts)
    total = one + two + three
    mixed = (10 * one.covariance + 30 * two.covariance + 60 * three.covariance) / 100
    assert total.covariance == pytest.approx(mixed)
    assert total.pictures == 100
    other = three + (two + one)
    assert other.covariance == pytest.approx(total.covariance)
    none = Scatter(covariance=np.zeros((3, 3)), pictures=0)
    assert (none + none).pictures == 0
    assert (none + one).covariance == pytest.approx(one.covariance)


def test_one_large_origin_does_not_decide_alone(rng: np.random.Generator) -> None:
    """A hundred pictures and a thousand have the same say in what counts as scatter."""
    wide, narrow = scatter_of(rng.normal(size=(1000, 2))), scatter_of(0.1 * rng.normal(size=(100, 2)))
    assert (wide.pictures, narrow.pictures) == (100, 100)
    assert (wide + narrow).covariance == pytest.approx((wide.covariance + narrow.covariance) / 2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_origins_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"needs 3 origins, got {count}"):
        fit_space(np.zeros((count, 2)), [5] * count, Scatter(covariance=np.eye(2), pictures=9))


@pytest.mark.parametrize(
    ("covariance", "said"), [(np.zeros((2, 2)), "all alike"), (np.diag([3.0, -1.0]), "less than nothing")]
)
def test_scatters_that_cannot_be_turned_alike_are_refused(covariance: Float64Array, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fit_space(np.eye(4)[:, :2], [5] * 4, Scatter(covariance=covariance, pictures=9))


@pytest.mark.parametrize(
    ("covariance", "pictures"),
    [
        (np.zeros((2, 3)), 1.0),
        (np.zeros(4), 1.0),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), 1.0),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), 1.0),
        (np.eye(2), -1.0),
        (np.eye(2), np.nan),
        (np.eye(2), np.inf),
    ],
)
def test_a_scatter_that_cannot_be_is_not_made(covariance: Float64Array, pictures: float) -> None:
    with pytest.raises(ValueError, match="a scatter must be"):
        Scatter(covariance=covariance, pictures=pictures)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 2)])
def test_features_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
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
