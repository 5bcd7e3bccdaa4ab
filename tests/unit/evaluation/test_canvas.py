"""Paper and ink: no global state, whole files."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.evaluation import canvas, plots


def matrix(number: int) -> np.ndarray:
    return np.array([[10, number], [3, 9]])


def test_drawing_leaves_no_figure_with_pyplot_and_no_setting_changed() -> None:
    code = (
        "import sys, matplotlib\n"
        "before = dict(matplotlib.rcParams)\n"
        "from ganfingerprint.evaluation import plots\n"
        "plots.plot_roc_curve([0, 1, 0, 1], [0.1, 0.9, 0.6, 0.4])\n"
        "from matplotlib._pylab_helpers import Gcf\n"
        "assert not Gcf.figs\n"
        "assert 'torch' not in sys.modules\n"
        "assert dict(matplotlib.rcParams) == before\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_the_plots_does_not_import_matplotlib() -> None:
    code = "import sys\nfrom ganfingerprint.evaluation import outputs, plots\nassert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_drawn_in_threads_are_those_drawn_alone(tmp_path: Path) -> None:
    def draw(number: int, folder: str) -> bytes:
        path = tmp_path / folder / f"{number}.png"
        canvas.save_figure(plots.plot_confusion_matrix(matrix(number), ("real", "fake")), path)
        return path.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda number: draw(number, "together"), range(6)))
    assert together == [draw(number, "alone") for number in range(6)]
    assert len(set(together)) == 6


@pytest.mark.parametrize("dpi", [50, 100])
def test_the_resolution_can_be_chosen(tmp_path: Path, dpi: int) -> None:
    figure, _ = canvas.new_canvas(4.0, 2.0)
    canvas.save_figure(figure, tmp_path / "a.png", dpi=dpi)
    with PilImage.open(tmp_path / "a.png") as image:
        assert image.size == (4 * dpi, 2 * dpi)
        assert image.format == "PNG"


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(tmp_path: Path) -> None:
    figure, (axes,) = canvas.new_canvas(2.0, 2.0)
    canvas.save_figure(figure, tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    axes.set_title(r"$\no_such_symbol{$")
    with pytest.raises(ValueError, match="no_such_symbol"):
        canvas.save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_axes_come_row_by_row() -> None:
    _, axes = canvas.new_canvas(4.0, 4.0, rows=2, columns=3)
    spots = [ax.get_subplotspec() for ax in axes]
    assert [(spot.rowspan.start, spot.colspan.start) for spot in spots] == [(r, c) for r in range(2) for c in range(3)]


def test_the_three_colours_can_be_told_apart_without_colour() -> None:
    from matplotlib.colors import to_rgb

    shades = [np.dot(to_rgb(c), (0.2126, 0.7152, 0.0722)) for c in (canvas.REAL_COLOUR, canvas.UNCERTAIN_COLOUR)]
    assert abs(shades[0] - shades[1]) > 0.08
    assert matplotlib.colors.to_hex(canvas.blues()(1.0)) == canvas.REAL_COLOUR


@pytest.mark.parametrize(
    ("name", "drawn"),
    [("stylegan3", "stylegan3"), ("Größe…", "Größe…"), ("像 7", "? 7"), ("$x_1$", r"\$x_1\$"), ("a\nb", "a?b")],
)
def test_names_from_the_data_are_drawn_as_text(name: str, drawn: str, tmp_path: Path) -> None:
    assert canvas.plain_text(name) == drawn
    figure, (axes,) = canvas.new_canvas(3.0, 3.0)
    axes.set_title(canvas.plain_text(name))
    canvas.save_figure(figure, tmp_path / "a.png")
