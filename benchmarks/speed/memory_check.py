"""Does a scan of many files take more memory than one of a few? Peak of the command and its decoders together.

Distinct JPEG files of 256 pixels are drawn and scanned by the command, for each of `--counts` on its own. The
memory is what all its processes hold (RSS, what they share counted in each), looked at twenty times a second.

    python benchmarks/speed/memory_check.py WORK [--engine auto] [--counts 100,1000] [--output results/memory_check.csv]
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from processes import alive, resident_bytes

from ganfingerprint.atomic import replacing
from ganfingerprint.scan.query import ask

COLUMNS = ("engine", "files", "rows", "seconds", "peak_mib", "peak_of_the_command_mib")
MIB = 2**20
EVERY_S = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder to make; must not exist")
    parser.add_argument("--engine", default="fake")
    parser.add_argument("--counts", default="100,10000")
    parser.add_argument("--workers", default="2")
    parser.add_argument(
        "--most", type=float, default=1.2, help="that the last count may take of the first one's memory"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to add to, a row a count")
    args = parser.parse_args()
    counts, measured = [int(count) for count in args.counts.split(",")], []
    for count in counts:
        folder, out = args.work / f"in-{count}", args.work / f"out-{count}"
        draw_pictures(folder, count, args.seed)
        scan = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", str(folder), "--out", str(out)]
        seconds, peak, own = watched([*scan, "--engine", args.engine, "--workers", args.workers])
        measured.append((args.engine, count, ask(out).num_rows, round(seconds), round(peak), round(own)))
        print(dict(zip(COLUMNS, measured[-1], strict=True)), flush=True)
    growth = measured[-1][4] / measured[0][4]
    print(f"{counts[-1]} files take {growth:.2f} times the memory of {counts[0]}")
    if args.output:
        add(args.output, measured)
    return 0 if growth <= args.most else 1


def draw_pictures(folder: Path, number: int, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, number])
    for index in range(number):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((256, 256)).save(folder / f"{index:06}.jpg")


def watched(command: list[str]) -> tuple[float, float, float]:
    """Seconds that a command takes, and the most MiB that all its processes held at once, and it alone."""
    start, peak, own = time.monotonic(), 0, 0
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        held = {pid: resident_bytes(pid) for pid in alive(process.pid)}
        peak, own = max(peak, sum(held.values())), max(own, held.get(process.pid, 0))
        time.sleep(EVERY_S)
    if process.returncode:
        raise SystemExit(f"the scan ended with {process.returncode}")
    return time.monotonic() - start, peak / MIB, own / MIB


def add(path: Path, measured: list[tuple[str, int, int, int, int, int]]) -> None:
    """The rows of another engine stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there: list[list[str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as stream:
            there = [row for row in csv.reader(stream) if row and row[0] not in (COLUMNS[0], measured[0][0])]
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([COLUMNS, *there, *measured])


if __name__ == "__main__":
    sys.exit(main())
