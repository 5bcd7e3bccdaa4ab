"""Whole pictures under the shipped window policy: pictures a second, and where the time goes.

Each stage by itself on one thread (decode, windows, network), then the scan, in which they overlap: the engine is idle
for the share of the time that its stage does not fill.

    python benchmarks/speed/whole_pictures.py --data-root DIR --work WORK [--output results/whole_pictures.csv]
"""

from __future__ import annotations

import argparse
import csv
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import read_catalog
from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.scan.run import ScanSettings, scan
from ganfingerprint.windows import cut_windows

MEGAPIXELS = (1.0, 12.0)
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results/whole_pictures.csv"))
    args = parser.parse_args()
    folder = args.work / "whole"
    paths = gather(args.data_root, folder, args.pictures)
    detector = Detector.from_pretrained(engine="openvino", precision=args.precision)
    images, decoding = timed(lambda: [decode(path) for path in paths[:50]])
    windows, cutting = timed(lambda: [cut_windows(image, detector.window).pixels for image in images])
    pixels = np.concatenate(windows)
    _, judging = timed(lambda: detector.engine.run(pixels))
    out = args.work / "whole-scan"
    shutil.rmtree(out, ignore_errors=True)
    settings = ScanSettings(workers=args.workers, dedup=False)
    _, whole = timed(lambda: scan(detector, [str(folder)], out, settings))
    shares = {name: seconds / len(images) for name, seconds in
              (("decode", decoding), ("windows", cutting), ("network", judging))}  # fmt: skip
    rate = len(paths) / whole
    row = {
        "pictures": len(paths),
        "megapixels": round(float(np.mean([image.width * image.height for image in images])) / 1e6, 2),
        "windows_per_picture": round(len(pixels) / len(images), 2),
        "precision": args.precision,
        "pictures_per_s": round(rate, 2),
        **{f"{name}_ms": round(1000 * seconds, 1) for name, seconds in shares.items()},
        "engine_idle": round(1 - shares["network"] * rate, 3),
    }
    print(row)
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)


def gather(root: Path, folder: Path, count: int) -> list[Path]:
    """The whole pictures of a megapixel and more, each as often as it takes; of the rest none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen = []
    for sample in read_catalog(root).samples:
        if sample.split == "native":
            with Image.open(sample.path) as opened:
                if MEGAPIXELS[0] <= opened.width * opened.height / 1e6 <= MEGAPIXELS[1]:
                    chosen.append(Path(sample.path))
    return [Path(shutil.copy(chosen[i % len(chosen)], folder / f"{i:04d}{chosen[i % len(chosen)].suffix}"))
            for i in range(count)]  # fmt: skip


def timed(call: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    found = call()
    return found, time.perf_counter() - begun


if __name__ == "__main__":
    main()
