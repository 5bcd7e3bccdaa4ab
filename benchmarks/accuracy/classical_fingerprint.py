"""The classical fingerprint as an independent witness: does it name generators, alone or beside the learnt one?

- `residual`: the mean high-pass residual of a generator's pictures, correlated with that of a picture (after Marra et
  al. 2019, "Do GANs leave artificial fingerprints?"; a residual of 3 x 3 means instead of a denoiser's). It needs the
  pixel grid of the generator: cropping and scaling destroy it.
- `spectrum`: the mean log-spectrum of the residual, less the mean of all generators, correlated likewise; and its
  radial profile alone.

Classes are the enrolled generators with 100 training pictures, their references the pictures of `train`; judged are
the centre windows of `validation` (nothing is chosen; test is not opened).

    python benchmarks/accuracy/classical_fingerprint.py --data-root DIR [--output results/classical_fingerprint.csv]
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, Sample, read_catalog
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.explain.spectrum import radial_profile, residual_spectrum, residuals
from ganfingerprint.training.augment import CenterWindow
from ganfingerprint.training.dataset import DeepfakeDataset

SIDE, LARGE = 224, 100
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("results/classical_fingerprint.csv"))
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    catalog = read_catalog(args.data_root)
    train = [sample for sample in catalog.split("train") if sample.is_fake and sample.family != PROXY_FAMILY]
    counts = Counter(called(sample) for sample in train)
    names = sorted(name for name, number in counts.items() if number >= LARGE)
    learnt = [sample for sample in train if called(sample) in names]
    asked = [s for s in catalog.split("validation") if s.is_fake and called(s) in names]
    truth, groups = np.array([called(s) for s in asked]), [s.group or s.path.name for s in asked]
    rows = []
    for kind, (known, judged) in facts(learnt, asked).items():
        of = np.array([called(sample) for sample in learnt])
        means = np.stack([known[of == name].mean(axis=0) for name in names])
        middle = means.mean(axis=0)
        alike = unit(judged - middle) @ unit(means - middle).T
        right = np.array(names)[alike.argmax(axis=1)] == truth
        (found,) = bootstrap_intervals(
            np.ones(len(right), bool),
            right.astype(float),
            groups,
            {"mean": lambda _, hits: float(hits.mean())},
            seed=args.seed,
        ).values()
        rows.append((kind, f"{found.value:.3f}", f"{found.low:.3f}", f"{found.high:.3f}", len(right), len(names)))
        print(rows[-1], flush=True)
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("fingerprint", "accuracy", "low", "high", "pictures", "generators"))
        writer.writerows(rows)


def called(sample: Sample) -> str:
    return {"stylegan2-edit": "stylegan2-ffhq"}.get(sample.generator, sample.generator)


def facts(learnt: list[Sample], asked: list[Sample]) -> dict[str, tuple[Floats, Floats]]:
    """By kind of fingerprint, those of the references and of the pictures in question."""
    parts = [[three(window) for window in windows(samples)] for samples in (learnt, asked)]
    kinds = ("residual", "spectrum", "radial profile")
    return {kind: tuple(np.stack([facts[at] for facts in part]) for part in parts) for at, kind in enumerate(kinds)}  # type: ignore[misc]


def windows(samples: list[Sample]) -> list[NDArray[np.uint8]]:
    dataset = DeepfakeDataset(samples, CenterWindow(SIDE))
    return [dataset[at].pixels for at in range(len(samples))]


def three(window: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], Floats]:
    spectrum = residual_spectrum(window[None])
    profile = radial_profile(spectrum)
    return residuals(window[None]).ravel(), (spectrum - spectrum.mean()).ravel(), profile - profile.mean()


def unit(vectors: NDArray[np.floating]) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


if __name__ == "__main__":
    main()
