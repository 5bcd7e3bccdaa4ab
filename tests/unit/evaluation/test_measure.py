"""From a table to figures: which figures there are, for whom, and how they are written down."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from ganfingerprint.errors import UsageError
from ganfingerprint.evaluation import measure as measuring
from ganfingerprint.evaluation import metrics
from ganfingerprint.evaluation.measure import Evaluation, Facts, Measurement, measure
from ganfingerprint.evaluation.protocol import COLUMNS, ScoreTable

FACTS = Facts(
    detector_id="0123456789ab", detector_name="light", data="data", layout="reference", split="test", seed=1,
    samples=50, command="ganfingerprint evaluate", package_version="0.1.0",
    calibration={"fake_threshold": 1.0, "real_threshold": -1.0},
)  # fmt: skip


def table(real: list[float], fake: list[float], **columns: list[str] | str) -> ScoreTable:
    """Photographs and fakes with these scores: fake above 1, real below -1; other columns as given."""
    logit = np.array([*real, *fake])
    n = len(logit)
    text = {
        "path": [f"{k}.png" for k in range(n)],
        "label": ["real"] * len(real) + ["fake"] * len(fake),
        "family": ["photo"] * len(real) + ["gan"] * len(fake),
        "group": [str(k) for k in range(n)],
        "verdict": ["fake" if s > 1 else "real" if s < -1 else "uncertain" for s in logit],
    } | {name: [value] * n if isinstance(value, str) else value for name, value in columns.items()}
    values = {name: np.array(text.get(name, [""] * n), dtype=np.str_) for name in COLUMNS}
    numbers = {"logit": logit, "log10_lr": np.clip(logit, -2, 2), "prob_fake": 1 / (1 + 10 ** -np.clip(logit, -2, 2))}
    return ScoreTable(**(values | numbers | {"windows": np.ones(n, dtype=np.int64)}))


def drawn(n: int, *, seed: int = 0, **columns: list[str] | str) -> ScoreTable:
    generator = np.random.default_rng(seed)
    return table((generator.normal(size=n) - 1).tolist(), (generator.normal(size=n) + 1).tolist(), **columns)


def measured(rows: ScoreTable, *by: str, seed: int = 1) -> Measurement:
    return measure(rows, by=by, seed=seed, samples=50)


def test_every_figure_that_is_named_is_measured_and_in_that_order() -> None:
    assert list(measured(drawn(40)).headline.figures) == list(measuring.FIGURES)
    named = {name for statistics in measuring._STATISTICS.values() for name in statistics}
    assert named == set(measuring.FIGURES)
    assert set(measuring.BY_CLASS_FIGURES) | set(measuring.BY_SOURCE_FIGURES) <= named


def test_ranks_are_those_of_the_raw_score_and_not_of_the_bounded_evidence() -> None:
    rows = table([3.0, -1.0, -2.0, -3.0, 2.5], [4.0, 5.0, 6.0, 3.5, 2.6])  # all fakes are at the bound of 2
    figures = measured(rows).headline.figures
    assert figures["auc"].value == pytest.approx(24 / 25)
    assert metrics.auc(rows.is_fake, rows.log10_lr) < 24 / 25
    assert figures["cllr"].value == pytest.approx(metrics.cllr(rows.is_fake, rows.log10_lr))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recall_shipped", 2 / 5), ("miss_rate_shipped", 1 / 5), ("uncertain_fakes_shipped", 2 / 5),
        ("false_alarm_rate_shipped", 1 / 4), ("uncertain_reals_shipped", 2 / 4),
        ("recall", 4 / 5), ("accuracy", 6 / 9), ("precision", 4 / 6), ("balanced_accuracy", (4 / 5 + 2 / 4) / 2),
    ],
)  # fmt: skip
def test_shares_are_counted_at_their_thresholds(name: str, expected: float) -> None:
    rows = table([-2.0, -0.5, 0.5, 3.0], [-1.5, 0.0, 1.0, 2.0, 9.0])  # prob_fake .5 is called fake
    assert measured(rows).headline.figures[name].value == pytest.approx(expected)


def test_the_three_answers_to_each_class_add_up() -> None:
    figures = measured(drawn(60)).headline.figures
    fakes = ("recall_shipped", "miss_rate_shipped", "uncertain_fakes_shipped")
    assert sum(figures[name].value for name in fakes) == pytest.approx(1.0)
    assert figures["false_alarm_rate_shipped"].value + figures["uncertain_reals_shipped"].value < 1.0


def test_the_seed_moves_intervals_and_never_values() -> None:
    rows = drawn(60)
    one, same, other = (measured(rows, seed=seed).headline.figures for seed in (1, 1, 2))
    assert one == same
    assert [figure.value for figure in one.values()] == [figure.value for figure in other.values()]
    assert one["auc"].low != other["auc"].low


def test_pictures_of_one_group_are_one_draw() -> None:
    single = measured(drawn(60)).headline.figures["auc"]
    people = [f"person{k // 12}" for k in range(120)]  # five groups of each class
    grouped = measured(drawn(60, group=people)).headline.figures["auc"]
    lone = measured(drawn(60, group=[f"person{k // 20}" for k in range(120)])).headline.figures["auc"]
    assert grouped.value == single.value == lone.value
    assert not math.isnan(grouped.low)
    assert math.isnan(lone.low)  # three groups of each class


def test_a_grouping_that_is_asked_for_twice_is_measured_once_and_an_unknown_one_refused() -> None:
    found = measured(drawn(30, generator="net"), "family", "generator", "family")
    assert list(found.groups) == ["family", "generator"]
    with pytest.raises(UsageError, match="not by 'camera'"):
        measured(drawn(30), "camera")


def test_a_family_of_its_own_has_the_figures_of_the_headline() -> None:
    found = measured(drawn(30, generator="net"), "family", "generator")
    (family,), (generator,) = found.groups["family"], found.groups["generator"]
    assert dict(family.figures) == {name: found.headline.figures[name] for name in measuring.BY_CLASS_FIGURES}
    assert dict(generator.figures) == dict(family.figures)
    assert (generator.name, generator.family, generator.n_real, generator.n_fake) == ("net", "gan", 30, 30)


def test_twenty_five_pictures_are_enough_and_twenty_four_are_not() -> None:
    names = ["a"] * 50 + ["enough"] * 25 + ["few"] * 24 + ["rest"]
    found = measured(drawn(50, generator=names), "generator")
    assert {part.name: part.few for part in found.groups["generator"]} == {"enough": False, "few": True, "rest": True}
    assert {part.name: bool(part.figures) for part in found.groups["generator"]} == {
        "enough": True, "few": False, "rest": False,
    }  # fmt: skip


def test_only_photographs_have_no_figure_that_needs_fakes() -> None:
    figures = measured(table(list(np.linspace(-3, 3, 40)), [])).headline.figures
    for name in ("auc", "recall_shipped", "miss_rate_shipped", "f1", "cllr", "tpr_at_fpr_1"):
        assert math.isnan(figures[name].value), name
    assert figures["false_alarm_rate_shipped"].low < figures["false_alarm_rate_shipped"].value
    assert not math.isnan(figures["brier"].value)


def test_only_proxies_leave_the_headline_without_figures_of_fakes() -> None:
    rows = drawn(30, family=["photo"] * 30 + ["proxy"] * 30)
    found = measured(rows)
    assert (found.headline.n_fake, found.headline.n_real) == (0, 30)
    assert math.isnan(found.headline.figures["auc"].value)
    assert found.overall[1].figures["auc"].value > 0.5


def test_an_evaluation_is_plain_json_with_nothing_that_is_not_a_number() -> None:
    rows = dataclasses.replace(drawn(30, generator="net"), error_code=np.array(["", "too_small"] + [""] * 58))
    evaluation = Evaluation(facts=FACTS, table=rows, measurement=measured(rows, "generator", "source"))
    plain = json.loads(json.dumps(evaluation.as_dict(), allow_nan=False))
    assert plain["format_version"] == 1
    assert plain["measured"]["detector_id"] == "0123456789ab"
    assert plain["pictures"] == {"listed": 60, "judged": 59, "failed": {"too_small": 1}}
    assert plain["overall"][0]["figures"]["auc"].keys() == {"value", "low", "high"}
    assert plain["groups"]["source"][0]["name"] == "unknown"
    assert set(plain["verdicts"]) == {"fake", "uncertain", "real"}
    assert sum(row["fakes"] + row["photographs"] for row in plain["verdicts"].values()) == 59
    assert plain["at_prob_fake_0.5"]["n_real"] == 29


def test_what_is_not_a_number_is_null_in_json() -> None:
    rows = table([0.0] * 30, [])
    evaluation = Evaluation(facts=FACTS, table=rows, measurement=measured(rows))
    plain = json.loads(json.dumps(evaluation.as_dict(), allow_nan=False))
    assert plain["overall"][0]["figures"]["auc"] == {"value": None, "low": None, "high": None}
    assert plain["at_prob_fake_0.5"]["cllr"] is None
