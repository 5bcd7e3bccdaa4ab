"""What is said of a picture and a generator that is enrolled is calibrated on just such pictures and generators."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import PHOTOGRAPH, Gallery, Labelled, fit, fit_gallery
from ganfingerprint.calibrate import Calibration, fit_calibration
from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array

NAMES = tuple(f"maker {number}" for number in range(5))
DETECTOR = "0123456789ab"


def counts(**changes: int) -> dict[str, int]:
    return {**dict.fromkeys(NAMES, 12), PHOTOGRAPH: 30, **changes}


def joined(first: Labelled, second: Labelled) -> Labelled:
    rows = ("names", "ids", "hashes", "groups")
    return Labelled(
        traces=np.concatenate([first.traces, second.traces]),
        embedding=first.embedding,
        log10_lr=np.concatenate([first.log10_lr, second.log10_lr]),
        **{name: getattr(first, name) + getattr(second, name) for name in rows},
    )


def ratios(gallery: Gallery, traces: Any) -> Float64Array:
    return gallery.space.log_ratios(gallery.fingerprints_of(traces), gallery.places, gallery.counts)


@pytest.mark.parametrize("which", ["gallery", "noisy_gallery"])
def test_own_pictures_support_a_generator_and_strangers_and_photographs_do_not(
    request: pytest.FixtureRequest, which: str, world: Any, noisy: Any
) -> None:
    made, there = request.getfixturevalue(which), world if which == "gallery" else noisy
    for at, name in enumerate(made.generators):
        assert made.claims.log10_lr(ratios(made, there.traces(name, 40, 5))[:, at]).mean() > 0.5
    for at in range(8):
        name = f"stranger {at}"
        against = made.claims.log10_lr(ratios(made, there.traces(name, 40, 5)))
        assert against.mean() < -0.5
        assert (against > 0).mean() < 0.2
        for count in (10, 25):  # they support themselves once they are enrolled
            after = there.enrol(made, name, count, seed=9)
            own = ratios(after, there.traces(name, 40, 5))[:, after.generators.index(name)]
            assert made.claims.log10_lr(own).mean() > 0.5
    assert made.claims.log10_lr(ratios(made, there.traces(PHOTOGRAPH, 100, 5))).mean() < -0.5
    assert made.claims.slope > 0
    assert not made.claims.contradicted


Asked = list[tuple[Float64Array, Any, list[str]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What calibrations are fitted to, pairs first."""
    found: Asked = []

    def watched(scores: Float64Array, same: Any, *, groups: list[str]) -> Calibration:
        found.append((scores, same, groups))
        return fit_calibration(scores, same, groups=groups)

    monkeypatch.setattr(fit, "fit_calibration", watched)
    return found


def test_claims_are_calibrated_on_generators_as_known_and_as_enrolled_later_strangers_and_photographs(
    world: Any, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: dict[str, Any] = {}
    meet = fit._met
    monkeypatch.setattr(fit, "_met", lambda *given: met.setdefault(given[3], meet(*given)))
    learnt, unseen = world.labelled(counts(**{NAMES[1]: 30}), seed=1), world.labelled(counts(), seed=2)
    made = fit_gallery(learnt, unseen, detector_id=DETECTOR)
    _, (scores, same, groups) = asked
    kinds = Counter(zip(groups, same.tolist(), strict=True))
    assert kinds == {
        **{(name, True): 3 * 12 for name in NAMES},
        **{(name, False): 12 for name in NAMES},
        (PHOTOGRAPH, False): 5 * 15,
    }
    of, names = np.array(groups), np.array(unseen.names)
    for at, name in enumerate(NAMES):
        traces, other = unseen.traces[names == name], met[name]
        assert name not in other.never.generators
        assert [int(later.counts[at]) for later in other.later] == [10, 25 if name == NAMES[1] else 12]
        own = [ratios(seen, traces)[:, at] for seen in (made, *other.later)]
        assert np.sort(scores[(of == name) & same]) == pytest.approx(np.sort(np.concatenate(own)))
        against = ratios(other.never, traces)  # any of the four that it has
        places = [np.argwhere(np.isclose(against, score)) for score in scores[(of == name) & ~same]]
        assert all(len(place) == 1 for place in places)
        assert len({int(place[0, 0]) for place in places}) == 12  # each picture is held against one
        assert len({int(place[0, 1]) for place in places}) > 2  # and not all against the same
    photographs = ratios(made, unseen.traces[names == PHOTOGRAPH])
    assert all(np.isclose(photographs, score).any() for score in scores[of == PHOTOGRAPH])
    assert made.claims == fit_calibration(scores, same, groups=groups)
    assert made.claims.log10_lr_bound == pytest.approx(np.log10(5 + 1))  # generators are counted, not pictures
    assert made.claims != made.pairs


def test_where_one_generator_alone_is_enrolled_only_photographs_are_held_against_it(world: Any, asked: Asked) -> None:
    few = {NAMES[0]: 12, NAMES[1]: 5, NAMES[2]: 5, PHOTOGRAPH: 30}
    made = fit_gallery(world.labelled(few, seed=1), world.labelled(counts(), seed=2), detector_id=DETECTOR)
    assert made.generators == NAMES[:1]
    _, same, groups = asked[1]
    assert Counter(zip(groups, same.tolist(), strict=True)) == {(NAMES[0], True): 36, (PHOTOGRAPH, False): 15}
    assert made.claims.log10_lr_bound == pytest.approx(np.log10(2))


def test_photographs_are_each_file_once_in_any_of_its_deliveries(world: Any) -> None:
    learnt, unseen = world.labelled(counts(), seed=1), world.labelled(counts(), seed=2)
    again = replace(unseen, traces=unseen.traces * np.float32(1.1))
    made = fit_gallery(learnt, joined(unseen, again), detector_id=DETECTOR)
    photographs = np.array(unseen.names) == PHOTOGRAPH
    ways = [[row.tobytes() for row in made.basis.codes(part.traces[photographs])] for part in (unseen, again)]
    kept = [row.tobytes() for row in made.seen_photographs]
    assert len(kept) == 30
    drawn = [[row in kept for row in way] for way in ways]
    assert all(one != other for one, other in zip(*drawn, strict=True))  # one or the other
    assert 5 < sum(drawn[0]) < 25


def test_deliveries_of_few_photographs_do_not_make_them_enough(world: Any) -> None:
    learnt, unseen = world.labelled(counts(), seed=1), world.labelled(counts(**{PHOTOGRAPH: 6}), seed=2)
    many = joined(joined(unseen, unseen), unseen)
    with pytest.raises(DataError, match="more than 6 photographs"):
        fit_gallery(learnt, many, detector_id=DETECTOR)
    enough = world.labelled(counts(**{PHOTOGRAPH: 7}), seed=2)
    assert len(fit_gallery(learnt, joined(enough, enough), detector_id=DETECTOR).seen_photographs) == 7


def test_only_what_is_an_origin_or_enrolled_has_a_name_in_the_background(world: Any) -> None:
    """Who is neither would be taken for known, and never shape the space."""
    learnt = world.labelled(counts(**{NAMES[3]: 5, "two": 2, "set aside": 5, "kept": 12}), seed=1)
    made = fit_gallery(learnt, world.labelled(counts(), seed=2), detector_id=DETECTOR, aside={"set aside", "kept"})
    assert made.background.names == ("kept", *NAMES)  # the fourth was too few to enrol, but is an origin
    assert made.background.origins == (*NAMES, PHOTOGRAPH)
    assert made.generators == ("kept", *NAMES[:3], NAMES[4])
    for name in ("two", "set aside", "kept", NAMES[3]):
        after = world.enrol(made, name, 12, seed=9)
        shapes = name in ("two", "set aside")
        assert after.space.size == made.space.size + shapes, name
