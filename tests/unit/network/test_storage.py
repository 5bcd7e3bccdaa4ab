"""The settings of a network as its card keeps them: nothing is left open, and no place of this machine is told."""

from __future__ import annotations

import pytest

from ganfingerprint.config import NetworkConfig, from_mapping
from ganfingerprint.network.backbones import BACKBONES
from ganfingerprint.network.storage import stored_architecture


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_taps_that_were_left_to_the_backbone_are_written_down(backbone: str) -> None:
    stored = stored_architecture(NetworkConfig(backbone=backbone))
    assert stored["taps"] == list(BACKBONES[backbone].taps)
    assert len(stored["taps"]) == 3


def test_taps_that_were_chosen_stay() -> None:
    assert stored_architecture(NetworkConfig(backbone="clip-vit-b16", taps=(2, 5, 11)))["taps"] == [2, 5, 11]


@pytest.mark.parametrize("pretrained", ["auto", "none", "/home/somebody/weights.pth", "a/hub-name"])
def test_where_the_first_weights_came_from_is_no_part_of_it(pretrained: str) -> None:
    assert stored_architecture(NetworkConfig(pretrained=pretrained))["pretrained"] == "none"


def test_everything_else_is_as_it_was_set() -> None:
    config = NetworkConfig(backbone="resnet18", embedding_dim=64, dropout=0.1, frequency=False, train_backbone=False)
    stored = stored_architecture(config)
    assert from_mapping(NetworkConfig, {**stored, "taps": (), "pretrained": "auto"}) == config
