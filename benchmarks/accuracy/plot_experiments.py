"""Figures of the table that experiment.py writes: every run by question, and learning curves.

python benchmarks/accuracy/plot_experiments.py [--results results/experiments]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from protocol import family_names

from ganfingerprint.atomic import replacing

WEB = "validation, web tier"
INK, VALIDATION, FAMILIES = "0.25", "tab:blue", "tab:orange"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results/experiments"))
    args = parser.parse_args()
    rows = pq.read_table(args.results / "experiments.parquet").to_pylist()
    draw_runs(rows, args.results / "runs.png")
    if curve := sorted(
        (row for row in rows if row["question"] == "share" or row["name"] == "base"),
        key=lambda row: row["training_pictures"],
    ):
        draw_curve(curve, args.results / "learning_curve.png")


def draw_runs(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One line a run, grouped by question: validation, the families and their mean."""
    ordered = sorted(rows, key=lambda row: (row["question"], row["families_auc"]))
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.28 * len(ordered)), layout="constrained")
    for height, row in enumerate(ordered):
        _draw_run(axes, height, row)
    questions = [row["question"] for row in ordered]
    for height in range(1, len(ordered)):
        if questions[height] != questions[height - 1]:
            axes.axhline(height - 0.5, color="0.8", linewidth=0.8)
    axes.set_yticks(range(len(ordered)), [f"{row['question']}: {row['name']}" for row in ordered], fontsize=8)
    axes.axvline(0.5, color="0.7", linestyle=":", linewidth=1)
    axes.set(xlabel="AUC", xlim=(0.25, 1.0), ylim=(-0.6, len(ordered) - 0.4))
    axes.set_title("Validation (generators of training) and families left out of training", fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(labels, handles, strict=True))
    figure.legend(first.values(), first.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    _save(figure, path)


def _draw_run(axes: Axes, height: int, row: dict[str, Any]) -> None:
    families = [row[f"{name}_auc"] for name in family_names()]
    axes.plot(families, [height] * len(families), "|", color=INK, alpha=0.6, label="a family left out")
    axes.plot(row["families_auc"], height, "o", color=FAMILIES, label="mean of the families")
    axes.plot(row["validation_auc"], height, "s", color=VALIDATION, label="validation")
    if row.get("validation_web_auc") is not None:
        axes.plot(row["validation_web_auc"], height, "s", color=VALIDATION, fillstyle="none", label=WEB)


def draw_curve(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """AUC against the number of training pictures."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    pictures = [row["training_pictures"] for row in rows]
    axes.plot(pictures, [row["validation_auc"] for row in rows], "s-", color=VALIDATION, label="validation")
    axes.plot(pictures, [row["families_auc"] for row in rows], "o-", color=FAMILIES, label="mean of families left out")
    axes.set(xscale="log", xlabel="training pictures", ylabel="AUC")
    axes.set_xticks(pictures, [f"{count:,}" for count in pictures], fontsize=8)
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with replacing(path) as beside:
        figure.savefig(beside, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main()
