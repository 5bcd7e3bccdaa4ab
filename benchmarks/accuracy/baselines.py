"""Plain detectors of the literature, retrained on the same pictures: their scores for what they never saw.

- `durall-2020`: azimuthal average of the spectrum of the grey picture, and a support vector machine (Durall et al.
  2020, "Watch your up-convolution"). Its profile is that of the centre window of 224 px, divided by its first value.
- `frank-2020`: log-scaled coefficients of the discrete cosine transform, standardised, and ridge regression (Frank et
  al. 2020, "Leveraging frequency analysis for deep fake image recognition"), of the luma of 128 px.
- `npr-2024`: what a pixel differs from its up-sampled neighbour, and the first two stages of a ResNet-50 from random
  weights (Tan et al. 2024, "Rethinking the up-sampling operations"), from random windows of 224 px, for some minutes.

The strength of each regularisation is chosen on validation. Nothing else is; the first two take a minute.

    python benchmarks/accuracy/baselines.py --data-root DIR --scores FILE.csv [--only npr-2024 --minutes 20]
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, Catalog, Sample, read_catalog
from ganfingerprint.evaluation.metrics import auc
from ganfingerprint.training.augment import CenterWindow, Compose, HorizontalFlip, RandomWindow
from ganfingerprint.training.dataset import DeepfakeDataset
from ganfingerprint.training.sampling import BalancedSampler, sample_weights

JUDGED = ("test", "external")
Floats = NDArray[np.float64]
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
BATCH, SIDE = 32, 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True, help="CSV: a row a picture, a column a detector")
    parser.add_argument("--only", default="*", help="pattern of the names")
    parser.add_argument("--minutes", type=float, default=20.0, help="of training, for networks")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    catalog = read_catalog(args.data_root)
    columns = read_columns(args.scores)
    judged = [sample for split in JUDGED for sample in catalog.split(split)]
    columns["path"] = [sample.path.relative_to(catalog.root).as_posix() for sample in judged]
    for name, score in BASELINES.items():
        if name not in columns and fnmatch.fnmatch(name, args.only):
            columns[name] = [f"{value:.6f}" for value in score(catalog, judged, args)]
            write_columns(columns, args.scores)


def read_columns(path: Path) -> dict[str, list[str]]:
    """The table that is there, by column."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [row[name] for row in rows] for name in rows[0]}


def write_columns(columns: dict[str, list[str]], path: Path) -> None:
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def learnt_from(catalog: Catalog, split: str = "train") -> list[Sample]:
    return [sample for sample in catalog.split(split) if sample.family != PROXY_FAMILY]


def windows(samples: Sequence[Sample], side: int) -> NDArray[np.uint8]:
    """The centre window of each picture, [n, side, side, 3]."""
    dataset = DeepfakeDataset(samples, CenterWindow(side))
    return np.stack([dataset[i].pixels for i in range(len(samples))])


def luma(pixels: NDArray[np.uint8]) -> Floats:
    grey: Floats = pixels @ np.array([0.299, 0.587, 0.114])
    return grey


def azimuthal(samples: Sequence[Sample]) -> Floats:
    """The mean spectrum of each ring of one pixel, over that of the first one, [n, side / 2]."""
    at = np.arange(SIDE) - SIDE // 2
    ring = np.hypot(*np.meshgrid(at, at)).astype(int).ravel()
    counts = np.bincount(ring)[: SIDE // 2]

    def profile(picture: NDArray[np.uint8]) -> Floats:
        spectrum = np.fft.fftshift(np.abs(np.fft.fft2(luma(picture))))
        levels = 20 * np.log(spectrum + 1e-8)
        rings = np.bincount(ring, weights=levels.ravel())[: SIDE // 2] / counts
        return rings / rings[0]

    return np.stack([profile(picture) for picture in windows(samples, SIDE)])


def cosine(samples: Sequence[Sample]) -> Floats:
    """Log-scaled coefficients of the discrete cosine transform of the centre 128 px, [n, 128 * 128]."""
    return np.stack([np.log(np.abs(cv2.dct(luma(p))) + 1e-13).ravel() for p in windows(samples, 128)])


def fitted(
    facts: Callable[[Sequence[Sample]], Floats], model: Callable[[float], Any], catalog: Catalog, judged: list[Sample]
) -> Floats:
    """Scores of a linear or kernel model; the strength of its regularisation is the best one of validation."""
    train, validation = learnt_from(catalog), learnt_from(catalog, "validation")
    learnt, chosen = facts(train), facts(validation)
    fake, truth = (np.array([sample.is_fake for sample in part]) for part in (train, validation))
    models = [make_pipeline(StandardScaler(), model(strength)).fit(learnt, fake) for strength in STRENGTHS]
    found = [auc(truth, fit.decision_function(chosen)) for fit in models]
    best = int(np.argmax(found))
    print(f"validation AUC {found[best]:.3f} at {STRENGTHS[best]}", flush=True)
    scores: Floats = models[best].decision_function(facts(judged))
    return scores


class Npr(nn.Module):
    """Differences to the up-sampled neighbour, and the first two stages of a ResNet-50; logit > 0: fake."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        stages = [Bottleneck(64 if i == 0 else 256, 64) for i in range(3)]
        stages += [Bottleneck(256 if i == 0 else 512, 128, stride=2 if i == 0 else 1) for i in range(4)]
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(512, 1)

    def forward(self, pixels: NDArray[np.uint8]) -> Tensor:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        near = nn.functional.interpolate(nn.functional.interpolate(x, scale_factor=0.5), scale_factor=2.0)
        found: Tensor = self.classifier(self.stages(self.stem((x - near) * 2 / 3)).mean((2, 3)))
        return found[:, 0]


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.road = nn.Sequential(
            *convolution(inputs, width, 1), nn.ReLU(), *convolution(width, width, 3, stride=stride), nn.ReLU(),
            *convolution(width, 4 * width, 1),
        )  # fmt: skip
        same = inputs == 4 * width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, 4 * width, 1, stride=stride))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.road(x) + self.shortcut(x))


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs)]


def npr(catalog: Catalog, judged: list[Sample], args: argparse.Namespace) -> Floats:
    """Scores of the network after its minutes of Adam; the rate falls with the clock, where the paper steps it."""
    torch.manual_seed(args.seed)
    model, train = Npr(), learnt_from(catalog)
    dataset = DeepfakeDataset(train, Compose((RandomWindow(SIDE), HorizontalFlip())), seed=args.seed)
    sampler = BalancedSampler(sample_weights(train), draws=len(train) // BATCH * BATCH, seed=args.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    begun, epoch, seen = time.monotonic(), 0, 0
    model.train()
    while (gone := (time.monotonic() - begun) / (60 * args.minutes)) < 1:
        sampler.start(epoch)
        draws, loss = list(sampler), torch.zeros(())
        for start in range(0, len(draws), BATCH):
            gone = min(1.0, (time.monotonic() - begun) / (60 * args.minutes))
            optimiser.param_groups[0]["lr"] = 1e-3 * (1 + np.cos(np.pi * gone)) / 2
            items = [dataset[draw] for draw in draws[start : start + BATCH]]
            truth = torch.tensor([float(item.is_fake) for item in items])
            loss = nn.functional.binary_cross_entropy_with_logits(model(np.stack([i.pixels for i in items])), truth)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            seen += len(items)
            if gone >= 1:
                break
        epoch += 1
        print(f"{seen} windows, {gone * args.minutes:.1f} minutes, loss {float(loss.detach()):.3f}", flush=True)
    model.eval()
    with torch.inference_mode():
        parts = [model(windows(judged[at : at + BATCH], SIDE)).numpy() for at in range(0, len(judged), BATCH)]
    return np.concatenate(parts).astype(np.float64)


BASELINES: dict[str, Callable[[Catalog, list[Sample], argparse.Namespace], Floats]] = {
    "durall-2020": lambda catalog, judged, _: fitted(azimuthal, lambda c: SVC(C=c), catalog, judged),
    "frank-2020": lambda catalog, judged, _: fitted(cosine, lambda a: RidgeClassifier(alpha=a), catalog, judged),
    "npr-2024": npr,
}


if __name__ == "__main__":
    main()
