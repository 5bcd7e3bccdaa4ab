"""Detectors side by side: the same pictures, figures and intervals for all of them.

Scores come from tables of a row a picture: CSV with a column `path` and one a detector (higher: fake), such as
`baselines.py` writes, or `scores.parquet` of `ganfingerprint evaluate`, whose detector is named after its folder. A
figure counts the pictures that its detector could judge. Means are over generators with at least 25 pictures.

    python benchmarks/accuracy/rivals.py --data-root DIR --scores FILE... [--output results/rivals.csv]
"""

from __future__ import annotations

import argparse
import csv
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, Sample, read_catalog
from ganfingerprint.evaluation.bootstrap import Interval, bootstrap_intervals, bootstrap_mean
from ganfingerprint.evaluation.metrics import auc, tpr_at_fpr
from ganfingerprint.evaluation.protocol import FEW, read_scores

GANS, MODERN = ("gan", "other"), ("diffusion", "autoregressive")
FAMILIES = {"all": (*GANS, *MODERN, "swap"), "GANs": GANS, "modern": MODERN, "swaps": ("swap",)}
FAMILIES |= {"aligned fakes": (PROXY_FAMILY,)}
NOT_SCORES = frozenset({"path", "split", "label", "generator", "family"})
FIGURES = {"auc": auc, "tpr_at_fpr_1": functools.partial(tpr_at_fpr, fpr=0.01)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--scores", type=Path, nargs="+", required=True)
    parser.add_argument("--splits", default="test,external")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, default=Path("results/rivals.csv"))
    args = parser.parse_args()
    catalog = read_catalog(args.data_root)
    scores: dict[str, dict[str, float]] = {}
    for file in args.scores:
        for name, found in read_any(file):
            scores.setdefault(name, {}).update(found)
    rows = []
    for name, known in scores.items():
        for split in args.splits.split(","):
            judged = [s for s in catalog.split(split) if s.path.relative_to(catalog.root).as_posix() in known]
            values = np.array([known[s.path.relative_to(catalog.root).as_posix()] for s in judged])
            rows += [(name, split, *row) for row in figures(judged, values, args.seed)]
            print(*(row for row in rows if row[:2] == (name, split)), sep="\n", flush=True)
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("detector", "split", "fakes", "n_fake", "n_real", "figure", "value", "low", "high"))
        writer.writerows(rows)


def read_any(file: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """The detectors of a table, and the score of each path."""
    if file.suffix == ".parquet":
        table = read_scores(file)
        table = table.select(table.judged)
        yield file.parent.name, dict(zip(table.path.tolist(), table.logit.tolist(), strict=True))
        return
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for name in rows[0].keys() - NOT_SCORES:
        yield name, {row["path"]: float(row[name]) for row in rows if row[name]}


def figures(samples: Sequence[Sample], scores: np.ndarray, seed: int) -> Iterator[tuple[object, ...]]:
    """Of each family of fakes against all photographs, pooled; and the mean over generators, of AUC."""
    groups = np.array([sample.group for sample in samples])
    real = np.array([not sample.is_fake for sample in samples])
    generators = np.array([sample.generator for sample in samples])
    for name, families in FAMILIES.items():
        fake = np.array([sample.is_fake and sample.family in families for sample in samples])
        if fake.sum() < FEW:
            continue
        rows = fake | real
        counts = (name, int(fake.sum()), int(real.sum()))
        found = bootstrap_intervals(fake[rows], scores[rows], groups[rows], FIGURES, seed=seed)
        enough = [g for g, count in Counter(generators[fake].tolist()).items() if count >= FEW]
        parts = [fake & (generators == generator) for generator in enough]
        if parts:
            folds = [(part[part | real], scores[part | real], groups[part | real]) for part in parts]
            found |= {f"mean_auc_of_{len(parts)}_generators": bootstrap_mean(folds, auc, seed=seed)}
        for figure, value in found.items():
            yield (*counts, figure, *shown(value))


def shown(value: Interval) -> tuple[str, ...]:
    return tuple("" if np.isnan(part) else f"{part:.4f}" for part in (value.value, value.low, value.high))


if __name__ == "__main__":
    main()
