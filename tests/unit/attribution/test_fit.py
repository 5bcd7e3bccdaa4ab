"""A gallery is learnt from one set of pictures, and what it says with a probability from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import (
    PHOTOGRAPH,
    UNKNOWN,
    Background,
    FingerprintSpace,
    Gallery,
    Labelled,
    Scatter,
    Weighing,
    attribute,
    chances_of,
    fit,
    fit_basis,
    fit_gallery,
)
from ganfingerprint.attribution.fit import MOST_ENROLLED
from ganfingerprint.errors import DataError

Fit = Callable[..., Gallery]
DETECTOR = "0123456789ab"
NAMES = tuple(f"maker {number}" for number in range(5))
THREE = dict.fromkeys("abc", 12)


def sets(world: Any, **unseen: int) -> tuple[Labelled, Labelled]:
    counts = {**dict.fromkeys(NAMES, 12), PHOTOGRAPH: 30}
    return world.labelled(counts, seed=1), world.labelled({**counts, **unseen}, seed=2)


def joined(first: Labelled, second: Labelled) -> Labelled:
    return Labelled(
        traces=np.concatenate([first.traces, second.traces]),
        embedding=first.embedding,
        log10_lr=np.concatenate([first.log10_lr, second.log10_lr]),
        names=first.names + second.names,
        ids=first.ids + second.ids,
        hashes=first.hashes + second.hashes,
        groups=first.groups + second.groups,
    )


def test_what_is_enrolled_are_the_generators_that_were_learnt_and_no_photographs(gallery: Gallery, world: Any) -> None:
    assert gallery.generators == world.known
    assert list(gallery.counts) == [25] * 12
    assert gallery.detector_id == world.detector_id
    assert gallery.origin == "drawn clusters"
    assert {*gallery.hashes} == {digest for name in world.known for digest in world.hashes(name, 25, seed=1)}


def test_the_same_pictures_give_the_same_gallery(fit: Fit, gallery: Gallery) -> None:
    assert fit().gallery_id == gallery.gallery_id
    other = fit(seed=43)
    assert other.gallery_id != gallery.gallery_id
    assert np.array_equal(other.codes, gallery.codes)  # what is drawn are references, and who is enrolled later
    assert other.weighing.weights == pytest.approx(gallery.weighing.weights, abs=0.1)
    assert other.pairs.slope == pytest.approx(gallery.pairs.slope, rel=0.2)


def background_by_hand(made: Gallery, learnt: Labelled, unseen: Labelled, left_out: str = "") -> Background:
    """What is known of generators but one: middles of what was learnt from, scatter half of that, half of the other."""
    features = [made.basis.features(part.traces) for part in (learnt, unseen)]
    kept = [name for name in sorted({*learnt.names}) if name != left_out]
    rows = [[np.array(part.names) == name for name in kept] for part in (learnt, unseen)]
    parts = [[values[of] for of in each] for values, each in zip(features, rows, strict=True)]
    covariances = [
        np.average([np.cov(part.T) for part in each], axis=0, weights=[min(len(part), 100) for part in each])
        for each in parts
    ]
    pictures = sum(min(len(part), 100) for part in parts[0])
    return Background(
        names=tuple(name for name in kept if name != PHOTOGRAPH),
        origins=tuple(kept),
        middles=np.stack([part.mean(axis=0) for part in parts[0]]),
        counts=np.array([len(part) for part in parts[0]]),
        scatter=Scatter(covariance=np.mean(covariances, axis=0), pictures=pictures),
        spread=made.background.spread,
    )


def without(made: Gallery, learnt: Labelled, unseen: Labelled, name: str) -> Gallery:
    """The gallery that never met a generator."""
    return replace(made.without(name), background=background_by_hand(made, learnt, unseen, name))


def test_the_background_is_of_both_sets_and_the_basis_of_what_was_learnt_from(world: Any) -> None:
    learnt, unseen = sets(world, **{NAMES[0]: 130})
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    basis, expected = fit_basis(learnt.traces, learnt.embedding), background_by_hand(made, learnt, unseen)
    assert np.array_equal(made.basis.axes, basis.axes)
    assert np.array_equal(made.basis.mean, basis.mean)
    assert made.background.names == expected.names == NAMES
    assert made.background.origins == expected.origins == (*NAMES, PHOTOGRAPH)
    assert made.background.middles == pytest.approx(expected.middles, abs=1e-6)
    assert made.background.counts.tolist() == [12, 12, 12, 12, 12, 30]
    assert made.background.scatter.covariance == pytest.approx(expected.scatter.covariance, abs=1e-6)
    assert made.background.scatter.pictures == expected.scatter.pictures == 90
    assert made.space.between == pytest.approx(expected.space(()).between)


def test_numbers_are_those_that_a_file_keeps(gallery: Gallery) -> None:
    for numbers in (gallery.background.middles, gallery.background.scatter.covariance, gallery.weighing.weights):
        assert numbers.dtype == np.float64
        assert np.array_equal(numbers.astype(np.float32), numbers)


def test_the_spread_is_that_of_unseen_pictures_of_generators(world: Any) -> None:
    learnt, unseen = sets(world)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    of = np.array(unseen.names)
    variances = [made.fingerprints_of(unseen.traces[of == name]).var(axis=0, ddof=1).mean() for name in NAMES]
    assert made.background.spread == pytest.approx(np.mean(variances))
    assert made.space.within == pytest.approx([made.background.spread] * 5)


def test_photographs_lie_where_the_unseen_ones_do(world: Any) -> None:
    learnt, unseen = sets(world)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    codes = made.basis.codes(unseen.traces[np.array(unseen.names) == PHOTOGRAPH])
    assert np.array_equal(made.seen_photographs, codes)
    assert made.photographs.mean == pytest.approx(made.space.project(made.basis.opened(codes)).mean(axis=0))


def test_of_very_many_pictures_some_are_drawn(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    put = fit._with

    def counted(gallery: Gallery, learnt: Labelled, name: str, at: Any) -> Gallery:
        sizes.append(len(at))
        return put(gallery, learnt, name, at)

    monkeypatch.setattr(fit, "_with", counted)
    monkeypatch.setattr(fit, "_MOST_PHOTOGRAPHS", 20)
    counts = {**dict.fromkeys(NAMES, 12), NAMES[1]: MOST_ENROLLED + 30, NAMES[2]: 26, PHOTOGRAPH: 30}
    learnt, unseen = world.labelled(counts, seed=1), sets(world)[1]
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    assert made.counts.tolist() == [12, 60, 26, 12, 12]
    assert sizes[:5] == [12, 60, 26, 12, 12]  # as the gallery knows them
    assert sizes[5:] == [10, 12, 10, 25, 10, 25, 10, 12, 10, 12]  # as people enrol them, from 10 and from 25
    hashes = [digest for digest, name in zip(made.hashes, made.names, strict=True) if name == NAMES[1]]
    order = [learnt.hashes.index(digest) for digest in hashes]
    assert order == sorted(order) != [*range(order[0], order[0] + 60)]  # from all of them
    assert made.background.counts[1] == 90
    known = {code.tobytes() for code in made.basis.codes(unseen.traces[np.array(unseen.names) == PHOTOGRAPH])}
    assert len(made.seen_photographs) == 20
    assert {code.tobytes() for code in made.seen_photographs} <= known


def test_all_evidence_counts_for_what_it_speaks_for(gallery: Gallery) -> None:
    weights = gallery.weighing.weights
    assert (weights[[0, 2, 3]] > 0).all()
    assert gallery.pairs.slope > 0
    assert not gallery.pairs.contradicted


def gains(weights: Any, gallery: Gallery, unseen: Labelled, name: str) -> list[float]:
    """Log probability of what is true, of each unseen picture of an origin, as a gallery answers."""
    rows = [at for at, other in enumerate(unseen.names) if other == name]
    there = replace(gallery, weighing=Weighing(weights=weights))
    _, chances = chances_of(there.fingerprints_of(unseen.traces[rows]), unseen.log10_lr[rows], there)
    if name == PHOTOGRAPH:
        return [float(value) for value in np.log(chances[:, -1])]
    place = there.generators.index(name) if name in there.generators else -2
    return [float(value) for value in np.log(chances[:, place])]


def enrolled_later(other: Gallery, learnt: Labelled, name: str, taken: set[str]) -> Gallery:
    at = [number for number, digest in enumerate(learnt.hashes) if digest in taken]
    after = other.enrolled(name, learnt.traces[at], [learnt.ids[i] for i in at], [learnt.hashes[i] for i in at])
    assert after.space.size == other.space.size + 1
    return after


def test_weights_are_the_likeliest_for_photographs_enrolled_and_left_out_generators(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photographs count a half; pictures of generators an eighth as the gallery knows them, a sixteenth each as if
    enrolled later from few and from more, a quarter as of a stranger.
    """
    learnt, unseen = sets(world, **{NAMES[0]: 25})
    drawn: dict[str, list[set[str]]] = {}
    meet = fit._met

    def watched(gallery: Gallery, known: Any, pictures: Labelled, name: str, *others: Any) -> Any:
        found = meet(gallery, known, pictures, name, *others)
        drawn[name] = [set(later.hashes) - set(found.never.hashes) for later in found.later]
        return found

    monkeypatch.setattr(fit, "_met", watched)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    assert [[*map(len, sides)] for sides in drawn.values()] == [[10, 12]] * 5
    left_out = {name: without(made, learnt, unseen, name) for name in NAMES}
    later = [{name: enrolled_later(left_out[name], learnt, name, drawn[name][at]) for name in NAMES} for at in (0, 1)]

    def objective(weights: Any) -> float:
        total = 0.5 * np.mean(gains(weights, made, unseen, PHOTOGRAPH)) - 0.5e-3 * float(weights @ weights)
        as_met = ((0.0625, later[0]), (0.0625, later[1]), (0.25, left_out))
        for mass, galleries in ((0.125, dict.fromkeys(NAMES, made)), *as_met):
            all_of = [gain for name in NAMES for gain in gains(weights, galleries[name], unseen, name)]
            total += mass * np.mean(all_of)  # each picture counts alike
        return float(total)

    top = objective(made.weighing.weights)
    for step in (*1e-3 * np.eye(5), *-1e-3 * np.eye(5)):
        assert objective(made.weighing.weights + step) < top
        assert top - objective(made.weighing.weights + step) < 1e-5  # of the second order alone


def test_comparisons_are_calibrated_in_spaces_that_never_met_the_generator(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt, unseen = sets(world)
    asked: dict[str, FingerprintSpace] = {}
    whole = fit._fit_pairs

    def watched(spaces: dict[str, FingerprintSpace], *others: Any) -> Any:
        asked.update(spaces)
        return whole(spaces, *others)

    monkeypatch.setattr(fit, "_fit_pairs", watched)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    assert tuple(asked) == NAMES
    for name, space in asked.items():
        expected = background_by_hand(made, learnt, unseen, name).space(())
        assert space.size == expected.size == made.space.size - 1
        assert np.abs(space.matrix) == pytest.approx(np.abs(expected.matrix), abs=1e-4)
        assert space.between == pytest.approx(expected.between)


def test_a_generator_that_is_set_aside_is_enrolled_and_known_to_nothing_else(world: Any) -> None:
    learnt, unseen = sets(world)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR, aside={NAMES[2]})
    assert made.generators == made.background.names == NAMES  # its pictures do not shape the space as a stranger's do
    assert made.space.size == 4  # five origins are left
    of = np.array(learnt.names) == NAMES[2]
    moved = replace(learnt, traces=np.where(of[:, None], learnt.traces[::-1], learnt.traces))
    other = fit_gallery(moved, unseen, detector_id=DETECTOR, aside={NAMES[2]})
    assert np.array_equal(other.basis.axes, made.basis.axes)
    assert np.array_equal(other.space.matrix, made.space.matrix)
    assert np.array_equal(other.space.within, made.space.within)
    assert other.pairs == made.pairs
    assert not np.allclose(other.places[2], made.places[2])
    found = attribute(world.predictions(NAMES[2], 60, 5), made)
    assert np.mean([item.candidates[0].name == NAMES[2] for item in found]) > 0.6  # chance is a fifth


def test_generators_of_too_few_different_pictures_are_not_enrolled(world: Any) -> None:
    learnt, unseen = sets(world)
    few = world.labelled({"few": 9}, seed=1)
    copies = replace(few, hashes=(few.hashes[0], *few.hashes[:8]))
    assert "few" not in fit_gallery(joined(learnt, few), unseen, detector_id=DETECTOR).generators
    assert "few" in fit_gallery(joined(learnt, few), unseen, detector_id=DETECTOR, fewest=9).generators
    assert "few" not in fit_gallery(joined(learnt, copies), unseen, detector_id=DETECTOR, fewest=9).generators
    two = world.labelled({"few": 2}, seed=1)
    assert "few" not in fit_gallery(joined(learnt, two), unseen, detector_id=DETECTOR, fewest=1).generators


def test_files_that_were_delivered_several_times_are_one_piece_of_evidence(world: Any) -> None:
    learnt, unseen = sets(world)
    again = replace(unseen, traces=unseen.traces * np.float32(1.1))
    once = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    twice = fit_gallery(learnt, joined(unseen, again), detector_id=DETECTOR)
    assert twice.pairs.log10_lr_bound == pytest.approx(once.pairs.log10_lr_bound)
    assert once.pairs.log10_lr_bound == pytest.approx(np.log10(len(NAMES) + 1))


def test_pictures_of_one_group_are_not_held_against_each_other(world: Any) -> None:
    learnt, unseen = sets(world)
    one_scene = replace(unseen, groups=unseen.names)  # all pictures of a generator show the same
    with pytest.raises(DataError, match="three unseen groups"):
        fit_gallery(learnt, one_scene, detector_id=DETECTOR)


def test_deliveries_do_not_move_how_evidence_is_weighed(world: Any) -> None:
    learnt, unseen = sets(world)
    again = replace(unseen, traces=unseen.traces * np.float32(1.1))
    once, twice = (fit_gallery(learnt, part, detector_id=DETECTOR) for part in (unseen, joined(unseen, again)))
    assert twice.weighing.weights == pytest.approx(once.weighing.weights, abs=0.5)


def test_a_detector_that_knows_nothing_is_not_listened_to(world: Any) -> None:
    learnt, unseen = sets(world, **dict.fromkeys(NAMES, 60), **{PHOTOGRAPH: 300})
    rng = np.random.default_rng(0)
    deaf = replace(unseen, log10_lr=rng.normal(size=len(unseen)))
    weights = fit_gallery(learnt, deaf, detector_id=DETECTOR).weighing.weights
    assert abs(weights[3]) < 0.35 * fit_gallery(learnt, unseen, detector_id=DETECTOR).weighing.weights[3]


def test_where_all_are_alike_no_generator_is_named_with_certainty(world: Any) -> None:
    """Names that mean nothing: evidence of nothing must not become an accusation."""
    learnt, unseen = sets(world)
    rng = np.random.default_rng(0)
    learnt, unseen = (
        replace(part, traces=rng.uniform(0, 2, part.traces.shape).astype(np.float32)) for part in (learnt, unseen)
    )
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    found = attribute(world.predictions(NAMES[0], 40, log10_lr=2.0), made)
    assert max(item.candidates[0].probability for item in found) < 0.6
    assert np.mean([item.answer == UNKNOWN for item in found]) > 0.5


@pytest.mark.parametrize(
    ("learnt", "unseen", "said"),
    [
        ({"a": 1}, {"a": 12, PHOTOGRAPH: 30}, "pictures that differ"),
        ({"a": 12, PHOTOGRAPH: 12}, {"a": 12, PHOTOGRAPH: 30}, "needs 4 origins of 3 pictures each, got 2"),
        ({"a": 12, "b": 12, "c": 2, PHOTOGRAPH: 12}, {"a": 12, PHOTOGRAPH: 30}, "needs 4 origins .* got 3"),
        ({**THREE, PHOTOGRAPH: 12}, {"a": 2, PHOTOGRAPH: 30}, "fewer than two origins have 3 pictures"),
        ({**THREE, "d": 12}, {"a": 12, PHOTOGRAPH: 30}, "fewer than two origins have 3 pictures"),
        ({**THREE, PHOTOGRAPH: 12}, {"a": 12, "b": 12, "c": 5}, "more than 4 photographs"),
        ({**THREE, PHOTOGRAPH: 12}, {"a": 12, "b": 12, PHOTOGRAPH: 4}, "more than 4 photographs"),
        ({"a": 9, "b": 9, "c": 9, PHOTOGRAPH: 12}, {**THREE, PHOTOGRAPH: 30}, "no generator that is enrolled has"),
    ],
)
def test_too_little_to_learn_from_is_refused(
    world: Any, learnt: dict[str, int], unseen: dict[str, int], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        fit_gallery(world.labelled(learnt, seed=1), world.labelled(unseen, seed=2), detector_id=DETECTOR)


def test_labelled_pictures_are_counted(world: Any) -> None:
    assert len(world.labelled({"a": 3, "b": 4})) == 7
