"""What a folder of pairs says of itself: settings.json, manifest.csv (a data root's) and failed.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY
from ganfingerprint.errors import DataError
from ganfingerprint.fakes.pairs import Member, pair_id
from ganfingerprint.fakes.photographs import Photograph

MANIFEST, SETTINGS, FAILED = "manifest.csv", "settings.json", "failed.csv"
MADE_BY = "ganfingerprint fakes"
COLUMNS = (
    *("path", "label", "generator", "family", "split", "group", "source"),  # those that a catalog reads
    *("recipe", "seed", "sha256", "format", "width", "height", "psnr"),  # sha256: of the photograph's file
)
FAILED_COLUMNS = ("path", "code", "error")

Row = dict[str, str]


def to_row(member: Member, photograph: Photograph, *, sha256: str, split: str, seed: int) -> Row:
    """The line of the manifest of one member of a pair."""
    fake = bool(member.recipe)
    return {
        "path": member.path,
        "label": "fake" if fake else "real",
        "generator": f"{PROXY_FAMILY}:{member.recipe}" if fake else "",
        "family": PROXY_FAMILY if fake else "photo",
        "split": split,
        "group": photograph.group or f"pair:{pair_id(sha256)}",
        "source": photograph.source,
        "recipe": member.recipe,
        "seed": str(seed),
        "sha256": sha256,
        "format": member.format,
        "width": str(member.width),
        "height": str(member.height),
        "psnr": "" if member.psnr is None else f"{member.psnr:.2f}",
    }


def begin(out: Path, settings: dict[str, Any], *, restart: bool) -> dict[str, list[Row]]:
    """The rows that are there already, by the hash of their photograph; writes the settings where there are none.

    Raises:
        DataError: the folder holds other things, or pairs of other settings; says which settings differ.
    """
    before = read_settings(out)
    if before is None:
        if (out / MANIFEST).exists():
            raise DataError(f"{out} holds a manifest that '{MADE_BY}' did not write; give another --out")
    elif restart:
        _remove(out)
    elif differing := [name for name in settings if settings[name] != before.get(name)]:
        changes = "; ".join(f"{name} was {_short(before.get(name))}, is {_short(settings[name])}" for name in differing)
        raise DataError(f"{out} was begun with other settings ({changes}): repeat those, or give --restart")
    if before is None or restart:
        with replacing(out / SETTINGS) as beside:
            beside.write_text(json.dumps({"made_by": MADE_BY, **settings}, indent=2) + "\n", encoding="utf-8")
    rows: dict[str, list[Row]] = {}
    for row in read_rows(out):
        rows.setdefault(row["sha256"], []).append(row)
    return rows


def read_settings(out: Path) -> dict[str, Any] | None:
    """The settings of a folder of pairs; None where there is none.

    Raises:
        DataError: the file is damaged.
    """
    path = out / SETTINGS
    if not path.is_file():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} cannot be read ({problem})") from problem
    if not isinstance(settings, dict) or settings.get("made_by") != MADE_BY:
        raise DataError(f"{path} was not written by '{MADE_BY}'; give another --out")
    return settings


def read_rows(out: Path) -> list[Row]:
    """The manifest of a folder of pairs; empty where there is none.

    Raises:
        DataError: it is damaged or lacks a column.
    """
    path = out / MANIFEST
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            missing = set(COLUMNS) - set(table.fieldnames or ())
            if missing:
                raise DataError(f"{path} has no column {', '.join(sorted(missing))}")
            return [{name: row[name] or "" for name in COLUMNS} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read ({problem})") from problem


def write_rows(out: Path, rows: Iterable[Row]) -> None:
    """The manifest, in an order that does not depend on that of the work."""
    ordered = sorted(rows, key=lambda row: (row["group"], row["sha256"], row["label"] != "real", row["path"]))
    _write(out / MANIFEST, COLUMNS, ordered)


def write_failures(out: Path, failures: Sequence[Row]) -> None:
    """failed.csv; without failures there is none."""
    if failures:
        _write(out / FAILED, FAILED_COLUMNS, failures)
    else:
        (out / FAILED).unlink(missing_ok=True)


def is_whole(rows: Sequence[Row], recipes: Sequence[str], out: Path) -> bool:
    """Whether the rows are those of a photograph and of its fakes by `recipes`, and all their files are there."""
    return sorted(row["recipe"] for row in rows) == sorted(["", *recipes]) and all(
        (out / row["path"]).is_file() for row in rows
    )


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    # surrogateescape: a file name may hold bytes that are no text
    with (
        replacing(path) as beside,
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _remove(out: Path) -> None:
    """What an earlier run left: the files that its manifest lists and its tables, nothing else."""
    for row in read_rows(out):
        place = (out / row["path"]).resolve()
        if place.is_relative_to(out.resolve()):
            place.unlink(missing_ok=True)
    for name in (MANIFEST, FAILED, SETTINGS, "pairs.png"):
        (out / name).unlink(missing_ok=True)


def _short(value: object) -> str:
    words = json.dumps(value)
    return words if len(words) <= 300 else f"{words[:299]}…"
