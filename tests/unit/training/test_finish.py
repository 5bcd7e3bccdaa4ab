"""What the end of a run writes into the card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganfingerprint.artifact import Card, read_card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.catalog import read_catalog
from ganfingerprint.config import WindowConfig, load_config, to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import TrainingError
from ganfingerprint.network.backbones import BACKBONES, build_backbone
from ganfingerprint.training.finish import score_samples
from ganfingerprint.training.run import train

BACKBONE = "efficientnet-lite0"


def silent(stage: str, done: int, total: int, loss: float, rate: float) -> None:
    return None


@pytest.fixture(scope="module")
def card(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Card:
    """The card of a short run that started from a file of weights."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("finish")
    file = folder / "somebody" / "weights.safetensors"
    file.parent.mkdir()
    save_file(build_backbone(BACKBONE, pretrained="none").state_dict(), file)
    settings = (
        *(f"network.backbone={BACKBONE}", f"network.pretrained={file}", "network.frequency_width=4"),
        *("window.size=96", "window.count=1", "optim.batch_size=4", "optim.epoch_samples=4", "optim.epochs=1"),
        *("optim.precision=fp32", "optim.device=cpu", "output.tensorboard=false"),
        *(f"data.root={drawn_root}", f"output.runs={folder / 'runs'}"),
    )
    result = train(load_config(overrides=settings))
    assert result.detector is not None
    return read_card(result.detector)


def test_the_card_pins_the_architecture_and_names_no_file_that_is_elsewhere(card: Card) -> None:
    assert card.architecture["taps"] == list(BACKBONES[BACKBONE].taps)
    assert card.architecture["pretrained"] == "none"
    assert "somebody" not in str(card.architecture)


def test_the_card_pins_the_normalisation_of_its_backbone(card: Card) -> None:
    assert card.normalisation == {"mean": list(BACKBONES[BACKBONE].mean), "std": list(BACKBONES[BACKBONE].std)}


def test_the_figures_say_what_their_pictures_have_chosen(card: Card) -> None:
    assert list(card.figures) == ["validation (chose checkpoint, calibration and thresholds)"]
    calibration = Calibration.from_mapping(card.calibration)
    assert (calibration.n_real, calibration.n_fake) == (4, 4)


def arithmetic() -> Detector:
    window = to_mapping(WindowConfig(size=96, count=1))
    return Detector(
        engine=FakeEngine(), card=Card(architecture={}, window=window, calibration=Calibration.unfitted().to_mapping())
    )


def test_samples_are_scored_below_their_root_and_counted(drawn_root: Path) -> None:
    samples = read_catalog(drawn_root).split("validation")
    seen: list[tuple[str, int, int]] = []
    table = score_samples(
        arithmetic(), samples, drawn_root, lambda stage, done, total, loss, rate: seen.append((stage, done, total))
    )
    assert seen == [("calibration", number, 8) for number in range(1, 9)]
    assert table.path.tolist() == [sample.path.relative_to(drawn_root).as_posix() for sample in samples]
    assert np.isfinite(table.logit).all()


def test_without_one_picture_that_can_be_read_there_is_no_detector(tmp_path: Path) -> None:
    folder = tmp_path / "validation" / "real"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="no validation picture can be read"):
        score_samples(arithmetic(), read_catalog(tmp_path).split("validation"), tmp_path, silent)
