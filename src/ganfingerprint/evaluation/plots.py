"""The figures of an evaluation and of a training run: each function returns a figure, `save_figure` writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ganfingerprint.catalog import PROXY_FAMILY
from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.bootstrap import Interval
from ganfingerprint.evaluation.canvas import (
    DASHED,
    FAINT,
    FAKE_COLOUR,
    INK,
    REAL_COLOUR,
    UNCERTAIN_COLOUR,
    add_legend,
    blues,
    new_canvas,
    plain_text,
    style_axes,
    unit_square,
)
from ganfingerprint.evaluation.measure import SliceFigures
from ganfingerprint.evaluation.protocol import FEW
from ganfingerprint.types import Label, UInt8Array, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VERDICT_COLOURS = {Verdict.REAL: REAL_COLOUR, Verdict.UNCERTAIN: UNCERTAIN_COLOUR, Verdict.FAKE: FAKE_COLOUR}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPicture:
    """A picture with its answer, to be shown."""

    pixels: UInt8Array  # [height, width, 3]
    label: Label  # what is so
    verdict: Verdict  # what was said
    prob_fake: float
    caption: str = ""  # a name, a generator


def plot_training_curves(
    train_losses: Sequence[float],
    val_losses: Sequence[float],
    train_metrics: Sequence[float],
    val_metrics: Sequence[float],
    metric_name: str = "accuracy",
) -> Figure:
    """Losses on the left, a metric (higher is better) on the right, by epoch; the best validation epoch is marked.

    A curve without values is left out.
    """
    figure, (left, right) = new_canvas(10.0, 4.0, columns=2)
    for axes, name, train, val in (
        (left, "loss", train_losses, val_losses),
        (right, metric_name, train_metrics, val_metrics),
    ):
        style_axes(axes, title=name[:1].upper() + name[1:], x="epoch", y=name)
        for values, label, colour in ((train, "training", FAINT), (val, "validation", REAL_COLOUR)):
            if len(values):
                marker = "o" if len(values) <= 40 else ""
                axes.plot(range(1, len(values) + 1), values, marker, ls="-", ms=3.5, lw=1.6, color=colour, label=label)
        _mark_best(axes, val, lowest=name == "loss")
        axes.locator_params(axis="x", integer=True)
        if axes.lines:
            add_legend(axes, "best")
    return figure


def plot_confusion_matrix(
    cm: ArrayLike, classes: Sequence[str], *, predicted: Sequence[str] | None = None, title: str = "Confusion matrix"
) -> Figure:
    """Counts with their share of the row: rows what is so (`classes`), columns what was said (`predicted`)."""
    counts = np.asarray(cm, dtype=np.int64)
    columns = list(classes) if predicted is None else list(predicted)
    if counts.shape != (len(classes), len(columns)):
        raise ValueError(
            f"a matrix of shape {counts.shape} does not fit {len(classes)} classes and {len(columns)} columns"
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, (axes,) = new_canvas(1.9 + 1.45 * len(columns), 1.5 + 1.15 * len(classes))
    style_axes(axes, title=title, x="what was said", y="what is so", grid=False)
    axes.imshow(shares, cmap=blues(), vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(classes)), list(classes))
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row - 0.08, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=14)
        share = f"{100 * shares[row, column]:.1f} %" if counts[row].sum() else "-"
        axes.text(column, row + 0.22, share, ha="center", va="center", color=colour, fontsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def plot_roc_curve(
    y_true: ArrayLike, y_pred_probs: ArrayLike, *, auc: Interval | None = None, title: str = "ROC curve"
) -> Figure:
    """Share of fakes found against share of photographs accused; the points at 1 % and 5 % are marked."""
    curve = metrics.get_roc_curve_data(y_true, y_pred_probs)
    shown = Interval(value=metrics.auc(y_true, y_pred_probs)) if auc is None else auc
    figure, (axes,) = new_canvas(5.2, 5.0)
    style_axes(axes, title=title, x="photographs called fake (false alarms)", y="fakes called fake (recall)")
    axes.plot((0, 1), (0, 1), color=FAINT, lw=1, ls=DASHED, label="chance")
    axes.plot(curve.fpr, curve.tpr, color=FAKE_COLOUR, lw=1.8, label=f"AUC {shown}")
    for rate, marker in ((0.01, "o"), (0.05, "s")):
        recall = metrics.tpr_at_fpr(y_true, y_pred_probs, rate)
        label = f"recall {recall:.2f} at {100 * rate:.0f} % false alarms"
        axes.plot((rate,), (recall,), marker, ms=6, mfc="white", mec=FAKE_COLOUR, mew=1.5, ls="", label=label)
    unit_square(axes)
    add_legend(axes, "lower right")
    return figure


def plot_precision_recall_curve(
    y_true: ArrayLike,
    y_pred_probs: ArrayLike,
    *,
    average_precision: Interval | None = None,
    title: str = "Precision and recall",
) -> Figure:
    """Precision against recall of *fake*, by steps as average precision counts them."""
    curve = metrics.get_precision_recall_curve_data(y_true, y_pred_probs)
    fake = np.asarray(y_true, dtype=np.bool_)
    value = Interval(value=metrics.average_precision(y_true, y_pred_probs))
    shown = value if average_precision is None else average_precision
    figure, (axes,) = new_canvas(5.2, 5.0)
    style_axes(axes, title=title, x="recall: fakes called fake", y="precision: called fake that are fake")
    share = float(fake.mean()) if fake.size else math.nan
    axes.axhline(share, color=FAINT, lw=1, ls=DASHED, label=f"chance: {share:.2f} of these are fake")
    axes.step(curve.recall, curve.precision, where="pre", color=FAKE_COLOUR, lw=1.8, label=f"average precision {shown}")
    unit_square(axes)
    add_legend(axes, "lower left")
    return figure


def plot_reliability(
    y_true: ArrayLike, probs: ArrayLike, *, ece: Interval | None = None, title: str = "Reliability of the probability"
) -> Figure:
    """Above: share of fakes against the probability that was said, with the number of pictures below it.

    The bins weigh the classes as they are in the data; the probability is at even odds, so with very unequal
    classes a perfect detector leaves the diagonal.
    """
    bins = metrics.get_reliability_data(y_true, probs)
    shown = Interval(value=metrics.expected_calibration_error(y_true, probs)) if ece is None else ece
    figure, (upper, lower) = new_canvas(5.2, 6.0, rows=2, heights=(3.2, 1.0))
    style_axes(upper, title=title, x="", y="share that is fake")
    upper.plot((0, 1), (0, 1), color=FAINT, lw=1, ls=DASHED, label="perfect")
    filled = bins.pictures > 0
    area = 14 + 110 * bins.pictures[filled] / max(int(bins.pictures.max()), 1)
    upper.plot(bins.mean_probability[filled], bins.share_fake[filled], color=REAL_COLOUR, lw=1.2, alpha=0.6)
    upper.scatter(
        bins.mean_probability[filled], bins.share_fake[filled], s=area, color=REAL_COLOUR, zorder=3,
        label=f"expected calibration error {shown}",
    )  # fmt: skip
    unit_square(upper)
    add_legend(upper, "upper left")
    style_axes(lower, title="", x="prob_fake", y="pictures")
    fake, values = np.asarray(y_true, dtype=np.bool_), np.asarray(probs, dtype=np.float64)
    edges = np.linspace(0, 1, len(bins.pictures) + 1)
    parts, colours, labels = (values[~fake], values[fake]), (REAL_COLOUR, FAKE_COLOUR), ("photographs", "fakes")
    lower.hist(parts, edges.tolist(), stacked=True, color=colours, label=labels, rwidth=0.92)
    lower.set_xlim(-0.02, 1.02)
    add_legend(lower, "best")
    return figure


def plot_score_distribution(
    y_true: ArrayLike,
    scores: ArrayLike,
    *,
    thresholds: Mapping[str, float] | None = None,
    unit: str = "logit (higher: fake)",
    title: str = "Scores of photographs and fakes",
) -> Figure:
    """How the scores of the two classes lie: share of each class in each bin, with named thresholds as lines."""
    fake, values = np.asarray(y_true, dtype=np.bool_), np.asarray(scores, dtype=np.float64)
    figure, (axes,) = new_canvas(7.0, 3.8)
    style_axes(axes, title=title, x=unit, y="share of its class")
    if values.size:
        low, high = float(values.min()), float(values.max())
        edges = np.linspace(low, high if high > low else low + 1.0, 41)
        for part, colour, name in ((values[~fake], REAL_COLOUR, "photographs"), (values[fake], FAKE_COLOUR, "fakes")):
            if part.size:
                weight = np.full(part.size, 1 / part.size)
                label = f"{name} ({part.size:,})"
                axes.hist(part, edges.tolist(), weights=weight, color=colour, alpha=0.5, label=label)
    top = axes.get_ylim()[1]
    for name, place in (thresholds or {}).items():
        axes.axvline(place, color=INK, lw=1, ls=(0, (4, 3)))
        axes.text(place, top, f" {name}", fontsize=8.5, color=INK, va="bottom", ha="center")
    axes.set_ylim(0, top)
    if axes.patches:
        add_legend(axes, "best")
    return figure


def plot_by_generator(
    groups: Sequence[SliceFigures], *, figure_name: str = "auc", axis: str = "AUC", title: str = "AUC by generator"
) -> Figure:
    """Sorted bars of one figure with intervals, each group against all photographs; proxies are drawn paler.

    Groups with too few pictures have no bar; how many there are is said below the axis. Shares that are all small
    get an axis of their own length.
    """
    shown = sorted((g for g in groups if figure_name in g.figures), key=lambda g: g.figures[figure_name].value)
    figure, (axes,) = new_canvas(7.4, 1.7 + 0.27 * max(len(shown), 1))
    few = sum(group.few for group in groups)
    note = axis + ("; paler: proxies" if any(group.family == PROXY_FAMILY for group in shown) else "")
    note += f"\n{few} more with fewer than {FEW} pictures, too few for a bar" if few else ""
    style_axes(axes, title=title, x=note, y="")
    axes.grid(visible=False, axis="y")
    beside = axes.get_yaxis_transform()  # x as a share of the axis, y in bars
    for place, group in enumerate(shown):
        value = group.figures[figure_name]
        axes.barh(
            place, value.value, height=0.66, color=REAL_COLOUR, alpha=0.4 if group.family == PROXY_FAMILY else 0.85
        )
        if not math.isnan(value.low):
            axes.plot((value.low, value.high), (place, place), color=INK, lw=1.2, solid_capstyle="butt")
        axes.text(1.02, place, f"{value.value:.3f}", va="center", fontsize=8.5, color=INK, transform=beside)
    names = [f"{_shortened(group.name)}  ({group.n_fake or group.n_real:,})" for group in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    axes.set_xlim(0, 1 if figure_name == "auc" else _nice_end([group.figures[figure_name] for group in shown]))
    if figure_name == "auc":
        axes.axvline(0.5, color=FAINT, lw=1, ls=DASHED, zorder=3)
    return figure


def plot_sample_predictions(pictures: Sequence[JudgedPicture], *, title: str = "Sample predictions") -> Figure:
    """Pictures with what is so and what was said, four in a row; the frame has the colour of the verdict."""
    rows = max(1, math.ceil(len(pictures) / 4))
    figure, cells = new_canvas(10.0, 0.5 + 3.25 * rows, rows=rows, columns=4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    for cell in cells:
        cell.set_axis_off()
    for cell, picture in zip(cells, pictures, strict=False):
        cell.set_axis_on()
        cell.set_xticks(())
        cell.set_yticks(())
        cell.imshow(_thumbnail(picture.pixels))
        cell.set_anchor("N")
        for spine in cell.spines.values():
            spine.set_edgecolor(_VERDICT_COLOURS[picture.verdict])
            spine.set_linewidth(4)
        said = f"said: {picture.verdict.value}, prob_fake {picture.prob_fake:.2f}"
        cell.set_title(said, fontsize=9.5, color=_VERDICT_COLOURS[picture.verdict], loc="left")
        right = {picture.label.value: "right", Verdict.UNCERTAIN.value: "left open"}.get(picture.verdict.value, "wrong")
        truth = f"is: {picture.label.value} ({right})\n{_shortened(picture.caption)}"
        cell.set_xlabel(truth, fontsize=8.5, color=INK, loc="left")
    return figure


def _mark_best(axes: Axes, values: Sequence[float], *, lowest: bool) -> None:
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.size or np.isnan(numbers).all():
        return
    best = int(np.nanargmin(numbers) if lowest else np.nanargmax(numbers))
    label = f"best: {numbers[best]:.3f} in epoch {best + 1}"
    axes.plot((best + 1,), (numbers[best],), "o", ms=8, mfc="none", mec=FAKE_COLOUR, mew=1.6, ls="", label=label)


def _thumbnail(pixels: UInt8Array, side: int = 400) -> UInt8Array:
    """The picture with every k-th pixel, at most about `side`: eight camera pictures would need gigabytes to draw."""
    step = max(1, math.ceil(max(pixels.shape[:2]) / side))
    return pixels[::step, ::step]


def _shortened(text: str, most: int = 36) -> str:
    """A name from the data, ready to be drawn; of long ones the end, which differs more often than the start."""
    return plain_text(text if len(text) <= most else f"…{text[1 - most :]}")


def _nice_end(figures: Sequence[Interval]) -> float:
    """End of an axis of shares: all of the longest interval, in tenths."""
    longest = max((np.nanmax((figure.value, figure.high)) for figure in figures), default=1.0)
    return min(1.0, math.ceil(10 * longest + 0.5) / 10)
