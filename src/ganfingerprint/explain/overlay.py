"""Pictures for people: the heat over the picture, and the picture with its verdict.

A large picture is reduced for the figure only; the heat map itself stays on the picture's own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.explain.sheet import (
    DPI,
    HEAT_COLORS,
    INK,
    QUIET,
    Sheet,
    display_size,
    fit_text,
    reduce_pixels,
    text_width,
)
from ganfingerprint.types import BoolArray, Float32Array, Image, Label, Prediction, UInt8Array, Verdict

if TYPE_CHECKING:  # the maps need torch, drawing them does not
    from matplotlib.figure import Figure

    from ganfingerprint.explain.heat_map import HeatMap

FADE = 0.3  # below this heat the colour fades out, so that faint noise does not tint the whole picture
MARGIN, GAP, NARROWEST = 24, 16, 640  # pixels on the sheet
HEADER, CAPTION, SCALE, BAR, ROW, FOOTER = 34, 24, 28, 52, 25, 22
ABSOLUTE_SCALE = ("none", "strongest in this picture")
RELATIVE_SCALE = ("weakest", "strongest in this picture; none is strong by itself")
HEAT_OPACITY = 0.55  # of the figures
VEIL = 0.65  # how far a part that no window looked at is whitened


class Panel(NamedTuple):
    """A picture on a sheet: its caption, and its pixels [h, w, 3] of any resolution."""

    caption: str
    pixels: UInt8Array


class _Wording(NamedTuple):
    sign: str  # said by shape too, never by colour alone
    words: str
    fill: str
    ink: str


WORDING = {
    Verdict.FAKE: _Wording("\N{BLACK UP-POINTING TRIANGLE}", "looks generated", "#b34700", "#ffffff"),
    Verdict.UNCERTAIN: _Wording("?", "cannot tell", "#e6c14c", INK),
    Verdict.REAL: _Wording("\N{WHITE CIRCLE}", "no trace of generation found", "#0b5c94", "#ffffff"),
}


def blend(image_pixels: UInt8Array, heat: Float32Array, mask: BoolArray, alpha: float = 0.45) -> UInt8Array:
    """The picture with the heat laid over it.

    Args:
        image_pixels: [h, w, 3].
        heat: [h, w] 0..1.
        mask: [h, w]; where false the picture keeps its own pixels, as it does where the heat is 0.
        alpha: opacity of the colour where the heat is high, 0..1.

    Returns:
        uint8 [h, w, 3].
    """
    if not image_pixels.shape[:2] == heat.shape == mask.shape:
        raise ValueError(f"picture {image_pixels.shape}, heat {heat.shape} and mask {mask.shape} differ in size")
    level = np.where(mask, np.clip(heat, 0, 1), 0).astype(np.float32)
    opacity = (alpha * np.minimum(level / FADE, 1))[..., None]  # [h, w, 1]
    color = HEAT_COLORS[np.rint(level * 255).astype(np.uint8)]  # [h, w, 3]
    return _bytes(image_pixels * (1 - opacity) + color * opacity)


def visualize_gradcam(image: Image, heat_map: HeatMap) -> Figure:
    """The picture beside the picture under its heat, with a legend that names the class that the heat speaks for."""
    sheet, _ = _with_heat(image, heat_map, below=0)
    return sheet.figure


def visualize_result(
    image: Image, prediction: Prediction, *, heat: HeatMap | None = None, true_label: Label | None = None
) -> Figure:
    """The picture over its verdict in words, with the calibrated probability and the weight of evidence.

    Args:
        image: the picture that was judged.
        prediction: the answer for it.
        heat: adds a panel with the heat map.
        true_label: what the picture truly is; adds a line that says whether the verdict is right.
    """
    facts = _facts(prediction, true_label)
    sheet, top = _with_heat(image, heat, below=BAR + 14 + ROW * len(facts) + FOOTER)
    wording = WORDING[prediction.verdict]
    sheet.bar(MARGIN, top, sheet.width - 2 * MARGIN, BAR, wording.fill)
    sheet.text(MARGIN + 16, top + BAR / 2, wording.sign, size=22, color=wording.ink)
    sheet.text(MARGIN + 52, top + BAR / 2, wording.words, size=22, color=wording.ink, bold=True)
    top += BAR + 10
    for name, value in facts:
        sheet.text(MARGIN, top + ROW / 2, name, color=QUIET)
        sheet.text(MARGIN + 236, top + ROW / 2, value)
        top += ROW
    caution = "An indication with measured error rates, not a proof" + ("." if heat is None else "; the map is a hint.")
    sheet.text(MARGIN, top + 4 + FOOTER / 2, f"{caution}  Detector {prediction.detector_id}", size=11, color=QUIET)
    return sheet.figure


def result_name(source: str, taken: set[str]) -> str:
    """A file name for the picture of a result: the source's name, its suffix kept, and `.png`.

    `a.jpg` and `a.png`, `x/a.jpg` and `y/a.jpg`, `A.jpg` and `a.jpg` (one file on some systems) get different names.

    Args:
        source: path or name of the judged picture.
        taken: the names given so far, in lower case; the new one is added.
    """
    name = PurePath(source.replace("\\", "/")).name
    stem = "".join(c if c.isalnum() or c in "-_.() " else "_" for c in name).strip(" .")[:100] or "picture"
    candidate, number = f"{stem}.png", 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{stem}-{number}.png"
    taken.add(candidate.casefold())
    return candidate


def save_result(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=DPI, facecolor=figure.get_facecolor())


def with_panels(image: Image, panels: Sequence[Panel], *, below: int) -> tuple[Sheet, int]:
    """A sheet with the heading, the picture and the panels beside it, each of the size that the picture is shown in.

    Returns:
        the sheet, and where its room of `below` pixels under the panels starts.
    """
    height, width = display_size(image.height, image.width)
    shown = [Panel("the picture", _bytes(reduce_pixels(image.pixels, (height, width)))), *panels]
    column = max(width, *(ceil(text_width(panel.caption, bold=True)) for panel in shown))  # a caption may be wider
    sheet_width = max(NARROWEST, len(shown) * (column + GAP) - GAP) + 2 * MARGIN
    top = MARGIN + HEADER + (CAPTION if panels else 0)
    end = top + height + GAP
    sheet = Sheet(sheet_width, end + below + MARGIN // 2)
    size = f"{image.width} \N{MULTIPLICATION SIGN} {image.height} pixels"
    size_left = sheet_width - MARGIN - text_width(size)
    name = fit_text(PurePath(image.source).name or image.source, size_left - MARGIN - GAP, size=15, bold=True)
    sheet.text(MARGIN, MARGIN + 8, name, size=15, bold=True)
    sheet.text(size_left, MARGIN + 8, size, color=QUIET)
    for index, panel in enumerate(shown):
        left = MARGIN + index * (column + GAP)
        if panels:
            sheet.text(left, top - CAPTION / 2, panel.caption, bold=index > 0, color=INK if index else QUIET)
        sheet.picture(panel.pixels, (left, top, width, height))
    return sheet, end


def heat_panel(image: Image, values: Float32Array, coverage: BoolArray, caption: str) -> Panel:
    """The picture under its heat [height, width] 0..1; what no window looked at is whitened and outlined."""
    size = display_size(image.height, image.width)
    shown = reduce_pixels(image.pixels, size)
    seen = reduce_pixels(coverage.astype(np.float32), size)
    heat = reduce_pixels(values, size) / np.maximum(seen, 1e-6)
    mask = seen >= 0.5
    pixels = blend(_bytes(shown), heat.astype(np.float32), mask, HEAT_OPACITY)
    pixels[~mask] = _bytes(shown.mean(axis=2, keepdims=True) * (1 - VEIL) + 255 * VEIL)[~mask]
    pixels[_outline(mask)] = 60
    return Panel(caption, pixels)


def _bytes(values: Float32Array) -> UInt8Array:
    return np.asarray(np.rint(values), np.uint8)


def _outline(mask: BoolArray) -> BoolArray:
    """The true cells [h, w] with a false one beside them."""
    around = np.pad(mask, 1, mode="edge")
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.asarray(mask & ~inside)


def draw_scale(sheet: Sheet, top: float, low: str, high: str, *, partial: bool) -> None:
    """The key under the panels: what the colours mean and, where `partial`, what the whitened part is."""
    middle, left = top + SCALE / 2 - 4, MARGIN + text_width(low, size=12) + 8
    strip = np.tile(np.linspace(0, 1, 140, dtype=np.float32), (12, 1))
    ground = np.full((12, 140, 3), 150, np.uint8)
    sheet.text(MARGIN, middle, low, size=12)
    pixels = blend(ground, strip, np.ones_like(strip, np.bool_), HEAT_OPACITY)
    sheet.picture(pixels, (round(left), round(middle) - 6, 140, 12))
    sheet.text(left + 148, middle, high, size=12)
    if partial:
        left += 172 + text_width(high, size=12)
        sheet.bar(left, middle - 7, 14, 14, "#b8b8b8")
        sheet.bar(left + 1, middle - 6, 12, 12, "#ececec")
        sheet.text(left + 22, middle, "not examined", size=12)


def _with_heat(image: Image, heat: HeatMap | None, *, below: int) -> tuple[Sheet, int]:
    """The picture alone, or beside its heat with a key."""
    if heat is None:
        return with_panels(image, [], below=below)
    panel = heat_panel(image, heat.values, heat.coverage, _caption(heat))
    sheet, top = with_panels(image, [panel], below=SCALE + below)
    if heat.peak > 0:
        low, high = RELATIVE_SCALE if heat.relative else ABSOLUTE_SCALE
        draw_scale(sheet, top, low, high, partial=not heat.coverage.all())
    else:
        sheet.text(MARGIN, top + SCALE / 2 - 4, f"nothing in the picture speaks for: {heat.label}", size=12)
    return sheet, top + SCALE


def _caption(heat: HeatMap) -> str:
    undecided = heat.prediction.verdict is Verdict.UNCERTAIN
    return f"weak signs towards: {heat.label}" if undecided else f"evidence for: {heat.label}"


def _facts(prediction: Prediction, true_label: Label | None) -> list[tuple[str, str]]:
    weight = f"{prediction.log10_lr:+.2f}".replace("-", "\N{MINUS SIGN}")
    facts = [
        ("Probability of being generated", f"{_percent(prediction.prob_fake)}, if both were equally likely beforehand"),
        ("Weight of evidence (log10 LR)", f"{weight}, {_ratio(prediction.log10_lr)}"),
        ("Windows examined", str(prediction.windows)),
    ]
    if true_label is not None:
        facts.append(("Label in its name or folder", f"{true_label}: {_judge(prediction.verdict, true_label)}"))
    return facts


def _percent(probability: float) -> str:
    if probability < 0.01:
        return "below 1 %"
    return "above 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def _ratio(log10_lr: float) -> str:
    ratio = 10 ** abs(log10_lr)
    if ratio < 1.1:
        return "speaks for neither side"
    side = "a generated picture" if log10_lr > 0 else "a photograph"
    times = f"{ratio:.1f}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"
    return f"about {times} times likelier for {side}"


def _judge(verdict: Verdict, true_label: Label) -> str:
    if verdict is Verdict.UNCERTAIN:
        return "left undecided"
    return "the verdict agrees" if verdict.value == true_label.value else "the verdict disagrees"
