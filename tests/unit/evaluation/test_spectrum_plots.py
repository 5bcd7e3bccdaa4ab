"""Mean spectra as a figure and as numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ganfingerprint.evaluation.spectrum_plots import plot_spectra, spectra_as_dict
from ganfingerprint.explain.spectrum import DECIBELS, MeanSpectrum


def spectrum(peak: float, pictures: int = 30) -> MeanSpectrum:
    values = np.random.default_rng(0).normal(2, 0.01, (64, 64)).astype(np.float32)
    values[48, 42] += peak
    return MeanSpectrum(values=values, pictures=pictures)


def test_numbers_hold_what_the_figure_shows() -> None:
    found = spectra_as_dict({"a": spectrum(1.0), "b": spectrum(0.0, pictures=7)})
    assert found["b"] == {**found["b"], "pictures": 7, "peaks": []}
    (peak,) = found["a"]["peaks"]
    assert (peak["across"], peak["down"], peak["on_jpeg_grid"]) == (round(10 / 64, 4), 0.25, False)
    assert peak["decibels_above_surroundings"] == pytest.approx(DECIBELS, abs=0.3)
    assert len(found["a"]["profile_decibels"]) == 32
    assert found["a"]["profile_decibels"][5] == pytest.approx(2 * DECIBELS, abs=0.2)


def test_each_has_a_place_and_a_line() -> None:
    figure = plot_spectra({f"folder {number}": spectrum(1.0) for number in range(5)})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [*(f"folder {number}" for number in range(5)), "Mean of each ring"]
    assert [len(axes.lines) for axes in figure.axes] == [1, 1, 1, 1, 1, 5]  # a ring around each peak, then profiles
