"""Answers name the enrolled, say "unknown generator" of others and "photograph" of photographs, with probabilities."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import (
    PHOTOGRAPH,
    UNKNOWN,
    Gallery,
    attribute,
    chances_of,
    compare,
    compared,
    decide,
    traces_of,
)
from ganfingerprint.attribution.decide import fingerprint_distance
from ganfingerprint.errors import GalleryError
from ganfingerprint.types import Attribution, Candidate

STRANGERS = tuple(f"stranger {number}" for number in range(8))


def share(found: list[Attribution], answer: str) -> float:
    return float(np.mean([item.answer == answer for item in found]))


def test_unseen_pictures_of_the_enrolled_are_recognised(gallery: Gallery, world: Any) -> None:
    shares = [share(attribute(world.predictions(name, 30, 5), gallery), name) for name in world.known]
    assert np.mean(shares) > 0.95
    assert min(shares) > 0.6


def test_generators_that_are_not_enrolled_are_unknown(gallery: Gallery, world: Any) -> None:
    shares = [share(attribute(world.predictions(name, 30, 5), gallery), UNKNOWN) for name in STRANGERS]
    assert np.mean(shares) > 0.85
    assert min(shares) > 0.6


def test_photographs_are_photographs_where_detector_and_place_say_so(gallery: Gallery, world: Any) -> None:
    assert share(attribute(world.predictions(PHOTOGRAPH, 100, 5), gallery), PHOTOGRAPH) > 0.95
    for name in (PHOTOGRAPH, world.known[0], STRANGERS[0]):
        by_detector = [
            np.mean([a.prob_photograph for a in attribute(world.predictions(name, 30, 5, log10_lr=bans), gallery)])
            for bans in (-2.0, 0.0, 2.0)
        ]
        assert by_detector[0] > by_detector[1] > by_detector[2]
    # where both disagree, a generator whose place is known wins over the detector's bounded evidence
    assert share(attribute(world.predictions(world.known[0], 30, 5, log10_lr=-2.0), gallery), world.known[0]) > 0.8


def test_ten_pictures_of_a_new_generator_suffice(gallery: Gallery, world: Any) -> None:
    for name in STRANGERS[:4]:
        after = world.enrol(gallery, name, 10, seed=9)
        found = attribute(world.predictions(name, 50, 5), after)
        assert share(found, name) > 0.7
        assert np.mean([item.candidates[0].name == name for item in found]) > 0.9
    others = attribute(world.predictions(world.known[1], 30, 5), after)
    assert share(others, world.known[1]) > 0.9


def test_a_generator_unlike_all_others_is_known_by_its_own_pictures(gallery: Gallery, world: Any) -> None:
    """So far out that 8 bits do not reach it: what is asked about must end where what is enrolled ended."""
    there = np.where(np.arange(48) < 40, 0, 9 * np.array([1, -1] * 24) * np.geomspace(1e-6, 10, 48)).astype(np.float32)
    hashes = world.hashes("far", 25)
    after = gallery.enrolled("far", world.traces("far", 25) + there, hashes, hashes)
    asked = [replace(item, summary=item.summary + there[40:], log10_lr=2.0) for item in world.predictions("far", 30, 5)]
    assert (np.abs(after.codes[-25:].astype(int)) == 127).mean() > 0.03
    assert share(attribute(asked, after), "far") > 0.9


def test_an_answer_is_the_likeliest_and_all_probabilities_make_one(gallery: Gallery, world: Any) -> None:
    pictures = [*world.predictions("stranger 1", 20), *world.predictions(world.known[2], 20)]
    pictures += world.predictions(PHOTOGRAPH, 20)
    for item, picture in zip(attribute(pictures, gallery), pictures, strict=True):
        chances = [c.probability for c in item.candidates]
        assert sum(chances) + item.prob_unknown + item.prob_photograph == pytest.approx(1)
        assert chances == sorted(chances, reverse=True)
        assert item.probability == max(chances[0], item.prob_unknown, item.prob_photograph)
        answers = {item.candidates[0].name: chances[0], UNKNOWN: item.prob_unknown, PHOTOGRAPH: item.prob_photograph}
        assert answers[item.answer] == item.probability
        assert (item.source, item.gallery_id) == (picture.source, gallery.gallery_id)
        assert item.detector_id == gallery.detector_id
        assert {c.name for c in item.candidates} == {*world.known}
        assert all(c.references == 25 for c in item.candidates)


def test_probabilities_of_answers_are_calibrated(gallery: Gallery, world: Any) -> None:
    """Of the mix that was weighed, half photographs, a quarter enrolled, a quarter strangers: said is what happens."""
    pictures = [(PHOTOGRAPH, p) for p in world.predictions(PHOTOGRAPH, 480, 6)]
    pictures += [(name, p) for name in world.known for p in world.predictions(name, 20, 6)]
    strangers = [f"another {at}" for at in range(40)]
    pictures += [(UNKNOWN, p) for name in strangers for p in world.predictions(name, 6, 6)]
    found = attribute([picture for _, picture in pictures], gallery)
    right = [item.answer == truth for item, (truth, _) in zip(found, pictures, strict=True)]
    assert np.mean(right) == pytest.approx(np.mean([item.probability for item in found]), abs=0.04)


def test_both_parts_of_a_trace_count(gallery: Gallery, world: Any) -> None:
    mine, others = world.predictions(world.known[0], 30, 5), world.predictions(world.known[1], 30, 5)
    mixed = {
        "summary": [replace(a, summary=b.summary) for a, b in zip(mine, others, strict=True)],
        "embedding": [replace(a, embedding=b.embedding) for a, b in zip(mine, others, strict=True)],
    }
    at = gallery.generators.index(world.known[0])
    ratios = {}
    for name, pictures in {"neither": mine, **mixed}.items():
        ratios[name] = gallery.space.log_ratios(
            gallery.fingerprints_of(traces_of(pictures)), gallery.places, gallery.counts
        )[:, at].mean()
    assert ratios["neither"] > ratios["summary"] + 1
    assert ratios["neither"] > ratios["embedding"] + 1
    without = [replace(item, summary=None) for item in mine]
    with pytest.raises(GalleryError, match="takes 48 numbers of a picture, and the engine gave 40"):
        attribute(without, gallery)
    with pytest.raises(GalleryError, match="takes 48 numbers of a picture, and the engine gave 40"):
        compare(without, others, gallery)


def test_candidates_carry_bounded_evidence_and_chances_are_those_of_the_answer(gallery: Gallery, world: Any) -> None:
    pictures = world.predictions(world.known[3], 4)
    fingerprints = gallery.fingerprints_of(traces_of(pictures))
    ratios, chances = chances_of(fingerprints, np.array([p.log10_lr for p in pictures]), gallery)
    assert (ratios.shape, chances.shape) == ((4, 12), (4, 14))
    for at, item in enumerate(attribute(pictures, gallery)):
        found = {c.name: c for c in item.candidates}
        for place, name in enumerate(gallery.generators):
            assert found[name].probability == pytest.approx(chances[at, place])
            assert found[name].log10_lr == pytest.approx(float(gallery.claims.log10_lr(ratios[at, place])))
        assert (item.prob_unknown, item.prob_photograph) == pytest.approx(tuple(chances[at, 12:]))


def test_the_evidence_of_candidates_is_bounded_by_claims_and_that_of_comparisons_by_pairs(
    gallery: Gallery, world: Any
) -> None:
    bounded = replace(
        gallery,
        pairs=replace(gallery.pairs, log10_lr_bound=0.2),
        claims=replace(gallery.claims, log10_lr_bound=0.3),
    )
    pictures = world.predictions(world.known[3], 4)
    found = [candidate.log10_lr for item in attribute(pictures, bounded) for candidate in item.candidates]
    assert (min(found), max(found)) == pytest.approx((-0.3, 0.3))
    assert compare(pictures[:2], pictures[2:], bounded).log10_lr == pytest.approx(0.2)
    assert gallery.claims.log10_lr_bound == pytest.approx(math.log10(12 + 1))  # generators that it was seen of


def test_the_nearest_pictures_are_named(gallery: Gallery, world: Any) -> None:
    after = world.enrol(gallery, "aaa", 4)
    found = attribute(world.predictions("aaa", 4), after, neighbours=3)
    for at, item in enumerate(found):
        assert (item.nearest[0].id, item.nearest[0].name) == (f"aaa {at}.png", "aaa")
        assert item.nearest[0].distance == pytest.approx(0, abs=1e-3)  # it is kept in 8 bits
        distances = [near.distance for near in item.nearest]
        assert distances == sorted(distances)
        assert len(distances) == 3
    assert attribute(world.predictions("aaa", 1), after, neighbours=0)[0].nearest == ()
    assert len(attribute(world.predictions("aaa", 1), after, neighbours=10_000)[0].nearest) == 304


def test_a_picture_is_judged_by_itself(gallery: Gallery, world: Any) -> None:
    pictures = [*world.predictions(world.known[0], 3), *world.predictions("stranger 1", 3)]
    together, back = attribute(pictures, gallery), attribute(pictures[::-1], gallery)[::-1]
    for one, other, picture in zip(together, back, pictures, strict=True):
        alone = attribute([picture], gallery)[0]
        assert one.answer == other.answer == alone.answer
        assert one.probability == pytest.approx(other.probability)
        assert one.probability == pytest.approx(alone.probability)


def test_what_cannot_be_asked_is_refused(gallery: Gallery, world: Any) -> None:
    mine, others = world.predictions("a", 2), world.predictions("a", 2, 9, detector_id="another")
    assert attribute([], gallery) == []
    with pytest.raises(GalleryError, match=f"of detector {gallery.detector_id}, and this is another"):
        attribute([*mine, *others], gallery)
    for first, second in ((mine, others), (others, mine)):
        with pytest.raises(GalleryError, match="two detectors cannot be compared"):
            compare(first, second, gallery)
    for first, second in ((mine, []), ([], mine), ([], [])):
        with pytest.raises(GalleryError, match="at least one picture on either side"):
            compare(first, second, gallery)
    empty = gallery
    for name in gallery.generators:
        empty = empty.without(name)
    with pytest.raises(GalleryError, match="no generator is enrolled"):
        attribute(mine, empty)
    assert compare(mine[:1], mine[1:], empty) == compare(mine[:1], mine[1:], gallery)  # nobody need be enrolled
    with pytest.raises(GalleryError, match="the same file is on both sides"):
        compare(mine, mine[1:], gallery)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 5), (5, 5)])
def test_comparisons_of_strangers_are_worth_more_than_a_guess(
    gallery: Gallery, world: Any, first: int, second: int
) -> None:
    """Mean of log2 of the probability of what is true: a guess of .5 costs one bit."""
    same, different = [], []
    for at in range(30):
        one = world.predictions(f"origin {at}", first, 1)
        same.append(compare(one, world.predictions(f"origin {at}", second, 2), gallery).prob_same)
        different.append(compare(one, world.predictions(f"origin {at + 1}", second, 2), gallery).prob_same)
    cost = 0.5 * (np.mean(-np.log2(same)) + np.mean(-np.log2(1 - np.array(different))))
    assert cost < 0.6
    assert np.mean(np.array(same) > 0.5) > 0.85
    assert np.mean(np.array(different) < 0.5) > 0.75


def test_a_comparison_says_how_many_and_how_far_and_is_the_same_from_either_side(gallery: Gallery, world: Any) -> None:
    one, other = world.predictions("origin 1", 3), world.predictions("origin 2", 4)
    calm = replace(
        gallery, pairs=replace(gallery.pairs, slope=1e-3, intercept=0.0)
    )  # so that no bound hides a difference
    there, back = compare(one, other, calm), compare(other, one, calm)
    assert abs(there.log10_lr) < gallery.pairs.log10_lr_bound / 2
    assert (there.counts, back.counts) == ((3, 4), (4, 3))
    assert there.log10_lr == pytest.approx(back.log10_lr)
    a, b = (gallery.fingerprints_of(traces_of(side)).mean(axis=0) for side in (one, other))
    assert there.distance == pytest.approx(1 - a @ b / np.sqrt((a @ a) * (b @ b)))
    assert there.prob_same == pytest.approx(10**there.log10_lr / (1 + 10**there.log10_lr))
    assert compared(a[None], a[None], gallery).distance == pytest.approx(0, abs=1e-12)


def test_what_else_is_enrolled_does_not_change_a_comparison(gallery: Gallery, world: Any) -> None:
    one, other = world.predictions("origin 1", 3), world.predictions("origin 2", 4)
    more = world.enrol(world.enrol(gallery, "origin 1", 20, seed=9), "origin 2", 20, seed=9)
    assert more.space.size == gallery.space.size + 2
    assert compare(one, other, more) == compare(one, other, gallery)


def test_distances_of_a_comparison_stay_in_their_range(gallery: Gallery, rng: np.random.Generator) -> None:
    for point in rng.normal(size=(200, gallery.space.size)):
        assert compared(point[None], 3 * point[None], gallery).distance >= 0
        assert compared(point[None], -point[None], gallery).distance <= 2
    zero = np.zeros((1, gallery.space.size))
    assert compared(zero, point[None], gallery).distance == 1


def test_evidence_is_bounded_by_what_it_was_fitted_on(gallery: Gallery, world: Any) -> None:
    bound = gallery.pairs.log10_lr_bound
    assert bound == pytest.approx(math.log10(12 + 1))  # as many as there are generators that it was seen of
    sure = replace(gallery, background=replace(gallery.background, spread=1e-4))
    (one,) = world.predictions("x", 1)
    same = compare([one], [replace(one, sha256="0" * 64)], sure)  # another file with the very same fingerprint
    different = compare(world.predictions("x", 9), world.predictions(world.known[0], 9), sure)
    assert same.log10_lr == pytest.approx(bound)
    assert different.log10_lr == pytest.approx(-bound)
    assert 0 < different.prob_same < same.prob_same < 1


def test_the_distance_of_two_pictures_is_that_of_their_embeddings(world: Any) -> None:
    (one, other), foreign = world.predictions("origin 1", 2), world.predictions("origin 1", 1, detector_id="another")[0]
    a, b = one.embedding.astype(np.float64), other.embedding.astype(np.float64)
    assert fingerprint_distance(one, other) == pytest.approx(1 - a @ b / np.sqrt((a @ a) * (b @ b)))
    assert all(fingerprint_distance(p, p) >= 0 for p in world.predictions("origin 2", 100))
    with pytest.raises(GalleryError, match="cannot be compared"):
        fingerprint_distance(one, foreign)


@pytest.mark.parametrize(
    ("photograph", "unknown", "best", "answer"),
    [(0.51, 0.3, 0.1, "photograph"), (0.49, 0.2, 0.1, "unknown generator"), (0.3, 0.1, 0.2, "a"), (0.0, 0.0, 1.0, "a")],
)
def test_a_photograph_is_what_is_likelier_than_all_generators_together(
    photograph: float, unknown: float, best: float, answer: str
) -> None:
    candidates = [Candidate(name="a", probability=best, log10_lr=0.0, references=5)]
    shares = {"photograph": photograph, "unknown generator": unknown, "a": best}
    assert decide._answer(candidates, unknown, photograph) == (answer, shares[answer])
