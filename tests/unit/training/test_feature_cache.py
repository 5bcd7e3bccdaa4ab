"""Cached maps against maps computed on the spot, on a tiny random backbone and four drawn pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganfingerprint.catalog import Sample, read_catalog
from ganfingerprint.config import AugmentConfig, NetworkConfig
from ganfingerprint.errors import TrainingError
from ganfingerprint.network.backbones import Backbone, FeatureMaps
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.training import feature_cache
from ganfingerprint.training.augment import CenterWindow, Step
from ganfingerprint.training.distributed import Group
from ganfingerprint.training.feature_cache import CachedBatches, CachedMaps, PartOfMaps, View
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.sampling import BalancedSampler, BatchDraws, sample_weights
from ganfingerprint.training.transforms import get_transforms
from ganfingerprint.types import Label, UInt8Array

FP32 = Compute(device=torch.device("cpu"), precision="fp32")
PLAIN = View(CenterWindow(96), 0)
AUGMENTED = View(get_transforms("train", size=96, augment=AugmentConfig(color=1)), 1)


def ignore(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(scope="module")
def model() -> FingerprintNet:
    config = NetworkConfig(backbone="resnet18", pretrained="none", train_backbone=False, frequency_width=4)
    return build_network(config, generator=torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def samples(drawn_root: Path) -> tuple[Sample, ...]:
    """Two fakes, then two photographs."""
    train = read_catalog(drawn_root).split("train")
    return (*[s for s in train if s.is_fake][:2], *[s for s in train if not s.is_fake][:2])


@pytest.fixture(scope="module")
def built(model: FingerprintNet, samples: tuple[Sample, ...], tmp_path_factory: pytest.TempPathFactory) -> CachedMaps:
    cache = CachedMaps(tmp_path_factory.mktemp("cache"), samples, [PLAIN, AUGMENTED], seed=42, root=root_of(samples))
    cache.build(model, FP32, ignore)
    return cache


def root_of(samples: tuple[Sample, ...]) -> Path:
    """The drawn pictures lie in root/split/class/."""
    return samples[0].path.parents[2]


def stored(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}


class Counting:
    """A transform that counts its pictures and may fail at one."""

    def __init__(self, step: Step, *, fails_at: int = 10**9) -> None:
        self.step, self.fails_at, self.calls = step, fails_at, 0

    def __repr__(self) -> str:
        return repr(self.step)  # to the cache it is the step that it counts

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        self.calls += 1
        if self.calls >= self.fails_at:
            raise KeyboardInterrupt
        return self.step(pixels, rng)


def test_rows_are_views_times_pictures_with_the_plain_view_first(
    built: CachedMaps, samples: tuple[Sample, ...]
) -> None:
    assert built.rows == 8
    batch = built.batch(range(8))
    assert batch.is_fake.tolist() == [sample.is_fake for sample in samples] * 2
    assert batch.pixels.shape == (8, 96, 96, 3)
    plain, changed = batch.pixels[:4], batch.pixels[4:]
    assert not any(torch.equal(one, two) for one, two in zip(plain, changed, strict=True))


def test_cached_maps_are_those_of_the_pixels_beside_them(built: CachedMaps, model: FingerprintNet) -> None:
    batch = built.batch([5, 0, 3])
    assert isinstance(batch.maps, FeatureMaps)
    with torch.inference_mode():
        expected = model.feature_maps(model.normalise(batch.pixels))
    assert batch.maps.summary is expected.summary is None  # a ResNet has none
    for cached, fresh in zip(batch.maps[:3], expected[:3], strict=True):
        assert cached is not None
        assert fresh is not None
        assert cached.dtype is torch.float16
        torch.testing.assert_close(cached.float(), fresh, rtol=2e-3, atol=2e-3)


def test_the_head_gives_the_same_logits_from_cached_maps(built: CachedMaps, model: FingerprintNet) -> None:
    batch = built.batch(range(8))
    assert batch.maps is not None
    with torch.inference_mode():
        maps = batch.maps.apply(torch.Tensor.float)
        from_cache = model.head(maps, model.normalise(batch.pixels))[0]
        torch.testing.assert_close(from_cache, model(batch.pixels), rtol=0.02, atol=0.02)


def test_a_built_cache_is_opened_without_computing(
    built: CachedMaps, model: FingerprintNet, samples: tuple[Sample, ...]
) -> None:
    counting = Counting(PLAIN.transform)
    again = CachedMaps(built.folder, samples, [View(counting, 0), AUGMENTED], seed=42, root=root_of(samples))
    again.build(model, FP32, ignore)
    assert counting.calls == 0
    assert torch.equal(again.batch(range(8)).pixels, built.batch(range(8)).pixels)


@pytest.mark.parametrize(
    ("plain_fails", "augmented_fails", "redone"),
    [(3, 10**9, 4), (10**9, 2, 0)],
    ids=["before anything counts", "in the second view"],
)
def test_a_stopped_extraction_goes_on_to_the_same_arrays(
    built: CachedMaps,
    model: FingerprintNet,
    samples: tuple[Sample, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plain_fails: int,
    augmented_fails: int,
    redone: int,
) -> None:
    monkeypatch.setattr(feature_cache, "_CHUNK", 2)
    seen: list[tuple[int, int]] = []

    def advance(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 4:  # as is written after 16 chunks: what is on disk so far counts
            note = json.loads((built.folder / "done.json").read_text())
            (tmp_path / "done.json").write_text(json.dumps({**note, "rows": 4}))

    first = View(Counting(PLAIN.transform, fails_at=plain_fails), 0)
    second = View(Counting(AUGMENTED.transform, fails_at=augmented_fails), 1)
    with pytest.raises(KeyboardInterrupt):
        CachedMaps(tmp_path, samples, [first, second], seed=42, root=root_of(samples)).build(model, FP32, advance)
    counting = Counting(PLAIN.transform)
    whole = CachedMaps(tmp_path, samples, [View(counting, 0), AUGMENTED], seed=42, root=root_of(samples))
    whole.build(model, FP32, advance)
    assert counting.calls == redone
    assert seen[-1] == (8, 8)
    assert json.loads((tmp_path / "done.json").read_text())["rows"] == 8
    expected, found = stored(built.folder), stored(tmp_path)
    assert expected.keys() == found.keys()
    for name in ("pixels", "is_fake", "index"):
        assert np.array_equal(expected[name], found[name])
    for name in ("low", "mid", "high"):
        np.testing.assert_allclose(expected[name], found[name], rtol=2e-3, atol=2e-3)


def test_maps_of_other_pictures_are_not_taken_for_these(
    built: CachedMaps, model: FingerprintNet, samples: tuple[Sample, ...]
) -> None:
    fewer = CachedMaps(built.folder, samples[:3], [PLAIN, AUGMENTED], seed=42, root=root_of(samples))
    with pytest.raises(TrainingError, match="the cached maps are of other pictures, views or backbone; remove them"):
        fewer.build(model, FP32, ignore)


def test_maps_of_another_backbone_are_not_taken_for_these(
    built: CachedMaps, model: FingerprintNet, samples: tuple[Sample, ...]
) -> None:
    other = CachedMaps(
        built.folder, samples, [PLAIN, AUGMENTED], seed=42, root=root_of(samples), origin="another backbone"
    )
    with pytest.raises(TrainingError, match="other pictures, views or backbone"):
        other.build(model, FP32, ignore)


class Summing(Backbone):
    """Three small maps, and their means as summary."""

    def __init__(self) -> None:
        super().__init__(channels=(3, 3, 3), strides=(32, 32, 32), summary=3)

    def forward(self, x: torch.Tensor) -> FeatureMaps:
        plane = torch.nn.functional.avg_pool2d(x, 32)
        return FeatureMaps(plane, plane, plane, summary=plane.mean(dim=(2, 3)))


def test_maps_of_corrected_labels_are_not_those_of_the_wrong_ones(
    built: CachedMaps, model: FingerprintNet, samples: tuple[Sample, ...]
) -> None:
    turned = tuple(replace(s, label=Label.REAL if s.is_fake else Label.FAKE) for s in samples)
    other = CachedMaps(built.folder, turned, [PLAIN, AUGMENTED], seed=42, root=root_of(samples))
    with pytest.raises(TrainingError, match="other pictures, views or backbone"):
        other.build(model, FP32, ignore)


def test_a_summary_is_cached_beside_the_maps(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    net = FingerprintNet(Summing(), frequency=False, statistics=True).eval()
    cache = CachedMaps(tmp_path, samples, [PLAIN], seed=42, root=root_of(samples))
    cache.build(net, FP32, ignore)
    maps = cache.batch([2, 0]).maps
    assert maps is not None
    assert maps.summary is not None
    torch.testing.assert_close(maps.summary.float(), maps.low.float().mean(dim=(2, 3)), rtol=2e-3, atol=2e-3)


def test_a_network_of_statistics_learns_the_same_from_condensed_maps(
    samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    parts = {"frequency": False, "attention": False, "fingerprint_block": False}
    net = FingerprintNet(Summing(), fusion=False, statistics=True, **parts).eval()
    whole = CachedMaps(tmp_path / "whole", samples, [PLAIN], seed=42, root=root_of(samples))
    small = CachedMaps(tmp_path / "small", samples, [PLAIN], seed=42, root=root_of(samples), condense=True)
    logits = []
    for cache in (whole, small):
        cache.build(net, FP32, ignore)
        batch = cache.batch([1, 3])
        assert batch.maps is not None
        maps = batch.maps.apply(lambda part: part.float())
        logits.append(net.head(maps, net.normalise(batch.pixels))[0])
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-3, atol=1e-3)
    assert batch.pixels.shape == (2, 0, 0, 3)
    assert batch.maps.high.shape[2:] == (1, 2)
    with pytest.raises(TrainingError, match="other pictures, views or backbone"):
        CachedMaps(small.folder, samples, [PLAIN], seed=42, root=root_of(samples)).build(net, FP32, ignore)


class Apart(Group):
    """Two processes, the other of which found other pictures below its data root."""

    def gather(self, value: Any) -> list[Any]:
        done, _ = value
        return [value, (done, "other")]


def test_processes_with_different_pictures_make_no_cache(
    built: CachedMaps, model: FingerprintNet, samples: tuple[Sample, ...]
) -> None:
    with pytest.raises(TrainingError, match="the processes have different pictures, views or backbones"):
        built.build(model, FP32, ignore, Apart())


def batches(built: CachedMaps, samples: tuple[Sample, ...], *, size: int, draws: int) -> CachedBatches:
    sampler = BalancedSampler(sample_weights(samples), draws=draws, seed=42)
    return CachedBatches(built, built, BatchDraws(sampler, size))


def test_an_epoch_is_balanced_repeatable_and_draws_the_views_anew(
    built: CachedMaps, samples: tuple[Sample, ...]
) -> None:
    source = batches(built, samples, size=4, draws=12)
    first, again, second = (list(source.epoch(number)) for number in (0, 0, 1))
    assert source.steps == len(first) == 3
    assert sum(int(batch.is_fake.sum()) for batch in first) == 6
    assert all(torch.equal(one.pixels, two.pixels) for one, two in zip(first, again, strict=True))
    assert not all(torch.equal(one.pixels, two.pixels) for one, two in zip(first, second, strict=True))
    windows = {window.numpy().tobytes() for batch in first + second for window in batch.pixels}
    assert len(windows) > 4  # more than one view of some picture


def test_a_skipped_epoch_of_cached_maps_continues_exactly(built: CachedMaps, samples: tuple[Sample, ...]) -> None:
    source = batches(built, samples, size=4, draws=14)
    whole = list(source.epoch(1))
    rest = list(source.epoch(1, skip=2))
    assert (len(whole), len(rest)) == (3, 1)
    assert torch.equal(rest[0].pixels, whole[2].pixels)
    assert list(source.epoch(1, skip=3)) == []


def test_validation_of_cached_maps_gives_every_row_once(built: CachedMaps, samples: tuple[Sample, ...]) -> None:
    found = list(batches(built, samples, size=3, draws=3).validation())
    assert [len(batch.is_fake) for batch in found] == [3, 3, 2]
    assert torch.equal(torch.cat([batch.pixels for batch in found]), built.batch(range(8)).pixels)


def test_a_part_of_the_maps_is_numbered_as_if_there_were_no_others(
    built: CachedMaps, samples: tuple[Sample, ...]
) -> None:
    chosen = (samples[3], samples[1])
    part = PartOfMaps(built, chosen)
    assert part.rows == 2 * len(built.views)
    found = part.batch([0, 1, 2, 3])
    assert found.rows.tolist() == [0, 1, 0, 1]
    assert found.is_fake.tolist() == [False, True, False, True]
    whole = built.batch([3, 1, 7, 5])  # the same pictures, plain and then augmented
    assert torch.equal(found.pixels, whole.pixels)


def test_a_stand_in_from_outside_the_part_gives_way_to_one_from_within(
    model: FingerprintNet, tmp_path: Path, samples: tuple[Sample, ...]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    kinds = [s for s in samples if s.is_fake]
    listed = (replace(kinds[0], path=broken), kinds[0], replace(kinds[1], generator="other"), *samples[2:])
    maps = CachedMaps(tmp_path / "maps", listed, [PLAIN], seed=42, root=root_of(samples))
    maps.build(model, FP32, ignore)
    stand_in = int(maps.index[0])
    assert stand_in in (1, 2)
    chosen = tuple(sample for place, sample in enumerate(listed) if place != stand_in)
    found = PartOfMaps(maps, chosen).batch(range(len(chosen)))
    assert (found.rows >= 0).all()
    assert found.is_fake.tolist() == [sample.is_fake for sample in chosen]
    assert found.rows[0] == 1  # the other fake, in its place among the chosen
