"""Questions to the table of a scan in SQL, while it grows too. Nothing can be written, read or loaded by a question."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import ScanError
from ganfingerprint.scan.schema import SCHEMA
from ganfingerprint.scan.writer import SETTINGS, SHARDS


def ask(folder: Path, *, where: str = "", top: int = 0) -> pa.Table:
    """The rows for which the SQL condition `where` holds, all without one; the `top` likeliest fakes first.

    Without `top` they come in the order of their paths.

    Raises:
        ScanError: there is no scan in the folder, or the condition is none.
    """
    with _rows(folder, where) as found:
        found = found.order("logit DESC NULLS LAST, path" if top else "path")
        if top:
            found = found.limit(top)
        table: pa.Table = found.to_arrow_table()
    return table.cast(SCHEMA.remove_metadata()) if table.schema != SCHEMA else table


def tally(folder: Path, *, where: str = "") -> dict[str | None, int]:
    """How many of these rows have each verdict; those with an error have None.

    Raises:
        ScanError: as `ask`.
    """
    with _rows(folder, where) as found:
        return dict(found.aggregate("verdict, count(*)", "verdict").fetchall())


def settings_of(folder: Path) -> dict[str, Any]:
    """What the table in the folder was made with.

    Raises:
        ScanError: there is no scan in the folder, or it is damaged.
    """
    _require(folder)
    try:
        noted: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["settings"]
        return {name: noted[name] for name in ("detector_id", "engine", "precision", "inputs", "folder")}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ScanError(f"{folder / SETTINGS} is damaged, or of another version") from problem


def _require(folder: Path) -> None:
    if not (folder / SETTINGS).is_file():
        raise ScanError(f"{folder}: there is no scan here (no {SETTINGS})")


@contextlib.contextmanager
def _rows(folder: Path, where: str) -> Iterator[duckdb.DuckDBPyRelation]:
    """The rows for which a condition holds, as a relation that is asked within the `with`."""
    _require(folder)
    rows = ds.dataset(sorted(map(str, folder.glob(SHARDS))), schema=SCHEMA, format="parquet")
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET enable_progress_bar = false")
        connection.register("results", rows)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        found = connection.sql("SELECT * FROM results")
        yield found.filter(where) if where.strip() else found  # parsed as one condition: no second statement gets in
    except duckdb.Error as problem:
        raise ScanError(f"this cannot be asked: {problem}") from problem
    finally:
        connection.close()


def write(table: pa.Table, path: Path) -> None:
    """The rows as one Parquet file."""
    with replacing(path) as beside:
        pq.write_table(table, beside, compression="zstd")
