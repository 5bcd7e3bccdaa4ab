"""Can the file facts alone tell the classes apart? They must not: a detector would learn the format, not the trace.

Fits gradient-boosted trees on bytes, JPEG quality, format, width and height of one split, and reports their AUC on
the others. 0.5 is a coin; the measuring rules ask for 0.5 within the interval.

    python benchmarks/accuracy/leak_check.py --data-root DIR [--output results/leak_check.csv]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier

from ganfingerprint.catalog import PROXY_FAMILY, Sample, read_catalog
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.evaluation.metrics import auc

FACTS = {
    "container": ("quantisation", "is_jpeg", "width", "height"),  # a property of the file's making alone
    "container and bytes": ("quantisation", "is_jpeg", "width", "height", "bytes"),  # bytes follow the content too
}


def file_facts(sample: Sample) -> list[float]:
    """What is known of a file without looking at its pixels; the quantisation is the mean of its tables."""
    with Image.open(sample.path) as image:
        tables = getattr(image, "quantization", None) or {}
        coarse = float(np.mean([np.mean(table) for table in tables.values()])) if tables else 0.0
        return [coarse, image.format == "JPEG", image.width, image.height, sample.path.stat().st_size]


def table(samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    facts = np.array([file_facts(sample) for sample in samples], dtype=np.float64)
    return facts, np.array([sample.is_fake for sample in samples]), [sample.group for sample in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--fit-on", default="train", help="the split that the trees learn from")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write")
    args = parser.parse_args()
    catalog = read_catalog(args.data_root)
    tables = {
        split: table([sample for sample in catalog.split(split) if sample.family != PROXY_FAMILY])
        for split in catalog.splits
    }
    learnt, learnt_fake, _ = tables.pop(args.fit_on)
    rows: list[list[object]] = []
    for name, columns in FACTS.items():
        width = len(columns)
        trees = HistGradientBoostingClassifier(random_state=args.seed).fit(learnt[:, :width], learnt_fake)
        for split, (facts, fake, groups) in tables.items():
            scores = trees.predict_proba(facts[:, :width])[:, 1]
            found = bootstrap_intervals(fake, scores, groups, {"auc": auc}, samples=1000, seed=args.seed)["auc"]
            rows.append([name, split, int(fake.sum()), int((~fake).sum()), found.value, found.low, found.high])
            print(f"{name}, {args.fit_on} → {split}: AUC {found.value:.3f} ({found.low:.3f} to {found.high:.3f})")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with args.output.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["facts", "split", "n_fake", "n_real", "auc", "low", "high"], *rows])


if __name__ == "__main__":
    main()
