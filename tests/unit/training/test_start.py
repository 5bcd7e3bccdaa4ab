"""A run that goes on from a detector: its weights, all of them, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ganfingerprint.artifact import read_card, read_weights
from ganfingerprint.config import TrainConfig, load_config
from ganfingerprint.errors import ConfigError, DetectorMissingError, TrainingError
from ganfingerprint.network.fingerprint_net import build_network
from ganfingerprint.training.run import TrainResult, resumed_config, train
from ganfingerprint.training.start import start_from

STATISTICS = (
    "network.backbone=clip-vit-b16",
    "network.taps=[1,2,3]",
    "network.train_backbone=false",
    "network.fusion=false",
    "network.frequency=false",
    "network.attention=false",
    "network.fingerprint_block=false",
    "network.statistics=true",
    "optim.epochs=1",
    "optim.cache_views=1",
)
ADAPTED = ("network.adapter_rank=2", "network.patch_dropout=0.5")


def tiny(root: Path, runs: Path, *more: str) -> TrainConfig:
    settings = [f"data.root={root}", f"output.runs={runs}", *STATISTICS, *more]
    return load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=settings)


@pytest.fixture(scope="module")
def begun(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(tiny(drawn_root, tmp_path_factory.mktemp("runs")))


def test_a_run_from_a_detector_begins_with_all_its_weights(begun: TrainResult, drawn_root: Path) -> None:
    assert begun.detector is not None
    card = read_card(begun.detector)
    config = tiny(drawn_root, drawn_root, *ADAPTED)
    model = build_network(config.network, generator=torch.Generator().manual_seed(5), pretrained=False)
    start_from(model, config.network, begun.detector)
    state = model.state_dict()
    for name, array in read_weights(begun.detector, card).items():
        assert np.array_equal(state[name].numpy(), array)
    assert model.backbone.weights_origin == f"detector {card.detector_id}"


def test_adapters_learn_and_the_backbone_under_them_does_not(
    begun: TrainResult, drawn_root: Path, tmp_path: Path
) -> None:
    assert begun.detector is not None
    result = train(tiny(drawn_root, tmp_path, *ADAPTED, f"optim.start_from={begun.detector}"))
    assert result.detector is not None
    card = read_card(result.detector)
    before, after = read_weights(begun.detector, read_card(begun.detector)), read_weights(result.detector, card)
    of_backbone = [name for name in before if name.startswith("backbone.")]
    assert [name for name in of_backbone if not np.array_equal(before[name], after[name])] == []
    assert np.abs(after["backbone.blocks.2.fc1.up"]).max() > 0
    assert not np.array_equal(before["classifier.output.weight"], after["classifier.output.weight"])
    assert card.origin.startswith(f"detector {read_card(begun.detector).detector_id}; ")
    assert card.network_config.adapter_rank == 2


@pytest.mark.parametrize("change", ["embedding_dim=64", "taps=[1,2,4]", "classes=[a,b]", "photograph_classes=2"])
def test_a_detector_of_another_architecture_is_refused(begun: TrainResult, drawn_root: Path, change: str) -> None:
    """Weights of equal shapes can mean something else: other blocks, other generators."""
    assert begun.detector is not None
    other = tiny(drawn_root, drawn_root, f"network.{change}").network
    model = build_network(other, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ConfigError, match=f"another architecture; it differs in network.{change.partition('=')[0]}"):
        start_from(model, other, begun.detector)


def test_a_run_goes_on_though_the_detector_it_began_with_has_moved(
    begun: TrainResult, drawn_root: Path, tmp_path: Path
) -> None:
    assert begun.detector is not None
    first = tmp_path / "first"
    shutil.copytree(begun.detector, first)
    run = train(tiny(drawn_root, tmp_path / "runs", *ADAPTED, f"optim.start_from={first}")).run
    first.rename(tmp_path / "second")
    with pytest.raises(DetectorMissingError):
        train(resumed_config(run, ["optim.epochs=2"]), resume=run)
    moved = resumed_config(run, ["optim.epochs=2", f"optim.start_from={tmp_path / 'second'}"])
    assert train(moved, resume=run).pictures_seen == 24
    with pytest.raises(TrainingError, match="began with the backbone from detector"):
        train(resumed_config(run, ["optim.epochs=3", "optim.start_from="]), resume=run)


def test_a_run_from_no_detector_leaves_nothing(drawn_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorMissingError):
        train(tiny(drawn_root, tmp_path / "runs", f"optim.start_from={tmp_path}"))
    assert list((tmp_path / "runs").iterdir()) == []
