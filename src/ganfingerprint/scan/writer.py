"""The folder of a scan: shards that are whole or not there, what they were made with, and one writer at a time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import ScanError
from ganfingerprint.scan.schema import SCHEMA, VERSION, table_of

SETTINGS = "scan.json"
LOCK = ".lock"
SHARDS = "part-*.parquet"
FLUSH_S = (2.0, 60.0)  # a shard is written after a tenth of the run so far, but not below or above: so much is lost


def key_of(path: str) -> bytes:
    """Eight bytes for a path as the table has it; a set of them takes some 80 bytes each."""
    whole = path if "://" in path else os.path.join(os.getcwd(), path)  # unresolved: behind an archive is no path
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class ShardWriter:
    """Rows into `folder`, from where an earlier run of the same settings stopped. Use it in a `with`.

    Args:
        folder: absent, empty, or an earlier run's.
        settings: what decides the answers; JSON values.
        shard_size: rows a shard.
        restart: throw away what is there.
        retry_failed: throw away the rows that have an error.

    Raises:
        ScanError: another run writes there, the settings are not those of the earlier run, or it holds other things.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        shard_size: int,
        restart: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self.folder, self.settings, self.shard_size = folder, settings, shard_size
        self._rows: list[dict[str, Any]] = []
        self._begun = self._written = time.monotonic()
        _refuse_foreign(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(folder / LOCK, timeout=0)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise ScanError(f"another scan is writing to {folder}; wait for it, or choose another folder") from None
        try:
            self._begin(restart)
            if retry_failed:
                self._drop_failed()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, whatever ended the run."""
        try:
            self.flush()
        finally:
            self._lock.release()

    def earlier(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """The rows that are there already, some of their columns."""
        for path in sorted(self.folder.glob(SHARDS)):
            yield from pq.read_table(path, columns=columns).to_pylist()

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, and write a shard when it is time."""
        self._rows.append(row)
        now, (least, most) = time.monotonic(), FLUSH_S
        due = now - self._written > max(least, min(most, 0.1 * (now - self._begun)))
        if due or len(self._rows) >= self.shard_size:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait as a shard."""
        if self._rows:
            _write(table_of(self._rows), self.folder / f"part-{self._next:06d}.parquet")
            self._next += 1
            self._rows = []
        self._written = time.monotonic()

    def _begin(self, restart: bool) -> None:
        for left in (*self.folder.glob(".part-*.parquet"), *self.folder.glob(".scan.*.json")):
            left.unlink()  # of a run that was killed while it wrote
        noted = self.folder / SETTINGS
        if restart:
            for path in self.folder.glob(SHARDS):
                path.unlink()
            noted.unlink(missing_ok=True)  # last: without it the folder would be nobody's
        try:
            self._go_on(noted)
        except (ValueError, pa.ArrowException) as problem:
            raise ScanError(f"{self.folder} is damaged ({problem}); begin anew with --restart") from problem

    def _drop_failed(self) -> None:
        """A run that is killed in between has dropped some of them, and every row that is gone is made again."""
        for path in self.folder.glob(SHARDS):
            rows = pq.read_table(path)
            good = rows.filter(rows["error_code"].is_null())
            if len(good) < len(rows):
                _write(good, path)

    def _go_on(self, noted: Path) -> None:
        if noted.is_file():
            found = json.loads(noted.read_text(encoding="utf-8"))
            found_settings = found.get("settings", {})
            other = sorted(name for name in self.settings if found_settings.get(name) != self.settings[name])
            if found.get("version") != VERSION or other:
                changes = "; ".join(
                    f"{name}: {found_settings.get(name)} is now {self.settings[name]}" for name in other
                )
                raise ScanError(
                    f"{self.folder} holds a scan of other settings ({changes or 'another version of the table'}); "
                    "choose another folder, or begin anew with --restart"
                )
        else:
            with replacing(noted) as beside:
                text = json.dumps({"version": VERSION, "settings": self.settings}, indent=2)
                beside.write_text(text + "\n", encoding="utf-8")
        shards = list(self.folder.glob(SHARDS))
        self._next = max((int(path.stem.removeprefix("part-")) for path in shards), default=-1) + 1
        for path in shards:
            if not pq.read_schema(path).equals(SCHEMA):
                raise ScanError(f"{path} has other columns than this version writes; begin anew with --restart")


def _write(rows: pa.Table, path: Path) -> None:
    with replacing(path) as beside:
        pq.write_table(rows, beside, compression="zstd")


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder / SETTINGS).is_file():
        return
    if not folder.is_dir() or any(not path.name.startswith((LOCK, ".scan.")) for path in folder.iterdir()):
        raise ScanError(f"{folder} is there and is no scan's folder; it is left alone, choose another")
