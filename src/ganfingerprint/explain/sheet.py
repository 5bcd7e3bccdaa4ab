"""A sheet of paper measured in pixels: pictures, words and bars at given places, drawn by matplotlib without state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.errors import MissingExtraError
from ganfingerprint.types import Float32Array, UInt8Array

try:
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.patches import Rectangle
except ImportError as problem:
    raise MissingExtraError("matplotlib", "report", "drawing a result") from problem

DPI = 100
PAPER, INK, QUIET = "#ffffff", "#1a1a1a", "#5c5c5c"
LARGEST, SMALLEST = 560, 400  # longest side of a shown picture, pixels
FONT = "DejaVu Sans"  # ships with matplotlib, so that a sheet looks alike everywhere

# inferno from a third on: ordered by lightness for every kind of colour vision, without the near-black that would
# read as shadow on a photograph. [256, 3]
HEAT_COLORS: UInt8Array = np.rint(colormaps["inferno"](np.linspace(0.33, 1, 256))[:, :3] * 255).astype(np.uint8)


class Sheet:
    """An empty sheet; the origin is its upper left corner, all sizes are pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(self.figure)

    def picture(self, pixels: UInt8Array, place: tuple[int, int, int, int]) -> None:
        """Show pixels [h, w, 3] of any resolution at left, top, width, height of the sheet, framed."""
        left, top, width, height = place
        axes = self.figure.add_axes(
            (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        )
        axes.imshow(pixels, extent=(0, 1, 1, 0), aspect="auto", interpolation="antialiased")
        axes.set_axis_off()
        axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor="#b0b0b0", linewidth=1, clip_on=False))

    def text(
        self, left: float, middle: float, words: str, *, size: int = 13, color: str = INK, bold: bool = False
    ) -> None:
        """Write one line; `middle` is the height of its middle, `size` the font's."""
        self.figure.text(
            left / self.width,
            1 - middle / self.height,
            printable(words),
            color=color,
            fontproperties=_font(size, bold),
            va="center_baseline",
            parse_math=False,  # a dollar in a file name is a dollar
        )

    def bar(self, left: float, top: float, width: float, height: float, color: str) -> None:
        """Fill a rectangle."""
        self.figure.add_artist(
            Rectangle(
                (left / self.width, 1 - (top + height) / self.height),
                width / self.width,
                height / self.height,
                facecolor=color,
                linewidth=0,
            )
        )


def display_size(height: int, width: int) -> tuple[int, int]:
    """The shown (height, width) of a picture: enlarged by a whole factor when small, reduced when large."""
    longest = max(height, width)
    factor = LARGEST / longest if longest > LARGEST else max(1, SMALLEST // longest)
    return max(1, round(height * factor)), max(1, round(width * factor))


def reduce_pixels(pixels: UInt8Array | Float32Array, shown: tuple[int, int]) -> Float32Array:
    """Means of whole blocks, so that [h, w, ...] has the shown size or up to twice it; values keep their scale.

    What is left of the way is the drawing's own smooth resampling; this part keeps a picture of many megapixels
    from being drawn point by point.
    """
    blocks = [max(1, side // target) for side, target in zip(pixels.shape[:2], shown, strict=True)]
    reduced: NDArray[Any] = pixels  # becomes float32 with the first sum, when it is small already
    for axis, block in enumerate(blocks):
        if block > 1:
            starts = np.arange(0, pixels.shape[axis], block)
            counts = np.diff(np.append(starts, pixels.shape[axis])).astype(np.float32)
            sums = np.add.reduceat(reduced, starts, axis=axis, dtype=np.float32)
            reduced = sums / counts.reshape([-1 if i == axis else 1 for i in range(pixels.ndim)])
    return np.asarray(reduced, np.float32)


def fit_text(words: str, width: float, *, size: int = 13, bold: bool = False) -> str:
    """The words, with their middle left out where they are wider than `width` pixels; a suffix stays readable."""
    words = printable(words)
    if text_width(words, size=size, bold=bold) <= width:
        return words
    low, high = 0, len(words)
    while low < high:  # the most characters that fit
        keep = (low + high + 1) // 2
        fits = text_width(_without_middle(words, keep), size=size, bold=bold) <= width
        low, high = (keep, high) if fits else (low, keep - 1)
    return _without_middle(words, low)


def text_width(words: str, *, size: int = 13, bold: bool = False) -> float:
    """Width of one line of printable text, pixels."""
    font = get_font(findfont(_font(size, bold)))
    font.set_size(size * 72 / DPI, DPI)
    font.set_text(words)
    return float(font.get_width_height()[0]) / 64


def printable(words: Iterable[str]) -> str:
    """The text with a white square for what the font cannot draw: file names come in every script."""
    known = get_font(findfont(_font(13, False))).get_charmap()
    return "".join(letter if ord(letter) in known and letter.isprintable() else "\N{WHITE SQUARE}" for letter in words)


def _without_middle(words: str, keep: int) -> str:
    head = keep // 2
    return words[:head] + "\N{HORIZONTAL ELLIPSIS}" + words[len(words) - (keep - head) :]


def _font(size: int, bold: bool) -> FontProperties:
    return FontProperties(family=FONT, size=size * 72 / DPI, weight="bold" if bold else "normal")
