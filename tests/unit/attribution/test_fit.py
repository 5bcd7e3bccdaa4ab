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
    Gallery,
    Labelled,
    Weighing,
    attribute,
    fit_gallery,
    fit_space,
)
from ganfingerprint.errors import DataError

Fit = Callable[..., Gallery]
DETECTOR = "0123456789ab"
NAMES = tuple(f"maker {number}" for number in range(5))


def sets(world: Any, **unseen: int) -> tuple[Labelled, Labelled]:
    counts = {**dict.fromkeys(NAMES, 12), PHOTOGRAPH: 30}
    return world.labelled(counts, seed=1), world.labelled({**counts, **unseen}, seed=2)


def joined(first: Labelled, second: Labelled) -> Labelled:
    return Labelled(
        embeddings=np.concatenate([first.embeddings, second.embeddings]),
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
    assert np.array_equal(other.weighing.weights, gallery.weighing.weights)  # only references are drawn
    assert other.pairs.slope == pytest.approx(gallery.pairs.slope, rel=0.2)


def test_the_projection_is_learnt_from_one_set_and_the_scatters_from_the_other(world: Any) -> None:
    learnt, unseen = sets(world)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    space = fit_space(learnt.embeddings, learnt.names)
    assert np.array_equal(made.space.matrix, space.matrix)
    assert np.array_equal(made.space.within, space.remeasured(unseen.embeddings, unseen.names).within)
    at = [number for number, name in enumerate(unseen.names) if name == PHOTOGRAPH]
    assert made.photographs.mean == pytest.approx(made.space.project(unseen.embeddings[at]).mean(axis=0))


def test_all_evidence_counts_for_what_it_speaks_for(gallery: Gallery) -> None:
    weights = gallery.weighing.weights
    assert (weights[[0, 2, 3]] > 0).all()
    assert gallery.pairs.slope > 0
    assert not gallery.pairs.contradicted


def test_weights_are_the_likeliest_for_photographs_enrolled_and_left_out_generators(world: Any) -> None:
    """Photographs count a half, the enrolled a quarter, and the same pictures without their generator a quarter."""
    learnt, unseen = sets(world, **{NAMES[0]: 25})
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    fingerprints = made.space.project(unseen.embeddings)
    ratios = made.space.log_ratios(fingerprints, made.places, made.counts)
    photographs = made.photographs.log_ratios(fingerprints, made.space)
    detector = unseen.log10_lr * np.log(10)

    def objective(weights: Any) -> float:
        gains: dict[str, list[float]] = {"photograph": [], "enrolled": [], "left out": []}
        for at, name in enumerate(unseen.names):
            evidence = (photographs[at : at + 1], detector[at : at + 1])
            chances = Weighing(weights=weights).probabilities(ratios[at : at + 1], *evidence)[0]
            if name == PHOTOGRAPH:
                gains["photograph"].append(np.log(chances[-1]))
                continue
            place = made.generators.index(name)
            gains["enrolled"].append(np.log(chances[place]))
            others = np.delete(ratios[at : at + 1], place, axis=1)
            gains["left out"].append(np.log(Weighing(weights=weights).probabilities(others, *evidence)[0, -2]))
        means = {key: float(np.mean(values)) for key, values in gains.items()}
        ridge = 0.5e-3 * float(weights @ weights)
        return 0.5 * means["photograph"] + 0.25 * means["enrolled"] + 0.25 * means["left out"] - ridge

    top = objective(made.weighing.weights)
    for step in (*1e-3 * np.eye(5), *-1e-3 * np.eye(5)):
        assert objective(made.weighing.weights + step) < top


def test_a_generator_that_is_set_aside_is_enrolled_and_does_not_form_the_space(world: Any) -> None:
    learnt, unseen = sets(world)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR, aside={NAMES[2]})
    assert made.generators == NAMES
    assert made.space.size == 4  # five origins are left
    of = np.array(learnt.names) == NAMES[2]
    moved = replace(learnt, embeddings=np.where(of[:, None], learnt.embeddings[::-1], learnt.embeddings))
    other = fit_gallery(moved, unseen, detector_id=DETECTOR, aside={NAMES[2]})
    assert np.array_equal(other.space.matrix, made.space.matrix)
    assert np.array_equal(other.space.within, made.space.within)
    assert not np.allclose(other.places[2], made.places[2])
    found = attribute(world.predictions(NAMES[2], 20, 5), made)
    assert np.mean([item.candidates[0].name == NAMES[2] for item in found]) > 0.8


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
    again = replace(unseen, embeddings=unseen.embeddings * np.float32(1.1))
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
    again = replace(unseen, embeddings=unseen.embeddings * np.float32(1.1))
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
        replace(part, embeddings=rng.uniform(0, 2, part.embeddings.shape).astype(np.float32))
        for part in (learnt, unseen)
    )
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    found = attribute(world.predictions(NAMES[0], 40, log10_lr=2.0), made)
    assert max(item.candidates[0].probability for item in found) < 0.6
    assert np.mean([item.answer == UNKNOWN for item in found]) > 0.5


@pytest.mark.parametrize(
    ("learnt", "unseen", "said"),
    [
        ({"a": 12, PHOTOGRAPH: 12}, {"a": 12, PHOTOGRAPH: 30}, "3 origins"),
        ({"a": 12, "b": 12, PHOTOGRAPH: 12}, {"a": 12, PHOTOGRAPH: 30}, "3 origins"),
        ({"a": 12, "b": 12, PHOTOGRAPH: 12}, {"a": 12, "b": 12, "c": 5}, "more than 2 photographs"),
        ({"a": 12, "b": 12, PHOTOGRAPH: 12}, {"c": 2, "d": 2, PHOTOGRAPH: 30}, "3 origins"),
        ({"a": 12, "b": 12, PHOTOGRAPH: 12}, {"c": 12, "d": 12, PHOTOGRAPH: 30}, "known and unknown generators"),
        ({"a": 9, "b": 9, PHOTOGRAPH: 12}, {"a": 12, "b": 12, PHOTOGRAPH: 30}, "known and unknown generators"),
    ],
)
def test_too_little_to_learn_from_is_refused(
    world: Any, learnt: dict[str, int], unseen: dict[str, int], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        fit_gallery(world.labelled(learnt, seed=1), world.labelled(unseen, seed=2), detector_id=DETECTOR)


def test_labelled_pictures_are_counted(world: Any) -> None:
    assert len(world.labelled({"a": 3, "b": 4})) == 7
