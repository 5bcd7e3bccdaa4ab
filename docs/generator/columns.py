"""The page of the tables, from the schemas of those who write them."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from generator import meanings
from generator.markdown import WRITTEN, code, meaning, page, rows


def columns_page() -> str:
    """Every table that is written, column by column."""
    from ganfingerprint.cli import tables
    from ganfingerprint.evaluation import measure, protocol, robustness
    from ganfingerprint.evaluation.outputs import write_slices
    from ganfingerprint.fakes import ledger
    from ganfingerprint.scan import schema

    scores = protocol.scores_schema()
    deliveries = _header(lambda path: robustness.write_deliveries((), path))
    plain = [name for name in deliveries if not re.search(r"_(value|low|high)$", name)]
    figures = [(code(name), said) for name, said in measure.FIGURES.items()]
    parts = [
        "# Tables", WRITTEN,
        "A cell is empty (null in Parquet and JSON) where it does not apply.",
        "## predict: CSV and JSON",
        f"`predictions.csv` and `--format csv`; the same names in `answers` of `--format json` "
        f"(`schema_version` {tables.SCHEMA_VERSION}).", _named("predict", tables.COLUMNS),
        "## scan: part-*.parquet", f"Version {schema.VERSION}, in the metadata under `{schema.VERSION_KEY.decode()}`. "
        "`ganfingerprint results` gives the same columns, and its `--where` asks them.", _typed("scan", schema.SCHEMA),
        "## evaluate: scores.parquet", f"Version {protocol.SCHEMA_VERSION}. Also `left-out.parquet` of each fold of "
        "`benchmark leave-one-out`.", _typed("scores", scores),
        "## evaluate: metrics.csv", "A row for each figure of each slice. Also `leave-one-out.csv`.",
        _named("metrics", _header(lambda path: write_slices((), path))),
        "## evaluate: deliveries.csv", "A row for each delivery, with `--tiers` and of `benchmark robustness`.",
        _named("deliveries", plain),
        "For each figure below, and for `auc_lost` (against the same pictures as they are), three columns: "
        "`NAME_value`, `NAME_low` and `NAME_high`.",
        "## Figures", "`metrics.json` (version "
        f"{measure.FORMAT_VERSION}) holds them all. `_shipped`: at the detector's own two thresholds; accuracy to F1: "
        "at `prob_fake` .5. Positives are fakes.", rows("figure", "meaning", of=figures),
        "## fakes: manifest.csv and failed.csv", "The first seven columns are those of any `manifest.csv` that "
        "`train` and `evaluate` read; of those only `path` and `label` are needed.", _named("pairs", ledger.COLUMNS),
        "`failed.csv`:", _named("failed", ledger.FAILED_COLUMNS),
    ]  # fmt: skip
    return page(*parts)


def _header(write: Callable[[Path], None]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write(path)
        return next(csv.reader([path.read_text(encoding="utf-8")]))


def _named(table: str, columns: Iterable[str]) -> str:
    cells = ((code(name), meaning(meanings.COLUMNS, name, table=table)) for name in columns)
    return rows("column", "meaning", of=cells)


def _typed(table: str, schema: Any) -> str:
    cells = (
        (code(field.name), str(field.type), "may be null" if field.nullable else "never null",
         meaning(meanings.COLUMNS, field.name, table=table))
        for field in schema
    )  # fmt: skip
    return rows("column", "type", "", "meaning", of=cells)
