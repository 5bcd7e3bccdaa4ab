"""Questions to the table of a scan in SQL, while it grows too. Nothing can be written, read or loaded by a question."""

from __future__ import annotations

from pathlib import Path

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
    if not (folder / SETTINGS).is_file():
        raise ScanError(f"{folder}: there is no scan here (no {SETTINGS})")
    rows = ds.dataset(sorted(map(str, folder.glob(SHARDS))), schema=SCHEMA, format="parquet")
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET enable_progress_bar = false")
        connection.register("results", rows)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        order = "logit DESC NULLS LAST, path" if top else "path"
        found = connection.sql("SELECT * FROM results")
        if where.strip():
            found = found.filter(where)  # parsed as one condition: no second statement gets in
        found = found.order(order)
        if top:
            found = found.limit(top)
        table: pa.Table = found.to_arrow_table()
    except duckdb.Error as problem:
        raise ScanError(f"this cannot be asked: {problem}") from problem
    finally:
        connection.close()
    return table.cast(SCHEMA.remove_metadata()) if table.schema != SCHEMA else table


def write(table: pa.Table, path: Path) -> None:
    """The rows as one Parquet file."""
    with replacing(path) as beside:
        pq.write_table(table, beside, compression="zstd")
