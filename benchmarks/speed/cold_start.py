"""How long `ganfingerprint predict PICTURE` takes in a process of its own, and what of it is importing and loading.

python benchmarks/speed/cold_start.py [--runs 7] [--output results/cold_start.csv]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ganfingerprint.atomic import replacing

PICTURE = sorted(Path(__file__).parents[2].glob("samples/*/*.jpg"))[0]
STEPS = {
    "python alone": ["-c", "pass"],
    "ganfingerprint --version": ["-m", "ganfingerprint.cli.main", "--version"],
    "openvino imported": [
        "-c", "import sys; sys.modules['openvino_telemetry'] = None; import openvino",
    ],
    "detector loaded": ["-c", "from ganfingerprint import Detector; Detector.from_pretrained()"],
    "predict one picture": ["-m", "ganfingerprint.cli.main", "predict", str(PICTURE)],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("results/cold_start.csv"))
    args = parser.parse_args()
    rows = []
    for name, arguments in STEPS.items():
        seconds = [once(arguments) for _ in range(args.runs)]
        rows.append((name, args.runs, round(statistics.median(seconds), 3), round(min(seconds), 3)))
        print(*rows[-1], flush=True)
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["what", "runs", "median_s", "least_s"])
        writer.writerows(rows)


def once(arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
