"""`ganfingerprint results`: questions to the table of a scan."""

from __future__ import annotations

import csv
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.tables import Row, open_console, print_counts, print_table, write_json
from ganfingerprint.errors import UsageError
from ganfingerprint.types import Verdict

SHOWN = 50  # rows that a person is shown


class Layout(StrEnum):
    """How the rows are given."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def results(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `scan` writes or wrote.")],
    layout: Annotated[Layout, typer.Option("--format", help="How the rows are given.")] = Layout.TABLE,
    where: Annotated[
        str, typer.Option(metavar="SQL", help="A condition, as \"verdict = 'fake' and width > 512\".")
    ] = "",
    top: Annotated[int, typer.Option(min=0, metavar="N", help="The N likeliest fakes first; 0: all, by path.")] = 0,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where Parquet is written.")] = None,
) -> int:
    """Show the rows of a scan, while it runs too."""
    from ganfingerprint.scan.query import ask, write

    if (layout is Layout.PARQUET) != (output is not None):
        raise UsageError("--format parquet and --output FILE go together")
    table = ask(folder, where=where, top=top)
    if output is not None:
        write(table, output)
        print(output)
    elif layout is Layout.JSON:
        write_json({"rows": table.to_pylist()}, sys.stdout)
    elif layout is Layout.CSV:
        writer = csv.DictWriter(sys.stdout, table.column_names, lineterminator="\n")
        writer.writeheader()
        for batch in table.to_batches():
            writer.writerows(batch.to_pylist())
    else:
        _print(table)
    return ExitCode.DONE


def _print(table: Any) -> None:
    console = open_console()
    shown = table.slice(0, SHOWN).to_pylist()
    names = ("path", "sha256", "logit", "prob_fake", "log10_lr", "windows", "error_code", "error")
    rows = [
        Row(**{name: row[name] for name in names}, verdict=None if row["verdict"] is None else Verdict(row["verdict"]))
        for row in shown
    ]
    print_table(rows, console, _generators(shown))
    if table.num_rows > SHOWN:
        console.print(f"... and {table.num_rows - SHOWN} more; --format csv gives them all", markup=False)
    console.print()
    print_counts(table.column("verdict").to_pylist(), console)


def _generators(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The likeliest generator of each row, of a scan that asked for it."""
    told = [
        f"{row['generator']} ({row['generator_probability']:.2f})" if row.get("generator") is not None else ""
        for row in rows
    ]
    return {"generator": told} if any(told) else {}
