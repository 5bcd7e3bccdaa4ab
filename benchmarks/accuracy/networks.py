"""Networks that learn all their weights, for equal minutes each, judged on families that none of them saw.

Three families are left out at once, so that a network is trained once. It learns from random windows of 112 px and is
judged on the centre window of 224 px, plain and through the web tier. Nothing of test or external is opened.

    python benchmarks/accuracy/networks.py --data-root DIR [--minutes 8] [--output results/networks.csv]
"""

from __future__ import annotations

import argparse
import fnmatch
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.csv
import torch
from features import normalised, of_maps, unstrided
from protocol import Fold, family_folds, full_fold
from torch import Tensor, nn
from views import views

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Sample, read_catalog
from ganfingerprint.evaluation.bootstrap import bootstrap_mean
from ganfingerprint.evaluation.metrics import auc, tpr_at_fpr
from ganfingerprint.network.backbones import Backbone, FeatureMaps, build_backbone
from ganfingerprint.network.loss import detection_loss
from ganfingerprint.network.mbconv import MBConvNet
from ganfingerprint.training.augment import Compose, HorizontalFlip, JPEGCompression, Maybe, RandomWindow
from ganfingerprint.training.dataset import DeepfakeDataset
from ganfingerprint.training.sampling import BalancedSampler, sample_weights

LEFT_OUT = ("stylegan", "sdxl-deepfloyd", "gpt-4o")
SIDE = 112
BATCH = 32
JUDGED = ("plain", "web")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0, help="of training, each network")
    parser.add_argument("--only", default="*", help="pattern of the names to train")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("results/networks.csv"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    samples = [s for s in read_catalog(args.data_root).samples if s.split in ("train", "validation")]
    rows = pyarrow.csv.read_csv(args.output).to_pylist() if args.output.is_file() else []
    for name, build in NETWORKS.items():
        settings = f"{args.minutes} minutes, seed {args.seed}, {args.threads} threads"
        done = any(row["network"] == name and row["settings"] == settings for row in rows)
        if done or not fnmatch.fnmatch(name, args.only):
            continue
        torch.manual_seed(args.seed)
        row = row_of(name, build(), samples, minutes=args.minutes, seed=args.seed) | {"settings": settings}
        rows = [*(other for other in rows if other["network"] != name), row]
        print(row, flush=True)
        with replacing(args.output) as beside:
            pyarrow.csv.write_csv(pa.Table.from_pylist(rows), beside)


def row_of(name: str, network: Network, samples: list[Sample], *, minutes: float, seed: int) -> dict[str, object]:
    """Train one network and judge it."""
    known, folds = split(samples)
    windows = learn(network, [samples[i] for i in np.flatnonzero(known.train)], minutes=minutes, seed=seed)
    fake = np.array([sample.is_fake for sample in samples])
    groups = np.array([sample.group for sample in samples])
    row: dict[str, object] = {"network": name, "windows_seen": windows}
    for view in JUDGED:
        asked = known.judged if view != "plain" else np.logical_or.reduce([f.judged for f in (known, *folds)])
        scores = np.full(len(samples), np.nan)
        scores[asked] = judge(network, [samples[i] for i in np.flatnonzero(asked)], view)
        chosen = known.judged
        row |= {f"validation_{view}_auc": round(auc(fake[chosen], scores[chosen]), 4)}
        row |= {f"validation_{view}_recall_1": round(tpr_at_fpr(fake[chosen], scores[chosen], fpr=0.01), 4)}
        if view == "plain":
            parts = [(fake[f.judged], scores[f.judged], groups[f.judged]) for f in folds]
            row |= {f"{f.name}_auc": round(auc(*part[:2]), 4) for f, part in zip(folds, parts, strict=True)}
            row |= {"left_out_auc": str(bootstrap_mean(parts, auc, seed=seed))}
    return row


def split(samples: Sequence[Sample]) -> tuple[Fold, list[Fold]]:
    """What is learnt and the validation pictures of known generators; and the families left out."""
    folds = [fold for fold in family_folds(samples) if fold.name in LEFT_OUT]
    validation = full_fold(samples)
    judged = validation.judged & ~np.logical_or.reduce([fold.judged for fold in folds])
    return Fold("known", np.logical_and.reduce([fold.train for fold in folds]), judged), folds


def learn(network: Network, samples: list[Sample], *, minutes: float, seed: int) -> int:
    """Train until the time is over; the rate falls with the clock. Returns the windows seen."""
    steps = (RandomWindow(SIDE, resize_probability=0.3, scale=(0.6, 1.2)), HorizontalFlip())
    transform = Compose((*steps, Maybe(0.4, JPEGCompression((50, 95)))))
    dataset = DeepfakeDataset(samples, transform, seed=seed)
    sampler = BalancedSampler(
        sample_weights(samples, proxy_weight=0.3), draws=max(BATCH, len(samples) // BATCH * BATCH), seed=seed
    )
    optimiser = torch.optim.AdamW(network.groups(), weight_decay=0.05)
    peaks = [group["lr"] for group in optimiser.param_groups]
    network.train()
    begun, epoch, seen = time.monotonic(), 0, 0
    while True:
        sampler.start(epoch)
        draws = list(sampler)
        for start in range(0, len(draws), BATCH):
            gone = (time.monotonic() - begun) / (60 * minutes)
            if gone >= 1:
                return seen
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = peak * min(1.0, gone / 0.05 + 0.01) * (1 + np.cos(np.pi * gone)) / 2
            items = [dataset[draw] for draw in draws[start : start + BATCH]]
            logits = network(np.stack([item.pixels for item in items]))
            loss = detection_loss(logits, torch.tensor([item.is_fake for item in items]), smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            seen += len(items)
        print(f"  {seen} windows, {gone * minutes:.1f} minutes, loss {float(loss.detach()):.3f}", flush=True)
        epoch += 1


def judge(network: Network, samples: list[Sample], view: str) -> np.ndarray:
    """How fake each picture is, float64 [n]."""
    network.eval()
    dataset, scores = DeepfakeDataset(samples, views()[view]), []
    with torch.inference_mode():
        for start in range(0, len(samples), BATCH):
            items = [dataset[i] for i in range(start, min(start + BATCH, len(samples)))]
            scores.append(-network(np.stack([item.pixels for item in items])).double())
    return np.asarray(torch.cat(scores))


class Network(nn.Module):
    """Logits [n], above 0 for a photograph, of windows uint8 [n, s, s, 3]."""

    def __init__(
        self, backbone: Backbone, head: nn.Module, *, rate: float, pretrained_rate: float | None = None
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.rates = (rate, rate if pretrained_rate is None else pretrained_rate)

    def groups(self) -> list[dict[str, object]]:
        """Parameters with their peak rates."""
        parts = zip((self.head, self.backbone), self.rates, strict=True)
        return [{"params": list(part.parameters()), "lr": rate} for part, rate in parts]

    def forward(self, pixels: np.ndarray) -> Tensor:
        """The head sees the three maps."""
        logits: Tensor = self.head(self.backbone(normalised(pixels, self.backbone))[:3])
        return logits


class OfStatistics(nn.Module):
    """A linear head on mean and deviation of the last maps, as many as there are `channels`."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.maps = len(channels)
        self.layers = nn.Sequential(nn.BatchNorm1d(2 * sum(channels)), nn.Dropout(0.3), nn.Linear(2 * sum(channels), 1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[n] of maps [n, c, h, w]."""
        logits: Tensor = self.layers(of_maps(maps[-self.maps :]))
        return logits[:, 0]


class OfPatches(nn.Module):
    """The mean of a logit at each place of the last map (Chai et al., 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[n] of maps [n, c, h, w]."""
        logits: Tensor = self.score(maps[-1])
        return logits.mean(dim=(1, 2, 3))


class Plain(Backbone):
    """Layers of 3x3 convolutions with shortcuts, from random weights."""

    def __init__(self, widths: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__(channels=(widths[-1],) * 3, strides=(1, 1, 1))
        inputs, layers = 3, []
        for width, stride in zip(widths, strides, strict=True):
            layers.append(ResidualLayer(inputs, width, stride))
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.layers.apply(_initialised)

    def forward(self, x: Tensor) -> FeatureMaps:
        """The last map, three times."""
        found = self.layers(x)
        return FeatureMaps(found, found, found)


class ResidualLayer(nn.Module):
    """3x3 convolution, norm, ReLU, and a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] → [n, outputs, h / stride, w / stride]."""
        found = torch.relu(self.norm(self.conv(x)))
        return x + found if self.shortcut else found


def _initialised(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def lite0(taps: tuple[int, int, int], *, stride: int = 2) -> Network:
    """EfficientNet-Lite0 up to its last tap, from ImageNet."""
    backbone = build_backbone("efficientnet-lite0", taps=taps)
    assert isinstance(backbone, MBConvNet)
    if stride == 1:
        unstrided(backbone)
    return Network(backbone, OfStatistics(backbone.channels), rate=2e-3, pretrained_rate=5e-4)


def from_nothing(widths: Sequence[int], strides: Sequence[int], *, patches: bool) -> Network:
    """A small network of random weights."""
    head = OfPatches(widths[-1]) if patches else OfStatistics((widths[-1],))
    return Network(Plain(widths, strides), head, rate=2e-3)


def resnet() -> Network:
    """ResNet-34, random."""
    backbone = build_backbone("resnet34", pretrained="none")
    return Network(backbone, OfStatistics(backbone.channels), rate=1e-3)


NETWORKS: dict[str, Callable[[], Network]] = {
    "efficientnet-lite0": lambda: lite0((2, 3, 7)),
    "efficientnet-lite0-early": lambda: lite0((1, 2, 3)),
    "efficientnet-lite0-early-unstrided": lambda: lite0((1, 2, 3), stride=1),
    # receptive fields of 9, 17 and 33 px: each 3x3 adds twice the stride so far
    "patches-9": lambda: from_nothing((16, 16, 32, 32), (1, 1, 1, 1), patches=True),
    "patches-17": lambda: from_nothing((16, 32, 32, 64, 64), (1, 2, 1, 1, 1), patches=True),
    "patches-33": lambda: from_nothing((16, 32, 32, 64, 64, 64, 64), (1, 2, 1, 1, 2, 1, 1), patches=True),
    "small-residual": lambda: from_nothing((16, 32, 32, 64, 64, 128, 128), (1, 2, 1, 2, 1, 2, 1), patches=False),
    "resnet34-random": resnet,
}


if __name__ == "__main__":
    main()
