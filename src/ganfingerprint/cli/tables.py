"""Answers as rows: a table for people, JSON and CSV for programs. Every answer is a row, failures too."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganfingerprint.types import Answer, Failure, Label, Verdict

if TYPE_CHECKING:
    from ganfingerprint.stability import Stability

SCHEMA_VERSION = 1  # of the JSON object, and of the columns of the CSV
WIDE = 160  # columns where nobody's window sets a limit: a file or a pipe
COLORS = {Verdict.FAKE: "bold red", Verdict.UNCERTAIN: "yellow", Verdict.REAL: "green"}


class Format(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One answer with what its name tells; the fields are the columns, empty where they do not apply."""

    path: str
    sha256: str | None = None
    logit: float | None = None  # higher is more likely fake
    prob_fake: float | None = None
    log10_lr: float | None = None
    verdict: Verdict | None = None
    windows: int | None = None
    true_label: Label | None = None
    error_code: str | None = None
    error: str | None = None
    windows_for_fake: int | None = None  # of `windows`: how many by themselves speak for fake
    stability: str | None = None  # after how many mild re-encodings the verdict is the same; only if asked for


COLUMNS = tuple(item.name for item in dataclasses.fields(Row))


def to_row(path: str, answer: Answer, truth: Label | None, stability: Stability | None = None) -> Row:
    """The row of one answer."""
    if isinstance(answer, Failure):
        return Row(path=path, true_label=truth, error_code=answer.code, error=answer.error)
    return Row(
        path=path,
        sha256=answer.sha256,
        logit=answer.logit,
        prob_fake=answer.prob_fake,
        log10_lr=answer.log10_lr,
        verdict=answer.verdict,
        windows=answer.windows,
        true_label=truth,
        windows_for_fake=answer.windows_for_fake,
        stability=None if stability is None else str(stability),
    )


def write_csv(rows: Sequence[Row], stream: TextIO) -> None:
    """All columns of all rows, with a header."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)


def write_json(values: dict[str, Any], stream: TextIO) -> None:
    """One JSON object that says its schema version; plain ASCII, so that every file name survives any encoding."""
    json.dump({"schema_version": SCHEMA_VERSION, **values}, stream, indent=2, allow_nan=False)
    stream.write("\n")


def printable(text: str) -> str:
    """Text that can do nothing to a terminal: control characters, and those that turn or hide others, written out."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def open_console(*, stderr: bool = False) -> Console:
    """Where people read; as wide as the terminal, and wide where there is none."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE)


def print_table(rows: Sequence[Row], console: Console, further: Mapping[str, Sequence[str]] | None = None) -> None:
    """The columns that a person reads, then one line for each picture that could not be judged.

    Args:
        rows: the answers.
        console: where they are printed.
        further: columns after these by their heading, a cell for each row.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    checked = any(row.stability for row in rows)
    for name in ("P(fake)", "evidence", "windows", *(["re-encoded, the same"] if checked else [])):
        table.add_column(name, justify="right", no_wrap=True)
    truths = any(row.true_label for row in rows)
    if truths:
        table.add_column("truth", no_wrap=True)
    for heading in further or {}:
        table.add_column(heading, overflow="fold")
    for place, row in enumerate(rows):
        table.add_row(
            *_cells(row),
            *([Text(row.stability or "")] if checked else []),
            *([Text(row.true_label or "")] if truths else []),
            *(Text(printable(cells[place])) for cells in (further or {}).values()),
        )
    console.print(table)
    for row in rows:
        if row.error_code:
            said = printable(f"{row.path}: {row.error} [{row.error_code}]")
            console.print(said, style="red", markup=False, soft_wrap=True)


def print_counts(verdicts: Sequence[str | None], console: Console) -> None:
    """One line: how many pictures got which verdict, or none."""
    counts = ", ".join(f"{number} {name}" for name, number in count_verdicts(verdicts).items() if number)
    noun = "picture" if len(verdicts) == 1 else "pictures"
    console.print(f"{len(verdicts)} {noun}: {counts}", markup=False, soft_wrap=True)


def count_verdicts(verdicts: Sequence[str | None]) -> dict[str, int]:
    """How many pictures got which verdict, and how many none."""
    found = Counter(verdicts)
    return {**{verdict.value: found[verdict.value] for verdict in Verdict}, "not read": found[None]}


def _cells(row: Row) -> list[Text]:
    name = Text(printable(row.path))
    if row.verdict is None or row.prob_fake is None or row.log10_lr is None:
        return [name, Text("not read", style="red"), Text(""), Text(""), Text("")]
    return [
        name,
        Text(row.verdict, style=COLORS[row.verdict]),
        Text(f"{row.prob_fake:.3f}"),
        Text(f"{round(row.log10_lr, 2) + 0.0:+.2f}"),  # no minus before a rounded zero
        Text(_windows(row)),
    ]


def _windows(row: Row) -> str:
    """How many, and of several how many speak for a fake, where that is known: a scan does not keep it."""
    known = (row.windows or 0) > 1 and row.windows_for_fake is not None
    return f"{row.windows_for_fake} of {row.windows} fake" if known else str(row.windows)
