"""Features of many windows, on disk: probes then take seconds.

For most views a window has, after each block of frozen CLIP ViT-B/16, the class token and the mean and deviation of
the patch tokens: float16 [blocks, 3, width]. For a view of `EXTRACTORS` it has what is named there. A store is a folder
with one `.npy` and one `.json` a part (pictures of one list in one view); extraction continues where it was stopped,
and a part of other pictures or another view is refused.

    python benchmarks/accuracy/features.py --data-root DIR --store STORE [--splits train,validation] [--views plain,...]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from views import SIZE, residual, views

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Sample, digest, read_catalog
from ganfingerprint.network.backbones import Backbone, build_backbone
from ganfingerprint.network.mbconv import MBConvNet
from ganfingerprint.network.vit import ClipViT
from ganfingerprint.training.augment import CenterWindow
from ganfingerprint.training.dataset import DeepfakeDataset
from ganfingerprint.training.sampling import Draw

BLOCKS = tuple(range(1, 10))
STATISTICS = ("class", "mean", "deviation")
WIDTH = 768  # of a token
PATCHES = 16  # of a window, in the view of that name
CHUNK = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--splits", default="train,validation")
    parser.add_argument("--views", default="plain")
    parser.add_argument("--prefix", default="", help="before the name of each part: tells data sets apart")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    catalog = read_catalog(args.data_root)
    for view in args.views.split(","):
        network = EXTRACTORS.get(view, Statistics)()
        for split in args.splits.split(","):
            part = f"{args.prefix}{split}-{view}"
            extract(args.store / part, catalog.split(split), view, network, root=catalog.root)


Network = Callable[[np.ndarray], np.ndarray]  # windows uint8 [n, s, s, 3] → float16 [n, ...]


def with_weights(name: str, taps: tuple[int, ...]) -> Backbone:
    """A frozen backbone that is not random."""
    backbone = build_backbone(name, taps=taps).eval()
    if backbone.weights_origin == "random":
        raise SystemExit(f"the weights of {name} are not here: make backbones")
    return backbone


def normalised(pixels: np.ndarray, backbone: Backbone) -> Tensor:
    """Windows uint8 [n, s, s, 3] as the backbone expects them, [n, 3, s, s]."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.mean, backbone.std))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std


class Statistics:
    """CLIP: windows uint8 [n, s, s, 3] → float16 [n, blocks, 3, width]."""

    def __init__(self) -> None:
        self.backbone = with_weights("clip-vit-b16", (1, 2, BLOCKS[-1]))

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return torch.stack([statistics(each) for each in self.tokens(pixels, BLOCKS)], dim=1).half().numpy()

    def tokens(self, pixels: np.ndarray, blocks: tuple[int, ...]) -> list[Tensor]:
        """Tokens [n, 1+p, c] after each of the blocks."""
        assert isinstance(self.backbone, ClipViT)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return [each.float() for each in self.backbone.tokens(normalised(pixels, self.backbone), after=blocks)]


class Patches(Statistics):
    """Single patch tokens of CLIP after blocks 5, 7 and 9, at the same random places: [n, PATCHES, 3 * width]."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        tokens = torch.cat([each[:, 1:] for each in self.tokens(pixels, (5, 7, 9))], dim=2)  # [n, p, 3c]
        rng = np.random.default_rng(int(pixels[:, ::16, ::16].sum()))
        places = np.stack([rng.permutation(tokens.shape[1])[:PATCHES] for _ in tokens])
        return tokens[torch.arange(len(tokens))[:, None], torch.from_numpy(places)].half().numpy()


class EarlyStages:
    """Mean and deviation of the first three stages of EfficientNet-Lite0, at half the picture's scale or at its own."""

    def __init__(self, stride: int) -> None:
        backbone = with_weights("efficientnet-lite0", (1, 2, 3))
        assert isinstance(backbone, MBConvNet)
        self.backbone = backbone
        if stride == 1:
            unstrided(backbone)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return of_maps(self.backbone(normalised(pixels, self.backbone))[:3]).half().numpy()


def of_maps(maps: Sequence[Tensor]) -> Tensor:
    """Mean and deviation of each map [n, c, h, w], one map after the other: [n, 2 * all channels]."""
    return torch.cat([part for each in maps for part in (each.mean(dim=(2, 3)), each.std(dim=(2, 3)))], dim=1)


def unstrided(backbone: MBConvNet) -> None:
    """Take the stride of the first convolution away."""
    backbone.stem.conv.stride, backbone.stem.conv.padding = (1, 1), (1, 1)
    backbone.stem.explicit = False


class CoOccurrences:
    """How often four neighbours of a residual, in steps of -2 to 2, meet in a row: square roots of shares [n, 2500].

    Down and across together, of luma and of red less green, on steps of one grey level and of the residual's own
    deviation (Fridrich and Kodovsky, 2012; Cozzolino et al., 2014).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return np.stack([self._one(residual(window, self.kind)) for window in pixels]).astype(np.float16)

    def _one(self, x: np.ndarray) -> np.ndarray:
        found = []
        for plane in (x.mean(axis=2), x[:, :, 0] - x[:, :, 1]):
            for step in (1.0, float(plane.std()) + 0.1):
                levels = np.clip(np.rint(plane / step), -2, 2).astype(np.int64) + 2
                rows = levels[:, :-3] * 125 + levels[:, 1:-2] * 25 + levels[:, 2:-1] * 5 + levels[:, 3:]
                columns = levels[:-3] * 125 + levels[1:-2] * 25 + levels[2:-1] * 5 + levels[3:]
                counts = np.bincount(rows.ravel(), minlength=625) + np.bincount(columns.ravel(), minlength=625)
                found.append(np.sqrt(counts / counts.sum()))
        return np.concatenate(found)


EXTRACTORS: dict[str, Callable[[], Network]] = {  # views of the centre window that are not of CLIP's statistics
    "patches": Patches,
    "lite0-early": lambda: EarlyStages(stride=2),
    "lite0-early-unstrided": lambda: EarlyStages(stride=1),
    "co-occurrences": lambda: CoOccurrences("blur"),
    "co-occurrences-median": lambda: CoOccurrences("median"),
}


def statistics(tokens: Tensor) -> Tensor:
    """Class token, mean and deviation of the patch tokens: [n, 1+p, c] → [n, 3, c]."""
    patches = tokens[:, 1:]
    return torch.stack([tokens[:, 0], patches.mean(dim=1), patches.std(dim=1, correction=0)], dim=1)


class Store:
    """A folder of features, read without loading more of it than asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, part: str) -> bool:
        """Whether anything of a part is there."""
        return (self.folder / f"{_placed(part)[0]}.json").is_file()

    def load(self, part: str, blocks: Sequence[int], statistics: Sequence[str]) -> Tensor:
        """The chosen blocks' statistics of every picture of a part, float16 [n, blocks * statistics * width].

        Of a part that holds something else, all of it [n, d]; `<part>.<k>` is the k-th patch of a part of patches.

        Raises:
            FileNotFoundError: the part was not extracted, or not to its end.
        """
        part, place = _placed(part)
        array = np.load(self.folder / f"{part}.npy", mmap_mode="r")
        noted = json.loads((self.folder / f"{part}.json").read_text(encoding="utf-8"))
        if noted["rows"] != len(array):
            raise FileNotFoundError(f"{part}: {noted['rows']} of {len(array)} rows are there; extract the rest first")
        if array.ndim < 4:
            return torch.from_numpy(np.array(array[:, int(place)] if place else array))  # a copy, to be written to
        chosen = array[:, [BLOCKS.index(block) for block in blocks]]
        chosen = chosen[:, :, [STATISTICS.index(name) for name in statistics]]
        return torch.from_numpy(np.ascontiguousarray(chosen).reshape(len(array), -1))


def _placed(part: str) -> tuple[str, str]:
    """The name of a part, and the number of a patch in it where it ends with one."""
    name, dot, place = part.rpartition(".")
    return (name, place) if dot and place.isdigit() else (part, "")


def extract(part: Path, samples: Sequence[Sample], view: str, network: Network, *, root: Path, seed: int = 42) -> None:
    """Compute what `part` does not hold yet of `samples` in one view."""
    part.parent.mkdir(parents=True, exist_ok=True)
    names = [*views(), *EXTRACTORS]
    content = hashlib.sha256(repr((digest(samples, root), view, BLOCKS, SIZE, seed)).encode()).hexdigest()
    noted, array = part.with_suffix(".json"), part.with_suffix(".npy")
    done = 0
    if noted.is_file():
        found = json.loads(noted.read_text())
        if found["content"] != content:
            raise SystemExit(f"{part}: these are features of other pictures; remove them or choose a --prefix")
        done = found["rows"]
    if done == len(samples):
        return
    out = open_memmap(array, mode="r+") if done else None
    dataset, begun = DeepfakeDataset(samples, views().get(view, CenterWindow(SIZE)), seed=seed), time.monotonic()
    for start in range(done, len(samples), CHUNK):
        rows = range(start, min(start + CHUNK, len(samples)))
        items = [dataset[Draw(row, (seed, 2_000_000 + names.index(view), row))] for row in rows]
        found = network(np.stack([item.pixels for item in items]))
        if out is None:
            out = open_memmap(array, mode="w+", dtype=np.float16, shape=(len(samples), *found.shape[1:]))
        out[rows.start : rows.stop] = found
        if (start // CHUNK) % 10 == 9 or rows.stop == len(samples):
            out.flush()
            with replacing(noted) as beside:
                beside.write_text(json.dumps({"rows": rows.stop, "content": content}))
            rate = (rows.stop - done) / (time.monotonic() - begun)
            print(f"{part.name}: {rows.stop} of {len(samples)}, {rate:.1f}/s", flush=True)


if __name__ == "__main__":
    main()
