"""The commands as a user types them, on the arithmetic engine: score = (brightness - 128) / 16, bright is fake."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import read_card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.main import main
from ganfingerprint.cli.tables import COLUMNS

BRIGHT, GREY, DARK = 220, 128, 40
FITTED = "validation (chose calibration and thresholds)"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def judge(run: Run, detector: Path) -> Run:
    """`predict` on the arithmetic engine."""
    return lambda *arguments: run("predict", "--detector", detector, "--engine", "fake", *arguments)


def draw(path: Path, brightness: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(np.full((100, 140, 3), brightness, np.uint8)).save(path)
    return path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two of each class, one of each judged rightly."""
    root = tmp_path / "labelled"
    for name, brightness in {"real/a": DARK, "real/b": GREY, "fake/a": BRIGHT, "fake/c": DARK}.items():
        draw(root / f"{name}.png", brightness)
    return root


def answers(done: Done) -> list[dict[str, Any]]:
    return list(json.loads(done.out)["answers"])


@pytest.mark.parametrize(("brightness", "verdict"), [(BRIGHT, "fake"), (GREY, "uncertain"), (DARK, "real")])
def test_a_picture_gets_its_verdict(judge: Run, tmp_path: Path, brightness: int, verdict: str) -> None:
    done = judge(draw(tmp_path / "x.png", brightness))
    assert done.code == 0
    assert verdict in done.out.splitlines()[1].split()
    assert f"1 picture: 1 {verdict}" in done.out


def test_json_holds_every_column_of_every_answer(judge: Run, tmp_path: Path, detector: Path) -> None:
    done = judge(draw(tmp_path / "x.png", BRIGHT), "--format", "json")
    content = json.loads(done.out)
    assert content["schema_version"] == 1
    assert content["detector"] == {
        "id": read_card(detector).detector_id,
        "name": "arithmetic",
        "engine": "fake",
        "precision": "fp32",
    }
    (row,) = content["answers"]
    assert tuple(row) == COLUMNS
    assert row["logit"] == pytest.approx((BRIGHT - 128) / 16)
    assert row["log10_lr"] == pytest.approx(1.0)  # an unfitted detector claims no more than 10 to 1
    assert row["prob_fake"] == pytest.approx(10 / 11)
    assert (row["verdict"], row["windows"], row["error_code"]) == ("fake", 2, None)
    assert len(row["sha256"]) == 64


def test_stability_is_told_and_failures_have_none(judge: Run, labelled: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no")
    rows = answers(judge(labelled / "fake", broken, "--stability", "--format", "json"))
    assert [row["stability"] for row in rows] == ["3 of 3"] * (len(rows) - 1) + [None]
    assert "re-encoded, the same" in judge(labelled / "fake", "--stability").out
    assert {row["stability"] for row in answers(judge(labelled / "fake", "--format", "json"))} == {None}


def test_csv_is_the_same_rows(judge: Run, labelled: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(judge(labelled, "-r", "--format", "csv").out)))
    expected = answers(judge(labelled, "-r", "--format", "json"))
    assert tuple(rows[0]) == COLUMNS
    for row, answer in zip(rows, expected, strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in answer.items()}


def test_a_file_that_cannot_be_read_is_a_row_and_the_others_are_judged(judge: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    good = draw(tmp_path / "good.png", DARK)
    done = judge(good, broken, tmp_path / "nowhere.png", "--format", "json")
    assert done.code == 2
    rows = answers(done)
    assert [row["error_code"] for row in rows] == [None, "unreadable_image", "not_found"]
    assert rows[0]["verdict"] == "real"
    assert all(row["error"] and row["prob_fake"] is None for row in rows[1:])
    assert "3 pictures: 1 real, 2 not read" in done.err


def test_the_table_says_why_a_file_was_not_read(judge: Run, tmp_path: Path) -> None:
    done = judge(tmp_path / "nowhere.png")
    assert done.code == 2
    assert "not read" in done.out
    assert "there is no such file [not_found]" in done.out


@pytest.mark.parametrize(
    "name", ["with space.png", "Ünïcödé 猫.png", "[red]x[/red].png", "100%.png", 'a,b"c.png', "-dash.png", "x'y.png"]
)
def test_a_name_of_any_kind_survives(judge: Run, tmp_path: Path, name: str) -> None:
    path = draw(tmp_path / name, DARK)
    assert answers(judge(path, "--format", "json"))[0]["path"] == str(path)
    assert next(csv.DictReader(io.StringIO(judge(path, "--format", "csv").out)))["path"] == str(path)
    assert name in judge(path).out.replace("\n", "")


def test_a_picture_named_twice_is_judged_once(judge: Run, labelled: Path) -> None:
    picture = labelled / "real" / "a.png"
    done = judge(picture, labelled, "-r", picture.parent / ".." / "real" / "a.png", "--format", "json")
    assert [row["path"] for row in answers(done)] == [
        str(labelled / name) for name in ("real/a.png", "fake/a.png", "fake/c.png", "real/b.png")
    ]


def test_folders_within_folders_need_recursive(judge: Run, labelled: Path) -> None:
    done = judge(labelled)
    assert done.code == 1
    assert "error [usage]" in done.err
    assert "--recursive" in done.err
    assert done.out == ""


def test_known_labels_give_accuracy_beside_parseable_output(judge: Run, labelled: Path) -> None:
    done = judge(labelled, "-r", "--format", "json")
    assert [row["true_label"] for row in answers(done)] == ["fake", "fake", "real", "real"]
    assert "truth" in done.err
    assert "AUC 0.625" in done.err  # bright > grey and dark; dark = dark, dark < grey: (2 + .5) / 4
    assert "AUC 0.625" in judge(labelled, "-r").out


@pytest.mark.parametrize(
    ("label", "counts", "figure"),
    [("real", ["real", "1", "1", "0"], "false alarm rate 0.500"), ("fake", ["fake", "1", "0", "1"], "recall 0.500")],
)
def test_one_class_alone_gives_its_counts_and_one_figure(
    judge: Run, labelled: Path, label: str, counts: list[str], figure: str
) -> None:
    lines = judge(labelled / label).out.splitlines()
    assert counts in [line.split() for line in lines]
    assert lines[-1] == f"At P(fake) = 0.5: {figure}"  # the grey photograph is exactly at one half


def test_output_dir_holds_rows_summary_and_a_picture_for_each(judge: Run, labelled: Path, tmp_path: Path) -> None:
    (labelled / "real" / "broken.png").write_bytes(b"nothing")
    out = tmp_path / "deep" / "out"
    done = judge(labelled, "-r", "--output-dir", out)
    assert done.code == 2
    assert str(out) in done.err
    rows = list(csv.DictReader(io.StringIO((out / "predictions.csv").read_text(encoding="utf-8"))))
    assert [row["error_code"] for row in rows] == ["", "", "", "", "unreadable_image"]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["verdicts"] == {"real": 2, "uncertain": 1, "fake": 1, "not read": 1}
    assert summary["accuracy"]["verdicts"] == {
        "real": {"real": 1, "uncertain": 1, "fake": 0},
        "fake": {"real": 1, "uncertain": 0, "fake": 1},
    }
    assert summary["accuracy"]["confusion_at_half"] == [[1, 1], [1, 1]]  # the grey one is exactly at one half
    assert {path.suffix for path in out.iterdir()} == {".csv", ".json", ".png"}
    assert len(list(out.glob("*.png"))) == 4


def test_published_error_16_pictures_of_one_stem_do_not_overwrite_one_another(judge: Run, tmp_path: Path) -> None:
    pictures = [draw(tmp_path / name, DARK) for name in ("x/a.jpg", "x/a.png", "y/a.png")]
    judge(*pictures, "--output-dir", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_an_explanation_needs_an_engine_with_layers(judge: Run, tmp_path: Path) -> None:
    done = judge(draw(tmp_path / "x.png", DARK), "--gradcam", "--output-dir", tmp_path / "out")
    assert done.code == 1
    assert "engine" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict",), "error [usage]: Missing argument 'INPUT'"),
        (("predict", "x.png", "--batch-size", "0"), "error [usage]: Invalid value for '--batch-size'"),
        (("predict", "x.png", "--format", "xml"), "error [usage]: Invalid value for '--format'"),
        (("predict", "x.png", "--detector", "nowhere"), "error [no_detector]: nowhere"),
        (("predikt", "x.png"), "Did you mean 'predict'?"),
        (("train",), "error [usage]: train needs --data-root"),
        (("train", "--resume", "run", "--preset", "light"), "leave out --config and --preset"),
        (("train", "--resume", "nowhere"), "error [training]: nowhere"),
        (("train", "--data-root", "nowhere", "--preset", "lite"), "did you mean 'light'?"),
        (("evaluate", "--data-root", ".", "--output-dir", "o", "--fit", "--detector", "d"), "--split validation"),
        (
            ("evaluate", "--data-root", ".", "--output-dir", "o", "--fit", "--split", "train", "--detector", "d"),
            "what 'train' had chosen",
        ),
        (("evaluate", "--data-root", ".", "--output-dir", "o", "--record"), "name the detector with --detector"),
        (("info", "nowhere"), "error [no_detector]: nowhere"),
        (("import-checkpoint", "nowhere.pth", "out"), "error [no_detector]: nowhere.pth"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.code == 1
    assert done.out == ""
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_all_mistakes_of_a_configuration_are_told_one_a_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("optim: {epoch: 3}\nwindow: {size: 10}\n", encoding="utf-8")
    done = run("train", "--data-root", tmp_path, "--config", file, "--lr", "7", "--set", "network.backbon=x")
    assert done.code == 1
    lines = done.err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("error [config]: ") for line in lines)
    assert any("did you mean 'backbone'?" in line for line in lines)


def test_a_place_that_cannot_be_written_is_a_sentence(judge: Run, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    done = judge(draw(tmp_path / "x.png", DARK), "--output-dir", blocked / "out")
    assert done.code == 1
    assert "\nerror [system]: " in done.err


def test_help_config_lists_every_setting_with_its_default(run: Run) -> None:
    done = run("train", "--help-config")
    assert done.code == 0
    assert ["optim.batch_size", "16", "windows", "a", "step"] in [line.split() for line in done.out.splitlines()]


def test_info_tells_windows_thresholds_and_that_nothing_was_fitted(run: Run, detector: Path) -> None:
    done = run("info", detector)
    assert done.code == 0
    assert "an even grid of at most 2 windows" in done.out
    assert f"score above {math.log(10):.4f}, chosen for no error rate" in done.out
    assert "fitted" in done.out
    assert "on nothing" in done.out
    content = json.loads(run("info", detector, "--format", "json").out)
    assert content["detector"]["id"] == read_card(detector).detector_id
    assert content["detector"]["window"]["size"] == 96


def test_published_error_03_evaluate_measures_and_fit_writes_the_card(run: Run, tmp_path: Path, detector: Path) -> None:
    root, own = tmp_path / "data", tmp_path / "own"
    card = read_card(detector)
    write_detector(own, {"unused": np.zeros(3, np.float32)}, card.replaced(weights=()))
    for split in ("validation", "test"):
        for number in range(8):
            draw(root / split / "real" / f"{number}.png", 60 + 8 * number)  # 60..116
            draw(root / split / "fake" / f"{number}.png", 90 + 8 * number)  # 90..146
    common = ("--detector", own, "--engine", "fake", "--data-root", root, "--samples", "20")
    before = run("evaluate", *common, "--output-dir", tmp_path / "before", "--split", "test")
    assert before.code == 0
    assert "AUC" in before.out
    assert read_card(own) == read_card(own).replaced(calibration=Calibration.unfitted().to_mapping())
    fitted = run(
        "evaluate", *common, "--output-dir", tmp_path / "fit", "--split", "val", "--fit", "--miss-rate", "0.13"
    )
    assert fitted.code == 0
    calibration = Calibration.from_mapping(read_card(own).calibration)
    assert (calibration.n_real, calibration.n_fake, calibration.miss_rate) == (8, 8, 0.13)
    assert calibration.measured_false_alarm_rate == 0.0
    assert calibration.fake_threshold == pytest.approx((119 - 128) / 16)  # between photograph 116 and fake 122
    assert list(read_card(own).figures) == [FITTED]
    written = json.loads((tmp_path / "fit" / "metrics.json").read_text(encoding="utf-8"))
    assert read_card(own).detector_id in json.dumps(written)  # measured under the new thresholds
    assert written["measured"]["split"] == FITTED
    assert "fakes called fake" in fitted.out
    recorded = run("evaluate", *common, "--output-dir", tmp_path / "test", "--record")
    assert recorded.code == 0
    assert "The figures of 'test' are in " in recorded.err
    again = run("evaluate", *common, "--output-dir", tmp_path / "test", "--record")
    assert "in place of those that were there" in again.err
    assert list(read_card(own).figures) == [FITTED, "test"]
    assert "Figures on test" in run("info", own).out
    assert not list(tmp_path.rglob("attention*"))  # arithmetic looks nowhere


def test_a_fit_that_cannot_write_its_figures_leaves_the_card_alone(
    run: Run, labelled: Path, tmp_path: Path, detector: Path
) -> None:
    (tmp_path / "data").mkdir()
    labelled.rename(tmp_path / "data" / "validation")
    (tmp_path / "out" / "summary.md" / "in the way").mkdir(parents=True)
    before = read_card(detector)
    done = run(
        "evaluate", "--detector", detector, "--engine", "fake", "--data-root", tmp_path / "data", "--samples", "5",
        "--output-dir", tmp_path / "out", "--split", "validation", "--fit",
    )  # fmt: skip
    assert done.code == 1
    assert "summary.md" in done.err
    assert read_card(detector) == before


def test_evaluate_counts_what_it_could_not_read(run: Run, labelled: Path, tmp_path: Path, detector: Path) -> None:
    root = tmp_path / "data"
    for label in ("real", "fake"):
        (labelled / label).rename(draw(root / "test" / label / "extra.png", GREY).parent / "more")
    (root / "test" / "fake" / "broken.png").write_bytes(b"nothing")
    done = run(
        "evaluate", "--detector", detector, "--engine", "fake", "--data-root", root, "--output-dir", tmp_path / "out",
        "--samples", "5",
    )  # fmt: skip
    assert done.code == 2
    assert "unreadable_image" in done.out


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "-h"] for name in ("predict", "train", "evaluate", "info"))]
)
def test_help_is_told_without_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from ganfingerprint.cli.main import main\n"
        f"code = main({arguments!r}); sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = python("-c", code)
    assert done.returncode == 0
    assert "ganfingerprint" in done.stdout


def test_no_command_shows_the_help_and_is_an_error(run: Run) -> None:
    done = run()
    assert done.code == 1
    assert "import-checkpoint" in done.out


def test_a_reader_that_leaves_early_is_no_error_message(detector: Path, labelled: Path) -> None:
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "predict", str(labelled), "-r", "--format", "json"]
    command += ["--detector", str(detector), "--engine", "fake"]
    reader, writer = os.pipe()
    os.close(reader)  # before the first word
    process = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_json_survives_a_terminal_without_unicode(detector: Path, tmp_path: Path) -> None:
    draw(tmp_path / "猫.png", DARK)
    arguments = ["predict", str(tmp_path), "--detector", str(detector), "--engine", "fake"]
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = python("-m", "ganfingerprint.cli.main", *arguments, "--format", "json", env=plain)
    assert done.returncode == 0
    assert json.loads(done.stdout)["answers"][0]["path"].endswith("猫.png")
    assert python("-m", "ganfingerprint.cli.main", *arguments, env=plain).returncode == 0
