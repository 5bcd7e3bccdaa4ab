from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.info import figure_facts, training_facts
from ganfingerprint.cli.model_card import calibration_facts, window_facts
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping

FITTED = Calibration(
    slope=1.0,
    intercept=0.0,
    log10_lr_bound=2.0,
    fake_threshold=1.25,
    real_threshold=-0.5,
    false_alarm_rate=0.01,
    miss_rate=0.05,
    measured_false_alarm_rate=0.0071,
    measured_miss_rate=0.048,
    n_real=420,
    n_fake=380,
)


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "architecture": to_mapping(NetworkConfig()),
        "window": to_mapping(WindowConfig()),
        "calibration": FITTED.to_mapping(),
    }
    return Card(**(values | changes))


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (WindowConfig(placement="center"), "one window in the centre"),
        (WindowConfig(placement="grid", count=4), "an even grid of at most 4 windows"),
        (WindowConfig(placement="grid", count=1), "one window"),
        (WindowConfig(placement="texture", count=9), "the 9 most textured windows of a grid"),
    ],
)
def test_the_window_policy_is_told_in_words(window: WindowConfig, words: str) -> None:
    assert dict(window_facts(card(window=to_mapping(window))))["placement"] == words


@pytest.mark.parametrize("resized_view", [False, True])
def test_the_reduced_view_is_told_when_there_is_one(resized_view: bool) -> None:
    facts = dict(window_facts(card(window=to_mapping(WindowConfig(resized_view=resized_view)))))
    assert ("one more view" in facts) is resized_view


def test_a_threshold_says_for_which_error_rate_it_was_chosen_and_what_it_was() -> None:
    facts = dict(calibration_facts(FITTED))
    assert facts["fitted"] == "on 420 photographs and 380 fakes"
    assert facts["fake"] == "score above 1.2500, chosen to call at most 1 % of photographs fake (there it was 0.71 %)"
    assert facts["real"] == "score below -0.5000, chosen to call at most 5 % of fakes real (there it was 4.8 %)"
    assert "a ratio of 100" in facts["weight of evidence"]


def test_an_unfitted_detector_is_called_so() -> None:
    facts = dict(calibration_facts(Calibration.unfitted()))
    assert facts["fitted"].startswith("on nothing")
    assert facts["fake"].endswith("chosen for no error rate")


def test_a_contradicted_fit_is_told() -> None:
    assert "no rise of evidence" in dict(calibration_facts(replace(FITTED, contradicted=True)))["fitted"]


def test_the_settings_of_training_are_left_to_json() -> None:
    facts = training_facts(card(training={"seed": 1, "data": {"train": 10}, "config": {"optim": {"lr": 0.1}}}))
    assert facts == [("seed", "1"), ("data.train", "10"), ("settings", "see --format json")]
    assert training_facts(card()) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"value": 0.9123, "low": 0.9, "high": 0.92, "n": 100}, [("auc", "0.9123 [0.9, 0.92], n = 100")]),
        ({"value": 0.5, "low": None, "high": None}, [("auc", "0.5")]),
        ({"value": None}, [("auc", "none")]),
        (0.25, [("auc", "0.25")]),
        ({"clean": 1, "web": 2}, [("auc.clean", "1"), ("auc.web", "2")]),
        ([True, None, "x"], [("auc", "yes, none, x")]),
    ],
)
def test_a_figure_is_shown_with_what_is_known_of_it(value: Any, expected: list[tuple[str, str]]) -> None:
    assert figure_facts("auc", value) == expected
