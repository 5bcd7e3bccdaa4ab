"""How many files a second from a folder to a table, against the published way: the ratio, in one run.

The published way opens one picture at a time, scales it to 256 px and runs the document's network (ResNet-34) on it in
PyTorch in fp32. It is measured on a part of the pictures, before and after everything else; random weights take as
long as trained ones. A scan is the whole process, its start included.

    python benchmarks/speed/scan_rate.py --data-root DIR --work WORK [--pictures 2000] [--output results/scan_rate.csv]
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.atomic import replacing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.catalog import read_catalog
from ganfingerprint.config import WindowConfig, load_config, to_mapping
from ganfingerprint.export.run import export_detector
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network

PUBLISHED = 100  # pictures that the published way is timed on, each time
SIDE = 256
DOCUMENT = load_config(preset="reference", overrides=["network.pretrained=none"]).network
FIELDS = ["network", "how", "precision", "pictures", "seconds", "pictures_per_s", "ratio_to_published"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the pictures, detectors and tables")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path("results/scan_rate.csv"))
    args = parser.parse_args()
    folder = args.work / "pictures"
    paths = gather(args.data_root, folder, args.pictures)
    network = document_network()
    reference = args.work / "reference"
    write(network, reference)
    rows = [published(network, paths[:PUBLISHED])]
    for name, detector, precisions in (
        ("the document's", reference, ("fp32", "bf16")),
        ("shipped", None, ("fp32", "bf16", "int8")),
    ):
        rows += [scanned(name, detector, precision, folder, len(paths), args.work) for precision in precisions]
    rows.append(published(network, paths[-PUBLISHED:]))
    base = np.mean([row["pictures_per_s"] for row in rows if row["how"] == "published"])
    for row in rows:
        row["ratio_to_published"] = round(float(row["pictures_per_s"]) / float(base), 2)
        print(row)
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def gather(root: Path, folder: Path, count: int) -> list[Path]:
    """So many held-out pictures of 256 px as files of one folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    samples = [s for s in read_catalog(root).samples if s.split in ("validation", "test", "external")][:count]
    if len(samples) < count:
        raise SystemExit(f"{root} has {len(samples)} held-out pictures")
    return [Path(shutil.copy(s.path, folder / f"{i:05d}{Path(s.path).suffix}")) for i, s in enumerate(samples)]


def document_network() -> FingerprintNet:
    generator = torch.Generator().manual_seed(42)
    return build_network(DOCUMENT, generator=generator, pretrained=False).eval()


def write(network: FingerprintNet, folder: Path) -> None:
    """The network as a detector of one window of 256 px, with its graph."""
    card = Card(
        architecture=to_mapping(DOCUMENT),
        window=to_mapping(WindowConfig(size=SIDE, count=1)),
        calibration=Calibration.unfitted().to_mapping(),
    )
    shutil.rmtree(folder, ignore_errors=True)
    write_detector(folder, {name: value.numpy() for name, value in network.state_dict().items()}, card)
    export_detector(folder, folder, "openvino")


def published(network: FingerprintNet, paths: list[Path]) -> dict[str, object]:
    begun = time.perf_counter()
    with torch.no_grad():
        for path in paths:
            with Image.open(path) as opened:
                scaled = opened.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            torch.sigmoid(network(torch.from_numpy(np.array(scaled))[None])).item()
    return row("the document's", "published", "fp32", len(paths), time.perf_counter() - begun)


def scanned(
    name: str, detector: Path | None, precision: str, folder: Path, count: int, work: Path
) -> dict[str, object]:
    out = work / "scan"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", str(folder), "--out", str(out), "--no-dedup"]
    command += ["--precision", precision, "--engine", "openvino", *(["--detector", str(detector)] if detector else [])]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    return row(name, "scan", precision, count, time.perf_counter() - begun)


def row(network: str, how: str, precision: str, pictures: int, seconds: float) -> dict[str, object]:
    print(f"{network} {how} {precision}: {pictures / seconds:.1f}/s", flush=True)
    rate = round(pictures / seconds, 2)
    return dict(zip(FIELDS, [network, how, precision, pictures, round(seconds, 1), rate], strict=False))


if __name__ == "__main__":
    main()
