"""The summary says what was measured, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ganfingerprint.calibrate import Calibration
from ganfingerprint.evaluation.measure import Evaluation, Facts, measure
from ganfingerprint.evaluation.protocol import COLUMNS, ScoreTable
from ganfingerprint.evaluation.summary import SummaryTable, headline_sentence, summary_markdown, summary_tables

CALIBRATION = Calibration(
    slope=1.0, intercept=0.0, log10_lr_bound=2.0, fake_threshold=1.0, real_threshold=-1.0,
    false_alarm_rate=0.01, miss_rate=0.05,
)  # fmt: skip


def scores(*, proxies: bool = True, failures: int = 0) -> ScoreTable:
    """40 photographs from two sources, 30 fakes of `a|b`, 10 of `rare`, 28 proxies; scores without overlap but one."""
    kinds = [("real", "", "photo", "phones", 30), ("real", "", "photo", "web", 10)]
    kinds += [("fake", "a|b", "gan", "lab", 30), ("fake", "rare", "gan", "lab", 10)]
    kinds += [("fake", "taef2", "proxy", "phones", 28)] if proxies else []
    rows: list[dict[str, object]] = []
    for label, generator, family, source, number in kinds:
        for k in range(number):
            score = (2.0 if label == "fake" else -2.0) + k / 100
            score = 3.0 if (label, source, k) == ("real", "phones", 0) else score
            rows.append({
                "path": f"{len(rows)}.png", "label": label, "generator": generator, "family": family, "source": source,
                "group": str(len(rows)), "split": "test", "logit": score, "prob_fake": 1 / (1 + np.exp(-score)),
                "log10_lr": score / np.log(10), "verdict": "fake" if score > 1 else "real", "windows": 1,
                "error_code": "unreadable_image" if len(rows) < failures else "", "error": "",
            })  # fmt: skip
    return ScoreTable(**{name: np.array([row[name] for row in rows]) for name in COLUMNS})


def evaluation(*, by: tuple[str, ...] = ("generator", "source"), **changes: object) -> Evaluation:
    table = scores(**changes)
    facts = Facts(
        detector_id="0123456789ab", detector_name="light", data="data", layout="manifest", split="test", seed=42,
        samples=100, command="ganfingerprint evaluate --split test", package_version="0.1.0",
        calibration=CALIBRATION.to_mapping(),
    )  # fmt: skip
    return Evaluation(facts=facts, table=table, measurement=measure(table, by=by, seed=42, samples=100))


def by_title(found: Evaluation) -> dict[str, SummaryTable]:
    return {table.title: table for table in summary_tables(found)}


def test_the_first_sentence_has_the_headline_with_its_interval_and_both_error_rates() -> None:
    sentence = headline_sentence(evaluation())
    assert sentence.startswith("40 fakes against 40 photographs, without proxies: AUC 0.975 [")
    assert "100.0 % of the fakes are called fake" in sentence
    assert "so are 2.5 % [0.0, " in sentence
    assert "could not be read" not in sentence


def test_files_that_failed_are_in_the_first_lines_and_in_a_table() -> None:
    found = evaluation(failures=3)
    assert headline_sentence(found).endswith("3 of 108 files could not be read.")
    assert by_title(found)["Files that could not be read"].rows == (("unreadable_image", "3"),)
    assert "Files that could not be read" not in by_title(evaluation())


@pytest.mark.parametrize(
    ("proxies", "columns"),
    [(True, ("", "without proxies", "with proxies", "proxies alone")), (False, ("", "without proxies"))],
)
def test_figures_are_shown_with_and_without_proxies(proxies: bool, columns: tuple[str, ...]) -> None:
    table = by_title(evaluation(proxies=proxies))["Separation"]
    assert table.columns == columns
    assert [row[0] for row in table.rows] == [
        "fakes", "photographs", "AUC", "average precision", "recall at 1 % false alarms", "recall at 5 % false alarms",
    ]  # fmt: skip
    assert table.rows[0][1:] == ("40", "68", "28")[: len(columns) - 1]


def test_verdicts_have_a_row_for_each_answer_and_shares_of_each_class() -> None:
    table = by_title(evaluation())["Verdicts"]
    assert table.columns == ("said", "photographs", "fakes")
    assert table.rows == (
        ("fake", "1 (2.5 %)", "40 (100.0 %)"),
        ("uncertain", "0 (0.0 %)", "0 (0.0 %)"),
        ("real", "39 (97.5 %)", "0 (0.0 %)"),
    )


def test_generators_are_sorted_and_those_of_few_pictures_come_last_without_figures() -> None:
    table = by_title(evaluation())["By generator"]
    assert [row[:2] for row in table.rows] == [("a|b (gan)", "30"), ("taef2 (proxy)", "28"), ("rare (gan)", "10")]
    assert table.rows[2][2:] == ("few", "", "", "", "", "")
    assert "Each against all 40 photographs." in table.note
    assert "fewer than 25" in table.note


def test_photographs_are_shown_by_source_with_the_share_that_is_accused() -> None:
    table = by_title(evaluation())["Photographs by source"]
    assert [row[:2] for row in table.rows] == [("phones", "30"), ("web", "10")]
    assert table.rows[0][2].startswith("3.3 % [0.0, ")
    assert table.columns[2] == "photographs called fake"


def test_only_the_groupings_that_were_asked_for_are_shown() -> None:
    titles = by_title(evaluation(by=("family",)))
    assert "By family" in titles
    assert "By generator" not in titles


def test_the_page_has_every_table_the_figures_and_how_it_was_measured() -> None:
    found = evaluation()
    page = summary_markdown(found, {"ROC curve": "figures/roc_curve.png"})
    assert page.startswith("# light (0123456789ab) on test\n\n40 fakes against")
    for table in summary_tables(found):
        assert f"\n## {table.title}\n" in page
    assert "![ROC curve](figures/roc_curve.png)" in page
    assert "- command: `ganfingerprint evaluate --split test`" in page
    assert "bootstrap of 100 resamples by group, seed 42" in page
    assert "- data: data (manifest layout), split test, 108 pictures" in page
    assert "## Figures" not in summary_markdown(found)


def test_every_line_of_a_markdown_table_has_the_same_number_of_cells() -> None:
    page = summary_markdown(evaluation())
    assert "a\\|b (gan)" in page
    for block in page.split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_the_thresholds_and_the_rates_they_were_chosen_for_are_said() -> None:
    note = by_title(evaluation())["At the detector's own thresholds"].note
    assert note == (
        "Fake above score 1.000, real below -1.000; chosen on validation for 1 % of photographs called fake "
        "and 5 % of fakes called real."
    )
