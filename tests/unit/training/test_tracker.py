from __future__ import annotations

import csv
import json
import math
import re
import sys
from pathlib import Path

import pytest

from ganfingerprint.config import TrainConfig, load_config, to_mapping
from ganfingerprint.errors import MissingExtraError
from ganfingerprint.training.tracker import ExperimentTracker, Onlooker


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "epochs.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_each_run_has_a_folder_of_its_own_even_in_one_second(tmp_path: Path) -> None:
    folders = []
    for _ in range(4):
        with ExperimentTracker.create(tmp_path / "runs", "trial") as tracker:
            folders.append(tracker.folder)
    assert len(set(folders)) == 4
    assert all(re.fullmatch(r"trial_\d{8}-\d{6}(-\d+)?", folder.name) for folder in folders)
    assert all(folder.is_dir() for folder in folders)


def test_the_configuration_is_written_to_be_run_again(tmp_path: Path) -> None:
    config = load_config(preset="light", overrides=["data.root=Bücher", "network.taps=[2, 3, 4]"])
    with ExperimentTracker(tmp_path) as tracker:
        tracker.save_config(to_mapping(config))
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8")) == to_mapping(config)
    assert load_config(file=tmp_path / "config.yaml") == config
    assert list(load_config().__slots__) == list(TrainConfig.__slots__)


def test_the_log_is_on_disk_at_once_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with ExperimentTracker(tmp_path) as tracker:
        tracker.log("first → ü")
        assert log.read_text(encoding="utf-8").endswith(" first → ü\n")  # while it is still open
    with ExperimentTracker(tmp_path) as tracker:
        tracker.log("second")
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["first → ü", "second"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d ", line) for line in lines)


def test_the_table_of_epochs_is_written_anew_with_all_columns(tmp_path: Path) -> None:
    with ExperimentTracker(tmp_path) as tracker:
        tracker.save_epochs([{"epoch": 1.0, "loss": 0.5}])
        tracker.save_epochs([{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": math.inf, "auc": 0.75}])
    assert rows(tmp_path) == [
        {"epoch": "1.0", "loss": "0.5", "auc": ""},
        {"epoch": "2.0", "loss": "inf", "auc": "0.75"},
    ]


def test_results_are_json_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    with ExperimentTracker(tmp_path) as tracker:
        tracker.save_results({"auc": 0.75, "detector": "d"})
        tracker.save_epochs([{"epoch": 1.0}])
        tracker.scalars(1, {"loss": 0.5})  # without TensorBoard: goes nowhere
    assert json.loads((tmp_path / "results.json").read_text()) == {"auc": 0.75, "detector": "d"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.csv", "log.txt", "results.json"]


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with ExperimentTracker(tmp_path) as tracker:
        tracker.save_results({"auc": 0.5})
        with pytest.raises(TypeError):
            tracker.save_results({"auc": object()})
    assert json.loads((tmp_path / "results.json").read_text()) == {"auc": 0.5}


def test_an_onlooker_writes_nothing(tmp_path: Path) -> None:
    with Onlooker(tmp_path / "run") as tracker:
        tracker.save_config({"seed": 1})
        tracker.log("something")
        tracker.scalars(1, {"loss": 0.5})
        tracker.save_epochs([{"epoch": 1.0}])
        tracker.save_results({"auc": 0.75})
    assert tracker.folder == tmp_path / "run"
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_closes_its_log_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ExperimentTracker(tmp_path) as tracker:
        _ = 1 / 0
    with pytest.raises(ValueError, match="closed file"):
        tracker.log("too late")


def test_a_missing_tensorboard_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'ganfingerprint[train]'")):
        ExperimentTracker(tmp_path, tensorboard=True)


@pytest.mark.slow  # importing TensorBoard takes seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_figures_reach_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with ExperimentTracker(tmp_path, tensorboard=True) as tracker:
        tracker.scalars(3, {"train/loss": 0.5})
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"train/loss" in events.read_bytes()
