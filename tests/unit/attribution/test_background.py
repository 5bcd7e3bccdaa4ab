"""A background is what is known of generators in general, and can be made as if one of them had never been met."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import PHOTOGRAPH, Background, Gallery, Scatter


def test_a_background_of_other_features_is_refused(gallery: Gallery) -> None:
    background = gallery.background
    narrow = Scatter(covariance=background.scatter.covariance[:7, :7], pictures=5)
    with pytest.raises(ValueError, match="of its 48 features"):
        replace(gallery, background=replace(background, middles=background.middles[:, :7], scatter=narrow))


@pytest.mark.parametrize(
    "changes",
    [
        {"middles": np.zeros((4, 2))},
        {"middles": np.zeros(3)},
        {"origins": ("a", "b"), "middles": np.zeros((2, 3)), "counts": np.full(2, 9)},
        {"origins": tuple("abc")},
        {"origins": tuple("abcde")},
        {"middles": np.full((4, 3), np.nan)},
        {"middles": np.array([[np.inf, 0.0, 0.0]] * 4)},
        {"counts": np.full(3, 9)},
        {"counts": np.array([9, 9, 0, 9])},
        {"spread": 0.0},
        {"spread": np.nan},
        {"spread": np.inf},
    ],
)
def test_a_background_that_cannot_be_is_not_made(changes: dict[str, Any]) -> None:
    parts: dict[str, Any] = {"names": ("a",), "origins": tuple("abcd"), "middles": np.eye(4)[:, :3]}
    parts |= {"counts": np.full(4, 9), "spread": 1.0}
    scatter = Scatter(covariance=np.eye(3), pictures=36)
    assert Background(**parts, scatter=scatter).space(()).size == 3
    with pytest.raises(ValueError, match=r"origins|spread"):
        Background(**{**parts, **changes}, scatter=scatter)


def test_a_background_without_an_origin_is_one_that_never_had_its_middle(gallery: Gallery, world: Any) -> None:
    background, name = gallery.background, world.known[4]
    assert background.origins == (*world.known, PHOTOGRAPH)
    fewer = background.without(name)
    assert fewer.names == (*world.known[:4], *world.known[5:])
    assert fewer.origins == (*world.known[:4], *world.known[5:], PHOTOGRAPH)
    assert np.array_equal(fewer.middles, np.delete(background.middles, 4, axis=0))
    assert np.array_equal(fewer.counts, np.delete(background.counts, 4))
    assert fewer.scatter is background.scatter  # its pictures stay a part of it
    assert fewer.spread == background.spread
    assert fewer.space(()).size == background.space(()).size - 1
    assert background.origins == (*world.known, PHOTOGRAPH)


def test_a_background_without_a_name_that_no_middle_stands_for_forgets_the_name_alone(gallery: Gallery) -> None:
    background = replace(gallery.background, names=("aside", *gallery.background.names))
    fewer = background.without("aside")
    assert fewer.names == gallery.background.names
    assert fewer.origins == gallery.background.origins
    assert np.array_equal(fewer.middles, gallery.background.middles)
    stranger = gallery.background.without("stranger")
    assert (stranger.names, stranger.origins) == (gallery.background.names, gallery.background.origins)


def test_a_background_of_three_origins_cannot_lose_one(gallery: Gallery) -> None:
    background = gallery.background
    for name in background.origins[3:]:
        background = background.without(name)
    with pytest.raises(ValueError, match="middles of 3 origins"):
        background.without(background.origins[0])


def test_a_generator_that_was_taken_out_of_the_background_shapes_the_space_when_enrolled(
    gallery: Gallery, world: Any
) -> None:
    name = world.known[4]
    rest = gallery.without(name)
    rest = replace(rest, background=rest.background.without(name))
    assert rest.space.size == gallery.space.size - 1
    assert world.enrol(rest, name, 10).space.size == gallery.space.size
