"""The table of a scan → the rows of a report, and examinations of the likeliest fakes among them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganfingerprint.attribution import PHOTOGRAPH, UNKNOWN, Gallery
from ganfingerprint.decode import read_bytes
from ganfingerprint.detector import Detector
from ganfingerprint.errors import InputError, UsageError
from ganfingerprint.examine import Examination, examine
from ganfingerprint.report import wording
from ganfingerprint.scan.query import ask, settings_of, tally
from ganfingerprint.scan.schema import meant
from ganfingerprint.types import Prediction, Verdict

MOST_ROWS = 5000  # in one page, which a browser has to sort
CUSTODY = (
    "of each that was examined again, the SHA-256 was that of its row; the other rows are as the scan wrote them. None "
    "was changed, none left this machine"
)
GONE, CHANGED = "its file is gone", "its file has changed since it was judged: not examined"
ELSEWHERE = "in an archive or a store: not examined again"


@dataclass(slots=True, kw_only=True)
class Scanned:
    """Rows of a scan's table, likeliest fakes first, and what became of their files."""

    folder: Path
    settings: dict[str, Any]  # that the table was made with
    where: str
    whole: int  # rows of the table
    tally: dict[str | None, int]  # of the rows for which `where` holds, all of them
    rows: list[dict[str, Any]]  # as in the table
    _notes: dict[int, str] = field(default_factory=dict)  # row → what became of its file
    _pictures: dict[int, int] = field(default_factory=dict)  # row → its examination

    def require(self, detector: Detector) -> None:
        """Refuse a detector that the table is not of.

        Raises:
            UsageError: its identity, or that it computes, is another.
        """
        made_by, arithmetic = self.settings["detector_id"], self.settings["engine"] == "fake"
        if made_by != detector.detector_id or arithmetic != (detector.engine.name == "fake"):
            engine = "the engine 'fake'" if arithmetic else "an engine that computes the network"
            raise UsageError(
                f"{self.folder} was judged by the detector {made_by} with {engine}; this is {detector.detector_id} "
                f"with '{detector.engine.name}'. Answers of two are not mixed: name its folder with --detector"
            )

    def examinations(
        self, detector: Detector, *, most: int, trust: str = "", gallery: Gallery | None = None
    ) -> Iterator[Examination]:
        """Examinations of the likeliest fakes whose files are there and have not changed; equal bytes once.

        `content` and `entries` tell of those that were taken from it so far.
        """
        by_bytes: dict[str, int] = {}
        for number, row in enumerate(self.rows):
            if not row["sha256"]:
                continue
            if row["sha256"] in by_bytes:
                self._pictures[number] = by_bytes[row["sha256"]]
                continue
            if len(by_bytes) == most:
                self._look_for(number, row)
                continue
            data = self._unchanged(number, row)
            if data is not None:
                self._pictures[number] = by_bytes[row["sha256"]] = len(by_bytes)
                found = examine(detector, data, name=row["path"], trust=trust, gallery=gallery)
                if isinstance(found.answer, Prediction) and found.answer.verdict != row["verdict"]:
                    self._notes[number] = f"examined again: {wording.WORDS[found.answer.verdict]}"  # where it flips
                yield found

    def _look_for(self, number: int, row: dict[str, Any]) -> None:
        """Note whether a file that is not read is gone at least."""
        path = row["path"]
        if "://" not in path and "!" not in path and not os.path.exists(self._place(row)):
            self._notes[number] = GONE

    def _place(self, row: dict[str, Any]) -> Path:
        return Path(self.settings["folder"], meant(row["path"]))

    def _unchanged(self, number: int, row: dict[str, Any]) -> bytes | None:
        """The bytes of a row's file if they are those that were judged; else its note says what they are."""
        if "://" in row["path"]:
            self._notes[number] = ELSEWHERE
            return None
        place = self._place(row)
        try:
            data = read_bytes(place)
        except InputError as problem:
            within = any(Path(str(place)[:at]).is_file() for at, sign in enumerate(str(place)) if sign == "!")
            gone = GONE if problem.code == "not_found" else f"its file cannot be read any more: {problem.reason}"
            self._notes[number] = ELSEWHERE if within else gone
            return None
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            self._notes[number] = CHANGED
            return None
        return data

    @property
    def counts(self) -> dict[str, int]:
        """Of all rows for which the condition holds, shown or not."""
        named = {verdict.value: self.tally.get(verdict.value, 0) for verdict in Verdict}
        return {"pictures": sum(self.tally.values()), **named, "not read": self.tally.get(None, 0)}

    def content(self) -> dict[str, Any]:
        """What a report says of the table as a whole."""
        matching, shown = sum(self.tally.values()), len(self.rows)
        return {
            "folder": str(self.folder),
            "inputs": self.settings["inputs"],
            "where": self.where,
            "rows": self.whole,
            "matching": matching,
            "shown": shown,
            "left_out": max(0, matching - shown),  # a scan that runs may have got rows between the two questions
            "examined": len(set(self._pictures.values())),
        }

    def entries(self) -> list[dict[str, Any]]:
        """The rows as a report shows them; `picture` is the number of the examination, counted from 0."""
        return [self._entry(number, row) for number, row in enumerate(self.rows)]

    def _entry(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        error = None if row["error_code"] is None else {"code": row["error_code"], "text": row["error"] or ""}
        return {
            "source": row["path"],
            "sha256": row["sha256"] or "",
            "verdict": row["verdict"],
            "words": wording.NOT_READ if row["verdict"] is None else wording.WORDS[Verdict(row["verdict"])],
            "score": row["logit"],
            "prob_fake": row["prob_fake"],
            "log10_lr": row["log10_lr"],
            "windows": row["windows"],
            "windows_for_fake": None,  # a scan does not keep them
            "error": error,
            "picture": self._pictures.get(number),
            "note": self._notes.get(number, ""),
            "generator": _generator(row),
        }


def _generator(row: dict[str, Any]) -> str | None:
    """What a scan answered of the generator, in words; None where it was not asked, or the file not read."""
    if row.get("generator") is None:  # the first tables had no such column
        return None
    told = f"{row['generator']} ({row['generator_probability']:.2f})"
    named = row["generator"] not in (PHOTOGRAPH, UNKNOWN)
    return f"if one made it: {told}" if named and row["verdict"] != Verdict.FAKE else told


def select(folder: Path, *, where: str = "", top: int = 0) -> Scanned:
    """The rows of a scan for a report, likeliest fakes first, `MOST_ROWS` at most.

    Args:
        folder: of a scan that ended or still runs.
        where: an SQL condition on its columns.
        top: how many rows at most; 0 for as many as a report holds.

    Raises:
        ScanError: there is no scan in the folder, it is damaged, or the condition is none.
    """
    settings = settings_of(folder)
    counted = tally(folder, where=where)
    whole = sum(tally(folder).values()) if where.strip() else sum(counted.values())
    rows = ask(folder, where=where, top=min(top or MOST_ROWS, MOST_ROWS)).to_pylist()  # a running scan may add some
    return Scanned(folder=folder, settings=settings, where=where, whole=whole, tally=counted, rows=rows)
