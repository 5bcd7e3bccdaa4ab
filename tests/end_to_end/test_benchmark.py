"""`benchmark` and `evaluate --tiers` as their users call them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import read_card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.main import main


@pytest.fixture
def root(tmp_path: Path, draw_picture: Callable[..., Any]) -> Path:
    for number in range(6):
        for label, shade in (("real", 0.3), ("fake", 1.0)):
            place = tmp_path / "data" / "test" / label / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            PilImage.fromarray((draw_picture(number) * shade).astype("uint8")).save(place)
    return tmp_path / "data"


def deliveries(folder: Path) -> list[str]:
    with (folder / "deliveries.csv").open() as stream:
        return [row["delivery"] for row in csv.DictReader(stream)]


def test_robustness_judges_after_each_delivery_that_is_named(
    root: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code = main(
        ["benchmark", "robustness", "--detector", str(detector), "--engine", "fake", "--data-root", str(root),
         "--output-dir", str(out), "--deliveries", "jpeg-50, web", "--samples", "5"]
    )  # fmt: skip
    assert code == 0
    assert deliveries(out) == ["as it is", "jpeg-50", "web"]
    assert "After a delivery" in capsys.readouterr().out
    assert (out / "figures" / "deliveries.png").is_file()


@pytest.mark.parametrize(("whole", "size"), [((), (144, 96)), (("--whole-pictures",), (192, 128))])
def test_tiers_are_for_crops_or_for_whole_pictures(
    root: Path, detector: Path, tmp_path: Path, whole: tuple[str, ...], size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from ganfingerprint.delivery import Delivery

    for file in root.rglob("*.png"):
        PilImage.new("RGB", (192, 128), PilImage.open(file).getpixel((0, 0))).save(file)
    seen: dict[str, set[tuple[int, int]]] = {}
    true_call = Delivery.__call__

    def noted(self: Delivery, *arguments: Any) -> Any:
        arrived = true_call(self, *arguments)
        seen.setdefault(str(self.quality), set()).add((arrived.shape[1], arrived.shape[0]))
        return arrived

    monkeypatch.setattr(Delivery, "__call__", noted)
    code = main(
        ["evaluate", "--detector", str(detector), "--engine", "fake", "--data-root", str(root), "--tiers", *whole,
         "--output-dir", str(tmp_path / "out"), "--samples", "5"]
    )  # fmt: skip
    assert code == 0
    names = ["web-768", "hard-512", "social-1080"] if whole else ["web", "hard", "social"]
    assert deliveries(tmp_path / "out") == ["as it is", *names]
    assert seen["60"] == {size}


def test_a_fit_to_tiers_tells_and_measures_them_under_the_new_thresholds(
    root: Path, detector: Path, tmp_path: Path
) -> None:
    (root / "test").rename(root / "validation")
    own = tmp_path / "own"
    shutil.copytree(detector, own)
    code = main(
        ["evaluate", "--detector", str(own), "--engine", "fake", "--data-root", str(root), "--tiers", "--fit",
         "--split", "validation", "--output-dir", str(tmp_path / "out"), "--samples", "5"]
    )  # fmt: skip
    assert code == 0
    calibration = Calibration.from_mapping(read_card(own).calibration)
    assert calibration.deliveries == "web, hard, social"
    assert (calibration.n_real, calibration.n_fake) == (6, 6)  # pictures, not versions of them
    figures = read_card(own).figures
    assert {name.rpartition(" after ")[2] for name in figures if " after " in name} == {"web", "hard", "social"}
    with (tmp_path / "out" / "deliveries.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    alarms = [float(row["false_alarm_rate_shipped_value"]) for row in rows]
    assert sum(alarms) / 4 == pytest.approx(calibration.measured_false_alarm_rate)


def test_leave_one_out_trains_without_each_generator(
    drawn_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for split in ("train", "validation"):
        for number, path in enumerate(sorted((drawn_root / split).rglob("*.png"))):
            inner = ("one", "two")[number % 2] if path.parent.name == "fake" else "photographs"
            place = data / split / path.parent.name / inner / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    tiny = Path(__file__).parents[1] / "unit" / "training" / "tiny.yaml"
    arguments = ["benchmark", "leave-one-out", "--data-root", str(data), "--output-dir", str(tmp_path / "out")]
    assert main([*arguments, "--by", "generator", "--config", str(tiny), "--epochs", "1", "--samples", "5"]) == 0
    told = capsys.readouterr().out
    assert "Mean AUC of 2 folds: " in told
    assert {"one", "two"} <= set(told.split())
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["01-one", "02-two"]
    assert main([*arguments, "--by", "source"]) == 1
    assert main([*arguments, "--families", str(tmp_path / "none.yaml")]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("benchmark", "robustness", "--deliveries", "web,jpg"), "no delivery 'jpg' (there are: web, hard, social"),
        (("benchmark", "robustness", "--deliveries", " , "), "no delivery is named"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--data-root", str(tmp_path), "--output-dir", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
