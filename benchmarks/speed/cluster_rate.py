"""What does Ray cost? The same pictures by the command alone, on a cluster that it starts, and on two machines.

The machines are this one twice, a Ray node each. Each way scans a few pictures and many, in turn, `--rounds` times:
what the few take is the start, and the difference is the rate, as pictures a second and as seconds of processors a
picture, which are what counts where others use the machine too. Memory is that of all processes (RSS, what they share
counted in each), without the nodes of the two machines.

    python benchmarks/speed/cluster_rate.py WORK [--pictures 300] [--rounds 2] [--output results/cluster_rate.csv]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from memory_check import draw_pictures
from ray.cluster_utils import Cluster

from ganfingerprint.atomic import replacing

FEW = 4
EVERY_S = 0.2
FIELDS = ("how", "pictures", "start_s", "pictures_per_s", "ratio", "processor_s_per_picture", "peak_mib")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder to make; must not exist")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/cluster_rate.csv"))
    args = parser.parse_args()
    for count in (FEW, args.pictures):
        draw_pictures(args.work / f"in-{count}", count, seed=42)
    ways = ("alone", "--ray", "two machines")
    runs = [(way, measured(way, args.work, args.pictures)) for _ in range(args.rounds) for way in ways]
    means = {way: [*map(statistics.mean, zip(*(r for w, r in runs if w == way), strict=True))] for way in ways}
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(FIELDS)
        for way, (start, rate, processor, peak) in means.items():
            ratio = rate / means["alone"][1]
            figures = (round(start, 1), round(rate, 2), round(ratio, 2), round(processor, 3), round(peak))
            writer.writerow((way, args.pictures, *figures))


def measured(way: str, work: Path, count: int) -> tuple[float, float, float, float]:
    """Seconds of the start, pictures a second, seconds of processors a picture, and the most MiB at once."""
    machines, option = None, ["--ray"] if way == "--ray" else []
    if way == "two machines":
        machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        machines.add_node(num_cpus=1)
        option = ["--ray", machines.address]
    try:
        few, few_processor, _ = watched(work, FEW, option)
        many, processor, peak = watched(work, count, option)
    finally:
        if machines is not None:
            machines.shutdown()
    return few, (count - FEW) / (many - few), (processor - few_processor) / (count - FEW), peak


def watched(work: Path, count: int, option: list[str]) -> tuple[float, float, float]:
    """Seconds of a scan, of the processors, and the most MiB that its processes held at once."""
    before = {process: spent(process) for process in psutil.Process().children(recursive=True)}
    after = dict(before)
    begun, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", str(work / f"in-{count}"), "--restart"]
    with subprocess.Popen([*command, "--out", str(work / "out"), *option], stdout=subprocess.DEVNULL) as scan:
        while scan.poll() is None:
            held = 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):  # it has just ended
                    after[process] = spent(process)
                    held += 0 if process in before else process.memory_info().rss
            peak = max(peak, held)
            time.sleep(EVERY_S)
    if scan.returncode:
        raise SystemExit(f"the scan ended with {scan.returncode}")
    return time.monotonic() - begun, sum(after.values()) - sum(before.values()), peak / 2**20


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
