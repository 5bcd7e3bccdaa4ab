"""The space is made of what is enrolled: who shapes it, from how many pictures on, and what that is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import PHOTOGRAPH, FingerprintSpace, Gallery, fit_gallery, fit_space, scatter_of
from ganfingerprint.attribution.gallery import FEWEST_SHAPING
from ganfingerprint.types import Float32Array

STRANGERS = tuple(f"stranger {number}" for number in range(12))


def same_space(one: Gallery, other: Gallery) -> bool:
    return all(
        np.array_equal(getattr(one.space, name), getattr(other.space, name))
        for name in ("mean", "matrix", "within", "between", "radius")
    )


def outsiders(world: Any, gallery: Gallery, side: int, count: int, seed: int = 0) -> Float32Array:
    """Traces of two generators that differ where the gallery's space does not look."""
    basis = gallery.basis
    seen = (basis.scale[:, None] * basis.axes * basis.steps) @ gallery.space.matrix  # of roots and summaries, [t, d]
    unseen = np.linalg.svd(seen.T)[2][gallery.space.size :].sum(axis=0)
    moved = 1.5 * side * unseen / np.linalg.norm(unseen)
    traces, e = world.traces("outsider", count, seed), basis.embedding
    roots, summaries = np.sqrt(traces[:, :e]) + moved[:e], traces[:, e:] + moved[e:]
    found: Float32Array = np.concatenate([np.maximum(roots, 0) ** 2, summaries], axis=1).astype(np.float32)
    return found


def told_apart(world: Any, gallery: Gallery, space: FingerprintSpace) -> float:
    """The share of pictures of the two that are likelier of their own, each known by 40 pictures, in this space."""
    places = [
        space.project(gallery.basis.features(outsiders(world, gallery, side, 40))).mean(axis=0) for side in (-1, 1)
    ]
    right = []
    for at, side in enumerate((-1, 1)):
        asked = space.project(gallery.basis.features(outsiders(world, gallery, side, 200, seed=5)))
        right.append(space.log_ratios(asked, np.stack(places), [40, 40]).argmax(axis=1) == at)
    return float(np.mean(right))


def test_a_new_generator_brings_the_directions_that_tell_it_from_others(gallery: Gallery, world: Any) -> None:
    after = gallery
    for name, side in (("left", -1), ("right", 1)):
        hashes = [f"{name} {at}" for at in range(40)]
        after = after.enrolled(name, outsiders(world, gallery, side, 40), hashes, hashes)
    assert after.space.size == gallery.space.size + 2
    assert told_apart(world, gallery, gallery.space) < 0.7  # what they differ in is not in that space
    assert told_apart(world, gallery, after.space) > 0.95
    strangers = [after.basis.opened(after.codes[at : at + 40]) for at in (300, 340)]
    assert np.array_equal(after.space.matrix, gallery.background.space(strangers).matrix)


def test_a_new_generator_brings_its_scatter_too(gallery: Gallery, world: Any) -> None:
    background = gallery.background
    features = gallery.basis.features(world.traces("aaa", 30))
    expected = fit_space(
        np.concatenate([background.middles, features.mean(axis=0)[None]]),
        [*background.counts, 30],
        background.scatter + scatter_of(features),
        spread=background.spread,
    )
    found = background.space([features])
    for name in ("mean", "matrix", "within", "between", "radius"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.within == pytest.approx([background.spread] * found.size)


def test_generators_of_the_background_leave_the_space_as_it_is(gallery: Gallery, world: Any) -> None:
    more = world.enrol(gallery, world.known[3], 20, seed=9)
    assert more.counts[3] == 45
    assert same_space(more, gallery)
    assert not np.array_equal(more.places[3], gallery.places[3])
    assert np.array_equal(np.delete(more.places, 3, axis=0), np.delete(gallery.places, 3, axis=0))
    fewer = gallery.without(world.known[3])
    assert same_space(fewer, gallery)
    assert same_space(world.enrol(fewer, world.known[3], 10, seed=9), gallery)
    assert not same_space(world.enrol(gallery, "aaa", 10), gallery)


def test_further_pictures_of_a_new_generator_change_the_space_again(gallery: Gallery, world: Any) -> None:
    once = world.enrol(gallery, "aaa", 10)
    more = world.enrol(once, "aaa", 10, seed=9)
    assert more.space.size == once.space.size
    assert not same_space(more, once)
    assert not np.array_equal(more.fingerprints[:300], once.fingerprints[:300])
    assert np.array_equal(more.codes[:310], once.codes)


def test_the_order_in_which_generators_are_enrolled_does_not_count(gallery: Gallery, world: Any) -> None:
    one = world.enrol(world.enrol(gallery, "aaa", 10), "bbb", 10)
    other = world.enrol(world.enrol(gallery, "bbb", 10), "aaa", 10)
    assert same_space(one, other)
    assert np.array_equal(one.places, other.places)


def test_of_very_many_pictures_some_shape_the_space(gallery: Gallery, world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ganfingerprint.attribution.gallery._SHAPING", 5)
    after = world.enrol(gallery, "aaa", 12)
    some = after.basis.opened(after.codes[-12::3])
    assert after.space.between == pytest.approx(gallery.background.space([some]).between)
    assert after.counts[0] == 12  # all of them make its place


@pytest.mark.parametrize("count", [3, 9, 10])
def test_a_new_generator_shapes_the_space_from_ten_pictures_on(gallery: Gallery, world: Any, count: int) -> None:
    after = world.enrol(gallery, "aaa", count)
    assert same_space(after, gallery) == (count < 10)
    assert after.space.size == gallery.space.size + (count >= 10)
    nine = world.enrol(gallery, "bbb", 9)
    more = nine.enrolled("bbb", world.traces("bbb", 1, seed=9), ["x"], world.hashes("bbb", 1, seed=9))
    assert not same_space(more, nine)  # all of its pictures count, whenever they came


def own_ratio(world: Any, after: Gallery, space: FingerprintSpace, name: str) -> float:
    """The median of the ratios of pictures that are not enrolled for their own generator, in this space."""
    kept = after.basis.opened(after.codes[[other == name for other in after.names]])
    place = space.project(kept).mean(axis=0)[None]
    asked = space.project(after.basis.features(world.traces(name, 40, seed=5)))
    return float(np.median(space.log_ratios(asked, place, [len(kept)])))


def test_in_much_noise_ten_pictures_shape_a_space_that_knows_others_of_their_generator(
    noisy: Any, noisy_gallery: Gallery
) -> None:
    for name in STRANGERS:
        after = noisy.enrol(noisy_gallery, name, 10, seed=9)
        assert after.space.size == noisy_gallery.space.size + 1
        assert own_ratio(noisy, after, after.space, name) > 1.0


def test_in_much_noise_three_pictures_are_worth_more_where_they_do_not_shape_the_space(
    noisy: Any, noisy_gallery: Gallery
) -> None:
    lost = []
    for name in STRANGERS:
        after = noisy.enrol(noisy_gallery, name, 3, seed=9)
        found, plain = (own_ratio(noisy, after, space, name) for space in (after.space, noisy_gallery.space))
        shaped = noisy_gallery.background.space([after.basis.opened(after.codes[-3:])])
        assert found == plain > 0
        lost.append(plain - own_ratio(noisy, after, shaped, name))
    assert min(lost) > 1  # what the space would know less of them


def test_a_name_that_no_middle_stands_for_shapes_the_space_once_it_was_removed(world: Any) -> None:
    counts = {**dict.fromkeys(world.known[:5], 12), PHOTOGRAPH: 30}
    learnt, unseen = world.labelled(counts, seed=1), world.labelled(counts, seed=2)
    known, aside = world.known[1], world.known[2]
    made = fit_gallery(learnt, unseen, detector_id=world.detector_id, aside={aside})
    assert same_space(world.enrol(made, aside, 20, seed=9), made)
    removed = made.without(aside)
    assert removed.background.names == tuple(name for name in made.background.names if name != aside)
    assert same_space(removed, made)
    again = world.enrol(removed, aside, FEWEST_SHAPING, seed=9)
    assert again.space.size == made.space.size + 1
    assert again.without(aside).gallery_id == removed.gallery_id
    assert made.without(known).background is made.background  # a middle stands for this one
    assert same_space(world.enrol(made.without(known), known, 20, seed=9), made)


def test_pictures_that_are_too_few_to_shape_the_space_change_no_ratio_of_another(gallery: Gallery, world: Any) -> None:
    after = world.enrol(gallery, "zzz", FEWEST_SHAPING - 1)
    asked = world.traces(world.known[0], 5, seed=5)
    ratios = [made.space.log_ratios(made.fingerprints_of(asked), made.places, made.counts) for made in (gallery, after)]
    assert np.array_equal(ratios[1][:, :-1], ratios[0])
