"""Figures of attribution: who is taken for whom, how far unknown generators are refused, and a map of fingerprints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from ganfingerprint.attribution import PHOTOGRAPH
from ganfingerprint.evaluation.canvas import (
    FAINT,
    FAKE_COLOUR,
    INK,
    REAL_COLOUR,
    add_legend,
    blues,
    new_canvas,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
SHOWN = 14  # generators that have a colour on the map
COLOURS = (
    "#3d6f9e", "#c4573a", "#3f8f6b", "#8a63a8", "#b48a2c", "#2f9ab0", "#a83f6f", "#6b7f2a", "#d08a5a", "#4b4fa0",
    "#7a5230", "#5fa35f", "#b06fb0", "#356b6b",
)  # fmt: skip


def plot_confusion(truths: Sequence[str], said: Sequence[str], table: NDArray[np.int64]) -> Figure:
    """Each row: pictures of one origin, and the answers that they were given, in hundredths."""
    shares = table / table.sum(axis=1, keepdims=True)
    figure, (axes,) = new_canvas(0.36 * len(said) + 3.6, 0.3 * len(truths) + 2.6)
    axes.imshow(shares, cmap=blues(), vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.6 else INK
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.5, color=colour)
    style_axes(axes, title="Answers to pictures of each origin, test, %", x="answer", y="", grid=False)
    axes.set_xticks(range(len(said)), said, rotation=60, ha="right", fontsize=7)
    labels = [f"{name} ({count})" for name, count in zip(truths, table.sum(axis=1), strict=True)]
    axes.set_yticks(range(len(truths)), labels, fontsize=7)
    return figure


def plot_open_set(curves: Mapping[str, tuple[Floats, Floats]]) -> Figure:
    """Named rightly, of known generators, over named wrongly, of photographs and unknown ones."""
    figure, (axes,) = new_canvas(5.6, 4.4)
    for (name, (wrongly, rightly)), colour in zip(curves.items(), (REAL_COLOUR, FAKE_COLOUR), strict=False):
        axes.plot(wrongly, rightly, color=colour, lw=1.8, label=name)
    style_axes(
        axes,
        title="How far unknown generators are refused",
        x="photographs and unknown generators that are given a known name",
        y="known generators that are given theirs",
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    add_legend(axes, "lower right")
    return figure


def plot_map(
    known: Floats, names: NDArray[np.str_], others: Floats, other_names: NDArray[np.str_], seed: int
) -> Figure:
    """Fingerprints of test and external pictures in two dimensions (t-SNE): neighbours mean more than distances."""
    places = TSNE(n_components=2, random_state=seed, init="pca", perplexity=40).fit_transform(
        np.concatenate([known, others])
    )
    figure, (left, right) = new_canvas(13.5, 6.4, columns=2)
    parts = ((left, places[: len(known)], names, "Generators of the training (test pictures)"),
             (right, places[len(known) :], other_names, "Generators that training never saw (external)"))  # fmt: skip
    for axes, points, of, title in parts:
        axes.scatter(*places.T, s=3, color="#e4e6e9", lw=0)
        most = [name for name, _ in Counter(of[of != PHOTOGRAPH].tolist()).most_common(SHOWN)]
        axes.scatter(*points[of == PHOTOGRAPH].T, s=5, color=FAINT, lw=0, label="photographs")
        for name, colour in zip(most, COLOURS, strict=False):
            axes.scatter(*points[of == name].T, s=9, color=colour, lw=0, label=name)
        style_axes(axes, title=title, x="", y="", grid=False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.legend(fontsize=6.5, ncols=2, frameon=False, markerscale=1.6, loc="upper left", bbox_to_anchor=(0, -0.01))
    return figure
