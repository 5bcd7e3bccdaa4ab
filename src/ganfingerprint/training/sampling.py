"""How often each picture is drawn: classes alike, and within a class generators and sources nearer to alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from ganfingerprint.catalog import PROXY_FAMILY, Sample
from ganfingerprint.errors import DataError
from ganfingerprint.types import Float64Array


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


class BalancedSampler(Sampler[Draw]):
    """Draws for one epoch after the other; the draws of epoch k depend on the seed and k alone.

    Drawing is systematic: every picture comes floor or ceil of its expected number of times, then all are shuffled.
    """

    def __init__(self, weights: Float64Array, *, draws: int, seed: int) -> None:
        self.weights, self.draws, self.seed = weights, draws, seed
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
        for position in range(self.skip, self.draws):
            yield Draw(int(chosen[position]), (self.seed, self.epoch, position))

    def __len__(self) -> int:
        return self.draws - self.skip
