"""Paper, ink and colours of the figures, and how they reach the disk.

Figures are drawn with objects of their own, without pyplot: no window, no global state, safe in threads. Photographs,
fakes and "uncertain" have one colour each, the same everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
REAL_COLOUR, FAKE_COLOUR, UNCERTAIN_COLOUR = "#3d6f9e", "#c4573a", "#7d828a"
INK, FAINT, GRID = "#2b2f36", "#70757d", "#e4e6e9"
DASHED = (0, (4.0, 4.0))

LegendPlace = Literal["best", "upper left", "lower left", "lower right"]


def save_figure(figure: Figure, path: Path, *, dpi: int = DPI) -> None:
    """Write the figure as PNG, whole or not at all; folders are made."""
    with replacing(path) as beside:
        figure.savefig(beside, dpi=dpi, format="png", facecolor="white")


def require_matplotlib() -> None:
    """Check that figures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as problem:
        raise MissingExtraError("matplotlib", "report", "drawing figures") from problem


def new_canvas(
    width: float, height: float, *, rows: int = 1, columns: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches, and its axes row by row."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    return figure, list(axes.flat)


def style_axes(axes: Axes, *, title: str, x: str, y: str, grid: bool = True) -> None:
    """Title on the left, axes with their units, no box, a faint grid behind the data."""
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, pad=14)
    axes.set_xlabel(x, fontsize=9.5, color=INK)
    axes.set_ylabel(y, fontsize=9.5, color=INK)
    axes.tick_params(labelsize=8.5, colors=FAINT, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(visible=True, color=GRID, lw=0.8)


def add_legend(axes: Axes, place: LegendPlace) -> None:
    """A legend without a box."""
    axes.legend(loc=place, fontsize=8.5, frameon=True, framealpha=0.9, edgecolor="none", labelcolor=INK)


def unit_square(axes: Axes) -> None:
    """Both axes from 0 to 1, with room for a line on the edge."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def plain_text(name: str) -> str:
    """A name from the data as it can be drawn: no formulas from dollar signs, `?` for letters the font lacks."""
    return "".join(letter if ord(letter) in _letters() else "?" for letter in name).replace("$", r"\$")


@functools.cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def blues() -> Any:
    """A colour map from paper to the colour of photographs."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("quiet", ("#f4f6f8", REAL_COLOUR))
