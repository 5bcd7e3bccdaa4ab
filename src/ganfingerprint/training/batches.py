"""Where the loop gets its batches: pictures decoded and augmented as it goes, or maps of a frozen backbone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from ganfingerprint.network.backbones import FeatureMaps
from ganfingerprint.training.dataset import Batch, Loaders


class LabelledBatch(NamedTuple):
    """Windows with labels, and with their backbone maps where those were computed before."""

    pixels: Tensor  # uint8 [B, s, s, 3]
    is_fake: Tensor  # bool [B]
    maps: FeatureMaps | None
    rows: Tensor  # int64 [B], position of each among the pictures of its split


class BatchSource(Protocol):
    """What the loop asks for. Batch `i` of epoch `k` is the same whenever it is asked for."""

    steps: int  # batches an epoch

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[LabelledBatch]:
        """The batches of one epoch, without the first `skip`."""
        ...

    def validation(self) -> Iterator[LabelledBatch]:
        """Every validation picture once, unchanged, in order; of several processes, this one's share of them."""
        ...


class LiveBatches:
    """Pictures decoded and augmented as the loop goes."""

    def __init__(self, loaders: Loaders) -> None:
        self._loaders = loaders
        self.steps = loaders.draws.steps

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[LabelledBatch]:
        """The batches of one epoch, without the first `skip`."""
        self._loaders.draws.start(number, skip=skip)
        return self._labelled(self._loaders.train)

    def validation(self) -> Iterator[LabelledBatch]:
        """Every validation picture once, centre window."""
        return self._labelled(self._loaders.validation)

    @staticmethod
    def _labelled(batches: object) -> Iterator[LabelledBatch]:
        batch: Batch
        for batch in batches:  # type: ignore[attr-defined]  # DataLoader is typed by items, not by batches
            yield LabelledBatch(batch.pixels, batch.is_fake, None, batch.index)
