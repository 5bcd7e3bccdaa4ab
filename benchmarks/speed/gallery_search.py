"""A million fingerprints, one question: how long, and is the nearest one found?

The fingerprints are those of a gallery, each moved at random by the scatter that the gallery knows of a generator's
pictures; the questions are drawn alike. Exact search is a look at all of them.

    python benchmarks/speed/gallery_search.py [--gallery FILE] [--output results/gallery_search.csv]
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.atomic import replacing
from ganfingerprint.attribution import FILE_NAME, Gallery, read_gallery
from ganfingerprint.attribution.search import Exact, Index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=Path, default=Path("weights") / FILE_NAME)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, default=Path("results/gallery_search.csv"))
    args = parser.parse_args()
    gallery, rng = read_gallery(args.gallery), np.random.default_rng(args.seed)
    enrolled, asked = (drawn(gallery, number, rng) for number in (args.count, args.questions))
    begun = time.perf_counter()
    index = Index(enrolled)
    built = time.perf_counter() - begun
    every = Exact(enrolled)
    exact, exact_ms = answers_of(lambda question: every.nearest(question, 1)[0][0], asked[:50])
    exact = np.concatenate([exact, every.nearest(asked[50:], 1)[0][:, 0]])
    found, milliseconds = answers_of(lambda question: index.nearest(question, 1)[0][0], asked)
    row = {
        "fingerprints": args.count,
        "numbers": enrolled.shape[1],
        "questions": len(asked),
        "milliseconds_a_question": round(float(np.median(milliseconds)), 2),
        "slowest_of_a_hundred_ms": round(float(np.quantile(milliseconds, 0.99)), 2),
        "exact_milliseconds": round(float(np.median(exact_ms)), 1),
        "recall_at_1": round(float((found == exact).mean()), 4),
        "seconds_to_build": round(built, 1),
    }
    print(row)
    with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, row, lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)


def drawn(gallery: Gallery, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fingerprints of unit length around those of the gallery."""
    around = gallery.fingerprints[rng.integers(len(gallery.fingerprints), size=count)]
    moved = around + rng.normal(size=around.shape).astype(np.float32) * np.sqrt(gallery.space.within).astype(np.float32)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def answers_of(ask, questions: NDArray[np.float32]) -> tuple[NDArray[np.int64], list[float]]:  # type: ignore[no-untyped-def]
    """The nearest to each question, asked one by one, and milliseconds."""
    found, times = [], []
    for question in questions:
        begun = time.perf_counter()
        found.append(int(ask(question[None])[0]))
        times.append(1000 * (time.perf_counter() - begun))
    return np.array(found), times


if __name__ == "__main__":
    main()
