"""A gallery is a value: enrolment makes another one, counts each file once, and its id says what it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import (
    FEWEST_ENROLLED,
    PHOTOGRAPH,
    UNKNOWN,
    FingerprintSpace,
    Gallery,
)
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
    kept = after.basis.opened(gallery.basis.codes(world.traces("aaa", 10)))
    expected = after.space.project(kept).astype(np.float32)
    assert after.places[0] == pytest.approx(expected.mean(axis=0, dtype=np.float64), abs=1e-12)
    assert np.array_equal(after.fingerprints[-10:], expected)
    assert after.fingerprints.dtype == np.float32
    for place, name in zip(after.places, after.generators, strict=True):
        rows = [at for at, other in enumerate(after.names) if other == name]
        assert place == pytest.approx(after.fingerprints[rows].mean(axis=0, dtype=np.float64), abs=1e-12)


def test_what_is_enrolled_lies_where_the_same_pictures_are_asked_about(gallery: Gallery, world: Any) -> None:
    after = world.enrol(gallery, "aaa", 10)
    asked, kept = after.fingerprints_of(world.traces("aaa", 10)), after.fingerprints[-10:]
    assert np.linalg.norm(asked - kept, axis=1).max() < 0.1 * after.space.radius  # 8 bits move it that little
    assert after.fingerprints_of(world.traces("aaa", 10)[:0]).shape == (0, after.space.size)
    with pytest.raises(GalleryError, match="takes 48 numbers of a picture, and the engine gave 40"):
        after.fingerprints_of(world.traces("aaa", 10)[:, :40])
    with pytest.raises(GalleryError, match="takes 48 numbers"):
        gallery.enrolled("aaa", world.traces("aaa", 3)[:, :40], *[world.hashes("aaa", 3)] * 2)


def test_many_pictures_are_projected_in_blocks(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    project = FingerprintSpace.project

    def counted(space: FingerprintSpace, features: Any) -> Any:
        sizes.append(len(features))
        return project(space, features)

    monkeypatch.setattr("ganfingerprint.attribution.gallery._BLOCK", 70)
    monkeypatch.setattr(FingerprintSpace, "project", counted)
    parts = replace(gallery)
    assert sizes[:5] == [70, 70, 70, 70, 20]
    assert parts.fingerprints == pytest.approx(gallery.fingerprints, abs=1e-5)  # a product may be rounded otherwise
    assert parts.gallery_id == gallery.gallery_id


def test_pictures_in_two_goes_and_in_another_order_give_the_same_place(gallery: Gallery, world: Any) -> None:
    values, hashes, order = world.traces("aaa", 10), world.hashes("aaa", 10), [7, 2, 9, 0, 4, 1, 8, 3, 6, 5]
    once = gallery.enrolled("aaa", values, hashes, hashes)
    twice = gallery.enrolled("aaa", values[:4], hashes[:4], hashes[:4])
    twice = twice.enrolled("aaa", values[4:], hashes[4:], hashes[4:])
    turned = gallery.enrolled("aaa", values[order], [hashes[at] for at in order], [hashes[at] for at in order])
    assert once.gallery_id == twice.gallery_id
    assert np.array_equal(twice.space.matrix, once.space.matrix)
    by_hash = dict(zip(turned.hashes, turned.codes, strict=True))
    assert all(np.array_equal(by_hash[digest], row) for digest, row in zip(once.hashes, once.codes, strict=True))
    assert turned.space.between == pytest.approx(once.space.between)  # an axis may point either way
    assert turned.places @ turned.places.T == pytest.approx(once.places @ once.places.T, abs=1e-5)


def test_a_file_counts_once(gallery: Gallery, world: Any) -> None:
    once = world.enrol(gallery, "aaa", 4)
    assert world.enrol(once, "aaa", 4) is once
    values, hashes = world.traces("aaa", 5), world.hashes("aaa", 5)
    again = once.enrolled("aaa", values[[0, 4, 4, 4]], list("xyyy"), [hashes[at] for at in (0, 4, 4, 4)])
    assert again.counts[0] == 5
    assert again.ids[-1] == "y"
    assert len(set(again.hashes)) == len(again.hashes)


def test_a_file_of_another_generator_is_refused(gallery: Gallery, world: Any) -> None:
    values, hashes = world.traces("aaa", 5), [*world.hashes("aaa", 4), gallery.hashes[30]]
    with pytest.raises(GalleryError, match=f"enrolled for {gallery.names[30]} already"):
        gallery.enrolled("aaa", values, hashes, hashes)


def test_one_more_picture_of_a_known_generator_is_enough_but_a_new_one_needs_three(
    gallery: Gallery, world: Any
) -> None:
    assert world.enrol(gallery, world.known[3], 1, seed=9).counts[3] == 26
    assert world.enrol(gallery, "aaa", FEWEST_ENROLLED).counts[0] == 3
    with pytest.raises(GalleryError, match="would have 2 different pictures; at least 3"):
        world.enrol(gallery, "aaa", 2)
    values, same = world.traces("aaa", 4), ["h"] * 4
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
        gallery.enrolled(name, world.traces("aaa", 3), hashes, hashes)
    with pytest.raises(ValueError, match="cannot be one"):
        replace(gallery, names=(name, *gallery.names[1:]))


@pytest.mark.parametrize("name", ["StyleGAN 3", "扩散", "a, b; c", "photographer"])
def test_other_names_are_fine(gallery: Gallery, world: Any, name: str) -> None:
    hashes = world.hashes("aaa", 3)
    assert name in gallery.enrolled(name, world.traces("aaa", 3), hashes, hashes).generators


@pytest.mark.parametrize("lengths", [(3, 3, 4), (3, 4, 3), (4, 3, 3)])
def test_each_picture_has_one_id_and_one_hash(gallery: Gallery, world: Any, lengths: tuple[int, int, int]) -> None:
    values, hashes = world.traces("aaa", 4), world.hashes("aaa", 4)
    with pytest.raises(ValueError, match="cannot have"):
        gallery.enrolled("aaa", values[: lengths[0]], hashes[: lengths[1]], hashes[: lengths[2]])


def test_without_takes_one_generator_away_and_no_other(gallery: Gallery, world: Any) -> None:
    after = world.enrol(gallery, "aaa", 10).without("aaa")
    assert after.gallery_id == gallery.gallery_id
    assert np.array_equal(after.space.matrix, gallery.space.matrix)
    for name in ("codes", "fingerprints", "places", "counts"):
        assert np.array_equal(getattr(after, name), getattr(gallery, name)), name
    assert np.array_equal(after.photographs.precision, gallery.photographs.precision)
    fewer = gallery.without(world.known[4])
    assert fewer.generators == (*world.known[:4], *world.known[5:])
    assert np.array_equal(fewer.places, np.delete(gallery.places, 4, axis=0))
    assert world.known[4] not in fewer.names
    assert len(fewer.ids) == len(fewer.hashes) == len(fewer.codes) == len(fewer.fingerprints) == 11 * 25


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


def test_figures_are_of_the_gallery_that_they_were_measured_on(gallery: Gallery, world: Any) -> None:
    measured = replace(gallery, figures={"accuracy": {"value": 0.9}})
    assert world.enrol(measured, "stranger", 5).figures == {}
    assert measured.without(measured.generators[0]).figures == {}


def test_a_name_that_differs_in_case_alone_is_refused(gallery: Gallery, world: Any) -> None:
    hashes = world.hashes("aaa", 3)
    with pytest.raises(GalleryError, match="enrolled as 'generator 03'; two names that differ in case alone"):
        gallery.enrolled("GENERATOR 03", world.traces("aaa", 3), hashes, hashes)


def test_files_of_another_generator_are_counted_and_named(gallery: Gallery, world: Any) -> None:
    traces, hashes = world.traces("aaa", 6), [*gallery.hashes[:5], *world.hashes("aaa", 1)]
    with pytest.raises(GalleryError, match=r"5 of these files are enrolled for .* already \(a, b, c, \.\.\.\)"):
        gallery.enrolled("aaa", traces, [*"abcdef"], hashes)
