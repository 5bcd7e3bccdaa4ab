"""What lies in the folder afterwards."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.evaluation import outputs
from ganfingerprint.evaluation.measure import Evaluation, Facts, measure
from ganfingerprint.evaluation.protocol import COLUMNS, ScoreTable, read_scores

FACTS = Facts(
    detector_id="0123456789ab", detector_name="light", data="data", layout="reference", split="test", seed=1,
    samples=20, command="ganfingerprint evaluate", package_version="0.1.0",
    calibration={"fake_threshold": 1.0, "real_threshold": -1.0},
)  # fmt: skip


def scores(real: list[float], fake: list[float], *, proxies: int = 0, generator: str = "net") -> ScoreTable:
    """Photographs, fakes (the last of them proxies) with these scores, in files 0.png, 1.png, ..."""
    logit = np.array([*real, *fake])
    family = ["photo"] * len(real) + ["gan"] * (len(fake) - proxies) + ["proxy"] * proxies
    text = {
        "path": [f"{k}.png" for k in range(len(logit))],
        "label": ["real"] * len(real) + ["fake"] * len(fake),
        "generator": [""] * len(real) + [generator] * len(fake),
        "family": family,
        "group": [str(k) for k in range(len(logit))],
        "verdict": ["fake" if s > 1 else "real" if s < -1 else "uncertain" for s in logit],
    }
    values = {name: np.array(text.get(name, [""] * len(logit)), dtype=np.str_) for name in COLUMNS}
    numbers = {
        "logit": logit,
        "log10_lr": logit,
        "prob_fake": 1 / (1 + 10**-logit),
        "windows": np.ones(len(logit), int),
    }
    return ScoreTable(**(values | numbers))


def evaluation(table: ScoreTable, *by: str) -> Evaluation:
    return Evaluation(facts=FACTS, table=table, measurement=measure(table, by=by, seed=1, samples=20))


def pictures(root: Path, number: int) -> Path:
    for k in range(number):
        PilImage.new("RGB", (32, 24), (5 * k, 90, 90)).save(root / f"{k}.png")
    return root


@pytest.mark.parametrize(
    ("real", "fake", "proxies", "expected"),
    [
        ([0.0, -1.0, -2.0, 3.0, -3.0, 1.0], [], 0, [4, 2, 5, 3]),  # two most right, two most wrong
        ([], [0.0, -1.0, 2.0, 3.0, 1.0], 0, [3, 2, 0, 1]),
        ([1.0, 2.0], [1.0], 0, [0, 1, 2]),  # no more than there are, each once
        ([1.0], [5.0, 4.0, 9.0], 1, [0, 1, 2]),  # proxies are not shown
        ([0.0, 0.0, 0.0, 0.0, 0.0], [], 0, [0, 1, 3, 4]),  # ties stay in their order
        ([], [], 0, []),
    ],
)
def test_the_pictures_to_show_are_the_surest_and_the_most_mistaken(
    real: list[float], fake: list[float], proxies: int, expected: list[int]
) -> None:
    assert outputs.choose_samples(scores(real, fake, proxies=proxies)) == expected


def test_fewer_pictures_are_shown_when_fewer_are_asked_for() -> None:
    table = scores([0.0, -1.0, -2.0, 3.0], [1.0, 2.0, 3.0, -1.0])
    assert outputs.choose_samples(table, 4) == [2, 3, 6, 7]


def test_a_picture_that_has_gone_since_is_left_out_of_the_sheet(tmp_path: Path) -> None:
    root = pictures(tmp_path, 3)
    found = list(outputs._pictures(scores([0.0, 1.0, 2.0, -2.0], []), [3, 0, 2], root))
    assert [picture.pixels[0, 0, 0] for picture in found] == [0, 10]
    assert [picture.caption for picture in found] == ["0.png", "2.png"]  # no source is known


def test_writing_again_replaces_what_was_there_and_touches_nothing_else(tmp_path: Path) -> None:
    root, out = pictures(tmp_path, 8), tmp_path / "out"
    first, second = (evaluation(scores([-2.0, -1.0, 0.0, 0.5], fake)) for fake in ([1.0, 2.0, 0.0, 3.0], [-1.0] * 4))
    outputs.write_outputs(first, out, root)
    (out / "notes.txt").write_text("mine")
    before = (out / "metrics.csv").read_text()
    outputs.write_outputs(second, out, root)
    assert (out / "metrics.csv").read_text() != before
    assert (out / "notes.txt").read_text() == "mine"
    assert read_scores(out / "scores.parquet").logit[-4:].tolist() == [-1.0] * 4
    assert not [entry for entry in out.rglob("*") if entry.name.startswith(".")]


def test_the_page_links_the_figures_that_were_drawn_and_no_other(tmp_path: Path) -> None:
    outputs.write_outputs(evaluation(scores([-1.0] * 6, []), "family"), tmp_path / "out", pictures(tmp_path, 6))
    page = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("![")] == [
        "![Sample predictions](figures/sample_predictions.png)"
    ]
    assert (tmp_path / "out" / "figures" / "sample_predictions.png").is_file()


def test_names_with_commas_quotes_and_letters_of_all_kinds_survive_the_csv(tmp_path: Path) -> None:
    name = 'Größe, "7" | 像 $x$'
    table = scores(list(np.linspace(-3, 1, 30)), list(np.linspace(-1, 3, 30)), generator=name)
    outputs.write_outputs(evaluation(table, "generator"), tmp_path / "out", tmp_path)
    with (tmp_path / "out" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["by"] == "generator"]
    assert {row["name"] for row in rows} == {name}
    assert {row["n_real"] + "/" + row["n_fake"] for row in rows} == {"30/30"}
    assert all(float(row["low"]) < float(row["value"]) < float(row["high"]) for row in rows if row["metric"] == "auc")


def test_a_figure_without_an_interval_has_empty_cells(tmp_path: Path) -> None:
    outputs.write_slices(evaluation(scores([-2.0] * 3, [2.0] * 3)).measurement.overall, tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open(newline="") as stream:
        auc = next(row for row in csv.DictReader(stream) if row["metric"] == "auc")
    assert (auc["value"], auc["low"], auc["high"]) == ("1.0", "", "")
