from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from ganfingerprint.cli.tables import (
    COLUMNS,
    Row,
    count_verdicts,
    open_console,
    print_counts,
    print_table,
    to_row,
    write_csv,
    write_json,
)
from ganfingerprint.types import Failure, Label, Prediction, Verdict

PREDICTION = Prediction(
    source="a.jpg",
    sha256="0" * 64,
    format="JPEG",
    size_bytes=1000,
    width=100,
    height=80,
    logit=1.5,
    prob_fake=0.75,
    log10_lr=0.4771,
    verdict=Verdict.UNCERTAIN,
    boxes=np.zeros((3, 4), np.int32),
    window_prob_fake=np.full(3, 0.75),
    embedding=np.zeros(512, np.float32),
    detector_id="0" * 12,
    latency_ms=1.0,
)
JUDGED = to_row("a.jpg", PREDICTION, Label.FAKE)
FAILED = to_row("b.jpg", Failure(source="b.jpg", code="too_small", error="8 x 8 pixels"), None)


def printed(rows: list[Row], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_table(rows, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_columns_are_these_and_in_this_order() -> None:
    assert (
        *("path", "sha256", "logit", "prob_fake", "log10_lr", "verdict", "windows", "true_label"),
        *("error_code", "error", "windows_for_fake", "stability"),
    ) == COLUMNS


def test_an_answer_keeps_its_numbers_exactly() -> None:
    assert (JUDGED.logit, JUDGED.prob_fake, JUDGED.log10_lr, JUDGED.windows) == (1.5, 0.75, 0.4771, 3)
    assert (JUDGED.verdict, JUDGED.true_label, JUDGED.error_code) == (Verdict.UNCERTAIN, Label.FAKE, None)


def test_a_failure_has_its_reason_and_no_numbers() -> None:
    assert (FAILED.error_code, FAILED.error) == ("too_small", "8 x 8 pixels")
    assert FAILED.prob_fake is None
    assert FAILED.verdict is None


def test_how_many_windows_speak_for_a_fake_is_said_where_it_is_known() -> None:
    assert "3 of 3 fake" in printed([JUDGED])
    of_a_scan = printed([replace(JUDGED, windows_for_fake=None, true_label=None)])
    assert of_a_scan.splitlines()[1].split()[-1] == "3"
    assert "None" not in of_a_scan


def test_csv_leaves_what_does_not_apply_empty() -> None:
    stream = io.StringIO()
    write_csv([JUDGED, FAILED], stream)
    first, second = csv.DictReader(io.StringIO(stream.getvalue()))
    assert (first["verdict"], first["true_label"], first["error"]) == ("uncertain", "fake", "")
    assert (second["verdict"], second["logit"], second["error_code"]) == ("", "", "too_small")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_json_does_not_have(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json({"answers": [value]}, io.StringIO())


def test_json_is_ascii_so_that_every_file_name_survives() -> None:
    stream = io.StringIO()
    write_json({"answers": [{"path": "猫\udcff.jpg"}]}, stream)
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == {"schema_version": 1, "answers": [{"path": "猫\udcff.jpg"}]}


def test_the_table_shows_two_decimals_of_evidence_and_three_of_probability() -> None:
    assert printed([JUDGED]).splitlines()[1].split() == [
        *("a.jpg", "uncertain", "0.750", "+0.48", "3", "of", "3", "fake", "fake"),
    ]


@pytest.mark.parametrize(("log10_lr", "shown"), [(-0.001, "+0.00"), (-0.5, "-0.50"), (2.0, "+2.00")])
def test_evidence_has_a_sign_but_zero_has_no_minus(log10_lr: float, shown: str) -> None:
    assert shown in printed([replace(JUDGED, log10_lr=log10_lr)])


def test_the_truth_column_is_there_only_when_a_truth_is_known() -> None:
    assert "truth" in printed([JUDGED])
    assert "truth" not in printed([replace(JUDGED, true_label=None)])


def test_a_long_name_is_folded_not_cut() -> None:
    name = "/".join(["folder"] * 20) + "/picture.jpg"
    shown = printed([replace(JUDGED, path=name)], width=80)
    assert name in "".join(line[: line.find("  ")] if "  " in line else line for line in shown.splitlines()[1:])


def test_a_failure_is_a_row_and_a_sentence() -> None:
    assert printed([JUDGED, FAILED]).splitlines()[-1] == "b.jpg: 8 x 8 pixels [too_small]"


def test_names_can_do_nothing_to_a_terminal() -> None:
    name = "\x1b[31mred\n\r\a\x9b\u202egnp\udcff 猫.png"
    shown = printed([replace(JUDGED, path=name), replace(FAILED, path=name, error=f"no item {name}")], width=300)
    assert [sign for sign in shown if not sign.isprintable()] == ["\n"] * 4
    assert shown.count(r"\x1b[31mred\n\r\x07\x9b\u202egnp\udcff 猫.png") == 4
    stream = io.StringIO()
    write_csv([replace(JUDGED, path=name)], stream)
    assert name in stream.getvalue()  # exact, for programs


def test_verdicts_are_counted_with_those_that_have_none() -> None:
    assert count_verdicts(["uncertain", Verdict.UNCERTAIN, None]) == {
        "real": 0,
        "uncertain": 2,
        "fake": 0,
        "not read": 1,
    }


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (["uncertain"], "1 picture: 1 uncertain"),
        ([Verdict.UNCERTAIN, None], "2 pictures: 1 uncertain, 1 not read"),
    ],
)
def test_counts_are_told_in_one_line(verdicts: list[str | None], words: str) -> None:
    console = Console(file=io.StringIO(), width=20)
    print_counts(verdicts, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == words + "\n"


def test_a_pipe_is_wide() -> None:
    assert open_console().width == 160  # nobody's window sets a limit here
