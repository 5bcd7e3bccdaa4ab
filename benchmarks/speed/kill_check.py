"""Does a scan that is killed again and again end with the table of an unbroken one?

`--files` drawn pictures are scanned by the command, which is killed (SIGKILL) `--kills` times while it judges, at
times drawn with the seed: the command alone, one of its decoders alone, or all at once, as when the power goes. Each
time it is started again; after the last it may finish. Rows are compared with those of an unbroken scan, all columns
but the latency, and every process that a killed scan leaves behind is looked for.

    python benchmarks/speed/kill_check.py WORK [--engine fake] [--output results/kill_check.csv]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from processes import alive, is_decoder

from ganfingerprint.atomic import replacing
from ganfingerprint.scan.query import ask
from ganfingerprint.scan.schema import SCHEMA

STEADY = [name for name in SCHEMA.names if name != "latency_ms"]
VICTIMS = ("command", "decoder", "all")
COLUMNS = ("kill", "victim", "seconds_judging", "rows_before", "rows_after", "seconds_until_none_left")
PATIENCE_S = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder to make; must not exist")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--engine", default="fake")
    parser.add_argument("--longest", type=float, default=2.0, help="seconds between the first row of a run and its end")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write, one row")
    args = parser.parse_args()
    draw_pictures(args.work / "in", args.files, args.seed)
    whole, broken = (command(args.work, name, args.engine) for name in ("whole", "broken"))
    subprocess.run(whole, check=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    kills = kill_often(broken, args.work / "broken", args.kills, args.longest, random.Random(args.seed))
    subprocess.run(broken, check=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    expected, found = (rows(args.work / name) for name in ("whole", "broken"))
    times = Counter(row["path"] for row in found)
    outcome = {
        "kills": len(kills),
        "rows": len(found),
        "rows_equal": sum(a == b for a, b in zip(expected, found, strict=False)),
        "rows_lost": len({row["path"] for row in expected} - times.keys()),
        "rows_doubled": sum(number > 1 for number in times.values()),
        "longest_seconds_until_none_left": max(float(kill[-1]) for kill in kills),
    }
    print(json.dumps(outcome))
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([outcome.keys(), outcome.values()])
    return 0 if found == expected and len(found) == args.files else 1


def draw_pictures(folder: Path, number: int, seed: int) -> None:
    """Pictures of half a megapixel, dark to bright, some of equal bytes, some damaged."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(number):
        shade, path = index % 200, folder / f"{index:05}.jpg"
        pixels = rng.integers(shade, shade + 50, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((864, 576)).save(path, quality=85)
        if index % 10 == 7:
            path.write_bytes((folder / f"{index - 7:05}.jpg").read_bytes())
        elif index % 10 == 8:
            path.write_bytes(path.read_bytes()[:5000])


def command(work: Path, out: str, engine: str) -> list[str]:
    scan = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", str(work / "in"), "--out", str(work / out)]
    return [*scan, "--engine", engine, "--workers", "2", "--shard-size", "10", "--log-json"]


def kill_often(scan: list[str], out: Path, number: int, longest_s: float, draw: random.Random) -> list[tuple[Any, ...]]:
    """Kill that many scans; one that ends before its time is no kill, and the last of them."""
    kills: list[tuple[Any, ...]] = []
    while len(kills) < number:
        victim, wait_s = VICTIMS[len(kills) % len(VICTIMS)], draw.uniform(0.0, longest_s)
        before = len(rows(out)) if out.exists() else 0
        process = subprocess.Popen(
            scan, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
        )
        assert process.stderr is not None
        while '"progress"' not in (line := process.stderr.readline()) and line:
            pass  # the first file is judged from here on
        time.sleep(wait_s)
        if process.poll() is not None:
            print(f"it was done after {len(kills)} kills; take more files")
            return kills
        gone_s = kill(process, victim, draw)
        process.stderr.close()
        kills.append((len(kills) + 1, victim, round(wait_s, 2), before, len(rows(out)), round(gone_s, 2)))
        print(dict(zip(COLUMNS, kills[-1], strict=True)), flush=True)
    return kills


def kill(process: subprocess.Popen[str], victim: str, draw: random.Random) -> float:
    """Kill a scan or a part of it; seconds until nothing of its session is left."""
    session = process.pid
    if victim == "all":
        os.killpg(session, signal.SIGKILL)
    elif victim == "decoder" and (decoders := [pid for pid in alive(session) if is_decoder(pid)]):
        os.kill(draw.choice(decoders), signal.SIGKILL)
        time.sleep(draw.uniform(0.0, 2.0))  # it goes on with another
    process.kill()
    process.wait()
    start = time.monotonic()
    while alive(session) and time.monotonic() - start < PATIENCE_S:
        time.sleep(0.02)
    return time.monotonic() - start


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(out).select(STEADY).to_pylist()
    return found


if __name__ == "__main__":
    sys.exit(main())
