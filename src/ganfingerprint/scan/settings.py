"""How to scan."""

from __future__ import annotations

from dataclasses import dataclass

from ganfingerprint.errors import UsageError

TIMEOUT_S = 120.0  # for one file, read and decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """How to scan; only `recursive` and `dedup` have a say in what the table holds of a file."""

    recursive: bool = False
    workers: int = 1  # processes that decode, on a cluster those of each of its workers; 0 does it where it is judged
    batch_size: int = 16  # windows that are judged at once
    shard_size: int = 1000  # rows a file of the table
    dedup: bool = True  # equal bytes are judged once
    restart: bool = False
    retry_failed: bool = False  # files that have a row with an error are judged again
    timeout_s: float = TIMEOUT_S  # where other processes decode: this one cannot be stopped

    def __post_init__(self) -> None:
        if self.workers < 0 or min(self.batch_size, self.shard_size) < 1:
            raise UsageError("a scan needs workers >= 0, batch_size >= 1 and shard_size >= 1")
