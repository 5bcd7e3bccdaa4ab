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
    Background,
    FingerprintSpace,
    Gallery,
    Photographs,
    Scatter,
    Weighing,
    fit_space,
    scatter_of,
)
from ganfingerprint.errors import GalleryError
from ganfingerprint.types import Float32Array


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


def same_space(one: Gallery, other: Gallery) -> bool:
    return all(
        np.array_equal(getattr(one.space, name), getattr(other.space, name))
        for name in ("mean", "matrix", "within", "between", "radius")
    )


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


def test_a_new_generator_of_two_pictures_does_not_shape_the_space(gallery: Gallery) -> None:
    renamed = replace(gallery, names=("aaa", "aaa", *gallery.names[2:]))  # enrolment would refuse it
    assert renamed.counts[0] == 2
    assert same_space(renamed, gallery)
    assert not same_space(replace(gallery, names=("aaa", "aaa", "aaa", *gallery.names[3:])), gallery)


def test_the_order_in_which_generators_are_enrolled_does_not_count(gallery: Gallery, world: Any) -> None:
    one = world.enrol(world.enrol(gallery, "aaa", 10), "bbb", 10)
    other = world.enrol(world.enrol(gallery, "bbb", 10), "aaa", 10)
    assert same_space(one, other)
    assert np.array_equal(one.places, other.places)


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


def test_of_very_many_pictures_some_shape_the_space(gallery: Gallery, world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ganfingerprint.attribution.gallery._SHAPING", 5)
    after = world.enrol(gallery, "aaa", 12)
    some = after.basis.opened(after.codes[-12::3])
    assert after.space.between == pytest.approx(gallery.background.space([some]).between)
    assert after.counts[0] == 12  # all of them make its place


def test_pictures_in_two_goes_and_in_another_order_give_the_same_place(gallery: Gallery, world: Any) -> None:
    values, hashes, order = world.traces("aaa", 10), world.hashes("aaa", 10), [7, 2, 9, 0, 4, 1, 8, 3, 6, 5]
    once = gallery.enrolled("aaa", values, hashes, hashes)
    twice = gallery.enrolled("aaa", values[:4], hashes[:4], hashes[:4])
    twice = twice.enrolled("aaa", values[4:], hashes[4:], hashes[4:])
    turned = gallery.enrolled("aaa", values[order], [hashes[at] for at in order], [hashes[at] for at in order])
    assert once.gallery_id == twice.gallery_id
    assert same_space(once, twice)
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
    assert same_space(after, gallery)
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


def changes(gallery: Gallery) -> dict[str, Gallery]:
    """The gallery with each of its parts another one, by a little."""
    basis, background = gallery.basis, gallery.background
    fewer, scatter = basis.axes.copy(), background.scatter
    fewer[0, 0] -= 1
    bases = {
        **{
            name: replace(basis, **{name: getattr(basis, name) * 1.001}) for name in ("mean", "scale", "steps", "grain")
        },
        "axes": replace(basis, axes=fewer),
        "embedding": replace(basis, embedding=basis.embedding - 1),
    }
    backgrounds = {
        "background.names": replace(background, names=background.names[1:]),
        "middles": replace(background, middles=background.middles * 1.001),
        "background.counts": replace(background, counts=background.counts + 1),
        "scatter": replace(background, scatter=replace(scatter, covariance=scatter.covariance * 1.001)),
        "pictures": replace(background, scatter=replace(scatter, pictures=scatter.pictures + 1)),
        "spread": replace(background, spread=background.spread * 1.001),
    }
    return {
        **{name: replace(gallery, basis=changed) for name, changed in bases.items()},
        **{name: replace(gallery, background=changed) for name, changed in backgrounds.items()},
        "photographs": replace(gallery, seen_photographs=gallery.seen_photographs[::-1]),
        "weighing": replace(gallery, weighing=Weighing(weights=gallery.weighing.weights + 0.01)),
        "slope": replace(gallery, pairs=replace(gallery.pairs, slope=gallery.pairs.slope + 1e-9)),
        "bound": replace(gallery, pairs=replace(gallery.pairs, log10_lr_bound=1.0)),
        "detector": replace(gallery, detector_id="another"),
        "codes": replace(gallery, codes=np.flip(gallery.codes, axis=1)),
        "names": replace(gallery, names=(gallery.names[-1], *gallery.names[1:])),
        "hashes": replace(gallery, hashes=("0" * 64, *gallery.hashes[1:])),
    }


def test_the_identity_changes_with_every_part(gallery: Gallery) -> None:
    found = {name: changed.gallery_id for name, changed in changes(gallery).items()}
    assert len({gallery.gallery_id, *found.values()}) == 1 + len(found) == 21
    words = replace(gallery, origin="another", ids=("another", *gallery.ids[1:]))  # what people call them
    assert words.gallery_id == gallery.gallery_id
    assert all(len(other) == 12 and int(other, 16) >= 0 for other in found.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ("a",)}, r"1 pictures needs codes \(1, 48\)"),
        ({"ids": ("a",)}, "as many ids"),
        ({"hashes": ()}, "as many ids"),
        ({"codes": np.zeros((300, 3), np.int8)}, r"needs codes \(300, 48\)"),
        ({"codes": np.zeros((299, 48), np.int8)}, r"needs codes \(300, 48\)"),
        ({"codes": np.zeros((300, 48), np.int16)}, "8 bits"),
        ({"seen_photographs": np.zeros((90, 48), np.float32)}, "8 bits"),
        ({"seen_photographs": np.zeros((90, 47), np.int8)}, "of its 48 features"),
        ({"seen_photographs": np.zeros((1, 48), np.int8)}, "needs photographs"),
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
        {"middles": np.zeros((2, 3)), "counts": np.full(2, 9)},
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
    parts: dict[str, Any] = {"names": ("a",), "middles": np.eye(4)[:, :3], "counts": np.full(4, 9), "spread": 1.0}
    scatter = Scatter(covariance=np.eye(3), pictures=36)
    assert Background(**parts, scatter=scatter).space(()).size == 3
    with pytest.raises(ValueError, match=r"origins|spread"):
        Background(**{**parts, **changes}, scatter=scatter)


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
