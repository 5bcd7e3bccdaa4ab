"""How often each picture is drawn: classes alike, and within a class generators and sources nearer to alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from ganfingerprint.catalog import PROXY_FAMILY, Sample
from ganfingerprint.errors import ConfigError, DataError
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.types import BoolArray, Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Draw:
    """One picture of one epoch, with the seed of all that happens to it."""

    index: int
    seed: tuple[int, int, int]


def sample_weights(samples: Sequence[Sample], *, power: float = 0.5, proxy_weight: float = 1.0) -> Float64Array:
    """Probability of each sample, [n], summing to 1.

    Each class has half of the mass. Within it a source of n pictures (fakes: a generator; photographs: a
    collection) has mass n**power, spread evenly over its pictures; proxies count `proxy_weight` times.

    Raises:
        DataError: a class has no picture that may be drawn.
    """
    keys = [(sample.is_fake, sample.generator if sample.is_fake else sample.source) for sample in samples]
    sizes = Counter(keys)
    weights = np.array([sizes[key] ** (power - 1.0) for key in keys], dtype=np.float64)
    weights *= [proxy_weight if sample.family == PROXY_FAMILY else 1.0 for sample in samples]
    fake = np.array([sample.is_fake for sample in samples], dtype=bool)
    for mask, name in ((fake, "fake"), (~fake, "real")):
        total = weights[mask].sum()
        if not total > 0:
            raise DataError(f"the training split has no {name} picture to draw")
        weights[mask] /= 2 * total
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class Partners:
    """Which samples are aligned: what a fake was made of."""

    photograph: Int64Array  # [n] its position for a fake that has one, else -1
    is_fake: BoolArray  # [n]


def find_partners(samples: Sequence[Sample]) -> Partners:
    """The photograph of each aligned fake (family proxy): one of its group.

    Of several it is the one that the fake's file is named after (`ab12.jpg`, `ab12-span-x4.jpg`): a pair of a data
    root's photograph shares the group of that photograph.
    """
    photographs: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        if not sample.is_fake:
            photographs.setdefault(sample.group, []).append(i)
    found = np.full(len(samples), -1, dtype=np.int64)
    for i, sample in enumerate(samples):
        alike = photographs.get(sample.group, []) if sample.family == PROXY_FAMILY else []
        named = [j for j in alike if sample.path.stem.startswith(f"{samples[j].path.stem}-")]
        chosen = named or alike
        if len(chosen) == 1:
            found[i] = chosen[0]
    return Partners(found, np.array([sample.is_fake for sample in samples], dtype=bool))


class BalancedSampler(Sampler[Draw]):
    """Draws for one epoch after the other; the draws of epoch k depend on the seed and k alone.

    Drawing is systematic: every picture comes floor or ceil of its expected number of times, then all are shuffled.
    With `partners` an aligned fake is followed by its photograph, in the place of another one, with the same seed: the
    same window and the same augmentation. Pairs begin at even positions, so that an even batch size parts none.
    """

    def __init__(self, weights: Float64Array, *, draws: int, seed: int, partners: Partners | None = None) -> None:
        self.weights, self.draws, self.seed, self.partners = weights, draws, seed, partners
        self.epoch, self.skip = 0, 0

    def start(self, epoch: int, *, skip: int = 0) -> None:
        """Choose the epoch of the next iteration, and how many of its draws were already seen."""
        self.epoch, self.skip = epoch, skip

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        ticks = (np.arange(self.draws) + rng.random()) / self.draws
        order = rng.permutation(len(self.weights))  # else neighbours in the list would share their roundings
        edges = np.cumsum(self.weights[order])
        chosen = order[np.minimum(np.searchsorted(edges, ticks * edges[-1], side="right"), len(order) - 1)]
        rng.shuffle(chosen)
        places = np.arange(self.draws)
        if self.partners is not None:
            chosen, places = in_pairs(chosen, self.partners, rng)
        for index, place in zip(chosen[self.skip :], places[self.skip :], strict=True):
            yield Draw(int(index), (self.seed, self.epoch, int(place)))

    def __len__(self) -> int:
        return self.draws - self.skip


class BatchDraws(Sampler[list[Draw]]):
    """The draws of an epoch in batches of `size`; of several processes, the share of this one in each batch of all.

    Together the shares are the batches of a single process that takes `size` times as many processes. What does not
    fill a batch is left out at the end, for a batch norm needs two windows; a short epoch is one short batch.

    Raises:
        ConfigError: there are several processes, and an epoch fills no batch of all.
    """

    def __init__(self, sampler: BalancedSampler, size: int, group: Group = ALONE) -> None:
        self.sampler, self.size = sampler, size
        self._first, self._whole, self._skip = group.rank * size, group.size * size, 0
        if group.size > 1 and sampler.draws < self._whole:
            raise ConfigError(
                [
                    f"optim.batch_size {size} in {group.size} processes is more than the {sampler.draws} pictures of "
                    "an epoch (optim.epoch_samples)"
                ]
            )
        self.steps = max(1, sampler.draws // self._whole)

    def start(self, epoch: int, *, skip: int = 0) -> None:
        """Choose the epoch of the next iteration, and how many of its batches were already seen."""
        self.sampler.start(epoch, skip=skip * self._whole)
        self._skip = skip

    def __iter__(self) -> Iterator[list[Draw]]:
        draws = list(self.sampler)
        for step in range(len(self)):
            start = step * self._whole + self._first
            yield draws[start : start + self.size]

    def __len__(self) -> int:
        return self.steps - self._skip


def in_pairs(chosen: Int64Array, partners: Partners, rng: np.random.Generator) -> tuple[Int64Array, Int64Array]:
    """The draws [n] two by two, a fake and a photograph, and the place [n] that each takes its seed from.

    Aligned fakes bring their photograph; as many other photographs stay away, so that classes stay alike.
    """
    bound = partners.photograph[chosen] >= 0
    fake = partners.is_fake[chosen]
    photographs = chosen[~fake][: max(0, len(chosen) - int(fake.sum()) - int(bound.sum()))]
    free = chosen[fake & ~bound]
    both = min(len(free), len(photographs))
    aligned = np.stack([chosen[bound], partners.photograph[chosen[bound]]], axis=1)  # [pairs, 2]
    twos = np.concatenate([aligned, np.stack([free[:both], photographs[:both]], axis=1)])
    order = rng.permutation(len(twos))
    left = np.concatenate([free[both:], photographs[both:]])  # of one class, where rounding gave it more
    drawn = np.concatenate([twos[order].ravel(), left])[: len(chosen)]
    places = np.arange(len(drawn))
    second = np.flatnonzero(order < len(aligned)) * 2 + 1
    second = second[second < len(drawn)]
    places[second] = second - 1
    return drawn, places
