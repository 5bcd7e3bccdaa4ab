"""What share of the machine's arithmetic a network uses: its operations a second against those of a matrix product.

The product is of 4096 x 4096 in torch, in fp32 and in bf16. A network's operations are counted by torch (two for each
multiplication with its addition). `--detector NAME=DIR` adds detectors to the shipped one; an export in int8 is judged
as it is.

    python benchmarks/speed/network_rate.py [--detector NAME=DIR ...] [--output results/network_rate.csv]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ganfingerprint.artifact import Card, read_card, shipped_detector
from ganfingerprint.atomic import replacing
from ganfingerprint.engines import load_engine
from ganfingerprint.network.fingerprint_net import build_network

SIZE, BATCH, SECONDS = 4096, 16, 8.0
FIELDS = ["network", "precision", "windows_per_s", "gflop_per_window", "tflop_per_s", "share_of_bf16_product"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--output", type=Path, default=Path("results/network_rate.csv"))
    args = parser.parse_args()
    product = {name: product_rate(dtype) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    rows = [
        ("product", name, "", "", round(rate, 3), round(rate / product["bf16"], 3)) for name, rate in product.items()
    ]
    folders = {"shipped": shipped_detector()} | {k: Path(v) for k, v in (item.split("=", 1) for item in args.detector)}
    for name, folder in folders.items():
        card = read_card(folder)
        operations = counted(card)
        windows = np.random.default_rng(1).integers(0, 256, (BATCH, *[card.window_config.size] * 2, 3), np.uint8)
        for precision in ("int8",) if card.precision == "int8" else ("fp32", "bf16", "int8"):
            engine = load_engine("openvino", folder, card, device="cpu", precision=precision)
            rate = BATCH * timed(lambda engine=engine, windows=windows: engine.run(windows))
            tflops = rate * operations / 1e12
            figures = (round(rate, 1), round(operations / 1e9, 2), round(tflops, 3), round(tflops / product["bf16"], 3))
            rows.append((name, precision, *figures))
            print(rows[-1], flush=True)
    again = product_rate(torch.bfloat16)
    print(f"product {product}, bf16 once more at the end {again:.3f} TFLOP/s")
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(FIELDS)
        writer.writerows(rows)


def product_rate(dtype: torch.dtype) -> float:
    """TFLOP/s of a square matrix product."""
    left, right = (torch.randn(SIZE, SIZE).to(dtype) for _ in range(2))
    return 2 * SIZE**3 * timed(lambda: left @ right) / 1e12


def timed(call: Callable[[], object]) -> float:
    """Calls a second, after two to warm up."""
    call(), call()
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        call()
        calls += 1
    return calls / (time.perf_counter() - begun)


def counted(card: Card) -> float:
    """Floating-point operations of one window."""
    network = build_network(card.network_config, pretrained=False).eval()
    side = card.window_config.size
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.outputs(torch.zeros(1, side, side, 3, dtype=torch.uint8))
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
