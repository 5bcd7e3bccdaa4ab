"""The columns of a scan's table."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from ganfingerprint.types import Answer, Attribution, Failure

Row = dict[str, Any]  # column → value; columns that are not named are null
VERSION = 2  # 1 had no columns of generators; a table of it can be read
VERSION_KEY = b"ganfingerprint.scan.version"

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # as the input names it
        ("sha256", pa.string()),  # of the file's bytes; this and the following are null where it failed
        ("size_bytes", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("logit", pa.float64()),  # higher is more likely fake
        ("prob_fake", pa.float64()),
        ("log10_lr", pa.float64()),
        ("verdict", pa.string()),
        ("windows", pa.int32()),
        ("latency_ms", pa.float32()),  # decoding, and its share of the engine's time; null for a copy of an answer
        ("generator", pa.string()),  # what an attribution answers; this and the next are null where none was asked for
        ("generator_probability", pa.float64()),
        ("error_code", pa.string()),  # null where it was judged
        ("error", pa.string()),
    ],
    metadata={VERSION_KEY: str(VERSION).encode()},
)
_LIKE_BYTES = re.compile(r"(?<!\\)(\\++)(?=ud[89a-f][0-9a-f]{2}|[\ud800-\udfff])")
_BYTE = re.compile(r"(\\+)(ud[89a-f][0-9a-f]{2})")
ANSWERED = ("sha256", "size_bytes", "format", "width", "height", "logit", "prob_fake", "log10_lr", "windows")


def row_of(path: str, answer: Answer, found: Attribution | None = None) -> Row:
    """The row of one answer, and of which generator it was if that was asked."""
    path = shown(path)
    if isinstance(answer, Failure):
        return {"path": path, "error_code": answer.code, "error": shown(answer.error)}
    facts = {name: getattr(answer, name) for name in ANSWERED}
    row = {"path": path, **facts, "verdict": answer.verdict.value, "latency_ms": answer.latency_ms}
    return row if found is None else {**row, "generator": found.answer, "generator_probability": found.probability}


def shown(text: str) -> str:
    """Text that a table can hold: of a file name that is none the bytes are written out, as `\\udcff`.

    Different names stay different: where a name has that very text, its backslash is doubled.
    """
    return _LIKE_BYTES.sub(r"\1\1", text).encode("utf-8", "backslashreplace").decode()


def meant(text: str) -> str:
    """The name that `shown` made this text of; with `os.fsencode` it is that of the file."""
    return _BYTE.sub(lambda found: _byte(found.group(1), found.group(2)), text)


def _byte(backslashes: str, code: str) -> str:
    before = "\\" * (len(backslashes) // 2)
    return before + (chr(int(code[1:], 16)) if len(backslashes) % 2 else code)


def table_of(rows: list[Row]) -> pa.Table:
    """Rows as a table of the schema."""
    return pa.Table.from_pylist(rows, schema=SCHEMA)
