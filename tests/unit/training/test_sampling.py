from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.catalog import Sample
from ganfingerprint.errors import ConfigError, DataError
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.training.sampling import BalancedSampler, BatchDraws, Draw, Partners, find_partners, sample_weights
from ganfingerprint.types import Float64Array, Label


def fakes(count: int, generator: str, family: str = "gan") -> list[Sample]:
    return [Sample(path=Path(), label=Label.FAKE, generator=generator, family=family)] * count


def reals(count: int, source: str = "") -> list[Sample]:
    return [Sample(path=Path(), label=Label.REAL, source=source)] * count


def mass(samples: list[Sample], weights: Float64Array) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for sample, weight in zip(samples, weights, strict=True):
        found[sample.generator if sample.is_fake else sample.source] += float(weight)
    return dict(found)


def drawn(sampler: BalancedSampler, epoch: int, *, skip: int = 0) -> list[Draw]:
    sampler.start(epoch, skip=skip)
    return list(sampler)


# 16 fakes of a large generator and 4 of a small one; 1 photograph here, 9 there.
SAMPLES = [*fakes(16, "large"), *fakes(4, "small"), *reals(1, "few"), *reals(9, "many")]


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        (1.0, {"large": 0.4, "small": 0.1, "few": 0.05, "many": 0.45}),  # 16 : 4 and 1 : 9, as they are
        (0.0, {"large": 0.25, "small": 0.25, "few": 0.25, "many": 0.25}),  # all alike
        (0.5, {"large": 1 / 3, "small": 1 / 6, "few": 1 / 8, "many": 3 / 8}),  # 4 : 2 and 1 : 3
    ],
)
def test_the_power_decides_between_as_it_is_and_all_sources_alike(power: float, expected: dict[str, float]) -> None:
    assert mass(SAMPLES, sample_weights(SAMPLES, power=power)) == pytest.approx(expected)


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_each_class_has_half_of_the_mass_however_many_pictures_it_has(power: float) -> None:
    samples = [*fakes(97, "a"), *fakes(2, "b"), *reals(3, "c")]
    weights = sample_weights(samples, power=power)
    assert weights[:99].sum() == pytest.approx(0.5)
    assert weights[99:].sum() == pytest.approx(0.5)


def test_a_fake_and_a_photograph_of_one_source_are_not_one_source() -> None:
    """The generator of a fake may have the name of a collection of photographs."""
    samples = [*fakes(4, "ffhq"), *fakes(1, "b"), *reals(1, "ffhq"), *reals(1, "b")]
    assert sample_weights(samples, power=0.0)[:4].sum() == pytest.approx(0.25)


def test_proxies_count_as_often_as_they_should() -> None:
    samples = [*fakes(10, "gan"), *fakes(10, "vae", "proxy"), *reals(5)]
    found = mass(samples, sample_weights(samples, power=1.0, proxy_weight=0.25))
    assert found["vae"] / found["gan"] == pytest.approx(0.25)
    assert found["vae"] + found["gan"] == pytest.approx(0.5)


def test_proxies_are_left_out_at_weight_0() -> None:
    samples = [*fakes(10, "vae", "proxy"), *fakes(2, "gan"), *reals(5), *fakes(10, "vae", "proxy")]
    sampler = BalancedSampler(sample_weights(samples, proxy_weight=0.0), draws=50, seed=1)
    for epoch in range(20):
        assert {samples[draw.index].family for draw in drawn(sampler, epoch)} == {"gan", ""}


@pytest.mark.parametrize(
    ("samples", "missing"),
    [(reals(3), "fake"), (fakes(3, "a"), "real"), ([*fakes(3, "vae", "proxy"), *reals(2)], "fake")],
    ids=["photographs only", "fakes only", "proxies only, and those left out"],
)
def test_a_class_without_pictures_is_an_error(samples: list[Sample], missing: str) -> None:
    with pytest.raises(DataError, match=f"no {missing} picture to draw"):
        sample_weights(samples, proxy_weight=0.0)


@pytest.mark.parametrize("draws", [7, 30, 100])
def test_every_picture_comes_as_often_as_expected_within_one(draws: int) -> None:
    weights = sample_weights(SAMPLES)
    sampler = BalancedSampler(weights, draws=draws, seed=5)
    for epoch in range(10):
        counts = np.bincount([draw.index for draw in drawn(sampler, epoch)], minlength=len(SAMPLES))
        assert counts.sum() == draws
        assert np.abs(counts - draws * weights).max() < 1


def test_over_epochs_all_pictures_come_by_their_weights() -> None:
    weights = sample_weights(SAMPLES)
    sampler = BalancedSampler(weights, draws=10, seed=5)
    counts = np.zeros(len(SAMPLES))
    for epoch in range(600):
        counts += np.bincount([draw.index for draw in drawn(sampler, epoch)], minlength=len(SAMPLES))
    assert counts / counts.sum() == pytest.approx(weights, abs=0.01)


def test_draws_are_shuffled() -> None:
    sampler = BalancedSampler(sample_weights(SAMPLES), draws=200, seed=5)
    fake = [SAMPLES[draw.index].is_fake for draw in drawn(sampler, 0)]
    changes = sum(one != two for one, two in pairwise(fake))
    assert 70 < changes < 130  # two sorted halves would have 1


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    weights = sample_weights(SAMPLES)
    sampler = BalancedSampler(weights, draws=40, seed=5)
    third = drawn(sampler, 3)
    drawn(sampler, 0)
    np.random.seed(0)
    assert drawn(sampler, 3) == third
    assert drawn(BalancedSampler(weights, draws=40, seed=5), 3) == third
    assert drawn(sampler, 4) != third
    assert drawn(BalancedSampler(weights, draws=40, seed=6), 3) != third


@pytest.mark.parametrize("skip", [0, 1, 17, 39, 40])
def test_skipping_continues_exactly_where_the_epoch_was(skip: int) -> None:
    sampler = BalancedSampler(sample_weights(SAMPLES), draws=40, seed=5)
    whole = drawn(sampler, 2)
    rest = drawn(sampler, 2, skip=skip)
    assert rest == whole[skip:]
    assert len(sampler) == 40 - skip


def test_no_two_draws_share_a_seed() -> None:
    sampler = BalancedSampler(sample_weights(SAMPLES), draws=60, seed=5)
    seeds = [draw.seed for epoch in range(3) for draw in drawn(sampler, epoch)]
    assert len(set(seeds)) == 180


def pair(group: str, recipes: int = 1) -> list[Sample]:
    """A photograph and its aligned fakes."""
    made = [
        Sample(path=Path(), label=Label.FAKE, generator=f"proxy:{i}", family="proxy", group=group)
        for i in range(recipes)
    ]
    return [Sample(path=Path(), label=Label.REAL, source="pairs", group=group), *made]


# Ten pairs, ten other fakes, twenty other photographs.
PAIRED = [*(sample for i in range(10) for sample in pair(f"pair:{i}")), *fakes(10, "gan"), *reals(20, "camera")]


def paired_sampler(samples: list[Sample], *, draws: int, proxy_weight: float = 1.0) -> BalancedSampler:
    weights = sample_weights(samples, proxy_weight=proxy_weight)
    return BalancedSampler(weights, draws=draws, seed=3, partners=find_partners(samples))


def test_an_aligned_fake_finds_its_photograph() -> None:
    found = find_partners([*fakes(1, "gan"), *pair("a", 2), *reals(1), *pair("b")])
    assert found.photograph.tolist() == [-1, -1, 1, 1, -1, -1, 5]
    assert found.is_fake.tolist() == [True, False, True, True, False, False, True]


def test_a_fake_of_unclear_origin_has_no_photograph() -> None:
    """Two photographs in one group; a generator's fake that shares its group; a fake without its photograph."""
    two = [*pair("a"), *pair("a")[:1]]
    shared = [*pair("b")[:1], Sample(path=Path(), label=Label.FAKE, generator="gan", family="gan", group="b")]
    assert set(find_partners([*two, *shared, *pair("c")[1:]]).photograph.tolist()) == {-1}


def test_a_pair_of_a_data_root_is_told_from_the_photograph_that_it_is_a_crop_of() -> None:
    """All of them share a group, so that splits stay clean; the name tells who belongs to whom."""
    samples = [
        Sample(path=Path(path), label=label, family=family, group="scene")
        for path, label, family in [
            ("train/real/photo.jpg", Label.REAL, "photo"),
            ("real/ab12.jpg", Label.REAL, "photo"),
            ("fake/ab12-span-x4.jpg", Label.FAKE, "proxy"),
            ("real/cd34.jpg", Label.REAL, "photo"),
            ("fake/cd34-span-x4.jpg", Label.FAKE, "proxy"),
            ("fake/ef56-span-x4.jpg", Label.FAKE, "proxy"),
        ]
    ]
    assert find_partners(samples).photograph.tolist() == [-1, -1, 1, -1, 3, -1]


@pytest.mark.parametrize("draws", [40, 41, 64, 100, 2])
@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_a_pair_is_two_neighbours_with_one_seed(draws: int, epoch: int) -> None:
    sampler = paired_sampler(PAIRED, draws=draws)
    found = drawn(sampler, epoch)
    assert len(found) == draws
    aligned = 0
    for place, draw in enumerate(found):
        if PAIRED[draw.index].family == "proxy" and place + 1 < draws:
            assert place % 2 == 0
            assert PAIRED[found[place + 1].index].group == PAIRED[draw.index].group
            assert not PAIRED[found[place + 1].index].is_fake
            assert found[place + 1].seed == draw.seed
            aligned += 1
    assert draws < 40 or aligned > draws // 8
    seeds = [draw.seed for draw in found]
    assert len(seeds) - len(set(seeds)) == aligned  # all the others have seeds of their own


@pytest.mark.parametrize("draws", [40, 64, 101])
@pytest.mark.parametrize("proxy_weight", [0.0, 0.3, 1.0, 9.0])
def test_classes_stay_alike_with_pairs(draws: int, proxy_weight: float) -> None:
    """As alike as without pairs: there a class may have some more by the rounding of each picture's number."""
    plain = BalancedSampler(sample_weights(PAIRED, proxy_weight=proxy_weight), draws=draws, seed=3)
    for epoch in range(5):
        found = drawn(paired_sampler(PAIRED, draws=draws, proxy_weight=proxy_weight), epoch)
        fake, before = (sum(PAIRED[draw.index].is_fake for draw in some) for some in (found, drawn(plain, epoch)))
        assert abs(2 * fake - draws) <= max(1, abs(2 * before - draws))


def test_the_other_pictures_have_their_turn_beside_pairs() -> None:
    seen = {draw.index for epoch in range(30) for draw in drawn(paired_sampler(PAIRED, draws=40), epoch)}
    assert seen == set(range(len(PAIRED)))


def test_pairs_alone_are_drawn_too() -> None:
    samples = [sample for i in range(4) for sample in pair(f"pair:{i}", 3)]
    for epoch in range(5):
        found = drawn(paired_sampler(samples, draws=16), epoch)
        assert [samples[draw.index].is_fake for draw in found] == [True, False] * 8


def test_draws_in_pairs_depend_on_seed_and_epoch_alone_and_can_be_skipped() -> None:
    sampler = paired_sampler(PAIRED, draws=50)
    whole = drawn(sampler, 2)
    assert drawn(sampler, 3) != whole
    assert drawn(sampler, 2) == whole
    assert drawn(sampler, 2, skip=21) == whole[21:]


def test_without_partners_nothing_changes() -> None:
    weights = sample_weights(PAIRED)
    plain = drawn(BalancedSampler(weights, draws=50, seed=3), 1)
    nobody = Partners(np.full(len(PAIRED), -1), np.array([sample.is_fake for sample in PAIRED]))
    alike = drawn(BalancedSampler(weights, draws=50, seed=3, partners=nobody), 1)
    assert sorted(draw.index for draw in plain) == sorted(draw.index for draw in alike)
    assert [draw.seed for draw in plain] == [draw.seed for draw in alike] == [(3, 1, place) for place in range(50)]


def batches(draws: int, size: int, group: Group = ALONE, *, epoch: int = 3, skip: int = 0) -> list[list[Draw]]:
    found = BatchDraws(BalancedSampler(sample_weights(SAMPLES), draws=draws, seed=42), size, group)
    found.start(epoch, skip=skip)
    assert len(found) == found.steps - skip
    return list(found)


@pytest.mark.parametrize("skip", [0, 1, 3])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_shares_of_all_processes_are_the_batches_of_one(processes: int, skip: int) -> None:
    shares = [batches(23, 2, Group(rank, processes), skip=skip) for rank in range(processes)]
    joined = [[draw for share in step for draw in share] for step in zip(*shares, strict=True)]
    assert joined == batches(23, 2 * processes)[skip:]
    assert {len(share) for share in shares[0]} <= {2}


def test_several_processes_need_an_epoch_that_fills_a_batch_of_all() -> None:
    assert [len(batch) for batch in batches(3, 4)] == [3]
    assert [len(batch) for batch in batches(8, 4, Group(1, 2))] == [4]
    with pytest.raises(
        ConfigError, match=r"optim\.batch_size 4 in 2 processes is more than the 7 pictures of an epoch"
    ):
        batches(7, 4, Group(1, 2))
