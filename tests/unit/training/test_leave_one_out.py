"""A run for each fold, judged on what it left out; stopped and gone on with, it ends alike."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.artifact import read_card
from ganfingerprint.catalog import Catalog
from ganfingerprint.config import TrainConfig, load_config
from ganfingerprint.errors import ConfigError, DataError, TrainingError
from ganfingerprint.evaluation.folds import Fold
from ganfingerprint.evaluation.protocol import read_scores
from ganfingerprint.training.dataset import get_catalog, get_dataloaders
from ganfingerprint.training.leave_one_out import LeaveOneOut, leave_one_out
from ganfingerprint.training.loop import Report

FOLDS = (
    Fold(name="one/net", generators=("one",), photographs=("here",)),
    Fold(name="two", generators=("two",), photographs=("there",)),
)


@pytest.fixture(scope="module")
def config(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Fakes of two generators and photographs of two sources, half of each."""
    manifest = tmp_path_factory.mktemp("data") / "manifest.csv"
    with manifest.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "generator", "family", "split", "group", "source"))
        for number, path in enumerate(sorted(drawn_root.rglob("*.png"))):
            split, label, name = path.relative_to(drawn_root).parts
            first = number % 2 == 0
            kind = ("one" if first else "two", "gan") if label == "fake" else ("", "photo")
            source = "" if label == "fake" else "here" if first else "there"
            writer.writerow((f"{split}/{label}/{name}", label, *kind, split, f"{split}/{label}/{name}", source))
    settings = [f"data.root={drawn_root}", f"data.manifest={manifest}", "optim.epochs=1"]
    return load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=settings)


@pytest.fixture(scope="module")
def catalog(config: TrainConfig) -> Catalog:
    return get_catalog(config.data)


def silent(stage: str, done: int, total: int, loss: float, rate: float) -> None:
    """Progress that nobody looks at."""


def run(config: TrainConfig, catalog: Catalog, output: Path, report: Report = silent) -> LeaveOneOut:
    return leave_one_out(config, catalog, FOLDS, output, samples=20, report=report)


@pytest.fixture(scope="module")
def done(config: TrainConfig, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> tuple[LeaveOneOut, Path]:
    output = tmp_path_factory.mktemp("out")
    return run(config, catalog, output), output


def test_what_is_left_out_is_neither_learnt_from_nor_chosen_by(config: TrainConfig) -> None:
    left = load_config(
        file=Path(__file__).with_name("tiny.yaml"),
        overrides=[
            f"data.root={config.data.root}",
            f"data.manifest={config.data.manifest}",
            "data.leave_out=[one, here]",
        ],
    )
    loaders = get_dataloaders(left)
    for loader in (loaders.train, loaders.validation):
        kinds = {(sample.generator, sample.source) for sample in loader.dataset.samples}  # type: ignore[attr-defined]
        assert kinds == {("two", ""), ("", "there")}


def test_every_fold_is_a_run_judged_on_what_it_left_out(done: tuple[LeaveOneOut, Path], catalog: Catalog) -> None:
    found, output = done
    assert found.finished
    assert [fold.name for fold in found.folds] == ["one/net", "two"]
    for folder, generator, source in (("01-one_net", "one", "here"), ("02-two", "two", "there")):
        table = read_scores(output / folder / "left-out.parquet")
        assert set(table.generator[table.is_fake].tolist()) == {generator}
        assert set(table.source[~table.is_fake].tolist()) == {source}
        assert set(table.split.tolist()) == {"train", "validation"}
        card = read_card(output / folder / "detector")
        assert card.training["config"]["data"]["leave_out"] == [generator, source]
        judged = sum(
            1 for s in catalog.samples if s.split != "test" and (s.generator == generator or s.source == source)
        )
        assert len(table) == judged


def test_the_figures_are_those_of_the_tables(done: tuple[LeaveOneOut, Path]) -> None:
    found, output = done
    written = json.loads((output / "leave-one-out.json").read_text())
    values = [fold["figures"]["auc"]["value"] for fold in written["folds"]]
    assert written["mean_auc"]["value"] == pytest.approx(np.mean(values))
    with (output / "leave-one-out.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "auc"]
    assert [(row["by"], row["name"]) for row in rows] == [("fold", "one/net"), ("fold", "two")]
    assert [float(row["value"]) for row in rows] == pytest.approx(values)
    assert (output / "leave-one-out.png").is_file()
    assert found.mean_auc is not None


def test_a_stopped_command_goes_on_with_the_fold_it_was_at(
    config: TrainConfig, catalog: Catalog, done: tuple[LeaveOneOut, Path], tmp_path: Path
) -> None:
    seen: list[str] = []

    def interrupt(stage: str, at: int, total: int, loss: float, rate: float) -> None:
        if stage == "two: epoch 1" and at == 1:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = run(config, catalog, tmp_path, interrupt)
    assert not stopped.finished
    assert [fold.name for fold in stopped.folds] == ["one/net"]
    assert json.loads((tmp_path / "leave-one-out.json").read_text())["mean_auc"] is None
    again = run(config, catalog, tmp_path, lambda stage, *_: seen.append(stage))
    assert again.finished
    assert not any(stage.startswith("one") for stage in seen)
    for folder in ("01-one_net", "02-two"):
        one, other = (read_scores(place / folder / "left-out.parquet") for place in (done[1], tmp_path))
        np.testing.assert_array_equal(one.logit, other.logit)
    seen.clear()
    assert run(config, catalog, tmp_path, lambda stage, *_: seen.append(stage)) == again
    assert seen == []


def test_folds_on_a_frozen_backbone_share_its_maps(config: TrainConfig, catalog: Catalog, tmp_path: Path) -> None:
    frozen = load_config(
        file=Path(__file__).with_name("tiny.yaml"),
        overrides=[
            f"data.root={config.data.root}", f"data.manifest={config.data.manifest}", "optim.epochs=1",
            "network.train_backbone=false", "optim.cache_views=2",
        ],
    )  # fmt: skip
    seen: list[str] = []
    found = run(frozen, catalog, tmp_path, lambda stage, *_: seen.append(stage))
    assert found.finished
    assert any(stage == "one/net: maps of train" for stage in seen)
    assert not any(stage.startswith("two: maps") for stage in seen)


def test_a_folder_of_other_folds_or_settings_is_refused(
    config: TrainConfig, catalog: Catalog, done: tuple[LeaveOneOut, Path]
) -> None:
    with pytest.raises(TrainingError, match="other folds"):
        leave_one_out(config, catalog, FOLDS[:1], done[1], samples=5, report=silent)


def test_weights_that_know_what_is_left_out_are_refused(config: TrainConfig, catalog: Catalog, tmp_path: Path) -> None:
    known = replace(config, optim=replace(config.optim, start_from="RUN/detector"))
    with pytest.raises(ConfigError, match=r"optim\.start_from"):
        run(known, catalog, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fold_of_nothing_is_told_before_anything_is_trained(
    config: TrainConfig, catalog: Catalog, tmp_path: Path
) -> None:
    folds = (*FOLDS, Fold(name="none", generators=("three",)))
    with pytest.raises(DataError, match="'none' leaves out no fakes"):
        leave_one_out(config, catalog, folds, tmp_path / "out", samples=5, report=silent)
    assert not (tmp_path / "out").exists()
