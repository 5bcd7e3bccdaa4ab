"""Does a heat map find the generated part? Half of each side of a photograph is replaced by its aligned fake.

An aligned fake shows the same as its photograph, pixel for pixel, and carries a generator's trace. A quarter of it,
in a corner drawn with the seed, is set into the photograph; a map of the evidence for *fake* should be hotter there
than elsewhere. The figure is the AUC of the heat of the map's pixels against whether they were replaced: .5 is a map
that knows nothing, 1 one that finds the part. Means over pictures, 95 % bootstrap over groups.

    python benchmarks/accuracy/localisation_check.py --data-root DIR --split validation [--detector DIR]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, Sample, read_catalog
from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.evaluation.metrics import auc
from ganfingerprint.explain.heat_map import generate_gradcam
from ganfingerprint.types import Image, Label

ALIKE = 20  # mean difference in grey levels; a photograph further from the fake is not the one it was made from
STRIDE = 7  # every so many pixels of a map are compared: its cells have 16 pixels and more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write, a row a picture")
    args = parser.parse_args()
    detector = Detector.from_pretrained(args.detector)
    rng = np.random.default_rng(args.seed)
    rows: list[tuple[str, str, str, float]] = []
    for sample, photograph, fake in pairs(read_catalog(args.data_root).split(args.split)):
        image, replaced = composite(photograph, fake, rng)
        heat = generate_gradcam(detector, image, Label.FAKE).values
        area = auc(replaced[::STRIDE, ::STRIDE].ravel(), heat[::STRIDE, ::STRIDE].ravel())
        rows.append((sample.path.name, sample.group, sample.generator, area))
    if not rows:
        parser.error("no aligned fake of this split has its photograph beside it")
    values, groups = np.array([row[3] for row in rows]), np.array([row[1] for row in rows])
    found = bootstrap_intervals(np.ones(len(rows), bool), values, groups, {"mean": mean_of}, seed=args.seed)["mean"]
    print(f"{len(rows)} pictures: mean AUC of the heat {found}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("picture", "group", "generator", "auc"), *rows])


def pairs(samples: tuple[Sample, ...]) -> Iterator[tuple[Sample, Image, Image]]:
    """Each aligned fake with its photograph: of its group, of its size, and nearest to it."""
    for sample in samples:
        if sample.family != PROXY_FAMILY:
            continue
        fake = decode(sample.path)
        others = (decode(other.path) for other in samples if other.group == sample.group and not other.is_fake)
        near = [(distance(image, fake), image) for image in others if image.pixels.shape == fake.pixels.shape]
        best = min(near, key=lambda entry: entry[0], default=None)
        if best is not None and best[0] < ALIKE:
            yield sample, best[1], fake


def distance(one: Image, two: Image) -> float:
    return float(np.abs(one.pixels.astype(np.int16) - two.pixels).mean())


def composite(photograph: Image, fake: Image, rng: np.random.Generator) -> tuple[Image, np.ndarray]:
    """The photograph with one corner of the fake, and where that is [height, width]."""
    replaced = np.zeros(photograph.pixels.shape[:2], np.bool_)
    height, width = (side // 2 for side in replaced.shape)
    top, left = (int(rng.integers(2)) * (side - side // 2) for side in replaced.shape)
    replaced[top : top + height, left : left + width] = True
    pixels = np.where(replaced[..., None], fake.pixels, photograph.pixels)
    return replace(photograph, pixels=pixels), replaced


def mean_of(is_fake: np.ndarray, values: np.ndarray) -> float:
    return float(values.mean())


if __name__ == "__main__":
    main()
