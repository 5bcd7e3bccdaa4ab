from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from ganfingerprint.cli.accuracy import Accuracy, measure, print_accuracy
from ganfingerprint.cli.tables import Row
from ganfingerprint.types import Label, Verdict

REAL, UNCERTAIN, FAKE = Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE


def row(truth: Label | None, verdict: Verdict | None, prob_fake: float | None) -> Row:
    return Row(path="x", true_label=truth, verdict=verdict, prob_fake=prob_fake)


ROWS = [
    row(Label.REAL, REAL, 0.1),
    row(Label.REAL, UNCERTAIN, 0.6),
    row(Label.FAKE, FAKE, 0.9),
    row(Label.FAKE, FAKE, 0.8),
    row(Label.FAKE, REAL, 0.2),
]


def known() -> Accuracy:
    accuracy = measure(ROWS)
    assert accuracy is not None
    return accuracy


def test_verdicts_are_counted_against_the_truth() -> None:
    assert known().verdicts == {
        "real": {"real": 1, "uncertain": 1, "fake": 0},
        "fake": {"real": 1, "uncertain": 0, "fake": 2},
    }


def test_confusion_and_figures_are_taken_at_one_half_with_fakes_as_positives() -> None:
    accuracy = known()
    assert accuracy.confusion == [[1, 1], [1, 2]]
    assert accuracy.metrics["accuracy"] == pytest.approx(3 / 5)
    assert accuracy.metrics["recall"] == pytest.approx(2 / 3)
    assert accuracy.metrics["precision"] == pytest.approx(2 / 3)
    assert accuracy.metrics["auc"] == pytest.approx(5 / 6)  # .2 < .6 is the one pair out of order, of six


def test_a_probability_of_exactly_zero_is_an_answer() -> None:
    accuracy = measure([row(Label.REAL, REAL, 0.0), row(Label.FAKE, FAKE, 1.0)])
    assert accuracy is not None
    assert accuracy.confusion == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(None, REAL, 0.1)],
        [row(Label.REAL, None, None), row(Label.FAKE, None, None)],  # neither could be read
    ],
)
def test_without_an_answer_of_known_truth_there_is_nothing_to_measure(rows: list[Row]) -> None:
    assert measure(rows) is None


@pytest.mark.parametrize(
    ("truth", "figure", "words"),
    [
        (Label.FAKE, "recall", "At P(fake) = 0.5: recall 0.667"),
        (Label.REAL, "false_alarm_rate", "At P(fake) = 0.5: false alarm rate 0.667"),
    ],
)
def test_one_class_alone_has_its_counts_and_its_one_figure(truth: Label, figure: str, words: str) -> None:
    unread = row(Label.REAL if truth is Label.FAKE else Label.FAKE, None, None)  # the only other one
    rows = [row(truth, FAKE, 0.9), row(truth, UNCERTAIN, 0.7), row(truth, REAL, 0.2), unread, row(None, FAKE, 0.9)]
    accuracy = measure(rows)
    assert accuracy is not None
    assert accuracy.verdicts[truth] == {"real": 1, "uncertain": 1, "fake": 1}
    assert accuracy.metrics.keys() == {"n_real", "n_fake", "threshold", figure}
    assert accuracy.metrics[figure] == pytest.approx(2 / 3)
    assert printed(accuracy)[-1] == words


def printed(accuracy: Accuracy) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    print_accuracy(accuracy, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_what_is_printed_are_the_counts_and_the_figures() -> None:
    lines = printed(known())
    assert lines[1].split() == ["truth", "\\", "verdict", "real", "uncertain", "fake"]
    assert lines[2].split() == ["real", "1", "1", "0"]
    assert lines[3].split() == ["fake", "1", "0", "2"]
    assert "AUC 0.833" in lines[4]
    assert "false alarm" not in lines[4]
    assert not any(math.isnan(value) for value in known().metrics.values() if value is not None)
