"""What is left of a detector's figures after a picture was scaled down and saved once more, tier by tier.

Verdicts are those of the detector's own thresholds; aligned fakes are left out; 95 % intervals by group.

    python benchmarks/accuracy/tier_check.py --data-root DIR --split test [--detector DIR] [--output FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, read_catalog
from ganfingerprint.detector import Detector
from ganfingerprint.evaluation.measure import measure
from ganfingerprint.evaluation.protocol import score_table
from ganfingerprint.evaluation.robustness import TIERS, delivered

FIGURES = ("auc", "tpr_at_fpr_1", "recall_shipped", "false_alarm_rate_shipped")
COLUMNS = ("tier", "fakes", "photographs", "failed", *FIGURES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--tiers", default=",".join(TIERS))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write, a row a tier")
    args = parser.parse_args()
    detector, catalog = Detector.from_pretrained(args.detector), read_catalog(args.data_root)
    chosen = [sample for sample in catalog.split(args.split) if sample.family != PROXY_FAMILY]
    rows: list[tuple[str, ...]] = []
    for name in args.tiers.split(","):
        answers = detector.predict_many(delivered(chosen, TIERS[name]))
        table = score_table(chosen, answers, catalog.root)
        found = measure(table, by=(), seed=args.seed, samples=1000).headline.figures
        judged = (table.is_fake[table.judged].sum(), (~table.is_fake[table.judged]).sum(), (~table.judged).sum())
        rows.append((name, *map(str, judged), *(str(found[figure]) for figure in FIGURES)))
        print(dict(zip(COLUMNS, rows[-1], strict=True)), flush=True)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
