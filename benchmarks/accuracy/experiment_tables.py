"""The table that experiment.py writes, as Markdown for a page: one of the figures, one of the families.

python benchmarks/accuracy/experiment_tables.py [--results results/experiments]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiment import HERE, RECIPES, read_rows, read_runs
from protocol import family_names

HEADER = (
    "run",
    "pictures",
    "validation AUC",
    "recall at 1 %",
    "web tier AUC / recall",
    "mean of families left out: AUC",
    "recall",
    "recipes left out: " + " / ".join(RECIPES),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results/experiments"))
    args = parser.parse_args()
    rows = {row["name"]: row for row in read_rows(args.results)}
    runs = read_runs(HERE / "experiments" / "runs.yaml")
    print(markdown([rows[run.name] for run in runs if run.name in rows]))


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Both tables of the rows, in their order."""
    names = family_names()
    figures = [HEADER, *(_figures(row) for row in rows)]
    families = [("run", *names), *((_name(row), *(_figure(row[f"{name}_auc"]) for name in names)) for row in rows)]
    return "\n".join([*_lines(figures), "", *_lines(families)])


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    def pair(stem: str) -> str:
        return f"{_figure(row[f'{stem}_auc'])} / {_figure(row[f'{stem}_recall_1'])}"

    return (
        _name(row),
        f"{row['training_pictures']:,}",
        _with_interval(row, "validation"),
        _figure(row["validation_recall_1"]),
        pair("validation_web"),
        _with_interval(row, "families"),
        _figure(row["families_recall_1"]),
        " / ".join(_figure(row[f"{recipe}_auc"]) for recipe in RECIPES),
    )


def _name(row: Mapping[str, Any]) -> str:
    return f"`{row['name']}`"


def _with_interval(row: Mapping[str, Any], stem: str) -> str:
    """The mean over seeds; the interval, where the row has one, is that of the first seed."""
    _, bracket, ends = (row[f"{stem}_interval"] or "").partition(" [")
    return _figure(row[f"{stem}_auc"]) + (f" [{ends.replace('0.', '.')}" if bracket else "")


def _figure(value: float | None) -> str:
    """Three digits, without the nought that all figures below 1 share."""
    return "-" if value is None else f"{value:.3f}".removeprefix("0")


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if number == 0:
            yield "|---" * len(row) + "|"


if __name__ == "__main__":
    main()
