from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage
from torch import Tensor

from ganfingerprint.catalog import Catalog, Sample, read_catalog
from ganfingerprint.config import TrainConfig, load_config
from ganfingerprint.decode import decode
from ganfingerprint.errors import DataError
from ganfingerprint.training.augment import CenterWindow, Step
from ganfingerprint.training.batches import LabelledBatch, LiveBatches
from ganfingerprint.training.dataset import (
    Batch,
    DeepfakeDataset,
    Item,
    collate,
    get_dataloaders,
    get_dataset_stats,
    judged_samples,
    shared_groups,
)
from ganfingerprint.training.sampling import Draw
from ganfingerprint.training.transforms import get_transforms
from ganfingerprint.types import Label

AUGMENTED: Step = get_transforms("train", size=96)


def config(root: Path, *more: str) -> TrainConfig:
    tiny = ("window.size=96", "optim.batch_size=4", "optim.epoch_samples=10", f"data.root={root}")
    return load_config(overrides=[*tiny, *more])


def train_samples(root: Path) -> tuple[Sample, ...]:
    return read_catalog(root).split("train")


def epochs(settings: TrainConfig) -> list[LabelledBatch]:
    source = LiveBatches(get_dataloaders(settings))
    return [*source.epoch(0), *source.epoch(1), *source.validation()]


def assert_same(one: list[LabelledBatch], two: list[LabelledBatch]) -> None:
    assert len(one) == len(two) > 0
    for left, right in zip(one, two, strict=True):
        assert torch.equal(left.pixels, right.pixels)
        assert torch.equal(left.is_fake, right.is_fake)


@pytest.fixture
def broken_root(drawn_root: Path, tmp_path: Path) -> Path:
    """The drawn pictures, with one training fake and one photograph damaged."""
    root = tmp_path / "broken"
    shutil.copytree(drawn_root, root)
    (root / "train" / "fake" / "03.png").write_bytes(b"not a picture")
    whole = (root / "train" / "real" / "05.png").read_bytes()
    (root / "train" / "real" / "05.png").write_bytes(whole[: len(whole) // 2])
    return root


def test_an_item_is_a_window_of_its_picture_with_label_and_place(drawn_root: Path) -> None:
    samples = train_samples(drawn_root)
    dataset = DeepfakeDataset(samples, CenterWindow(96))
    assert len(dataset) == len(samples) == 16
    for index in (0, 15):
        item = dataset[index]
        assert np.array_equal(item.pixels, decode(samples[index].path).pixels[8:104, 8:104])
        assert (item.is_fake, item.index) == (samples[index].label is Label.FAKE, index)


def test_an_item_depends_only_on_its_draw(drawn_root: Path) -> None:
    samples = train_samples(drawn_root)
    dataset, draw = DeepfakeDataset(samples, AUGMENTED), Draw(3, (42, 5, 77))
    first = dataset[draw]
    for other in range(4):
        dataset[Draw(other, (42, 5, other))]
    np.random.seed(1)
    assert np.array_equal(dataset[draw].pixels, first.pixels)
    assert np.array_equal(DeepfakeDataset(samples, AUGMENTED, seed=9)[draw].pixels, first.pixels)
    assert not np.array_equal(dataset[Draw(3, (42, 5, 78))].pixels, first.pixels)
    assert not np.array_equal(dataset[Draw(3, (42, 6, 77))].pixels, first.pixels)


def test_a_plain_index_is_seeded_by_the_dataset(drawn_root: Path) -> None:
    samples = train_samples(drawn_root)
    one, again, other = (DeepfakeDataset(samples, AUGMENTED, seed=seed)[2].pixels for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_published_error_15_one_corrupt_file_does_not_stop_a_batch(
    broken_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = train_samples(broken_root)
    bad = {i for i, sample in enumerate(samples) if sample.path.name in ("03.png", "05.png") and i in (3, 13)}
    dataset = DeepfakeDataset(samples, CenterWindow(96))
    with caplog.at_level(logging.WARNING):
        items = [dataset[index] for index in range(len(dataset))]
    assert [item.is_fake for item in items] == [sample.is_fake for sample in samples]  # of the same class
    replaced = {index for index, item in enumerate(items) if item.index != index}
    assert replaced == bad == {3, 13}
    assert not {item.index for item in items} & bad
    assert dataset.unreadable == tuple(samples[index] for index in sorted(bad))
    assert [record.message.count("left out: ") for record in caplog.records] == [1, 1]


def test_the_picture_that_takes_the_place_is_decided_by_the_draw(broken_root: Path) -> None:
    samples = train_samples(broken_root)
    chosen = {
        tuple(DeepfakeDataset(samples, CenterWindow(96))[Draw(3, (42, 0, place))].index for place in range(12))
        for _ in range(2)
    }
    assert len(chosen) == 1
    assert len(set(chosen.pop())) > 2


def test_a_corrupt_file_is_named_once(broken_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = DeepfakeDataset(train_samples(broken_root), CenterWindow(96))
    with caplog.at_level(logging.WARNING):
        for place in range(5):
            dataset[Draw(3, (42, 0, place))]
    assert len(caplog.records) == 1


def test_a_class_without_one_readable_picture_is_an_error(tmp_path: Path) -> None:
    samples = [Sample(path=tmp_path / f"{i}.png", label=Label.FAKE) for i in range(3)]
    with pytest.raises(DataError, match="20 pictures in a row could not be read"):
        DeepfakeDataset(samples, CenterWindow(96))[0]


def test_a_dataset_of_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="the dataset has no pictures"):
        DeepfakeDataset([], CenterWindow(96))


def test_collate_stacks_windows_labels_and_places() -> None:
    items = [Item(np.full((4, 4, 3), level, np.uint8), level > 5, level) for level in (3, 9)]
    batch = collate(items)
    assert isinstance(batch, Batch)
    assert (batch.pixels.shape, batch.pixels.dtype) == ((2, 4, 4, 3), torch.uint8)
    assert batch.pixels[:, 0, 0, 0].tolist() == [3, 9]
    assert (batch.is_fake.tolist(), batch.is_fake.dtype) == ([False, True], torch.bool)
    assert (batch.index.tolist(), batch.index.dtype) == ([3, 9], torch.int64)


def test_validation_gives_every_picture_once_unchanged_and_in_order(drawn_root: Path) -> None:
    loaders = get_dataloaders(config(drawn_root))
    batches: list[Batch] = list(loaders.validation)
    assert [index for batch in batches for index in batch.index.tolist()] == list(range(8))
    samples = loaders.catalog.split("validation")
    pixels: Tensor = torch.cat([batch.pixels for batch in batches])
    for index, sample in enumerate(samples):
        assert np.array_equal(pixels[index].numpy(), decode(sample.path).pixels[8:104, 8:104])


def test_training_draws_both_classes_as_often_and_as_many_as_asked(drawn_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "uneven"
    shutil.copytree(drawn_root, root)
    for number in range(2, 8):
        (root / "train" / "fake" / f"{number:02}.png").unlink()
    batches = list(LiveBatches(get_dataloaders(config(root, "optim.epoch_samples=24"))).epoch(0))
    fake = torch.cat([batch.is_fake for batch in batches])
    assert len(batches) == 6
    assert (len(fake), int(fake.sum())) == (24, 12)


def test_an_epoch_is_as_long_as_the_training_set_if_nothing_is_said(drawn_root: Path) -> None:
    loaders = get_dataloaders(config(drawn_root, "optim.epoch_samples=0"))
    assert loaders.draws.sampler.draws == 16


def test_a_skipped_epoch_continues_with_the_very_batches_it_would_have_had(drawn_root: Path) -> None:
    source = LiveBatches(get_dataloaders(config(drawn_root)))
    whole = list(source.epoch(2))
    assert source.steps == len(whole) == 2
    assert_same(list(source.epoch(2, skip=1)), whole[1:])
    assert list(source.epoch(2, skip=2)) == []
    assert_same(list(source.epoch(2)), whole)


@pytest.mark.parametrize(("draws", "sizes"), [(9, [4, 4]), (8, [4, 4]), (3, [3]), (5, [4])])
def test_no_batch_of_one_window_reaches_a_batch_norm(drawn_root: Path, draws: int, sizes: list[int]) -> None:
    source = LiveBatches(get_dataloaders(config(drawn_root, f"optim.epoch_samples={draws}", "optim.batch_size=4")))
    assert [len(batch.is_fake) for batch in source.epoch(0)] == sizes
    assert source.steps == len(sizes)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning", "ignore:.*fork:DeprecationWarning")
def test_two_workers_give_the_same_batches_as_none(drawn_root: Path) -> None:
    assert_same(epochs(config(drawn_root, "data.workers=2")), epochs(config(drawn_root)))


def test_loaders_leave_the_global_random_state_alone(drawn_root: Path) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"]
    epochs(config(drawn_root))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numpy_before)


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root / name)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove("train"), r"there is no split 'train' \(there are: test, validation\)"),
        (remove("train/fake"), "the training split has no fake picture"),
        (remove("validation"), "there is no split 'validation'"),
        (remove("validation/real"), "the validation split must hold both photographs and fakes"),
    ],
    ids=["no train", "no training fakes", "no validation", "validation of one class"],
)
def test_data_that_cannot_be_learnt_from_is_refused(
    drawn_root: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(drawn_root, root)
    spoil(root)
    with pytest.raises(DataError, match=message):
        get_dataloaders(config(root))


def test_a_test_split_is_optional(drawn_root: Path, tmp_path: Path) -> None:
    assert get_dataloaders(config(drawn_root)).test is not None
    root = tmp_path / "copy"
    shutil.copytree(drawn_root, root)
    shutil.rmtree(root / "test")
    assert get_dataloaders(config(root)).test is None


def test_statistics_read_as_lines_for_a_person(drawn_root: Path) -> None:
    lines = get_dataset_stats(read_catalog(drawn_root)).splitlines()
    assert lines[0] == f"32 labelled pictures in {drawn_root} (reference layout)"
    assert lines[2] == "  train: 8 real, 8 fake; 1 generators, 1 photo sources"


def test_a_group_that_learns_and_judges_is_named(drawn_root: Path) -> None:
    def sample(split: str, group: str) -> Sample:
        return Sample(path=Path("a.png"), label=Label.REAL, split=split, group=group)

    pairs = [("train", "a"), ("test", "a"), ("validation", "b"), ("native", "b"), ("test", "c"), ("native", "c")]
    catalog = Catalog(root=drawn_root, layout="manifest", samples=tuple(sample(*pair) for pair in pairs))
    assert shared_groups(catalog) == ["a", "b"]
    assert shared_groups(read_catalog(drawn_root)) == []


@pytest.fixture
def pairs(drawn_root: Path, tmp_path: Path) -> Path:
    """Four photographs and their aligned fakes, which differ in 40 grey levels of blue and nothing else."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    rows = ["path,label,generator,family,split,group,source"]
    for number in range(4):
        pixels = decode(drawn_root / "train" / "real" / f"{number:02}.png").pixels
        blue = np.clip(pixels.astype(np.int16) + np.array([0, 0, 40]), 0, 255).astype(np.uint8)
        for name, content in (("real", pixels), ("fake", blue)):
            PilImage.fromarray(content).save(folder / f"{name}{number}.png")
        split = "train" if number < 3 else "test"
        rows += [
            f"real{number}.png,real,,photo,{split},pair:{number},camera",
            f"fake{number}.png,fake,proxy:blue,proxy,{split},pair:{number},camera",
        ]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_pairs_join_training_alone(drawn_root: Path, pairs: Path) -> None:
    plain, more = get_dataloaders(config(drawn_root)), get_dataloaders(config(drawn_root, f"data.pairs={pairs}"))
    assert plain.draws.sampler.partners is None
    assert len(more.catalog.split("train")) == len(plain.catalog.split("train")) + 6
    assert judged_samples(more.catalog) == judged_samples(plain.catalog)
    assert more.catalog.split("test") == plain.catalog.split("test")


def test_both_members_of_a_pair_are_seen_alike_in_one_batch(drawn_root: Path, pairs: Path) -> None:
    """Whatever window and augmentation is drawn, the two differ in what the recipe did."""
    loaders = get_dataloaders(
        config(drawn_root, f"data.pairs={pairs}", "optim.batch_size=4", "optim.epoch_samples=40", "augment.strength=0")
    )
    samples = loaders.catalog.split("train")
    met = 0
    for batch in loaders.train:
        for place, index in enumerate(batch.index.tolist()):
            if samples[index].family == "proxy":
                fake, photograph = batch.pixels[place].int(), batch.pixels[place + 1].int()
                assert samples[int(batch.index[place + 1])].group == samples[index].group
                assert torch.equal(fake[..., :2], photograph[..., :2])
                assert (fake[..., 2] - photograph[..., 2]).min() > 0
                met += 1
    assert met >= 4


def test_a_folder_without_a_manifest_is_not_one_of_pairs(drawn_root: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.csv"):
        get_dataloaders(config(drawn_root, f"data.pairs={drawn_root}"))
