"""Labelled pictures as windows for learning: the one `decode` of the product, then the transforms of the phase."""

from __future__ import annotations

import logging
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from ganfingerprint.catalog import PROXY_FAMILY, Catalog, Sample, dataset_stats, read_catalog
from ganfingerprint.config import DataConfig, TrainConfig
from ganfingerprint.decode import decode
from ganfingerprint.errors import DataError, InputError
from ganfingerprint.training.augment import Step
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.training.sampling import BalancedSampler, BatchDraws, Draw, find_partners, sample_weights
from ganfingerprint.training.transforms import get_transforms
from ganfingerprint.types import Label, UInt8Array

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Windows with their labels."""

    pixels: Tensor  # uint8 [B, s, s, 3]
    is_fake: Tensor  # bool [B]
    index: Tensor  # int64 [B] position in the dataset's samples


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One window with its label."""

    pixels: UInt8Array  # [s, s, 3]
    is_fake: bool
    index: int


class DeepfakeDataset(Dataset[Item]):
    """Windows of labelled pictures. What happens to a picture depends on its draw alone, not on who asked before.

    A file that cannot be read never stops a batch: another picture of its kind takes its place, and `unreadable`
    names it, whichever process met it.
    """

    def __init__(self, samples: Sequence[Sample], transform: Step, *, seed: int = 42) -> None:
        if not samples:
            raise DataError("the dataset has no pictures")
        self.samples, self.transform, self.seed = tuple(samples), transform, seed
        # In memory that the loader's processes share.
        self._failed = torch.zeros(len(samples), dtype=torch.bool).share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def unreadable(self) -> tuple[Sample, ...]:
        """The samples that could not be read so far."""
        return tuple(self.samples[index] for index in self._failed.nonzero().flatten().tolist())

    def tell_unreadable(self, group: Group) -> None:
        """Let every process know what any of them could not read. All must call it."""
        for failed in group.gather(self._failed):
            self._failed |= failed

    def __getitem__(self, draw: int | Draw) -> Item:
        if not isinstance(draw, Draw):
            draw = Draw(int(draw), (self.seed, 0, int(draw)))
        rng = np.random.default_rng(draw.seed)
        chosen, pixels = self._read(draw.index, np.random.default_rng([*draw.seed, 1]))
        return Item(self.transform(pixels, rng), self.samples[chosen].is_fake, chosen)

    def _read(self, index: int, rng: np.random.Generator) -> tuple[int, UInt8Array]:
        for _attempt in range(20):
            sample = self.samples[index]
            try:
                return index, decode(sample.path).pixels
            except InputError as problem:
                if not self._failed[index]:
                    _log.warning("left out: %s (%s)", problem, problem.code)
                self._failed[index] = True
                alike = [i for i, other in enumerate(self.samples) if _kind(other) == _kind(sample)]
                index = alike[int(rng.integers(len(alike)))]
        raise DataError(f"20 pictures in a row could not be read, the last: {self.samples[index].path}")


def _kind(sample: Sample) -> tuple[Label, bool]:
    """What a replacement must share: the class, and whether it is an aligned fake, which may be left out."""
    return sample.label, sample.family == PROXY_FAMILY


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaders:
    """The three loaders of the document, and what they read from."""

    catalog: Catalog  # without what is left out
    whole: Catalog  # with it
    train: DataLoader[Item]
    validation: DataLoader[Item]
    test: DataLoader[Item] | None  # None when the data has no test split
    draws: BatchDraws  # what `train` shows


def get_dataloaders(config: TrainConfig, group: Group = ALONE) -> Loaders:
    """Loaders for train (balanced, augmented), validation and test (every picture once, centre window).

    Of several processes each has its share of the training batches, and of the pictures of validation and test.

    Raises:
        ConfigError: a batch of all processes is larger than an epoch.
        DataError: the folder cannot be used, or train or validation is missing or has one class only.
    """
    data = config.data
    catalog = (whole := get_catalog(data)).without(data.leave_out)
    train = catalog.split("train")
    weights = sample_weights(train, power=data.balance_power, proxy_weight=data.proxy_weight)
    sampler = BalancedSampler(
        weights,
        draws=config.optim.epoch_samples or len(train),
        seed=config.seed,
        partners=find_partners(train) if data.pairs else None,
    )
    draws = BatchDraws(sampler, config.optim.batch_size, group)
    augmented = get_transforms("train", size=config.window.size, augment=config.augment)

    def loader(samples: Sequence[Sample], transform: Step, batches: Sampler[Any] | None = None) -> DataLoader[Item]:
        share = BatchSampler(group.share(len(samples)), config.optim.batch_size, drop_last=False)
        return DataLoader(
            DeepfakeDataset(samples, transform, seed=config.seed),
            batch_sampler=share if batches is None else batches,
            num_workers=data.workers,
            collate_fn=collate,
            worker_init_fn=worker_init_fn,
            persistent_workers=False,
            generator=torch.Generator().manual_seed(config.seed),  # keeps the global state out of the loader
        )

    plain = get_transforms("validation", size=config.window.size)
    validation = judged_samples(catalog)
    if len({sample.label for sample in validation}) < 2:
        raise DataError(
            f"{data.root}: the validation split must hold both photographs and fakes (proxies do not count)"
        )
    return Loaders(
        catalog=catalog,
        whole=whole,
        train=loader(train, augmented, draws),
        validation=loader(validation, plain),
        test=loader(catalog.split("test"), plain) if "test" in catalog.splits else None,
        draws=draws,
    )


def get_catalog(data: DataConfig) -> Catalog:
    """All labelled pictures that the settings name: of `data.pairs` the training split, the rest of it stays out.

    Raises:
        DataError: the folder cannot be used; that of pairs is not one, or has no training split.
    """
    catalog = read_catalog(data.root, manifest=data.manifest, layout=data.layout)
    if data.pairs is None:
        return catalog
    more = read_catalog(data.pairs, layout="manifest").split("train")
    return replace(catalog, samples=(*catalog.samples, *more))


def judged_samples(catalog: Catalog) -> tuple[Sample, ...]:
    """The validation pictures that checkpoints and calibration are judged by.

    Proxies are left out: an enlarged photograph is not what a verdict is about.
    """
    return tuple(sample for sample in catalog.split("validation") if sample.family != PROXY_FAMILY)


def shared_groups(catalog: Catalog) -> list[str]:
    """Groups of train or validation that are in another split too: what learnt or chose would then be the judge."""
    splits: dict[str, set[str]] = {}
    for sample in catalog.samples:
        splits.setdefault(sample.group, set()).add(sample.split)
    return sorted(group for group, found in splits.items() if len(found) > 1 and found & {"train", "validation"})


def collate(items: Sequence[Item]) -> Batch:
    """Stack windows into one batch."""
    return Batch(
        torch.from_numpy(np.stack([item.pixels for item in items])),
        torch.tensor([item.is_fake for item in items], dtype=torch.bool),
        torch.tensor([item.index for item in items], dtype=torch.int64),
    )


def worker_init_fn(worker_id: int) -> None:
    """Give a loader process seeds of its own (the draws carry theirs) and one thread, as there is one a core."""
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the loop decides when to stop; its handlers are not the worker's
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def get_dataset_stats(catalog: Catalog) -> str:
    """How many pictures of what there are, as lines for a person."""
    lines = [f"{len(catalog.samples)} labelled pictures in {catalog.root} ({catalog.layout} layout)"]
    for split in catalog.splits:
        stats = dataset_stats(catalog.split(split))
        labels = sorted(stats["split"].items(), reverse=True)
        counts = ", ".join(f"{count} {key.split('/')[-1]}" for key, count in labels)
        lines.append(f"  {split}: {counts}; {len(stats['generator'])} generators, {len(stats['source'])} photo sources")
    return "\n".join(lines)
