"""A gallery is a value: enrolment makes another one, counts each file once, and its id says what it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import FEWEST_ENROLLED, PHOTOGRAPH, UNKNOWN, Gallery, Photographs, Weighing
from ganfingerprint.errors import GalleryError


def test_enrolment_makes_another_gallery_and_leaves_the_first(gallery: Gallery, world: Any) -> None:
    before = gallery.gallery_id
    after = world.enrol(gallery, "aaa", 10)
    assert after.generators == ("aaa", *world.known)
    assert list(after.counts) == [10, *[25] * 12]
    assert after.names[-10:] == ("aaa",) * 10
    assert after.ids[-1] == "aaa 9.png"
    assert after.hashes[-10:] == world.hashes("aaa", 10)
    assert gallery.generators == world.known
    assert gallery.gallery_id == before != after.gallery_id


def test_the_place_of_a_generator_is_the_mean_of_its_fingerprints(gallery: Gallery, world: Any) -> None:
    after = world.enrol(gallery, "aaa", 10)
    expected = gallery.space.project(world.embeddings("aaa", 10)).astype(np.float32).mean(axis=0, dtype=np.float64)
    assert after.places[0] == pytest.approx(expected, abs=1e-12)
    assert after.places[1:] == pytest.approx(gallery.places)
    assert after.fingerprints.dtype == np.float32


def test_pictures_in_two_goes_and_in_another_order_give_the_same_place(gallery: Gallery, world: Any) -> None:
    values, hashes, order = world.embeddings("aaa", 10), world.hashes("aaa", 10), [7, 2, 9, 0, 4, 1, 8, 3, 6, 5]
    once = gallery.enrolled("aaa", values, hashes, hashes)
    twice = gallery.enrolled("aaa", values[:4], hashes[:4], hashes[:4])
    twice = twice.enrolled("aaa", values[4:], hashes[4:], hashes[4:])
    turned = gallery.enrolled("aaa", values[order], [hashes[at] for at in order], [hashes[at] for at in order])
    assert once.gallery_id == twice.gallery_id
    assert turned.places == pytest.approx(once.places, abs=1e-12)
    by_hash = dict(zip(turned.hashes, turned.fingerprints, strict=True))
    assert all(np.array_equal(by_hash[digest], row) for digest, row in zip(once.hashes, once.fingerprints, strict=True))


def test_a_file_counts_once(gallery: Gallery, world: Any) -> None:
    once = world.enrol(gallery, "aaa", 4)
    assert world.enrol(once, "aaa", 4) is once
    values, hashes = world.embeddings("aaa", 5), world.hashes("aaa", 5)
    again = once.enrolled("aaa", values[[0, 4, 4, 4]], list("xyyy"), [hashes[at] for at in (0, 4, 4, 4)])
    assert again.counts[0] == 5
    assert again.ids[-1] == "y"
    assert len(set(again.hashes)) == len(again.hashes)


def test_a_file_of_another_generator_is_refused(gallery: Gallery, world: Any) -> None:
    values, hashes = world.embeddings("aaa", 5), [*world.hashes("aaa", 4), gallery.hashes[30]]
    with pytest.raises(GalleryError, match=f"enrolled for {gallery.names[30]} already"):
        gallery.enrolled("aaa", values, hashes, hashes)


def test_one_more_picture_of_a_known_generator_is_enough_but_a_new_one_needs_three(
    gallery: Gallery, world: Any
) -> None:
    assert world.enrol(gallery, world.known[3], 1, seed=9).counts[3] == 26
    assert world.enrol(gallery, "aaa", FEWEST_ENROLLED).counts[0] == 3
    with pytest.raises(GalleryError, match="would have 2 different pictures; at least 3"):
        world.enrol(gallery, "aaa", 2)
    values, same = world.embeddings("aaa", 4), ["h"] * 4
    with pytest.raises(GalleryError, match="would have 1 different pictures"):
        gallery.enrolled("aaa", values, same, same)
    with pytest.raises(GalleryError, match="would have 0 different pictures"):
        gallery.enrolled("aaa", [], [], [])


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "\t", PHOTOGRAPH, UNKNOWN, "Photograph", "Unknown Generator", " photograph", "photograph ", "a\nb",
        "a\x1b[31m", "a\0", "\u200b", "a\u202eb", "\udc80",
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_read_or_is_another_answer_is_refused(gallery: Gallery, world: Any, name: str) -> None:
    hashes = world.hashes("aaa", 3)
    with pytest.raises(GalleryError, match="cannot be called"):
        gallery.enrolled(name, world.embeddings("aaa", 3), hashes, hashes)
    with pytest.raises(ValueError, match="cannot be one"):
        replace(gallery, names=(name, *gallery.names[1:]))


@pytest.mark.parametrize("name", ["StyleGAN 3", "扩散", "a, b; c", "photographer"])
def test_other_names_are_fine(gallery: Gallery, world: Any, name: str) -> None:
    hashes = world.hashes("aaa", 3)
    assert name in gallery.enrolled(name, world.embeddings("aaa", 3), hashes, hashes).generators


@pytest.mark.parametrize("lengths", [(3, 3, 4), (3, 4, 3), (4, 3, 3)])
def test_each_picture_has_one_id_and_one_hash(gallery: Gallery, world: Any, lengths: tuple[int, int, int]) -> None:
    values, hashes = world.embeddings("aaa", 4), world.hashes("aaa", 4)
    with pytest.raises(ValueError, match="cannot have"):
        gallery.enrolled("aaa", values[: lengths[0]], hashes[: lengths[1]], hashes[: lengths[2]])


def test_without_takes_one_generator_away_and_no_other(gallery: Gallery, world: Any) -> None:
    after = world.enrol(gallery, "aaa", 10).without("aaa")
    assert after.gallery_id == gallery.gallery_id
    fewer = gallery.without(world.known[4])
    assert fewer.generators == (*world.known[:4], *world.known[5:])
    assert fewer.places == pytest.approx(np.delete(gallery.places, 4, axis=0))
    assert world.known[4] not in fewer.names
    assert len(fewer.ids) == len(fewer.hashes) == len(fewer.fingerprints) == 11 * 25


def test_all_can_be_taken_away_and_enrolled_again(gallery: Gallery, world: Any) -> None:
    empty = gallery
    for name in world.known:
        empty = empty.without(name)
    assert empty.generators == ()
    assert empty.places.shape == (0, gallery.space.size)
    assert empty.counts.shape == (0,)
    assert world.enrol(empty, "aaa", 3).generators == ("aaa",)
    with pytest.raises(GalleryError, match=r"'aaa' is not enrolled \(there are: none\)"):
        empty.without("aaa")
    with pytest.raises(GalleryError, match=r"is not enrolled \(there are: generator 00, generator 01"):
        gallery.without("aaa")


def changes(gallery: Gallery) -> dict[str, Gallery]:
    """The gallery with each of its parts another one, by a little."""
    space, photographs = gallery.space, gallery.photographs
    spaces = {
        name: replace(space, **{name: getattr(space, name) * 1.001})
        for name in ("mean", "matrix", "radius", "within", "between")
    }
    return {
        **{name: replace(gallery, space=changed) for name, changed in spaces.items()},
        "photographs.mean": replace(gallery, photographs=replace(photographs, mean=photographs.mean + 0.01)),
        "precision": replace(gallery, photographs=replace(photographs, precision=photographs.precision * 1.01)),
        "weighing": replace(gallery, weighing=Weighing(weights=gallery.weighing.weights + 0.01)),
        "slope": replace(gallery, pairs=replace(gallery.pairs, slope=gallery.pairs.slope + 1e-9)),
        "bound": replace(gallery, pairs=replace(gallery.pairs, log10_lr_bound=1.0)),
        "detector": replace(gallery, detector_id="another"),
        "fingerprints": replace(gallery, fingerprints=gallery.fingerprints * np.float32(1.001)),
        "names": replace(gallery, names=(gallery.names[-1], *gallery.names[1:])),
        "hashes": replace(gallery, hashes=("0" * 64, *gallery.hashes[1:])),
    }


def test_the_identity_changes_with_every_part(gallery: Gallery) -> None:
    found = {name: changed.gallery_id for name, changed in changes(gallery).items()}
    assert len({gallery.gallery_id, *found.values()}) == 1 + len(found) == 15
    words = replace(gallery, origin="another", ids=("another", *gallery.ids[1:]))  # what people call them
    assert words.gallery_id == gallery.gallery_id
    assert all(len(other) == 12 and int(other, 16) >= 0 for other in found.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ("a",)}, "needs fingerprints"),
        ({"ids": ("a",)}, "as many ids"),
        ({"hashes": ()}, "as many ids"),
        ({"fingerprints": np.zeros((300, 3), np.float32)}, "needs fingerprints"),
        ({"fingerprints": np.full((300, 12), np.nan, np.float32)}, "finite"),
        ({"photographs": Photographs(mean=np.zeros(3), precision=np.eye(3))}, "in a space of 12"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(gallery: Gallery, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(gallery, **change)


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


def test_figures_are_of_the_gallery_that_they_were_measured_on(gallery: Gallery, world: Any) -> None:
    measured = replace(gallery, figures={"accuracy": {"value": 0.9}})
    assert world.enrol(measured, "stranger", 5).figures == {}
    assert measured.without(measured.generators[0]).figures == {}
