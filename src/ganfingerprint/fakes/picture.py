"""pairs.png: for each recipe a photograph, its fake, what differs, and the mean spectra of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.decode import decode
from ganfingerprint.explain.sheet import HEAT_COLORS, INK, QUIET, Sheet, fit_text
from ganfingerprint.fakes.ledger import Row, read_rows
from ganfingerprint.fakes.likeness import log_spectrum
from ganfingerprint.types import Float32Array, UInt8Array

CELL, GAP, TOP, LEFT, WORDS = 224, 12, 64, 16, 26  # pixels of the sheet
MOST_ROWS = 24  # recipes
MOST_PAIRS = 24  # of a recipe, for its mean spectra
GAIN = 8  # of the difference
SPREAD = 1.5  # decades that the full colour of a difference of spectra stands for
COLUMNS = (
    "photograph",
    "fake",
    f"difference × {GAIN}",
    "photographs, spectrum",
    "fakes, spectrum",
    "fakes − photographs",
)

Pair = tuple[Row, Row]  # photograph, fake


def draw_pairs(out: Path) -> Path | None:
    """Draw out/pairs.png from the manifest in `out`; None where it lists no pair.

    The spectra are means of the log power of the high-pass, over at most `MOST_PAIRS` pairs of a recipe; zero
    frequency is in the middle, and each has a scale of its own. In the last column red is more power in the fakes,
    blue less.

    Raises:
        DataError: the manifest is damaged.
        InputError: a picture that it lists cannot be read.
    """
    pairs = pairs_by_recipe(read_rows(out))
    if not pairs:
        return None
    rows = sorted(pairs)[:MOST_ROWS]
    width = 2 * LEFT + len(COLUMNS) * CELL + (len(COLUMNS) - 1) * GAP
    sheet = Sheet(width, TOP + len(rows) * (CELL + WORDS + GAP) + GAP)
    for i, words in enumerate(COLUMNS):
        sheet.text(LEFT + i * (CELL + GAP), TOP - 20, words, bold=True)
    for i, name in enumerate(rows):
        of_recipe = pairs[name]
        turn = i % len(of_recipe)  # so that one photograph does not stand in every row
        _draw_row(sheet, TOP + i * (CELL + WORDS + GAP), name, of_recipe[turn:] + of_recipe[:turn], out)
    left_out = len(pairs) - len(rows)
    if left_out:
        sheet.text(LEFT, 16, f"{left_out} more recipes are not shown", color=QUIET)
    with replacing(out / "pairs.png") as beside:
        sheet.figure.savefig(beside)
    return out / "pairs.png"


def pairs_by_recipe(rows: Sequence[Row]) -> dict[str, list[Pair]]:
    """The pairs of a manifest, by recipe."""
    photographs = {row["sha256"]: row for row in rows if row["label"] == "real"}
    found: dict[str, list[Pair]] = {}
    for row in rows:
        if row["label"] == "fake" and row["sha256"] in photographs:
            found.setdefault(row["recipe"], []).append((photographs[row["sha256"]], row))
    return found


def difference(photograph: UInt8Array, fake: UInt8Array) -> UInt8Array:
    """fake − photograph, `GAIN` times, around middle grey [h, w, 3]."""
    change = (fake.astype(np.int16) - photograph) * GAIN + 128
    return np.asarray(np.clip(change, 0, 255), np.uint8)


def heat(values: Float32Array) -> UInt8Array:
    """A map [h, w] in the colours of all heat maps, from its own darkest to its own brightest cells [h, w, 3]."""
    low, high = np.percentile(values, [2, 99.8])
    share = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(HEAT_COLORS[np.rint(share * 255).astype(np.uint8)], np.uint8)


def red_blue(values: Float32Array) -> UInt8Array:
    """A map [h, w] of signed values: white for 0, red above, blue below, full at ±`SPREAD` [h, w, 3]."""
    share = np.clip(values / SPREAD, -1, 1)[:, :, None]
    red, blue = np.array([178, 24, 43]), np.array([33, 102, 172])
    colour = 255 + np.where(share > 0, red - 255, blue - 255) * np.abs(share)
    return np.asarray(np.rint(colour), np.uint8)


def _draw_row(sheet: Sheet, top: int, name: str, pairs: list[Pair], out: Path) -> None:
    read = [tuple(decode(out / row["path"]).pixels for row in pair) for pair in pairs[:MOST_PAIRS]]
    first, second = (np.mean([log_spectrum(pair[i]) for pair in read], axis=0) for i in (0, 1))
    photograph, fake = (_middle(pixels) for pixels in read[0])
    shown = (
        *(photograph, fake, difference(photograph, fake)),
        *(heat(first), heat(second), red_blue(second - first)),
    )
    for i, pixels in enumerate(shown):
        sheet.picture(pixels, (LEFT + i * (CELL + GAP), top, CELL, CELL))
    ratios = [float(fake["psnr"]) for _, fake in pairs if fake["psnr"]]
    number = f"{len(pairs)} pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    said = f"{name}: {number}, {np.mean(ratios):.1f} dB; spectra of {len(read)}; shown {pairs[0][1]['path']}"
    sheet.text(LEFT, top + CELL + WORDS / 2, fit_text(said, sheet.width - 2 * LEFT), color=INK)


def _middle(pixels: UInt8Array) -> UInt8Array:
    """The middle at native resolution, as large as a cell, continued by reflection where it is smaller."""
    missing = [max(0, CELL - side) for side in pixels.shape[:2]]
    pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top, left = ((side - CELL) // 2 for side in pixels.shape[:2])
    return pixels[top : top + CELL, left : left + CELL]
