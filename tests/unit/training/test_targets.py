"""Classes to be told apart: whose they are, in which order, and what learns from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganfingerprint.artifact import read_card
from ganfingerprint.catalog import Sample
from ganfingerprint.config import NetworkConfig, TrainConfig, load_config
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ConfigError
from ganfingerprint.network.fingerprint_net import build_network
from ganfingerprint.network.loss import class_loss, detection_loss
from ganfingerprint.training.checkpoint import load_checkpoint
from ganfingerprint.training.run import prepare, resumed_config, train
from ganfingerprint.training.targets import class_targets, kinds_of, with_classes
from ganfingerprint.training.tracker import ExperimentTracker
from ganfingerprint.types import Label

PICTURES = [
    Sample(path=Path("a"), label=Label.FAKE, generator="sdxl", source="x"),
    Sample(path=Path("b"), label=Label.REAL, source="ffhq"),
    Sample(path=Path("c"), label=Label.FAKE, generator="", source="x"),
    Sample(path=Path("d"), label=Label.REAL, source="sdxl"),  # a source called as a generator is another class
    Sample(path=Path("e"), label=Label.REAL, source=""),
]
TINY = NetworkConfig(backbone="efficientnet-lite0", pretrained="none", frequency_width=4)


def test_two_classes_are_none() -> None:
    config = with_classes(TINY, PICTURES, "two")
    assert config == TINY
    assert class_targets(config, PICTURES, "two") is None


def test_each_generator_is_a_class_and_photographs_are_one() -> None:
    config = with_classes(TINY, PICTURES, "generators")
    assert config.classes == ("photographs", "sdxl", "unnamed generator")
    assert config.photograph_classes == 1
    targets = class_targets(config, PICTURES, "generators")
    assert targets is not None
    assert targets.tolist() == [1, 0, 2, 0, 0]


def test_sources_of_photographs_are_classes_before_the_generators() -> None:
    config = with_classes(TINY, PICTURES, "sources")
    assert config.classes == ("ffhq", "photographs", "sdxl", "sdxl", "unnamed generator")
    assert config.photograph_classes == 3
    targets = class_targets(config, PICTURES, "sources")
    assert targets is not None
    assert targets.tolist() == [3, 0, 4, 2, 1]


def test_the_logit_is_the_odds_of_all_photographs_against_all_generators() -> None:
    network = build_network(with_classes(TINY, PICTURES, "sources"), generator=torch.Generator().manual_seed(0)).eval()
    pixels = torch.rand(3, 96, 96, 3)
    with torch.no_grad():
        logits, embeddings = network.outputs(pixels)
        chances = network.class_logits(embeddings).softmax(dim=1)
    assert chances.shape == (3, 5)
    odds = chances[:, :3].sum(dim=1) / chances[:, 3:].sum(dim=1)
    assert torch.allclose(logits, odds.log(), atol=1e-5)
    assert torch.equal(network.decide(torch.tensor([[2.5], [-1.0]])), torch.tensor([2.5, -1.0]))


def test_the_loss_of_two_classes_is_that_of_their_difference() -> None:
    logits = torch.randn(6, 2)
    fake = torch.tensor([True, False, True, True, False, False])
    assert class_loss(logits, fake.long()) == pytest.approx(float(detection_loss(logits[:, 0] - logits[:, 1], fake)))
    smoothed = 0.9 * class_loss(logits, fake.long()) + 0.1 * class_loss(logits, (~fake).long())
    assert class_loss(logits, fake.long(), smoothing=0.2) == pytest.approx(float(smoothed))


def test_classes_that_the_pictures_do_not_have_are_refused() -> None:
    filled = with_classes(TINY, PICTURES, "generators")
    assert with_classes(filled, PICTURES, "generators") == filled  # a resumed run has them already
    for targets in ("two", "sources"):
        with pytest.raises(ConfigError, match="filled in from the training pictures"):
            with_classes(filled, PICTURES, targets)


@pytest.mark.parametrize("more", [(), ("network.train_backbone=false", "optim.cache_views=2")], ids=["live", "cached"])
def test_every_window_learns_the_class_of_its_own_picture(
    drawn_root: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    settings = (f"data.root={drawn_root}", "optim.targets=generators", "optim.epoch_samples=40", *more)
    config = load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=settings)
    with ExperimentTracker.create(tmp_path, "run", tensorboard=False) as tracker:
        trainer, loaders = prepare(config, tracker, lambda *progress: None)
    pictures = loaders.catalog.split("train")
    assert trainer.targets is not None
    names, seen = trainer.config.network.classes, 0
    for batch in trainer.source.epoch(0):
        for row, fake, target in zip(batch.rows, batch.is_fake, trainer.targets[batch.rows], strict=True):
            assert pictures[row].is_fake == fake
            assert names[target] == (pictures[row].generator or "unnamed generator" if fake else "photographs")
            seen += 1
    assert seen == 40


@pytest.mark.parametrize(
    "more",
    [
        ("optim.targets=generators",),
        (
            *("optim.targets=generators", "network.backbone=clip-vit-b16", "network.taps=[1,2,3]"),
            *("network.train_backbone=false", "network.fusion=false", "network.frequency=false"),
            *("network.attention=false", "network.fingerprint_block=false", "network.statistics=true"),
            *("network.adapter_rank=2", "network.patch_dropout=0.5"),
        ),
    ],
    ids=["generators", "adapters"],
)
def test_a_run_stopped_and_resumed_learns_as_an_unbroken_one(
    drawn_root: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    def config(folder: str, epochs: int) -> TrainConfig:
        settings = (f"data.root={drawn_root}", f"output.run={tmp_path / folder}", f"optim.epochs={epochs}", *more)
        return load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=settings)

    def stop(at: str, done: int, total: int, loss: float, rate: float) -> None:
        if (at, done) == ("epoch 2", 2):
            raise KeyboardInterrupt

    unbroken = train(config("unbroken", 2)).run
    with pytest.raises(KeyboardInterrupt):
        train(config("broken", 2), report=stop)
    resumed = train(resumed_config(tmp_path / "broken"), resume=tmp_path / "broken").run
    one, two = (load_checkpoint(run / "checkpoints" / "last.pt")["model"] for run in (unbroken, resumed))
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def test_a_run_learns_generators_and_its_detector_answers_as_any_other(drawn_root: Path, tmp_path: Path) -> None:
    more = (f"data.root={drawn_root}", f"output.runs={tmp_path}", "optim.targets=generators", "optim.epochs=1")
    result = train(load_config(file=Path(__file__).with_name("tiny.yaml"), overrides=more))
    assert result.detector is not None
    card = read_card(result.detector)
    assert card.network_config.classes[0] == "photographs"
    assert len(card.network_config.classes) > 1
    assert resumed_config(result.run).network.classes == card.network_config.classes
    picture = next((drawn_root / "test").rglob("*.png"))
    assert 0 < Detector.from_pretrained(result.detector).predict(picture).prob_fake < 1


def test_photographs_are_one_kind_and_each_generator_another() -> None:
    kinds = kinds_of(PICTURES).tolist()
    assert kinds[1] == kinds[3] == kinds[4]
    assert len(set(kinds)) == 3
