"""The page of a detector says what its card holds, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ganfingerprint.artifact import Card, shipped_detector
from ganfingerprint.attribution import FILE_NAME, read_gallery
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.model_card import model_card
from ganfingerprint.config import WindowConfig, to_mapping


def figure(value: float, n: int = 40, **ends: float) -> dict[str, float]:
    return {"value": value, "n": n, **ends}


def card(**more: Any) -> Card:
    return Card(
        architecture={}, window=to_mapping(WindowConfig()), calibration=Calibration.unfitted().to_mapping(),
        name="drawn", **more,
    )  # fmt: skip


FIGURES = {
    "test": {
        "auc": figure(0.91, low=0.9, high=0.92),
        "recall_shipped": figure(0.5),
        "auc.generator.alpha": figure(0.95),
        "auc.generator.beta": figure(0.61, 30),
        "false_alarm_rate_shipped.source.phones": figure(0.025, 80),
    },
    "test after web": {
        "auc": figure(0.88),
        "auc_lost": figure(0.03, low=0.02, high=0.04),
        "recall_shipped": figure(0.4),
    },
}


def test_an_unmeasured_detector_says_so() -> None:
    page = model_card(card())
    assert page.startswith("# drawn (")
    assert "Nothing yet" in page
    assert "fitted: on nothing" in page
    assert "hardly tells" not in page
    assert "After a delivery" not in page


def test_figures_come_with_their_intervals_and_shares_in_percent() -> None:
    page = model_card(card(figures=FIGURES))
    assert "| split | AUC | fakes called fake |" in page
    assert "| test | 0.910 [0.900, 0.920] | 50.0 % |" in page
    assert "| alpha | 40 | 0.950 |\n| beta | 30 | 0.610 |" in page  # the best first
    assert "| phones | 80 | 2.5 % |" in page
    assert "### After a delivery" in page
    assert "| test after web | 0.880 | 0.030 [0.020, 0.040] | 40.0 % |" in page


def test_generators_that_it_does_not_see_are_named_as_failures() -> None:
    failures = model_card(card(figures=FIGURES)).partition("## Known failures")[2]
    assert "beta (0.61, test)" in failures
    assert "alpha" not in failures


def test_a_figure_without_a_value_is_a_dash() -> None:
    figures = {"test": {"auc": {"n": 8}}, "test after web": {"auc": {"n": 8}, "recall_shipped": figure(0.4)}}
    page = model_card(card(figures=figures))
    assert "| test | - |" in page
    assert "| test after web | - | 40.0 % |" in page


def test_what_it_learnt_from_is_told() -> None:
    training = {"data": {"train": 1200, "validation": 30}, "pictures_seen": 4000, "command": "ganfingerprint train"}
    page = model_card(card(training=training, origin="random", licence="Apache-2.0"))
    assert "- pictures: 1,200 train, 30 validation" in page
    assert "- windows seen in training: 4,000" in page
    assert "- command: `ganfingerprint train`" in page
    assert "- first weights: random" in page


def test_a_gallery_beside_the_detector_is_told_with_its_figures() -> None:
    shipped = read_gallery(shipped_detector() / FILE_NAME)
    measured = {"one or two: auc (test)": {"value": 0.985, "low": 0.97, "high": 0.99, "n": 40.0}}
    page = model_card(card(), replace(shipped, figures=measured))
    section = page.partition("## Which generator")[2].partition("## Known failures")[0]
    assert f"- gallery: {shipped.gallery_id}" in section
    assert "stylegan2-ffhq (60)" in section
    assert "| one or two: auc (test) | 0.985 [0.970, 0.990] | 40 |" in section
    assert "## Which generator" not in model_card(card())
    assert shipped.without("sdxl").figures == {}  # what was measured holds for the gallery that it was measured on
