"""From a folder of pictures to scores, metrics, figures and summary."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.detector import Detector
from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.evaluation import protocol
from ganfingerprint.evaluation.measure import Evaluation, card_figures
from ganfingerprint.evaluation.outputs import choose_samples
from ganfingerprint.evaluation.run import evaluate

FIGURES = {
    "roc_curve.png", "precision_recall.png", "reliability.png", "score_distribution.png", "verdicts.png",
    "confusion_matrix.png", "auc_by_family.png", "sample_predictions.png",
}  # fmt: skip
# The fake engine calls bright pictures fake: raw score = (brightness - 128) / 16.
PHOTOGRAPHS = [20, 40, 60, 70, 80, 90, 100, 110, 120, 230]
FAKES = [250, 240, 220, 200, 190, 180, 170, 150, 100]


@pytest.fixture(scope="module")
def detector(bright_detector: Detector) -> Detector:
    return bright_detector


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty files: ten photographs, nine fakes of which three are proxies, and one that is broken."""
    folder = tmp_path_factory.mktemp("data")
    rows = [("path", "label", "generator", "family", "split", "group", "source")]
    for number, brightness in enumerate((*PHOTOGRAPHS, *FAKES)):
        fake = number >= len(PHOTOGRAPHS)
        family = ("proxy" if number % 3 == 0 else "gan") if fake else "photo"
        name = f"{'fake' if fake else 'real'}{number}.png"
        PilImage.new("RGB", (100, 100), (brightness,) * 3).save(folder / name)
        rows.append((name, "fake" if fake else "real", f"net-{family}" if fake else "", family, "test", name, "drawn"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    rows.append(("broken.jpg", "fake", "net-gan", "gan", "test", "broken", "drawn"))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def done(detector: Detector, root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("out") / "evaluation"
    found = evaluate(
        detector, data_root=root, output_dir=out, by=("generator", "family", "source"), samples=100, seed=3
    )
    return found, out


def test_everything_is_written_and_nothing_half_written_is_left(done: tuple[Evaluation, Path]) -> None:
    _, out = done
    assert {entry.name for entry in out.iterdir()} == {
        "scores.parquet",
        "metrics.json",
        "metrics.csv",
        "summary.md",
        "figures",
    }
    # no group has 25 pictures, so no figure by generator, family or source can be drawn
    assert {entry.name for entry in (out / "figures").iterdir()} == FIGURES - {"auc_by_family.png"}


def test_the_scores_are_the_answers_of_the_detector(
    done: tuple[Evaluation, Path], detector: Detector, root: Path
) -> None:
    table = protocol.read_scores(done[1] / "scores.parquet")
    assert len(table) == 20
    np.testing.assert_allclose(table.logit[:-1], (np.array(PHOTOGRAPHS + FAKES) - 128) / 16)
    answer = detector.predict(root / "real0.png")
    assert (table.logit[0], table.prob_fake[0], table.log10_lr[0]) == (answer.logit, answer.prob_fake, answer.log10_lr)
    assert table.verdict[[0, 9, 10, 18]].tolist() == ["real", "fake", "fake", "real"]


def test_the_broken_file_is_a_row_and_counted_and_in_no_figure(done: tuple[Evaluation, Path]) -> None:
    found, out = done
    assert (found.table.path[-1], found.table.error_code[-1]) == ("broken.jpg", "unreadable_image")
    assert found.measurement.failures == {"unreadable_image": 1}
    plain = json.loads((out / "metrics.json").read_text())
    assert plain["pictures"] == {"listed": 20, "judged": 19, "failed": {"unreadable_image": 1}}
    assert "1 of 20 files could not be read" in (out / "summary.md").read_text()
    assert {part.n_fake for part in found.measurement.overall if part.name == protocol.WITH_PROXIES} == {9}


def test_the_figures_of_the_headline_are_those_of_the_drawn_pictures(done: tuple[Evaluation, Path]) -> None:
    found, out = done
    fakes = [value for number, value in enumerate(FAKES, start=len(PHOTOGRAPHS)) if number % 3]
    pairs = np.mean([(f > p) + 0.5 * (f == p) for f in fakes for p in PHOTOGRAPHS])
    headline = json.loads((out / "metrics.json").read_text())["overall"][0]
    assert (headline["name"], headline["n_real"], headline["n_fake"]) == ("without proxies", 10, 6)
    assert headline["figures"]["auc"]["value"] == pytest.approx(pairs)
    assert headline["figures"]["auc"]["low"] <= pairs <= headline["figures"]["auc"]["high"]
    assert headline["figures"]["recall_shipped"]["value"] == pytest.approx(np.mean([f > 128 + 3 * 16 for f in fakes]))
    assert headline["figures"]["false_alarm_rate_shipped"]["value"] == pytest.approx(0.1)  # the one of 230
    assert found.measurement.verdicts.sum(axis=0).tolist() == [10, 6]


def test_metrics_csv_holds_the_same_figures_one_a_row(done: tuple[Evaluation, Path]) -> None:
    found, out = done
    with (out / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    auc = next(row for row in rows if row["by"] == "overall" and row["metric"] == "auc")
    assert float(auc["value"]) == found.measurement.headline.figures["auc"].value
    few = [row for row in rows if row["few"] == "true"]
    assert {row["by"] for row in few} == {"generator", "family", "source"}
    assert {row["metric"] + row["value"] for row in few} == {""}


def test_it_is_written_how_the_figures_came_about(
    done: tuple[Evaluation, Path], detector: Detector, root: Path
) -> None:
    measured = json.loads((done[1] / "metrics.json").read_text())["measured"]
    assert measured["detector_id"] == detector.detector_id
    assert (measured["split"], measured["layout"], measured["seed"], measured["samples"]) == (
        "test",
        "manifest",
        3,
        100,
    )
    assert measured["calibration"]["fake_threshold"] == 3.0
    assert f"--data-root {root} --split test" in measured["command"]


def test_two_evaluations_write_the_same_figures_and_tell_their_progress(
    done: tuple[Evaluation, Path], detector: Detector, root: Path, tmp_path: Path
) -> None:
    by = ("generator", "family", "source")
    seen: list[tuple[int, int]] = []
    again = evaluate(
        detector, data_root=root, output_dir=tmp_path, by=by, samples=100, seed=3, batch_size=2, command="x",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(k, 20) for k in range(1, 21)]
    assert again.measurement.overall == done[0].measurement.overall
    assert (tmp_path / "metrics.csv").read_bytes() == (done[1] / "metrics.csv").read_bytes()


def test_the_shown_pictures_are_the_most_and_the_least_rightly_judged_of_each_class(
    done: tuple[Evaluation, Path],
) -> None:
    table = done[0].table
    rows = choose_samples(table)
    assert [PHOTOGRAPHS[row] for row in rows[:4]] == [20, 40, 120, 230]
    assert [FAKES[row - 10] for row in rows[4:]] == [250, 240, 170, 150]  # without the proxies: 220, 180 and 100 are
    assert choose_samples(table.select(table.label == "none")) == []
    assert choose_samples(table.select(np.arange(20) < 3)) == [0, 1, 2]  # each once


def test_the_card_gets_figures_with_intervals_and_numbers_behind_them(done: tuple[Evaluation, Path]) -> None:
    figures = card_figures(done[0].measurement, "test")["test"]
    headline = done[0].measurement.headline.figures
    assert figures["auc"] == {
        "value": headline["auc"].value,
        "low": headline["auc"].low,
        "high": headline["auc"].high,
        "n": 16,
    }
    assert figures["recall_shipped"]["n"] == 6
    assert figures["false_alarm_rate_shipped"]["n"] == 10
    assert figures["auc_with_proxies"]["n"] == 19
    assert figures["auc_proxies_alone"]["n"] == 13
    assert "low" not in figures["auc_proxies_alone"]  # three groups of fakes are no basis for an interval
    assert not [name for name in figures if name.startswith("auc.")]  # all groups are of few pictures
    json.dumps(figures, allow_nan=False)


def test_groups_of_enough_pictures_have_bars_and_places_in_the_card(detector: Detector, tmp_path: Path) -> None:
    for label, brightness in (("real", 60), ("fake", 160)):
        folder = tmp_path / "data" / "test" / label / "set-a"
        folder.mkdir(parents=True)
        for number in range(26):
            PilImage.new("RGB", (96, 96), (brightness + 3 * number,) * 3).save(folder / f"{number}.png")
    by = ("generator", "source")
    found = evaluate(detector, data_root=tmp_path / "data", output_dir=tmp_path / "out", by=by, samples=20)
    assert {entry.name for entry in (tmp_path / "out" / "figures").iterdir()} == (FIGURES - {"auc_by_family.png"}) | {
        "auc_by_generator.png", "false_alarms_by_source.png",
    }  # fmt: skip
    figures = card_figures(found.measurement, "test")["test"]
    assert figures["auc.generator.set-a"] == figures["auc"]
    assert figures["false_alarm_rate_shipped.source.set-a"]["value"] == 0.0


def test_one_class_alone_is_measured_as_far_as_it_goes(detector: Detector, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "test" / "real"
    folder.mkdir(parents=True)
    for number in range(6):
        PilImage.new("RGB", (96, 96), (40 * number,) * 3).save(folder / f"{number}.png")
    found = evaluate(detector, data_root=tmp_path / "data", output_dir=tmp_path / "out", samples=20)
    assert math.isnan(found.measurement.headline.figures["auc"].value)
    assert found.measurement.headline.figures["false_alarm_rate_shipped"].value == pytest.approx(1 / 6)
    assert [entry.name for entry in (tmp_path / "out" / "figures").iterdir()] == ["sample_predictions.png"]
    assert "auc" not in card_figures(found.measurement, "test")["test"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"by": ("generator", "colour")}, UsageError, "generator, family, source, not by 'colour'"),
        ({"samples": 0}, UsageError, "samples must be at least 1"),
        ({"split": "external"}, DataError, "no split 'external'"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_scored(
    detector: Detector, root: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    arguments = {
        "data_root": root,
        "output_dir": tmp_path / "out",
        "progress": lambda done, total: pytest.fail("scored"),
    }
    with pytest.raises(error, match=message):
        evaluate(detector, **(arguments | change))
    assert not (tmp_path / "out").exists()


def test_a_split_without_one_readable_picture_is_an_error_and_says_why(detector: Detector, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "test" / "real"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="none of the 1 pictures of 'test' can be read"):
        evaluate(detector, data_root=tmp_path / "data", output_dir=tmp_path / "out")
