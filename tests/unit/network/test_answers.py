"""A network says its logits and embeddings and, where the backbone has one, the backbone's own summary."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganfingerprint.export.traced import Traced
from ganfingerprint.network.backbones import Backbone, FeatureMaps
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.vit import ClipViT


class Convolutions(Backbone):
    """Three strided ones, without a summary."""

    def __init__(self) -> None:
        super().__init__(channels=(4, 4, 4), strides=(4, 8, 32))
        self.low, self.mid, self.high = (nn.Conv2d(c, 4, 7, stride=s, padding=3) for c, s in ((3, 4), (4, 2), (4, 4)))

    def forward(self, x: Tensor) -> FeatureMaps:
        low = self.low(x)
        mid = self.mid(low)
        return FeatureMaps(low, mid, self.high(mid))


def network(backbone: Backbone) -> FingerprintNet:
    return FingerprintNet(backbone, statistics=True, generator=torch.Generator().manual_seed(1)).eval()


def tower() -> ClipViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ClipViT((1, 2, 3), width=8, heads=2, depth=3)


@pytest.fixture
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (3, 96, 96, 3), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def test_the_summary_is_the_backbones_own_of_normalised_windows(pixels: Tensor) -> None:
    net = network(tower())
    logits, embeddings, summary = net.answers(pixels)
    maps = net.feature_maps(net.normalise(pixels))
    assert maps.summary is not None
    assert summary.shape == (3, 24) == (3, net.backbone.summary)
    torch.testing.assert_close(summary, maps.summary)
    torch.testing.assert_close((logits, embeddings), net.outputs(pixels))
    torch.testing.assert_close(logits, net(pixels))
    assert (summary[0] - summary[1]).abs().max() > 1e-3  # of each window


@torch.no_grad()
def test_without_a_summary_there_are_two_answers(pixels: Tensor) -> None:
    net = network(Convolutions())
    torch.testing.assert_close(net.answers(pixels), net.outputs(pixels))
    assert len(net.explained(pixels)) == 3


@torch.no_grad()
def test_a_summary_comes_last_where_heat_is_given_too(pixels: Tensor) -> None:
    net = network(tower())
    logits, embeddings, heat, summary = net.explained(pixels)
    assert heat.shape == (3, 6, 6)
    torch.testing.assert_close((logits, embeddings, summary), net.answers(pixels))


@pytest.mark.parametrize(("backbone", "last"), [(Convolutions, "heat"), (tower, "summary")])
@torch.no_grad()
def test_an_export_has_a_name_for_each_output(backbone: type[Backbone], last: str, pixels: Tensor) -> None:
    traced = Traced(network(backbone()))
    found = dict(zip(traced.names, traced(pixels), strict=True))
    assert [*found][:3] == ["logits", "embeddings", "heat"]
    assert [*found][-1] == last
    assert found["logits"].shape == (3,)
    assert found["embeddings"].shape == (3, 512)
