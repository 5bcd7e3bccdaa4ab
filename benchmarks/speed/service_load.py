"""What does the service cost beside its engine, and does its memory stay? Requests from many clients at once.

`--requests` requests of one picture each come from `--clients` clients over connections that are kept, to a service
that runs as a process of its own, in `--rounds` rounds. Before, between and after them the engine alone judges windows
of the same pictures, 16 at once: the ratio of the two is the figure, both in one run on one machine. Memory is what
all processes of the service hold (RSS, what they share counted in each), looked at four times a second; of each tenth
of the requests the median.

With `--tiny` judges a small network of random weights, which is fast enough for ten thousand requests of whole
pictures of samples/; its rate says nothing, its memory does. Otherwise the shipped detector judges crops of them of
`--side` pixels. Exit code 1 where a request failed, the memory grew, or the rate is below `--least` of the engine's.

    python benchmarks/speed/service_load.py WORK [--tiny] [--requests 2000] [--output results/service_load.csv]
"""

from __future__ import annotations

import argparse
import csv
import http.client
import io
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from processes import alive, resident_bytes

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.atomic import replacing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.detector import Detector, prepare
from ganfingerprint.export.run import export_detector
from ganfingerprint.network.fingerprint_net import build_network

SAMPLES = Path(__file__).parents[2] / "samples"
MIB, BATCH, LOOK_S, TENTHS = 2**20, 16, 0.25, 10
BOUNDARY = "a-line-that-no-picture-has"
NETWORK = NetworkConfig(backbone="efficientnet-lite0", pretrained="none", taps=(1, 2, 3), frequency_width=4)


@dataclass(slots=True)
class Load:
    """What came of the requests."""

    statuses: list[int] = field(default_factory=list)  # 0: no answer
    milliseconds: list[float] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)  # requests answered, MiB
    seconds: float = 0.0

    @property
    def errors(self) -> int:
        return sum(status != 200 for status in self.statuses)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder to make; must not exist")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--least", type=float, default=0.7, help="share of the engine's own rate")
    parser.add_argument("--most", type=float, default=1.05, help="of the memory of the second tenth, in the last one")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to add to, a row a detector")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    folder = tiny(args.work / "tiny") if args.tiny else None
    pictures = whole() if args.tiny else crops(args.side, args.seed)
    detector = Detector.from_pretrained(folder) if folder else Detector.from_pretrained()
    prepared = [prepare(data, detector.window) for data in pictures]
    windows = np.concatenate([picture.windows.pixels for picture in prepared])
    found, rates = Load(), [engine_rate(detector, windows)]
    with served(args.work, folder) as service:
        for part in np.array_split(np.arange(args.requests), args.rounds):
            load(found, service.port, pictures, part.tolist(), args.clients, session=service.pid)
            rates.append(engine_rate(detector, windows))
    row = measured(found, "tiny, random" if args.tiny else "shipped", args.clients)
    row |= ratio(row, rates, len(windows) / len(pictures))
    print(*(f"{name}: {value}" for name, value in row.items()), sep="\n")
    print("MiB by tenths of the requests:", *(round(held) for held in tenths(found)))
    if args.output:
        add(args.output, row)
    flat = float(str(row["mib_last_tenth"])) <= args.most * float(str(row["mib_second_tenth"]))  # nan is not flat
    slow = not args.tiny and float(str(row["share_of_engine"])) < args.least
    return 1 if found.errors or not flat or slow else 0


def whole() -> list[bytes]:
    """The pictures of samples/ as they are."""
    return [path.read_bytes() for path in sorted(SAMPLES.glob("*/*.jpg"))]


def crops(side: int, seed: int) -> list[bytes]:
    """Four squares of each, stored as JPEG."""
    rng, found = np.random.default_rng(seed), []
    for data in whole():
        with Image.open(io.BytesIO(data)) as opened:
            for _ in range(4):
                left, top = (int(rng.integers(0, length - side + 1)) for length in opened.size)
                stream = io.BytesIO()
                opened.crop((left, top, left + side, top + side)).save(stream, "JPEG", quality=92)
                found.append(stream.getvalue())
    return found


def tiny(folder: Path) -> Path:
    """A detector of random weights, with a graph for OpenVINO."""
    import torch

    network = build_network(NETWORK, generator=torch.Generator().manual_seed(42), pretrained=False).eval()
    card = Card(
        name="tiny",
        architecture=to_mapping(NETWORK),
        window=to_mapping(WindowConfig(size=96, count=2)),
        calibration=Calibration.unfitted().to_mapping(),
    )
    write_detector(folder, {name: value.numpy() for name, value in network.state_dict().items()}, card)
    export_detector(folder, folder, "openvino")
    return folder


def engine_rate(detector: Detector, windows: np.ndarray, seconds: float = 5.0) -> float:
    """Windows a second of the engine alone."""
    batches = itertools.cycle(range(0, len(windows) - BATCH + 1, BATCH))
    detector.engine.run(windows[:BATCH])
    begun, judged = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        start = next(batches)
        detector.engine.run(windows[start : start + BATCH])
        judged += BATCH
    return judged / (time.perf_counter() - begun)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs as a session of its own."""

    pid: int
    port: int


@contextmanager
def served(work: Path, folder: Path | None) -> Iterator[Service]:
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "serve", "--port", "0"]
    command += ["--detector", str(folder)] if folder else []
    log = work / "log.txt"
    with log.open("wb") as said, subprocess.Popen(command, stderr=said, start_new_session=True) as process:
        try:
            while "http://127.0.0.1:" not in (text := log.read_text()):
                if process.poll() is not None:
                    raise SystemExit(text)
                time.sleep(0.1)
            yield Service(process.pid, int(text.partition("http://127.0.0.1:")[2].partition(",")[0]))
        finally:
            process.send_signal(signal.SIGINT)


def load(
    found: Load, port: int, pictures: list[bytes], numbers: list[int], clients: int, *, session: int = 0, key: str = ""
) -> None:
    """A request for each number, each client one after the other; the memory of a session meanwhile."""
    left, lock = iter(numbers), threading.Lock()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "X-API-Key": key}
    bodies = [form(picture) for picture in pictures]
    first = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    first.request("POST", "/v1/predict", bodies[0], headers)  # it is ready when it has answered
    first.getresponse().read()
    first.close()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return connection.close()
            begun, status = time.perf_counter(), 0
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", "/v1/predict", bodies[number % len(bodies)], headers)
                reply = connection.getresponse()
                reply.read()
                status = reply.status
            if status == 0:
                connection.close()  # the next request opens another
            with lock:
                found.statuses.append(status)
                found.milliseconds.append(1000 * (time.perf_counter() - begun))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        held = sum(resident_bytes(pid) for pid in alive(session)) / MIB if session else 0.0
        found.memory.append((len(found.statuses), held))
        threads[0].join(LOOK_S)
    found.seconds += time.perf_counter() - begun


def form(picture: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()


def tenths(found: Load) -> list[float]:
    """Median MiB while each tenth of the requests was answered; nan for one that nobody looked at."""
    done = np.array([done for done, _ in found.memory]) * TENTHS // max(len(found.statuses), 1)
    held = np.array([held for _, held in found.memory])
    return [float(np.median(held[done == n])) if (done == n).any() else float("nan") for n in range(TENTHS)]


def measured(found: Load, detector: str, clients: int) -> dict[str, object]:
    p50, p95, p99 = np.percentile(found.milliseconds, (50, 95, 99))
    held = tenths(found)
    return {
        "detector": detector,
        "requests": len(found.statuses),
        "clients": clients,
        "errors": found.errors,
        "seconds": round(found.seconds, 1),
        "requests_per_s": round(len(found.statuses) / found.seconds, 2),
        "p50_ms": round(float(p50)),
        "p95_ms": round(float(p95)),
        "p99_ms": round(float(p99)),
        "mib_second_tenth": f"{held[1]:.0f}",
        "mib_last_tenth": f"{held[-1]:.0f}",
        "mib_peak": f"{max(held for _, held in found.memory):.0f}",
    }


def ratio(row: dict[str, object], rates: list[float], windows: float) -> dict[str, object]:
    """The engine's own rate, of windows and of such pictures, and the share of it that was served."""
    own = float(np.mean(rates)) / windows
    return {
        "windows_per_request": round(windows, 2),
        "engine_per_s": round(own, 2),
        "engine_least_per_s": round(min(rates) / windows, 2),
        "engine_most_per_s": round(max(rates) / windows, 2),
        "share_of_engine": round(float(str(row["requests_per_s"])) / own, 3),
    }


def add(path: Path, row: dict[str, object]) -> None:
    """The row of another detector stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there: list[dict[str, object]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as stream:
            there = [dict(other) for other in csv.DictReader(stream) if other["detector"] != row["detector"]]
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerows([*there, row])


if __name__ == "__main__":
    sys.exit(main())
