"""Where photographs lie, and how much likelier a picture is one of them than of any generator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import PHOTOGRAPH, FingerprintSpace, Gallery, Photographs, attribute
from ganfingerprint.attribution.gallery import photographs_at
from ganfingerprint.types import Float64Array


@pytest.mark.parametrize(
    ("mean", "precision"),
    [
        (np.zeros((1, 2)), np.eye(2)),
        (np.zeros(2), np.eye(3)),
        (np.array([0, np.inf]), np.eye(2)),
        (np.zeros(2), np.array([[1, 0], [0, np.nan]])),
        (np.zeros(2), np.diag([1.0, -1.0])),
    ],
)
def test_photographs_lie_somewhere(mean: Any, precision: Any) -> None:
    with pytest.raises(ValueError, match=r"mean|finite|positive definite"):
        Photographs(mean=mean, precision=precision)


def test_the_ratio_for_photographs_is_that_of_two_normal_distributions(
    gallery: Gallery, rng: np.random.Generator
) -> None:
    stats = pytest.importorskip("scipy.stats")
    points, space = rng.normal(0, 3, (6, gallery.space.size)), gallery.space
    of_it = stats.multivariate_normal(gallery.photographs.mean, np.linalg.inv(gallery.photographs.precision))
    of_any = stats.multivariate_normal(np.zeros(space.size), np.diag(space.within + space.between))
    expected = of_it.logpdf(points) - of_any.logpdf(points)
    assert gallery.photographs.log_ratios(points, space) == pytest.approx(expected)


def plain(d: int) -> FingerprintSpace:
    return FingerprintSpace(mean=np.zeros(d), matrix=np.eye(d), radius=2.0, within=np.ones(d), between=np.full(d, 3.0))


@pytest.mark.parametrize(("count", "share"), [(12 * 20, 0.05), (12 * 40, 0.05), (60, 0.2), (12, 1.0), (4, 3.0)])
def test_of_fewer_photographs_less_of_the_scatter_is_believed(
    rng: np.random.Generator, count: int, share: float
) -> None:
    fingerprints = rng.normal(size=(count, 12)) * np.geomspace(0.1, 3, 12) + 1
    found = photographs_at(fingerprints)
    covariance = np.cov(fingerprints.T)
    expected = covariance + share * np.diag(covariance).mean() * np.eye(12)
    assert found.precision == pytest.approx(np.linalg.inv(expected))
    assert found.mean == pytest.approx(fingerprints.mean(axis=0))


def ratios(few: Float64Array, asked: Float64Array) -> float:
    found = photographs_at(few).log_ratios(asked, plain(few.shape[1]))
    assert np.isfinite(found).all()
    return float(np.median(found))


@pytest.mark.parametrize("count", [2, 6, 11, 12, 13])
def test_few_photographs_give_finite_and_vague_ratios(rng: np.random.Generator, count: int) -> None:
    """A direction in which they happen not to differ must not tell other photographs from them."""
    few, others = rng.normal(size=(count, 12)), rng.normal(size=(300, 12))
    assert abs(ratios(few, few) - ratios(few, others)) < 3
    assert abs(ratios(few, 1.5 * others)) < 10


@pytest.mark.parametrize("count", [2, 5, 11])
def test_a_gallery_with_fewer_photographs_than_directions_answers(gallery: Gallery, world: Any, count: int) -> None:
    few = replace(gallery, seen_photographs=gallery.seen_photographs[:count])
    assert count < few.space.size
    found = attribute(world.predictions(PHOTOGRAPH, 40, seed=5), few)
    assert np.mean([item.answer == PHOTOGRAPH for item in found]) > 0.8
    known = attribute(world.predictions(world.known[0], 40, seed=5), few)
    assert np.mean([item.answer == world.known[0] for item in known]) > 0.8
