"""Maps of a frozen backbone, computed once: afterwards the head learns from them in minutes.

Each training picture is stored in `views` augmented versions (the first one plain), each validation picture in its
centre window. Arrays lie as memory-mapped .npy files in the run's folder or one of the user's, so that memory stays
flat and a stopped extraction continues where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.format import open_memmap

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Sample, digest
from ganfingerprint.errors import TrainingError
from ganfingerprint.network.backbones import FeatureMaps
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.statistics import condensed
from ganfingerprint.training.augment import Step
from ganfingerprint.training.batches import LabelledBatch
from ganfingerprint.training.dataset import DeepfakeDataset
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.sampling import BatchDraws, Draw
from ganfingerprint.types import Int64Array, UInt8Array

_CHUNK = 32  # windows a forward pass
_MAPS = FeatureMaps._fields
Advance = Callable[[int, int], None]  # done, total


class View(NamedTuple):
    """One version of every picture: its transform and the number that seeds it."""

    transform: Step
    number: int


class CachedMaps:
    """Windows, labels and backbone maps of a list of pictures below `root`, [n * views] rows, on disk.

    `origin` says what computes the maps. With `condense` only what statistics need is kept: maps of two cells, and no
    pixels.
    """

    def __init__(
        self,
        folder: Path,
        samples: Sequence[Sample],
        views: Sequence[View],
        *,
        seed: int,
        root: Path,
        origin: str = "",
        condense: bool = False,
    ) -> None:
        self.folder, self.samples, self.views, self.seed = folder, tuple(samples), tuple(views), seed
        self._condense = condense
        # What decides the rows: maps of other pictures, labels, views or another backbone are not taken for these.
        content = repr((digest(self.samples, root), self.views, seed, origin, *(["condensed"] if condense else [])))
        self._content = hashlib.sha256(content.encode()).hexdigest()
        self.rows = len(samples) * len(views)
        self._arrays: dict[str, np.ndarray] = {}

    def build(self, model: FingerprintNet, compute: Compute, advance: Advance, group: Group = ALONE) -> None:
        """Compute what is not there yet. Row `v * len(samples) + i` is view v of picture i.

        All processes compute, each a chunk of rows at a time, and the first one writes.

        Raises:
            TrainingError: the maps that are there, or those of another process, are of other pictures or views, or the
                disk is too small.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        done = noted = self._begun(group)
        model.eval()
        while done < self.rows:
            starts = range(done, self.rows, _CHUNK)[: group.size]
            chunks = [range(start, min(start + _CHUNK, self.rows)) for start in starts]
            own = self._computed(chunks[group.rank], model, compute) if group.rank < len(chunks) else {}
            for chunk, values in zip(chunks, group.collect(own), strict=False):  # near the end some have nothing
                self._store(chunk, values)
            done = chunks[-1].stop
            if group.is_first and (done - noted >= 16 * _CHUNK or done == self.rows):
                for array in self._arrays.values():
                    array.flush()  # type: ignore[attr-defined]  # a memmap
                self._note(done)
                noted = done
            advance(done, self.rows)
        group.gather(None)  # only now everything is there
        self._arrays = {file.stem: np.load(file, mmap_mode="r") for file in sorted(self.folder.glob("*.npy"))}

    @property
    def index(self) -> Int64Array:
        """Which picture each row shows, [rows]: its own, or the one that stands for a file that cannot be read."""
        return self._arrays["index"]

    def batch(self, rows: Sequence[int]) -> LabelledBatch:
        """The batch of these rows."""
        order = np.asarray(rows)
        take = {name: torch.from_numpy(np.ascontiguousarray(array[order])) for name, array in self._arrays.items()}
        maps = FeatureMaps(**{name: take[name] for name in _MAPS if name in take})
        return LabelledBatch(take["pixels"], take["is_fake"], maps, take["index"])

    def _computed(self, chunk: range, model: FingerprintNet, compute: Compute) -> dict[str, np.ndarray]:
        """What is stored of these rows."""
        pixels, fake, index = self._windows(chunk)
        with torch.inference_mode(), compute.autocast():
            maps = model.feature_maps(model.normalise(torch.from_numpy(pixels).to(compute.device)))
            if self._condense:
                maps, pixels = condensed(maps), pixels[:, :0, :0]
        return {"pixels": pixels, "is_fake": fake, "index": index, **self._as_numpy(maps)}

    def _as_numpy(self, maps: FeatureMaps) -> dict[str, np.ndarray]:
        # The difference of two cells is a deviation: half precision would lose it beside a large mean.
        kind = torch.float32 if self._condense else torch.float16
        return {name: part.to(kind).cpu().numpy() for name, part in maps._asdict().items() if part is not None}

    def _begun(self, group: Group) -> int:
        """Rows that are there already, as the first process finds them."""
        found = group.gather((self._done(), self._content))
        if len({content for _, content in found}) > 1:
            raise TrainingError(f"{self.folder}: the processes have different pictures, views or backbones")
        return found[0][0]

    def _done(self) -> int:
        """Rows that are there already."""
        file = self.folder / "done.json"
        if not file.is_file():
            return 0
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.get("content") != self._content:
            raise TrainingError(f"{self.folder}: the cached maps are of other pictures, views or backbone; remove them")
        return int(found["rows"])

    def _note(self, rows: int) -> None:
        with replacing(self.folder / "done.json") as beside:
            beside.write_text(json.dumps({"rows": rows, "content": self._content}), encoding="utf-8")

    def _check_room(self, values: dict[str, np.ndarray]) -> None:
        """A full disk would end the process without a word: memory-mapped files are only then given their place."""
        need = sum(value[0].nbytes for value in values.values()) * self.rows
        free = shutil.disk_usage(self.folder).free
        if need > free:
            raise TrainingError(
                f"{self.folder}: cached maps of {self.rows} windows need {need / 1e9:.1f} GB, and "
                f"{free / 1e9:.1f} GB are free; lower optim.cache_views or write the run elsewhere"
            )

    def _windows(self, chunk: range) -> tuple[UInt8Array, np.ndarray, np.ndarray]:
        items = []
        for row in chunk:
            view, index = divmod(row, len(self.samples))
            step = self.views[view]
            dataset = DeepfakeDataset(self.samples, step.transform, seed=self.seed)
            items.append(dataset[Draw(index, (self.seed, 1_000_000 + step.number, index))])
        return (
            np.stack([item.pixels for item in items]),
            np.array([item.is_fake for item in items], dtype=bool),
            np.array([item.index for item in items], dtype=np.int64),
        )

    def _store(self, chunk: range, values: dict[str, np.ndarray]) -> None:
        if chunk.start == 0:
            self._check_room(values)
        for name, value in values.items():
            if name not in self._arrays:
                file, shape = self.folder / f"{name}.npy", (self.rows, *value.shape[1:])
                if chunk.start == 0:
                    self._arrays[name] = open_memmap(file, mode="w+", dtype=value.dtype, shape=shape)
                else:
                    self._arrays[name] = open_memmap(file, mode="r+")
            self._arrays[name][chunk.start : chunk.stop] = value


class PartOfMaps:
    """The rows of some of the pictures of maps that are built, numbered as if there were no others."""

    def __init__(self, maps: CachedMaps, samples: Sequence[Sample]) -> None:
        self._maps, self.samples, self.views = maps, tuple(samples), maps.views
        self.rows = len(samples) * len(maps.views)
        places = {sample: place for place, sample in enumerate(maps.samples)}
        chosen = np.array([places[sample] for sample in samples], dtype=np.int64)  # [n] their places in the whole
        self._own = np.full(len(maps.samples), -1, dtype=np.int64)  # and back
        self._own[chosen] = np.arange(len(chosen))
        rows = (np.arange(len(maps.views))[:, None] * len(maps.samples) + chosen).reshape(-1)
        self._rows = self._with_own_stand_ins(rows)

    def _with_own_stand_ins(self, rows: Int64Array) -> Int64Array:
        """The rows, and instead of one that shows a picture from outside (its own could not be read) another row."""
        outside = self._own[self._maps.index[rows]] < 0
        for at in np.flatnonzero(outside):
            fake = self.samples[at % len(self.samples)].is_fake
            alike = [i for i in np.flatnonzero(~outside) if self.samples[i % len(self.samples)].is_fake == fake]
            rows[at] = rows[alike[at % len(alike)]]
        return rows

    def batch(self, rows: Sequence[int]) -> LabelledBatch:
        """The batch of these rows."""
        found = self._maps.batch(self._rows[np.asarray(rows)].tolist())
        return found._replace(rows=torch.from_numpy(self._own)[found.rows])


Maps = CachedMaps | PartOfMaps


class CachedBatches:
    """Balanced epochs over cached maps; which view of a picture comes is drawn anew each time."""

    def __init__(self, train: Maps, validation: Maps, draws: BatchDraws, group: Group = ALONE) -> None:
        self._train, self._validation, self._draws, self._group = train, validation, draws, group
        self.steps = draws.steps

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[LabelledBatch]:
        """The batches of one epoch, without the first `skip`."""
        self._draws.start(number, skip=skip)
        for draws in self._draws:
            yield self._train.batch([self._row(draw) for draw in draws])

    def _row(self, draw: Draw) -> int:
        view = int(np.random.default_rng(draw.seed).integers(len(self._train.views)))
        return view * len(self._train.samples) + draw.index

    def validation(self) -> Iterator[LabelledBatch]:
        """Every validation picture once, centre window; of several processes, this one's share of them."""
        rows = self._group.share(self._validation.rows)
        for start in range(0, len(rows), self._draws.size):
            yield self._validation.batch(rows[start : start + self._draws.size])
