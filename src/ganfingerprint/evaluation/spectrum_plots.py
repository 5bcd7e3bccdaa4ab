"""Mean spectra side by side, as a figure and as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ganfingerprint.evaluation.canvas import FAINT, INK, add_legend, new_canvas, plain_text, style_axes
from ganfingerprint.explain.spectrum import DECIBELS, MeanSpectrum, above_rings, find_peaks, radial_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4  # spectra in a row
_LINES = ("#3d6f9e", "#c4573a", "#3f8f6b", "#8a63a8", "#b48a2c", "#5b6472")
_RANGE = 6.0  # decibels above and below the median of a ring, from black to white


def plot_spectra(spectra: Mapping[str, MeanSpectrum]) -> Figure:
    """Each spectrum as what stands above its rings, peaks marked, and below the profiles of all in one plot."""
    columns = min(_ACROSS, len(spectra))
    rows = -(-len(spectra) // columns)
    figure, axes = new_canvas(
        max(6.5, 3.1 * columns), 3.3 * rows + 3.4, rows=rows + 1, columns=columns, heights=[*[3.3] * rows, 3.2]
    )
    for place, (name, spectrum) in zip(axes, spectra.items(), strict=False):
        _draw_relief(place, name, spectrum)
    for unused in axes[len(spectra) :]:
        unused.remove()
    grid = axes[0].get_gridspec()
    assert grid is not None  # axes of a grid have one
    _draw_profiles(figure.add_subplot(grid[rows, :]), spectra)
    return figure


def spectra_as_dict(spectra: Mapping[str, MeanSpectrum]) -> dict[str, Any]:
    """The same in numbers: for each name its peaks and its profile, in decibels; frequencies in cycles per pixel."""
    return {
        name: {
            "pictures": spectrum.pictures,
            "peaks": [
                {
                    "across": round(peak.across, 4),
                    "down": round(peak.down, 4),
                    "period_pixels": round(peak.period, 2),
                    "decibels_above_surroundings": round(peak.decibels, 2),
                    "on_jpeg_grid": peak.of_jpeg,
                }
                for peak in find_peaks(spectrum.values)
            ],
            "profile_decibels": [round(float(DECIBELS * level), 2) for level in radial_profile(spectrum.values)],
            "profile_step": round(1 / len(spectrum.values), 6),
        }
        for name, spectrum in spectra.items()
    }


def _draw_relief(axes: Axes, name: str, spectrum: MeanSpectrum) -> None:
    shown, edges = DECIBELS * above_rings(spectrum.values), (-0.5, 0.5, 0.5, -0.5)
    axes.imshow(shown, cmap="gray", extent=edges, vmin=-_RANGE, vmax=_RANGE, interpolation="antialiased")
    for peak in find_peaks(spectrum.values):
        colour = FAINT if peak.of_jpeg else _LINES[1]
        axes.plot(peak.across, peak.down, "o", mfc="none", mec=colour, ms=9, mew=1.2)
    axes.set_title(plain_text(name), loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel(f"{spectrum.pictures} pictures; cycles per pixel", fontsize=8.5, color=FAINT)
    axes.set_xticks([-0.5, -0.25, 0, 0.25, 0.5])
    axes.set_yticks([-0.5, -0.25, 0, 0.25, 0.5])
    axes.tick_params(labelsize=7.5, colors=FAINT, length=2)


def _draw_profiles(axes: Axes, spectra: Mapping[str, MeanSpectrum]) -> None:
    for number, (name, spectrum) in enumerate(spectra.items()):
        profile = DECIBELS * radial_profile(spectrum.values)
        frequencies = np.arange(len(profile)) / len(spectrum.values)
        dashes = "-" if number < len(_LINES) else "--"
        axes.plot(frequencies, profile, dashes, color=_LINES[number % len(_LINES)], lw=1.6, label=plain_text(name))
    style_axes(axes, title="Mean of each ring", x="cycles per pixel", y="decibels")
    add_legend(axes, "lower right")
