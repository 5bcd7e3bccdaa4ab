"""Which parts of the document's head help on top of a frozen backbone? The same training with each left out.

Every variant learns from the same cached maps with the same draws, schedule and seed, and is judged after its last
epoch (no checkpoint is chosen) on one window of each validation picture. A variant whose row is there is not
trained again.

    python benchmarks/accuracy/head_ablation.py --data-root DIR --work WORK [--epochs 6] [--variants NAME,...]
"""

from __future__ import annotations

import argparse
import csv
import functools
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.calibrate import fake_scores
from ganfingerprint.config import AugmentConfig, load_config
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.evaluation.metrics import auc, tpr_at_fpr
from ganfingerprint.training.dataset import judged_samples
from ganfingerprint.training.run import prepare
from ganfingerprint.training.tracker import ExperimentTracker

# Settings of `network`; what a variant does not name is as in DOCUMENT. The spectrum is left out to save time.
DOCUMENT: dict[str, object] = {
    "fusion": True,
    "frequency": False,
    "attention": True,
    "fingerprint_block": True,
    "statistics": False,
}
VARIANTS: dict[str, dict[str, object]] = {
    "document without spectrum": {},
    "no attention": {"attention": False},
    "no fingerprint block": {"fingerprint_block": False},
    "neither": {"attention": False, "fingerprint_block": False},
    "with statistics": {"statistics": True},
    "neither with statistics": {"statistics": True, "attention": False, "fingerprint_block": False},
    "statistics alone": {"statistics": True, "fusion": False, "attention": False, "fingerprint_block": False},
    "with spectrum of width 8": {"frequency": True, "frequency_width": 8},
}
# The rest of the recipe as it was when the table was made.
FORMER = {
    "optim.targets": "two",
    "optim.cache_views": 3,
    **{f"augment.{name}": value for name, value in asdict(AugmentConfig()).items()},
    "augment.strength": 0.6,
    "augment.resize": 0.5,
    "augment.scale_low": 0.5,
    "augment.jpeg": 0.6,
    "augment.erase": 0.1,
}
FIGURES = {
    "auc": auc,
    "tpr_at_fpr_1": functools.partial(tpr_at_fpr, fpr=0.01),
    "tpr_at_fpr_5": functools.partial(tpr_at_fpr, fpr=0.05),
}
FIELDS = ["variant", "seed", "epochs", "pictures", "minutes", "train_loss", "val_loss"]
FIELDS += [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for maps (some 14 GB) and runs")
    parser.add_argument("--preset", default="clip")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--variants", default=",".join(VARIANTS), help="names, separated by commas")
    parser.add_argument("--output", type=Path, default=Path("results/head_ablation.csv"))
    args = parser.parse_args()
    chosen = args.variants.split(",")
    if unknown := [name for name in chosen if name not in VARIANTS]:
        parser.error(f"unknown variants {unknown}; there are {list(VARIANTS)}")
    done = rows_of(args.output)
    for name in chosen:
        asked = (name, str(args.seed), str(args.epochs))
        if not any((row["variant"], row["seed"], row["epochs"]) == asked for row in done):
            done.append(measured(name, args))
            write(done, args.output)


def measured(name: str, args: argparse.Namespace) -> dict[str, str]:
    """Train one variant; its row."""
    network = DOCUMENT | VARIANTS[name]
    settings = {
        **{f"network.{key}": str(value).lower() for key, value in network.items()},
        "data.root": args.data_root,
        "optim.epochs": args.epochs,
        **{name: str(value) for name, value in FORMER.items()},
        "optim.cache_dir": args.work / ("maps" if network["fusion"] else "condensed"),  # which keep no places
        "output.tensorboard": "false",
        "seed": args.seed,
    }
    config = load_config(preset=args.preset, overrides=[f"{key}={value}" for key, value in settings.items()])
    with ExperimentTracker.create(args.work / "runs", name.replace(" ", "_")) as tracker:
        trainer, loaders = prepare(config, tracker, report)
        trainer.run(report)
        logit, fake = trainer.validation_logits()
    last = trainer.progress.history[-1]
    groups = np.array([sample.group for sample in judged_samples(loaders.catalog)])
    scores = fake_scores(logit.numpy())
    found = bootstrap_intervals(fake.numpy(), scores, groups, FIGURES, seed=args.seed)
    row = {"variant": name, "seed": args.seed, "epochs": args.epochs, "pictures": int(last["pictures"])}
    row |= {field: f"{last[field]:.3f}" for field in ("minutes", "train_loss", "val_loss")}
    for figure in FIGURES:
        interval = found[figure]
        values = (interval.value, interval.low, interval.high)
        row |= {f"{figure}{end}": f"{value:.4f}" for end, value in zip(("", "_low", "_high"), values, strict=True)}
    print(row, flush=True)
    return {key: str(value) for key, value in row.items()}


def report(stage: str, done: int, total: int, loss: float, rate: float) -> None:
    if done % 100 == 0:
        print(f"{stage}: {done} of {total} {rate:.0f}/s", flush=True)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows that are there."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write(rows: list[dict[str, str]], path: Path) -> None:
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
