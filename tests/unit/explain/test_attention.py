"""The attention maps are those that the network applies, and lie on the picture's own pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.attention import attention_maps, visualize_attention_maps
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.network.layers import FingerprintBlock, SelfAttention
from ganfingerprint.types import Image, ImageFacts, UInt8Array


def network_with(
    *, attention: bool = True, fingerprint_block: bool = True, fusion: bool = True, statistics: bool = False
) -> FingerprintNet:
    torch.set_num_threads(1)
    config = NetworkConfig(
        backbone="resnet18",
        pretrained="none",
        fusion=fusion,
        statistics=statistics,
        frequency=False,
        attention=attention,
        fingerprint_block=fingerprint_block,
    )
    return build_network(config, generator=torch.Generator().manual_seed(7)).eval()


@pytest.fixture(scope="module")
def network() -> FingerprintNet:
    return network_with()


@pytest.fixture(scope="module")
def pixels() -> UInt8Array:
    return np.random.default_rng(8).integers(0, 256, (2, 128, 128, 3), np.uint8)


def detector_of(network: nn.Module) -> Detector:
    policy = {"size": 96, "placement": "grid", "count": 4, "slack": 0}
    card = Card(architecture={}, window=policy, calibration=Calibration.unfitted().to_mapping())
    return Detector(engine=TorchEngine(network), card=card)


def picture(width: int, height: int) -> Image:
    pixels = np.random.default_rng(9).integers(0, 256, (height, width, 3), np.uint8)
    facts = ImageFacts(size_bytes=1, format="PNG", mode="RGB", width=width, height=height)
    return Image(source="noise.png", pixels=pixels, sha256="0" * 64, facts=facts)


def test_the_spatial_map_is_the_gate_that_the_network_multiplies_with(
    network: FingerprintNet, pixels: UInt8Array
) -> None:
    assert isinstance(network.fingerprint, FingerprintBlock)
    seen: list[tuple[Tensor, Tensor]] = []
    handle = network.fingerprint.spatial_attn.register_forward_hook(
        lambda module, inputs, output: seen.append((inputs[0], output))
    )
    with torch.no_grad():
        network(torch.from_numpy(pixels))
    handle.remove()
    before, after = seen[0]
    spatial = attention_maps(network, pixels).spatial
    assert spatial is not None
    assert spatial.shape == (2, 4, 4)
    assert ((spatial > 0) & (spatial < 1)).all()
    assert float(spatial.std()) > 0
    assert torch.allclose(before * spatial[:, None], after, atol=1e-5)


def test_received_attention_is_the_share_of_all_looks_that_a_cell_gets(
    network: FingerprintNet, pixels: UInt8Array
) -> None:
    maps = attention_maps(network, pixels)
    assert maps.received is not None
    assert maps.received.shape == (2, 4, 4)
    assert maps.received.mean(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert isinstance(network.attention, SelfAttention)
    with torch.no_grad():
        x = network.normalise(torch.from_numpy(pixels))
        fused = network.fuse(network.feature_maps(x), x)
        looks = network.attention.attention_map(fused)  # [B, looking cell, cell looked at]
    cell = 2 * 4 + 1  # row 2, column 1
    assert float(maps.received[1, 2, 1]) == pytest.approx(float(looks[1, :, cell].sum()), rel=1e-5)


def test_without_a_preference_every_cell_receives_an_even_share(pixels: UInt8Array) -> None:
    even = network_with()
    assert isinstance(even.attention, SelfAttention)
    nn.init.zeros_(even.attention.query.weight)
    received = attention_maps(even, pixels).received
    assert received is not None
    assert torch.allclose(received, torch.ones(2, 4, 4))


def test_a_batch_gives_what_its_windows_give_one_by_one(network: FingerprintNet, pixels: UInt8Array) -> None:
    together = attention_maps(network, torch.from_numpy(pixels))
    alone = attention_maps(network, pixels[1:])
    assert together.spatial is not None
    assert alone.spatial is not None
    assert torch.allclose(together.spatial[1:], alone.spatial, atol=1e-5)


def test_a_training_network_stays_in_training_with_its_statistics(pixels: UInt8Array) -> None:
    training = network_with()
    expected = attention_maps(training, pixels).spatial
    training.train()
    statistics = {name: value.clone() for name, value in training.named_buffers()}
    spatial = attention_maps(training, pixels).spatial
    assert expected is not None
    assert spatial is not None
    assert torch.equal(spatial, expected)
    assert not spatial.requires_grad
    assert all(module.training for module in training.modules())
    assert all(torch.equal(value, statistics[name]) for name, value in training.named_buffers())


@pytest.mark.parametrize(
    ("attention", "fingerprint_block", "captions"),
    [
        (True, True, ["spatial gate: ", "self-attention received, 1 = even: "]),
        (False, True, ["spatial gate: "]),
        (True, False, ["self-attention received, 1 = even: "]),
    ],
)
def test_published_error_09_the_figure_shows_a_panel_for_each_attention_that_there_is(
    attention: bool, fingerprint_block: bool, captions: list[str]
) -> None:
    """The published function calls a method that does not exist."""
    shown = network_with(attention=attention, fingerprint_block=fingerprint_block)
    figure = visualize_attention_maps(detector_of(shown), picture(150, 110))
    said = "\n".join(text.get_text() for text in figure.texts)
    assert [caption for caption in captions if caption not in said] == []
    assert len(figure.axes) == 1 + len(captions) + 1  # the picture, the maps, the scale
    assert "not examined" not in said


def test_a_network_without_fusion_has_no_attention(pixels: UInt8Array) -> None:
    maps = attention_maps(network_with(attention=False, fingerprint_block=False, fusion=False, statistics=True), pixels)
    assert maps.spatial is None
    assert maps.received is None


def test_a_network_without_attention_is_refused() -> None:
    detector = detector_of(network_with(attention=False, fingerprint_block=False))
    with pytest.raises(UsageError, match="neither self-attention nor a spatial gate"):
        visualize_attention_maps(detector, picture(96, 96))


def test_a_gate_that_is_even_everywhere_is_shown_as_such() -> None:
    flat = network_with(attention=False)
    assert isinstance(flat.fingerprint, FingerprintBlock)
    nn.init.zeros_(flat.fingerprint.spatial_attn.conv.weight)
    figure = visualize_attention_maps(detector_of(flat), picture(96, 96))
    assert "spatial gate: 0.50 to 0.50" in "\n".join(text.get_text() for text in figure.texts)
    picture_shown, panel = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[:2])
    assert np.array_equal(picture_shown, panel)


def test_an_engine_without_layers_is_refused_with_a_way_out(network: FingerprintNet) -> None:
    detector = Detector(engine=FakeEngine(), card=detector_of(network).card)
    with pytest.raises(UsageError, match="engine='torch'"):
        visualize_attention_maps(detector, picture(96, 96))
