"""How a detector stands deliveries, as one figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganfingerprint.evaluation.bootstrap import Interval
from ganfingerprint.evaluation.canvas import (
    DASHED,
    FAINT,
    FAKE_COLOUR,
    INK,
    REAL_COLOUR,
    new_canvas,
    plain_text,
    style_axes,
)
from ganfingerprint.evaluation.measure import DeliveryFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_deliveries(rows: Sequence[DeliveryFigures], *, title: str = "After a delivery") -> Figure:
    """A line for each delivery, the pictures as they are on top: left the AUC, right what the verdicts say."""
    figure, (left, right) = new_canvas(10.0, 1.6 + 0.3 * max(len(rows), 1), columns=2)
    style_axes(left, title=title, x="AUC", y="")
    style_axes(right, title="At the detector's own thresholds", x="share", y="")
    places = range(len(rows) - 1, -1, -1)
    for place, row in zip(places, rows, strict=True):
        first = place == len(rows) - 1  # one entry of the legend each
        _dot(left, place, row.figures.figures.get("auc"), INK, "")
        for name, label, colour in (
            ("recall_shipped", "fakes called fake", FAKE_COLOUR),
            ("false_alarm_rate_shipped", "photographs called fake", REAL_COLOUR),
        ):
            _dot(right, place, row.figures.figures.get(name), colour, label if first else "")
    auc = rows[0].figures.figures.get("auc") if rows else None
    if auc is not None:
        left.axvline(auc.value, color=FAINT, lw=1, ls=DASHED)
    left.set_yticks(list(places), [plain_text(row.name) for row in rows])
    right.set_yticks(list(places), [""] * len(rows))
    right.set_xlim(-0.02, 1.02)
    for axes in (left, right):
        axes.set_ylim(-0.6, max(len(rows), 1) - 0.4)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
    if right.lines:  # below both, as it would lie on some of the dots
        figure.legend(loc="outside lower right", ncols=2, fontsize=8.5, frameon=False, labelcolor=INK)
    return figure


def _dot(axes: Axes, place: int, figure: Interval | None, colour: str, label: str) -> None:
    if figure is None or math.isnan(figure.value):
        return
    if not math.isnan(figure.low):
        axes.plot((figure.low, figure.high), (place, place), color=colour, lw=1.4, alpha=0.6)
    axes.plot((figure.value,), (place,), "o", ms=5, color=colour, label=label or None)
