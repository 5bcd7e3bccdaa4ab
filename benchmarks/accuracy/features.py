"""Statistics of the frozen blocks of CLIP ViT-B/16 for many windows, on disk: probes then take seconds.

A window has, after each block, the class token and the mean and deviation of the patch tokens: float16 [blocks, 3,
width]. A store is a folder with one `.npy` and one `.json` a part (pictures of one list in one view); extraction
continues where it was stopped, and a part of other pictures or another view is refused.

    python benchmarks/accuracy/features.py --data-root DIR --store STORE [--splits train,validation] [--views plain,...]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Sample, digest, read_catalog
from ganfingerprint.config import AugmentConfig
from ganfingerprint.evaluation.robustness import TIERS, Tier
from ganfingerprint.network.backbones import build_backbone
from ganfingerprint.network.vit import ClipViT
from ganfingerprint.training.augment import (
    CenterWindow,
    Compose,
    JPEGCompression,
    OneOf,
    RandomWindow,
    Step,
    WebPCompression,
)
from ganfingerprint.training.dataset import DeepfakeDataset
from ganfingerprint.training.sampling import Draw
from ganfingerprint.training.transforms import get_transforms

SIZE = 224
BLOCKS = tuple(range(1, 10))
STATISTICS = ("class", "mean", "deviation")
WIDTH = 768  # of a token
CHUNK = 32


@dataclass(frozen=True, slots=True)
class Delivered:
    """The picture as it arrives through a tier."""

    tier: Tier

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        decoded = cv2.imdecode(np.frombuffer(self.tier.deliver(pixels), np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        return np.ascontiguousarray(decoded[:, :, ::-1], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Chain:
    """What a picture lives through on the web: scaled or not, then one or two codecs."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        codec = OneOf((JPEGCompression((30, 95)), JPEGCompression((50, 95)), WebPCompression((50, 95))))
        steps: list[Step] = [codec] if rng.random() < 0.5 else []
        steps.append(RandomWindow(SIZE, resize_probability=0.7, scale=(0.45, 1.2)))
        steps.append(codec)
        return Compose(steps)(pixels, rng)


@dataclass(frozen=True, slots=True)
class Magnified:
    """The centre of half the side, twice as large: what lies in one patch of the network is a quarter as much."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        centre = CenterWindow(SIZE // 2)(pixels, rng)
        return np.asarray(cv2.resize(centre, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.uint8)


@dataclass(frozen=True, slots=True)
class Shuffled:
    """The patches of the network in random order: each keeps its texture, and what the picture shows is gone."""

    patch: int = 16

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        window, side, count = CenterWindow(SIZE)(pixels, rng), self.patch, SIZE // self.patch
        patches = window.reshape(count, side, count, side, 3).transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
        turned = patches[rng.permutation(len(patches))].reshape(count, count, side, side, 3)
        return np.ascontiguousarray(turned.transpose(0, 2, 1, 3, 4).reshape(SIZE, SIZE, 3))


@dataclass(frozen=True, slots=True)
class Residual:
    """What a blur of sigma 1.5 takes away, five times as strong, on grey."""

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        window = CenterWindow(SIZE)(pixels, rng).astype(np.float32)
        residual = np.asarray(window - cv2.GaussianBlur(window, (0, 0), 1.5))
        return np.asarray(np.clip(127.5 + 5 * residual, 0, 255), np.uint8)


def views() -> dict[str, Step]:
    """The versions of a picture that there are, by name."""
    gentle = AugmentConfig(strength=0.6, resize=0.5, scale_low=0.5, jpeg=0.6, erase=0.1, affine=0.0)
    return {
        "plain": CenterWindow(SIZE),
        "augment1": get_transforms("train", size=SIZE, augment=gentle),
        "augment2": get_transforms("train", size=SIZE, augment=gentle),
        "chain1": Chain(),
        "chain2": Chain(),
        **{name: Compose((Delivered(tier), CenterWindow(SIZE))) for name, tier in TIERS.items()},
        "small": CenterWindow(SIZE // 2),
        "magnified": Magnified(),
        "shuffled": Shuffled(),
        "residual": Residual(),
    }


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
    catalog, network = read_catalog(args.data_root), Extractor()
    for view in args.views.split(","):
        for split in args.splits.split(","):
            part = f"{args.prefix}{split}-{view}"
            extract(args.store / part, catalog.split(split), view, network, root=catalog.root)


Network = Callable[[np.ndarray], np.ndarray]  # windows uint8 [n, s, s, 3] → float16 [n, blocks, 3, width]


class Extractor:
    """Windows uint8 [n, s, s, 3] → float16 [n, blocks, 3, width]."""

    def __init__(self) -> None:
        backbone = build_backbone("clip-vit-b16", taps=(1, 2, BLOCKS[-1])).eval()
        if not isinstance(backbone, ClipViT) or backbone.weights_origin == "random":
            raise SystemExit("the weights of clip-vit-b16 are not here: make backbones")
        self.backbone = backbone
        self.mean = torch.tensor(backbone.mean).view(1, 3, 1, 1)
        self.std = torch.tensor(backbone.std).view(1, 3, 1, 1)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - self.mean) / self.std
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            tokens = self.backbone.tokens(x, after=BLOCKS)
        return torch.stack([statistics(each.float()) for each in tokens], dim=1).half().numpy()


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
        return (self.folder / f"{part}.json").is_file()

    def load(self, part: str, blocks: Sequence[int], statistics: Sequence[str]) -> Tensor:
        """The chosen blocks' statistics of every picture of a part, float16 [n, blocks * statistics * width].

        Raises:
            FileNotFoundError: the part was not extracted, or not to its end.
        """
        array = np.load(self.folder / f"{part}.npy", mmap_mode="r")
        noted = json.loads((self.folder / f"{part}.json").read_text(encoding="utf-8"))
        if noted["rows"] != len(array):
            raise FileNotFoundError(f"{part}: {noted['rows']} of {len(array)} rows are there; extract the rest first")
        chosen = array[:, [BLOCKS.index(block) for block in blocks]]
        chosen = chosen[:, :, [STATISTICS.index(name) for name in statistics]]
        return torch.from_numpy(np.ascontiguousarray(chosen).reshape(len(array), -1))


def extract(part: Path, samples: Sequence[Sample], view: str, network: Network, *, root: Path, seed: int = 42) -> None:
    """Compute what `part` does not hold yet of `samples` in one view."""
    part.parent.mkdir(parents=True, exist_ok=True)
    names = list(views())
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
    shape = (len(samples), len(BLOCKS), len(STATISTICS), WIDTH)
    out = open_memmap(array, mode="r+" if done else "w+", dtype=np.float16, shape=None if done else shape)
    dataset, begun = DeepfakeDataset(samples, views()[view], seed=seed), time.monotonic()
    for start in range(done, len(samples), CHUNK):
        rows = range(start, min(start + CHUNK, len(samples)))
        items = [dataset[Draw(row, (seed, 2_000_000 + names.index(view), row))] for row in rows]
        out[rows.start : rows.stop] = network(np.stack([item.pixels for item in items]))
        if (start // CHUNK) % 10 == 9 or rows.stop == len(samples):
            out.flush()
            with replacing(noted) as beside:
                beside.write_text(json.dumps({"rows": rows.stop, "content": content}))
            rate = (rows.stop - done) / (time.monotonic() - begun)
            print(f"{part.name}: {rows.stop} of {len(samples)}, {rate:.1f}/s", flush=True)


if __name__ == "__main__":
    main()
