"""How far does the spectrum alone go, without any network? A floor for networks that learn from random weights.

Gradient-boosted trees learn, from one split, averages of the log spectrum of each picture's centre window of 128
pixels, of luma and two colour differences: over rings, over a grid of 8 x 8 cells, and along both axes.

    python benchmarks/accuracy/spectrum_baseline.py --data-root DIR [--output results/spectrum_baseline.csv]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, Sample, read_catalog
from ganfingerprint.config import WindowConfig
from ganfingerprint.decode import decode
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.evaluation.metrics import auc
from ganfingerprint.windows import cut_windows

SIDE = 128
PLANES = np.array([[0.299, 1.0, 0.0], [0.587, -1.0, -1.0], [0.114, 0.0, 1.0]])  # luma, red - green, blue - green
FLOOR = 1e-3
RINGS = np.hypot(*np.meshgrid(np.arange(SIDE // 2 + 1), np.fft.fftfreq(SIDE) * SIDE)).astype(int) // 2  # [128, 65]


def spectrum_facts(sample: Sample) -> NDArray[np.float64]:
    """Averages of the log spectrum of the centre window."""
    policy = WindowConfig(size=SIDE, placement="center", count=1)
    planes = (cut_windows(decode(sample.path), policy).pixels[0] @ PLANES).transpose(2, 0, 1)  # [3, 128, 128]
    levels = np.log(np.abs(np.fft.rfft2(planes)) + FLOOR)  # [3, 128, 65]
    counts = np.bincount(RINGS.ravel())
    rings = [np.bincount(RINGS.ravel(), weights=level.ravel()) / counts for level in levels]
    cells = levels[:, :, :64].reshape(3, 8, 16, 8, 8).mean(axis=(2, 4)).ravel()
    return np.concatenate([*rings, cells, levels[:, 0, :].ravel(), levels[:, :64, 0].ravel()])


def table(samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    facts = np.stack([spectrum_facts(sample) for sample in samples])
    return facts, np.array([sample.is_fake for sample in samples]), [sample.group for sample in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--fit-on", default="train", help="the split that the trees learn from")
    parser.add_argument("--judge-on", default="validation,test,external", help="splits, separated by commas")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write")
    args = parser.parse_args()
    catalog = read_catalog(args.data_root)
    tables = {
        split: table([sample for sample in catalog.split(split) if sample.family != PROXY_FAMILY])
        for split in (args.fit_on, *args.judge_on.split(","))
    }
    learnt, learnt_fake, _ = tables.pop(args.fit_on)
    trees = HistGradientBoostingClassifier(random_state=args.seed).fit(learnt, learnt_fake)
    rows: list[list[object]] = []
    for split, (facts, fake, groups) in tables.items():
        scores = trees.predict_proba(facts)[:, 1]
        found = bootstrap_intervals(fake, scores, groups, {"auc": auc}, samples=1000, seed=args.seed)["auc"]
        rows.append([split, int(fake.sum()), int((~fake).sum()), found.value, found.low, found.high])
        print(f"{args.fit_on} → {split}: AUC {found}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["split", "n_fake", "n_real", "auc", "low", "high"], *rows])


if __name__ == "__main__":
    main()
