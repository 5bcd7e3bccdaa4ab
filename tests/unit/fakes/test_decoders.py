from __future__ import annotations

import dataclasses

import pytest
import torch

from ganfingerprint.fakes.decoders import (
    ACTIVATIONS,
    KINDS,
    NORMS,
    OUTPUTS,
    UPS,
    AutoEncoder,
    DecoderSpec,
    build,
    draw_spec,
)
from ganfingerprint.fakes.layers import CODE_WIDTH, LATENTS

TINY = DecoderSpec(
    kind="autoencoder",
    latent="plain",
    depth=2,
    latent_channels=8,
    width=8,
    kernel=3,
    up="nearest",
    norm="none",
    activation="relu",
    output="tanh",
    skips=False,
    adversarial=False,
    seed=0,
)


def parameters(spec: DecoderSpec) -> int:
    return sum(weight.numel() for weight in build(spec).parameters())


@pytest.mark.parametrize("seed", range(35))
def test_every_drawn_network_copies_shapes(seed: int) -> None:
    spec = dataclasses.replace(draw_spec(seed), width=8)
    network = build(spec).eval()
    x = torch.rand(1, 3, 2 * spec.stride, 3 * spec.stride) * 2 - 1
    with torch.inference_mode():
        assert network(x).shape == x.shape


def test_every_kind_with_every_way_up_learns() -> None:
    """A gradient reaches every weight of every layer."""
    for kind in KINDS:
        for up in UPS:
            spec = dataclasses.replace(TINY, kind=kind, up=up, skips=up == "modulated")
            network = build(spec).train()
            copy, penalty = network.learn(torch.rand(2, 3, 16, 16) * 2 - 1)
            (copy.square().mean() + penalty).backward()
            bare = [name for name, weight in network.named_parameters() if weight.grad is None]
            assert bare == [], (kind, up)


@pytest.mark.parametrize("latent", sorted(LATENTS))
@pytest.mark.parametrize("depth", [2, 3])
def test_an_autoencoder_has_a_bottleneck(latent: str, depth: int) -> None:
    spec = dataclasses.replace(TINY, latent=latent, depth=depth)
    network = build(spec).eval()
    encoded = network.get_submodule("encoder")(torch.zeros(1, 3, 32, 32))
    side = 32 // spec.stride
    assert encoded.shape == (1, 8 * LATENTS[latent].expansion, side, side)


def test_an_encoder_begins_with_principal_components() -> None:
    """Patches that vary in 8 ways only are told apart whole by 8 channels: the map determines the patch."""
    torch.manual_seed(0)
    network = build(TINY)
    assert isinstance(network, AutoEncoder)
    ways = torch.randn(8, 3 * 4 * 4)
    flat = torch.randn(2, 64, 8) @ ways + 0.3  # [B, patches, 48]
    x = torch.nn.functional.fold(flat.transpose(1, 2), 32, kernel_size=4, stride=4)
    network.begin([x])
    latent = network.encoder(x).detach().flatten(2).transpose(1, 2).flatten(0, 1)  # [n, 8]
    assert latent.mean(0).abs().max() < 1e-3
    correlation = torch.corrcoef(latent.T) - torch.eye(8)
    assert correlation.abs().max() < 0.05
    patches = flat.flatten(0, 1)
    solved = torch.linalg.lstsq(latent, patches - patches.mean(0)).solution
    assert (latent @ solved - (patches - patches.mean(0))).abs().max() < 1e-2


def test_the_beginning_of_a_normal_latent_has_no_more_than_its_means() -> None:
    network = build(dataclasses.replace(TINY, latent="kl"))
    assert isinstance(network, AutoEncoder)
    network.begin([torch.rand(4, 3, 16, 16)])
    assert network.encoder.weight[:8].abs().sum() > 0
    assert network.encoder.weight[8:].abs().sum() == 0


@pytest.mark.parametrize("kind", ["resnet", "unet"])
def test_other_networks_begin_where_they_are(kind: str) -> None:
    network = build(dataclasses.replace(TINY, kind=kind))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.begin([torch.rand(4, 3, 16, 16)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_flat_pictures_are_no_beginning_without_end() -> None:
    network = build(TINY)
    network.begin([torch.zeros(2, 3, 16, 16)])
    assert all(weight.isfinite().all() for weight in network.parameters())


def test_an_output_stays_in_its_range() -> None:
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    for output in ("tanh", "sigmoid"):
        network = build(dataclasses.replace(TINY, output=output))
        for weight in network.parameters():
            weight.data.mul_(30)
        copy = network(x)
        assert copy.abs().max() <= 1
        assert copy.min() < 0 < copy.max()


def test_specs_of_a_seed_are_the_same_and_of_two_differ() -> None:
    assert draw_spec(5) == draw_spec(5)
    assert len({draw_spec(seed).name for seed in range(40)}) == 40
    assert len({str(dataclasses.replace(draw_spec(seed), seed=0)) for seed in range(40)}) == 40


def test_forty_seeds_show_every_choice() -> None:
    specs = [draw_spec(seed) for seed in range(40)]
    for field, values in {
        "kind": KINDS,
        "latent": tuple(LATENTS),
        "up": UPS,
        "norm": NORMS,
        "activation": ACTIVATIONS,
        "output": OUTPUTS,
        "kernel": (3, 5),
        "depth": (2, 3),
        "adversarial": (False, True),
        "skips": (False, True),
    }.items():
        assert {getattr(spec, field) for spec in specs} == set(values), field


def test_five_seeds_in_a_row_show_every_kind_and_five_ways_up() -> None:
    specs = [draw_spec(seed) for seed in range(42, 47)]
    assert {spec.kind for spec in specs} == set(KINDS)
    assert len({spec.up for spec in specs}) == 5


@pytest.mark.parametrize("seed", range(40))
def test_networks_are_small_and_their_code_books_fit(seed: int) -> None:
    spec = draw_spec(seed)
    assert spec.latent_channels % CODE_WIDTH == 0
    assert 24 <= spec.width <= 64
    assert spec.adversarial or spec.kind == "autoencoder"
    assert parameters(spec) < 1_500_000


def test_a_name_says_what_it_is() -> None:
    assert TINY.name == "autoencoder4-plain-nearest-0"
    assert dataclasses.replace(TINY, kind="unet", depth=3, seed=9).name == "unet8-nearest-9"


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of autoencoder, resnet, unet, got 'transformer'"):
        build(dataclasses.replace(TINY, kind="transformer"))
