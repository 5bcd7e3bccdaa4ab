from __future__ import annotations

import pytest
import torch
from torch import nn

from ganfingerprint.fakes.decoders import ACTIVATIONS, NORMS, UPS
from ganfingerprint.fakes.layers import (
    CODE_WIDTH,
    CODES,
    LATENTS,
    CodedLatent,
    ModulatedUp,
    NormalLatent,
    PlainLatent,
    ResidualBlock,
    StyledNorm,
    activation_layer,
    norm_layer,
    up_layer,
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("name", UPS)
def test_every_way_up_doubles_both_sides(name: str, kernel: int) -> None:
    layer = up_layer(name, 8, 6, kernel)
    assert layer(torch.randn(2, 8, 5, 7)).shape == (2, 6, 10, 14)


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_keeps_the_shape(name: str) -> None:
    x = 5 + 3 * torch.randn(3, 12, 6, 6)
    normed = norm_layer(name, 12).train()(x)
    assert normed.shape == x.shape
    if name != "none":
        assert normed.mean().abs() < 0.3
        assert abs(normed.std() - 1) < 0.3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_bends(name: str) -> None:
    layer = activation_layer(name)
    x = torch.tensor([-2.0, 2.0])
    assert layer(x)[1] > 1.7
    assert abs(float(layer(x)[0])) < 1


@pytest.mark.parametrize("build", [lambda: up_layer("cubic", 1, 1, 3), lambda: norm_layer("layer", 4)])
def test_a_layer_that_there_is_not_is_refused(build: object) -> None:
    with pytest.raises(KeyError):
        build()  # type: ignore[operator]


def test_a_transposed_convolution_leaves_a_checkerboard_on_a_flat_map() -> None:
    """Kernel 3 and stride 2: neighbours are sums of different numbers of weights. Bilinear ones are not."""
    flat = torch.ones(1, 4, 8, 8)
    inner = {}
    for name in ("transposed3", "bilinear"):
        drawn = up_layer(name, 4, 4, 3)(flat)[0, :, 4:-4, 4:-4]
        inner[name] = float((drawn[:, 1:] - drawn[:, :-1]).detach().abs().mean())
    assert inner["transposed3"] > 1e-2
    assert inner["bilinear"] < 1e-6


def test_modulation_keeps_the_scale_whatever_the_scale_of_the_map() -> None:
    layer = ModulatedUp(16, 16, 3)
    nn.init.zeros_(layer.noise)
    nn.init.zeros_(layer.style.weight)  # the style is 1, as at the start of StyleGAN2
    nn.init.zeros_(layer.style.bias)
    x = torch.randn(2, 16, 8, 8)
    assert layer(x).detach().std() == pytest.approx(float(x.std()), rel=0.5)


def test_modulation_adds_noise_of_its_own() -> None:
    layer = ModulatedUp(4, 4, 3)
    x = torch.randn(1, 4, 4, 4)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    assert (first - second).detach().abs().max() < 0.2


def test_styled_norm_knows_how_bright_a_map_was() -> None:
    """Plain instance normalisation gives the same for both."""
    layer = StyledNorm(3)
    x = torch.randn(1, 3, 8, 8)
    plain = nn.InstanceNorm2d(3)
    assert torch.allclose(plain(x), plain(x + 7), atol=1e-4)
    assert (layer(x) - layer(x + 7)).detach().abs().mean() > 0.05


def test_a_residual_block_adds() -> None:
    block = ResidualBlock(6, norm="none", activation="relu")
    nn.init.zeros_(block.body[3].weight)  # type: ignore[arg-type]
    nn.init.zeros_(block.body[3].bias)  # type: ignore[arg-type]
    x = torch.randn(1, 6, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", sorted(LATENTS))
def test_every_latent_gives_a_map_and_a_penalty_with_a_gradient(name: str) -> None:
    latent = LATENTS[name]().train()
    z = torch.randn(2, latent.expansion * 8, 4, 4, requires_grad=True)
    given, penalty = latent(z)
    assert given.shape == (2, 8, 4, 4)
    assert penalty.shape == ()
    (given.square().sum() + penalty).backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


def test_a_plain_latent_is_left_alone() -> None:
    z = torch.randn(1, 4, 2, 2)
    assert PlainLatent()(z)[0] is z
    assert float(PlainLatent()(z)[1]) == 0


def test_a_normal_latent_is_drawn_in_training_and_the_mean_afterwards() -> None:
    latent, z = NormalLatent(), torch.randn(1, 8, 3, 3)
    assert not torch.equal(latent.train()(z)[0], latent(z)[0])
    assert torch.equal(latent.eval()(z)[0], z[:, :4])


def test_a_coded_latent_gives_entries_of_its_book() -> None:
    latent = CodedLatent().eval()
    given, _ = latent(torch.randn(2, 2 * CODE_WIDTH, 3, 3))
    vectors = given.reshape(2, 2, CODE_WIDTH, 3, 3).movedim(2, -1).reshape(-1, CODE_WIDTH)
    distances = torch.cdist(vectors, latent.codes)
    assert distances.min(dim=1).values.max() < 1e-2
    again, penalty = latent(given)
    assert torch.allclose(again, given, atol=1e-4)
    assert penalty.detach() < 1e-4


def test_the_book_begins_with_what_it_is_to_code_and_only_once() -> None:
    latent = CodedLatent().train()
    latent(100 + torch.randn(4, CODE_WIDTH, 8, 8))
    assert latent.codes.shape == (CODES, CODE_WIDTH)
    assert latent.codes.min() > 90
    before = latent.codes.detach().clone()
    latent(torch.randn(4, CODE_WIDTH, 8, 8))
    assert torch.equal(latent.codes, before)
    assert "begun" in latent.state_dict()
