"""Figures: written, of the right size, and different for different data."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image as PilImage

from ganfingerprint.errors import MissingExtraError
from ganfingerprint.evaluation import canvas, metrics, plots
from ganfingerprint.evaluation.bootstrap import Interval
from ganfingerprint.evaluation.measure import SliceFigures
from ganfingerprint.types import Label, Verdict


def scored(shift: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    fake = np.arange(120) % 3 == 0
    return fake, 1 / (1 + np.exp(-(generator.normal(size=120) + shift * fake)))


def groups(values: list[float]) -> list[SliceFigures]:
    return [
        SliceFigures(
            by="generator", name=f"generator{k}", family="proxy" if k == 0 else "gan", n_real=50, n_fake=30 + k,
            few=False, figures={"auc": Interval(value=value, low=value - 0.05, high=value + 0.02)},
        )
        for k, value in enumerate(values)
    ]  # fmt: skip


FEW = SliceFigures(by="generator", name="rare", family="gan", n_real=50, n_fake=3, few=True, figures={})


def picture(brightness: int, verdict: Verdict, side: int = 32) -> plots.JudgedPicture:
    pixels = np.full((side, 2 * side, 3), brightness, dtype=np.uint8)
    return plots.JudgedPicture(pixels=pixels, label=Label.FAKE, verdict=verdict, prob_fake=0.25, caption="x" * 60)


CASES: dict[str, tuple[Callable[[], Figure], Callable[[], Figure]]] = {
    "training_curves": (
        lambda: plots.plot_training_curves([0.7, 0.5], [0.7, 0.6], [0.5, 0.7], [0.5, 0.6]),
        lambda: plots.plot_training_curves([0.7, 0.5], [0.7, 0.6], [0.5, 0.7], [0.5, 0.55]),
    ),
    "confusion_matrix": (
        lambda: plots.plot_confusion_matrix([[8, 2], [1, 9]], ("real", "fake")),
        lambda: plots.plot_confusion_matrix([[8, 2], [2, 8]], ("real", "fake")),
    ),
    "roc": (lambda: plots.plot_roc_curve(*scored(1.0)), lambda: plots.plot_roc_curve(*scored(1.2))),
    "precision_recall": (
        lambda: plots.plot_precision_recall_curve(*scored(1.0)),
        lambda: plots.plot_precision_recall_curve(*scored(1.2)),
    ),
    "reliability": (lambda: plots.plot_reliability(*scored(1.0)), lambda: plots.plot_reliability(*scored(1.2))),
    "score_distribution": (
        lambda: plots.plot_score_distribution(*scored(1.0), thresholds={"fake above": 0.8}),
        lambda: plots.plot_score_distribution(*scored(1.0), thresholds={"fake above": 0.7}),
    ),
    "by_generator": (
        lambda: plots.plot_by_generator([*groups([0.6, 0.9]), FEW]),
        lambda: plots.plot_by_generator([*groups([0.6, 0.8]), FEW]),
    ),
    "sample_predictions": (
        lambda: plots.plot_sample_predictions([picture(200, Verdict.FAKE), picture(20, Verdict.REAL)]),
        lambda: plots.plot_sample_predictions([picture(200, Verdict.FAKE), picture(20, Verdict.UNCERTAIN)]),
    ),
}


def pixels(figure: Figure, path: Path) -> np.ndarray:
    canvas.save_figure(figure, path)
    with PilImage.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", CASES)
def test_a_figure_is_written_whole_at_150_dpi_and_changes_with_the_data(name: str, tmp_path: Path) -> None:
    one, other = (build() for build in CASES[name])
    width, height = one.get_size_inches()
    first = pixels(one, tmp_path / "new" / f"{name}.png")
    assert first.shape == (round(height * 150), round(width * 150), 3)
    assert not np.array_equal(first, pixels(other, tmp_path / "other.png"))
    edge = np.concatenate([first[:2].reshape(-1, 3), first[:, :2].reshape(-1, 3), first[:, -2:].reshape(-1, 3)])
    assert (edge == 255).all()  # nothing is cut off
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == [f"{name}.png"]


def text_of(figure: Figure) -> str:
    import matplotlib.text

    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_axes_say_what_they_show_in_words() -> None:
    fake, probs = scored(1.0)
    text = text_of(plots.plot_roc_curve(fake, probs, auc=Interval(value=0.9, low=0.8, high=0.95)))
    assert "AUC 0.900 [0.800, 0.950]" in text
    assert "photographs called fake (false alarms)" in text
    assert f"recall {metrics.tpr_at_fpr(fake, probs, 0.05):.2f} at 5 % false alarms" in text


def test_published_error_12_the_area_of_the_roc_curve_needs_no_trapz() -> None:
    """Published code: the figure called np.trapz, which numpy 2 no longer has."""
    fake, probs = scored(1.0)
    assert not hasattr(np, "trapz")
    assert f"AUC {metrics.auc(fake, probs):.3f}" in text_of(plots.plot_roc_curve(fake, probs))


def test_the_confusion_matrix_shows_counts_and_shares_of_the_row() -> None:
    text = text_of(
        plots.plot_confusion_matrix([[900, 60, 40], [0, 0, 0]], ("photograph", "fake"), predicted=("a", "b", "c"))
    )
    for expected in ("900", "90.0 %", "60", "6.0 %", "4.0 %", "what was said", "photograph"):
        assert expected in text
    with pytest.raises(ValueError, match=r"shape \(1, 2\) does not fit 2 classes"):
        plots.plot_confusion_matrix([[1, 2]], ("real", "fake"))


def test_bars_are_sorted_and_few_pictures_have_none() -> None:
    figure = plots.plot_by_generator([*groups([0.6, 0.9, 0.4]), FEW])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "generator2  (32)", "generator0  (30)", "generator1  (31)",
    ]  # fmt: skip
    assert [bar.get_width() for bar in axes.patches] == [0.4, 0.6, 0.9]
    assert axes.patches[1].get_alpha() < axes.patches[0].get_alpha()  # the proxy
    assert "1 more with fewer than 25 pictures" in axes.get_xlabel()
    assert axes.get_xlim() == (0, 1)


def test_shares_that_are_all_small_get_a_short_axis_and_long_names_are_cut() -> None:
    source = SliceFigures(
        by="source", name="collection-of-" + "very-" * 20 + "old-photographs", family="photo", n_real=40, n_fake=0,
        few=False, figures={"alarms": Interval(value=0.02, low=0.01, high=0.12)},
    )  # fmt: skip
    axes = plots.plot_by_generator([source], figure_name="alarms", axis="share called fake", title="x").axes[0]
    assert axes.get_xlim() == (0, 0.2)
    assert axes.get_yticklabels()[0].get_text().startswith("…")
    assert axes.get_yticklabels()[0].get_text().endswith("old-photographs  (40)")


def test_names_of_generators_and_pictures_are_no_formulas(tmp_path: Path) -> None:
    group = SliceFigures(
        by="generator", name="$pre$", family="gan", n_real=40, n_fake=40, few=False,
        figures={"auc": Interval(value=0.9)},
    )  # fmt: skip
    figure = plots.plot_by_generator([group])
    assert figure.axes[0].get_yticklabels()[0].get_text() == r"\$pre\$  (40)"
    shown = plots.JudgedPicture(
        pixels=np.zeros((8, 8, 3), dtype=np.uint8),
        label=Label.REAL,
        verdict=Verdict.REAL,
        prob_fake=0.1,
        caption=r"$\no_such{$ 像",
    )
    for number, each in enumerate((figure, plots.plot_sample_predictions([shown]))):
        assert pixels(each, tmp_path / f"{number}.png").std() > 0


def test_the_best_epoch_is_marked_and_missing_values_are_no_hindrance() -> None:
    text = text_of(plots.plot_training_curves([], [math.nan, 0.6, 0.7], [], [0.5, 0.8, 0.7], "AUC"))
    assert "best: 0.600 in epoch 2" in text
    assert "best: 0.800 in epoch 2" in text
    assert "training" not in text.split("\n")
    assert "best" not in text_of(plots.plot_training_curves([], [], [], []))


def test_empty_and_constant_data_can_be_drawn(tmp_path: Path) -> None:
    for number, figure in enumerate(
        (
            plots.plot_score_distribution([], []),
            plots.plot_score_distribution([0, 1], [0.5, 0.5]),
            plots.plot_reliability([0, 1], [1.0, 1.0]),
            plots.plot_by_generator([FEW]),
            plots.plot_sample_predictions([]),
            plots.plot_roc_curve([0, 0], [0.1, 0.2]),
        )
    ):
        assert pixels(figure, tmp_path / f"{number}.png").std() > 0


def test_a_shown_picture_keeps_its_colours_and_has_the_frame_of_its_verdict(tmp_path: Path) -> None:
    drawn = pixels(plots.plot_sample_predictions([picture(77, Verdict.FAKE, side=900)]), tmp_path / "s.png")
    frame = tuple(int(canvas.FAKE_COLOUR[k : k + 2], 16) for k in (1, 3, 5))
    assert (drawn == 77).all(axis=2).sum() > 10_000
    assert (drawn == frame).all(axis=2).sum() > 1_000


def test_the_answer_is_said_to_be_right_wrong_or_left_open() -> None:
    for verdict, word in ((Verdict.FAKE, "right"), (Verdict.REAL, "wrong"), (Verdict.UNCERTAIN, "left open")):
        assert f"is: fake ({word})" in text_of(plots.plot_sample_predictions([picture(9, verdict)]))


def test_a_missing_matplotlib_says_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingExtraError, match=r"drawing figures needs matplotlib: pip install 'ganfingerprint\[report\]'"
    ):
        plots.plot_roc_curve(*scored(1.0))
