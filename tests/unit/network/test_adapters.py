"""Adapters change nothing at first, learn little, and leave the layers under them alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import ConfigError
from ganfingerprint.network.adapters import AdaptedLinear, adapter_parameters, add_adapters
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.network.vit import ClipViT

STATISTICS = NetworkConfig(
    backbone="clip-vit-b16",
    pretrained="none",
    taps=(1, 2, 3),
    train_backbone=False,
    fusion=False,
    frequency=False,
    attention=False,
    fingerprint_block=False,
    statistics=True,
    adapter_rank=2,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_vit() -> ClipViT:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClipViT((1, 2, 4), width=24, heads=3, depth=6).eval()


def build(**changed: object) -> FingerprintNet:
    return build_network(dataclasses.replace(STATISTICS, **changed), generator=generator())


def test_a_new_adapter_changes_nothing_and_a_learnt_one_adds_its_product() -> None:
    plain = nn.Linear(5, 3)
    adapted, x = AdaptedLinear(plain, 2, generator=generator()), torch.randn(4, 5)
    assert torch.equal(adapted(x), plain(x))
    with torch.no_grad():
        adapted.up.copy_(torch.randn(3, 2))
    assert torch.allclose(adapted(x), x @ (plain.weight + adapted.up @ adapted.down).T + plain.bias, atol=1e-6)


def test_a_layer_without_bias_stays_without() -> None:
    plain, x = nn.Linear(5, 3, bias=False), torch.randn(4, 5)
    assert torch.equal(AdaptedLinear(plain, 1)(x), plain(x))


@torch.no_grad()
def test_every_linear_layer_is_adapted_and_the_names_of_its_weights_stay() -> None:
    plain, adapted, x = small_vit(), small_vit(), torch.randn(2, 3, 96, 96)
    add_adapters(adapted, 2, generator=generator())
    assert torch.equal(adapted(x).high, plain(x).high)
    new = adapted.state_dict().keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() < adapted.state_dict().keys()
    assert new == {name for name, _ in adapter_parameters(adapted)}
    assert len(new) == 4 * 6 * 2  # blocks, layers of each, parts


def test_the_generator_decides_the_adapters() -> None:
    drawn = []
    for seed in (1, 1, 2):
        tower = small_vit()
        add_adapters(tower, 2, generator=generator(seed))
        drawn.append(dict(adapter_parameters(tower))["blocks.0.q.down"])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_backbone_without_linear_layers_cannot_be_adapted() -> None:
    with pytest.raises(ConfigError, match="adapter_rank: this backbone has no linear layers"):
        add_adapters(nn.Sequential(nn.Conv2d(3, 4, 1)), 2)


def test_only_adapters_and_head_learn() -> None:
    network = build().train()
    learning = {name for name, value in network.named_parameters() if value.requires_grad}
    of_backbone = {name for name in learning if name.startswith("backbone.")}
    assert of_backbone == {f"backbone.{name}" for name, _ in adapter_parameters(network.backbone)}
    assert learning - of_backbone
    network(torch.rand(2, 96, 96, 3)).sum().backward()
    assert all(value.grad is not None for name, value in network.named_parameters() if name in learning)


def test_in_training_a_window_shows_only_some_of_its_patches() -> None:
    network = build(patch_dropout=0.75).train()
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        maps = network.feature_maps(x)
        assert [tuple(part.shape) for part in maps[:3]] == [(2, 768, 1, 9)] * 3  # of 36
        assert not torch.equal(maps.high, network.feature_maps(x).high)
        network.eval()
        whole = network.feature_maps(x)
    assert whole.high.shape == (2, 768, 6, 6)


@torch.no_grad()
def test_the_patches_that_stay_are_those_of_the_window_in_any_order() -> None:
    tower, x = small_vit(), torch.randn(2, 3, 96, 96)
    whole = tower.tokens(x)[0]
    tower.patch_dropout = 0.02  # of 36 patches all but one stay
    dropped = tower.train().tokens(x)[0]
    assert dropped.shape == (2, 36, 24)
    tower.patch_dropout = 0.001  # all stay, shuffled: attention knows no order
    shuffled = tower.tokens(x)[0]
    assert torch.allclose(shuffled[:, 0], whole[:, 0], atol=1e-5)
    assert torch.allclose(shuffled[:, 1:].mean(dim=1), whole[:, 1:].mean(dim=1), atol=1e-5)
    assert not torch.allclose(shuffled[:, 1:], whole[:, 1:], atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"train_backbone": True}, "adapts a frozen backbone"),
        ({"patch_dropout": 0.5, "adapter_rank": 0}, "a frozen backbone sees whole windows"),
        ({"patch_dropout": 0.5, "fusion": True}, "leaves no map to fuse"),
        ({"backbone": "efficientnet-lite0", "taps": (), "patch_dropout": 0.5}, "'efficientnet-lite0' has no patches"),
        ({"backbone": "efficientnet-lite0", "taps": ()}, "no linear layers"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_the_name_of_its_setting(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build(**changed)
