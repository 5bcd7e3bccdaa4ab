"""Does a heat map show where the evidence lies? Cover its hottest region, then its coldest, and compare.

For each picture the evidence for the class that the verdict names is taken before and after covering a square of
the picture by its own blur; a true map loses more with its hottest square than with its coldest (lost), and the
score changes more, whichever way (changed). Intervals are bootstraps over groups.

    python benchmarks/accuracy/heat_map_check.py --data-root DIR --split validation [--limit 100]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import read_catalog
from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.explain.heat_map import generate_gradcam
from ganfingerprint.explain.occlusion import occlusion_check


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--limit", type=int, default=100, help="pictures, drawn with the seed")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write, a row a picture")
    args = parser.parse_args()
    detector = Detector.from_pretrained(args.detector)
    samples = read_catalog(args.data_root).split(args.split)
    rng = np.random.default_rng(args.seed)
    chosen = rng.permutation(len(samples))[: args.limit]
    rows: list[tuple[str, str, float, float]] = []
    for index in chosen:
        image = decode(samples[index].path)
        heat = generate_gradcam(detector, image)
        if heat.peak > 0:  # a map of nothing has no hottest region
            check = occlusion_check(detector, image, heat)
            lost = check.lost_with_hottest, check.lost_with_coldest
            rows.append((samples[index].path.name, samples[index].group, *lost))
    hot, cold = (np.array([row[column] for row in rows]) for column in (2, 3))
    groups = np.array([row[1] for row in rows])
    print(f"{len(rows)} maps of {len(chosen)} pictures")
    print(f"evidence lost with the hottest square {hot.mean():.3f}, with the coldest {cold.mean():.3f}")
    for name, wins in (("loses", hot > cold), ("changes", np.abs(hot) > np.abs(cold))):
        found = bootstrap_intervals(np.ones(len(wins), bool), wins, groups, {"share": share_of}, seed=args.seed)
        print(f"the hottest square {name} more in a share of {found['share']}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("picture", "group", "lost_with_hottest", "lost_with_coldest"), *rows])


def share_of(is_fake: np.ndarray, wins: np.ndarray) -> float:
    return float(wins.mean())


if __name__ == "__main__":
    main()
