"""Intervals: right width, by group, and the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.bootstrap import MIN_GROUPS, Interval, bootstrap_intervals, bootstrap_mean


def drawn(n: int, *, seed: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    fake = np.arange(n) % 2 == 0
    return fake, generator.normal(size=n) + shift * fake


def width(interval: Interval) -> float:
    return interval.high - interval.low


def false_alarms(fake: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean(scores[~fake] > 1.0)) if (~fake).any() else math.nan


def test_the_same_arguments_give_the_same_intervals_and_another_seed_gives_others() -> None:
    fake, scores = drawn(120, seed=0)
    groups = np.arange(120)
    first, again, other = (
        bootstrap_intervals(fake, scores, groups, {"auc": metrics.auc}, samples=200, seed=seed)["auc"]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)
    assert first.value == other.value == metrics.auc(fake, scores)


def test_the_order_of_rows_and_the_names_of_groups_change_nothing_that_matters() -> None:
    fake, scores = drawn(100, seed=4)
    groups = np.array([f"person-{k // 2:03d}" for k in range(100)])
    order = np.random.default_rng(0).permutation(100)
    here = bootstrap_intervals(fake, scores, groups, {"auc": metrics.auc}, samples=100, seed=1)["auc"]
    there = bootstrap_intervals(fake[order], scores[order], groups[order], {"auc": metrics.auc}, samples=100, seed=1)[
        "auc"
    ]
    assert (here.value, here.low, here.high) == pytest.approx((there.value, there.low, there.high))


def test_the_fast_auc_of_resamples_is_the_plain_one() -> None:
    fake, scores = drawn(80, seed=1)
    scores, groups = np.round(scores, 1), np.arange(80) // 3  # ties, and groups of both classes
    found = bootstrap_intervals(
        fake, scores, groups, {"fast": metrics.auc, "plain": lambda y, s: metrics.auc(y, s)}, samples=250, seed=7
    )
    assert (found["fast"].low, found["fast"].high) == pytest.approx((found["plain"].low, found["plain"].high))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = 0.760250  # P(a > b) for normals one standard deviation apart: Phi(1 / sqrt 2)
    covered = 0
    for seed in range(60):
        fake, scores = drawn(160, seed=100 + seed)
        interval = bootstrap_intervals(fake, scores, np.arange(160), {"auc": metrics.auc}, samples=200, seed=seed)[
            "auc"
        ]
        covered += interval.low <= truth <= interval.high
    assert 50 <= covered <= 60  # 57 expected


def test_copies_of_the_members_of_a_group_do_not_shrink_the_interval() -> None:
    fake, scores = drawn(60, seed=2)
    groups = np.arange(60)
    functions = {"auc": metrics.auc}
    once = bootstrap_intervals(fake, scores, groups, functions, samples=400, seed=3)["auc"]
    tenfold = [np.repeat(column, 10) for column in (fake, scores, groups)]
    by_group = bootstrap_intervals(*tenfold, functions, samples=400, seed=3)["auc"]
    by_picture = bootstrap_intervals(*tenfold[:2], np.arange(600), functions, samples=400, seed=3)["auc"]
    assert (by_group.low, by_group.high) == pytest.approx((once.low, once.high))
    assert width(by_picture) < 0.5 * width(once)  # what resampling pictures would have claimed


def test_a_wider_level_gives_a_wider_interval() -> None:
    fake, scores = drawn(100, seed=5)
    narrow, wide = (
        bootstrap_intervals(
            fake, scores, np.arange(100), {"ap": metrics.average_precision}, samples=300, seed=1, level=level
        )
        for level in (0.5, 0.99)
    )
    assert width(narrow["ap"]) < width(wide["ap"])


def test_one_class_alone_has_intervals_of_what_it_defines() -> None:
    scores = np.random.default_rng(0).normal(size=200)
    fake = np.zeros(200, dtype=bool)
    found = bootstrap_intervals(
        fake, scores, np.arange(200), {"auc": metrics.auc, "alarms": false_alarms}, samples=200, seed=1
    )
    assert found["alarms"].low < np.mean(scores > 1.0) < found["alarms"].high
    assert math.isnan(found["auc"].value)
    assert math.isnan(found["auc"].low)


def test_a_class_of_few_groups_has_a_value_but_no_interval() -> None:
    fake, scores = drawn(100, seed=6)
    few = np.where(fake, np.arange(100) % (2 * MIN_GROUPS - 2), 1000 + np.arange(100))  # even: MIN_GROUPS - 1 groups
    found = bootstrap_intervals(fake, scores, few, {"auc": metrics.auc}, samples=100, seed=1)["auc"]
    assert found.value == metrics.auc(fake, scores)
    assert math.isnan(found.low)
    enough = np.where(fake, np.arange(100) % (2 * MIN_GROUPS), 1000 + np.arange(100))
    assert not math.isnan(
        bootstrap_intervals(fake, scores, enough, {"auc": metrics.auc}, samples=100, seed=1)["auc"].low
    )


def test_what_never_happened_has_no_interval_of_width_zero() -> None:
    fake = np.arange(80) % 2 == 0
    found = bootstrap_intervals(
        fake, 10.0 * fake, np.arange(80), {"alarms": false_alarms, "auc": metrics.auc}, samples=50, seed=1
    )
    assert (found["alarms"].value, found["auc"].value) == (0.0, 1.0)
    assert math.isnan(found["alarms"].high)
    assert math.isnan(found["auc"].low)


def test_groups_of_both_classes_stay_whole_and_the_classes_keep_their_numbers() -> None:
    fake = np.array([True, False] * 20)
    groups = np.repeat(np.arange(20), 2)  # a fake with its original
    seen: list[tuple[int, int]] = []

    def note(y: np.ndarray, scores: np.ndarray) -> float:
        seen.append((int(y.sum()), int((~y).sum())))
        assert sorted(scores[y]) == sorted(scores[~y])  # pairs share a score: neither half comes alone
        return 0.0

    bootstrap_intervals(fake, np.repeat(np.arange(20.0), 2), groups, {"note": note}, samples=50, seed=1)
    assert set(seen) == {(20, 20)}
    assert len(seen) == 51


def test_functions_see_the_same_resamples() -> None:
    fake, scores = drawn(60, seed=8)
    functions = {"one": lambda y, s: float(s.mean()), "double": lambda y, s: 2 * float(s.mean())}
    found = bootstrap_intervals(fake, scores, np.arange(60), functions, samples=100, seed=1)
    assert found["double"].low == pytest.approx(2 * found["one"].low)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 0}, "samples must be at least 1"),
        ({"level": 1.0}, "level within 0..1"),
        ({"groups": [1]}, "differ in shape"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    arguments = {"groups": [0, 1, 2, 3], "samples": 10, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], functions={"auc": metrics.auc}, **arguments)


def test_an_interval_reads_well_and_is_plain_json() -> None:
    assert str(Interval(value=0.91549, low=0.9, high=0.93)) == "0.915 [0.900, 0.930]"
    assert str(Interval(value=0.5)) == "0.500"
    assert str(Interval(value=math.nan)) == "-"
    assert Interval(value=0.5).as_dict() == {"value": 0.5, "low": None, "high": None}


def test_the_mean_of_independent_parts_is_surer_than_each_of_them() -> None:
    parts = [(*drawn(60, seed=k), np.arange(60)) for k in range(9)]
    mean = bootstrap_mean(parts, metrics.auc, samples=400, seed=1)
    alone = [bootstrap_intervals(*part, {"auc": metrics.auc}, samples=400, seed=1)["auc"] for part in parts]
    assert mean.value == pytest.approx(np.mean([each.value for each in alone]))
    assert width(mean) == pytest.approx(np.mean([width(each) for each in alone]) / 3, rel=0.15)


def test_the_mean_of_one_part_is_the_part() -> None:
    fake, scores = drawn(90, seed=3)
    groups = np.arange(90) // 2
    one = bootstrap_mean([(fake, scores, groups)], metrics.auc, samples=300, seed=5)
    assert one == bootstrap_intervals(fake, scores, groups, {"auc": metrics.auc}, samples=300, seed=5)["auc"]


def test_a_part_of_one_group_adds_no_spread_and_is_not_left_out() -> None:
    fake, scores = drawn(60, seed=2)
    wide = bootstrap_mean([(fake, scores, np.arange(60))], metrics.auc, samples=300, seed=1)
    both = bootstrap_mean(
        [(fake, scores, np.arange(60)), (fake, scores, np.full(60, 99))], metrics.auc, samples=300, seed=1
    )
    assert both.value == pytest.approx(wide.value)
    assert width(both) == pytest.approx(width(wide) / 2, rel=0.15)


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        bootstrap_mean([], metrics.auc, seed=1)
    with pytest.raises(ValueError, match="differ in shape"):
        bootstrap_mean([([True], [1.0, 2.0], [0])], metrics.auc, seed=1)


def test_what_parts_share_moves_them_together() -> None:
    """Four generators against the same photographs: their mean is as unsure as the photographs make it."""
    rng = np.random.default_rng(5)
    real, fakes = rng.normal(0, 1, 60), [rng.normal(1, 1, 200) for _ in range(4)]

    def part(number: int, *, shared: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        photographs = [f"photo {i}" if shared else f"photo {number} {i}" for i in range(60)]
        groups = np.array([*photographs, *(f"fake {number} {i}" for i in range(200))])
        return np.arange(260) >= 60, np.concatenate([real, fakes[number]]), groups

    together = bootstrap_mean([part(n, shared=True) for n in range(4)], metrics.auc, samples=300, seed=1)
    apart = bootstrap_mean([part(n, shared=False) for n in range(4)], metrics.auc, samples=300, seed=1)
    assert together.value == apart.value
    assert width(together) > 1.4 * width(apart)
