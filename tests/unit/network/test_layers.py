import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.network.layers import (
    FingerprintBlock,
    FrequencyAwareness,
    SelfAttention,
    SpatialAttention,
    conv_norm_relu,
    initialise,
    pool_to_grid,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def started(layer: nn.Module, seed: int = 1) -> nn.Module:
    initialise(layer, torch.Generator().manual_seed(seed))
    return layer


LAYERS = [
    (lambda: SpatialAttention(16), (16, 5, 7), (16, 5, 7)),
    (lambda: SelfAttention(16), (16, 5, 7), (16, 5, 7)),
    (lambda: FrequencyAwareness(16, 24), (16, 5, 7), (24, 5, 7)),
    (lambda: FingerprintBlock(16, 24), (16, 5, 7), (24, 5, 7)),
    (lambda: conv_norm_relu(16, 8, kernel_size=1), (16, 5, 7), (8, 5, 7)),
    (lambda: conv_norm_relu(16, 8, kernel_size=3), (16, 5, 7), (8, 5, 7)),
]


@pytest.mark.parametrize(("make", "shape_in", "shape_out"), LAYERS)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_layer_keeps_the_grid_and_the_batch(make, shape_in, shape_out, batch):
    assert started(make())(drawn(batch, *shape_in)).shape == (batch, *shape_out)


@pytest.mark.parametrize(("make", "shape_in", "shape_out"), LAYERS)
def test_a_gradient_reaches_every_parameter_and_the_input(make, shape_in, shape_out):
    layer = started(make())
    if isinstance(layer, SelfAttention):
        nn.init.constant_(layer.gamma, 0.5)  # at 0 only gamma itself has a gradient
    x = drawn(4, *shape_in).requires_grad_()
    (layer(x) * drawn(4, *shape_out, seed=2)).sum().backward()
    without = [name for name, p in layer.named_parameters() if not _matters(name, p.grad)]
    assert without == []
    assert x.grad.abs().sum() > 0


def _matters(name: str, gradient: Tensor | None) -> bool:
    """A bias before a norm, or of a key (which moves all energies of a row alike), rightly has no gradient."""
    cancelled = name.endswith("bias") and ("conv" in name or name.startswith(("0.", "freq_aware.conv", "key")))
    return gradient is not None and (cancelled or bool(gradient.abs().max() > 0))


def test_spatial_attention_gates_every_cell_by_one_number_between_0_and_1():
    layer, x = started(SpatialAttention(16)), drawn(2, 16, 4, 4)
    gates = layer.attention_map(x)
    assert gates.shape == (2, 1, 4, 4)
    assert 0 < gates.min() < gates.max() < 1
    torch.testing.assert_close(layer(x), x * gates)


def test_spatial_attention_starts_with_open_gates_and_not_saturated():
    gates = started(SpatialAttention(256)).attention_map(functional.relu(drawn(4, 256, 8, 8)))
    assert ((gates > 0.05) & (gates < 0.95)).float().mean() > 0.95


def test_self_attention_is_the_identity_until_its_gain_is_learnt():
    layer, x = started(SelfAttention(16)), drawn(2, 16, 4, 4)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gamma, 1.0)
    assert not torch.allclose(layer(x), x)


def test_self_attention_learns_its_other_weights_once_its_gain_has_moved():
    layer, x = started(SelfAttention(16)), drawn(2, 16, 4, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(x).square().sum().backward()
    assert layer.gamma.grad.abs() > 0
    assert layer.query.weight.grad.abs().max() == 0
    optimizer.step()
    optimizer.zero_grad()
    layer(x).square().sum().backward()
    for projection in (layer.query, layer.key, layer.value):
        assert projection.weight.grad.abs().max() > 0


def test_self_attention_mixes_values_by_the_map_that_it_shows():
    layer, x = started(SelfAttention(16)), drawn(2, 16, 3, 5)
    nn.init.constant_(layer.gamma, 2.0)
    shown = layer.attention_map(x)
    assert shown.shape == (2, 15, 15)
    torch.testing.assert_close(shown.sum(dim=-1), torch.ones(2, 15))
    value = layer.value(x).reshape(2, 16, 15)
    mixed = torch.zeros(2, 16, 15)
    for cell in range(15):
        mixed[:, :, cell] = (value * shown[:, None, cell, :]).sum(dim=-1)
    torch.testing.assert_close(layer(x), x + 2.0 * mixed.reshape(x.shape), rtol=1e-4, atol=1e-5)


def test_self_attention_has_the_unscaled_energies_of_the_document():
    layer, x = started(SelfAttention(16)), drawn(1, 16, 2, 2)
    query, key = layer.query(x).reshape(2, 4), layer.key(x).reshape(2, 4)
    torch.testing.assert_close(layer.attention_map(x)[0], torch.softmax(query.T @ key, dim=1))


def test_self_attention_starts_far_from_a_saturated_softmax():
    shown = started(SelfAttention(256)).attention_map(functional.relu(drawn(4, 256, 8, 8)))
    assert shown.max() < 0.5  # over 64 cells; an even row has 0.016


def test_the_high_pass_removes_what_is_flat_and_keeps_what_alternates():
    flat = torch.full((1, 1, 6, 6), 3.0)
    assert FrequencyAwareness.high_pass(flat)[..., 1:-1, 1:-1].abs().max() < 1e-6
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2 * 2.0 - 1.0  # ±1 like a chess board
    inner = FrequencyAwareness.high_pass(board[None, None])[0, 0, 1:-1, 1:-1]
    torch.testing.assert_close(inner, board[1:-1, 1:-1] * (1 - 1 / 9))


def test_published_error_11_the_branches_of_frequency_awareness_share_convolutions_and_not_batch_norms():
    layer = started(FrequencyAwareness(8, 8)).train()
    x = drawn(4, 8, 6, 6) + 5.0  # a level that the high-pass takes away
    layer(x)
    with torch.no_grad():
        spatial, high = layer.conv1(x), layer.conv1(layer.high_pass(x))
    assert sum(isinstance(m, nn.Conv2d) for m in layer.modules()) == 2
    for norm, seen in ((layer.bn1, spatial), (layer.bn1_freq, high)):
        torch.testing.assert_close(norm.running_mean, 0.1 * seen.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(layer.bn1.running_mean, layer.bn1_freq.running_mean, atol=0.05)
    assert not torch.allclose(layer.bn2.running_var, layer.bn2_freq.running_var, atol=1e-4)


def test_the_fingerprint_block_drops_whole_maps_only_while_training():
    block, x = started(FingerprintBlock(16, 64)), drawn(8, 16, 4, 4) + 1.0
    torch.manual_seed(3)
    empty = (block.train()(x) == 0).all(dim=-1).all(dim=-1)  # [8, 64]
    assert 0.02 < empty.float().mean() < 0.25
    assert torch.equal(block.eval()(x), block(x))


@pytest.mark.parametrize(
    ("size", "grid"),
    [((8, 8), (8, 8)), ((64, 32), (8, 8)), ((24, 12), (3, 3)), ((25, 13), (4, 4)), ((7, 5), (3, 2)), ((3, 3), (5, 7))],
)
def test_pooling_to_a_grid_is_adaptive_average_pooling(size, grid):
    x = drawn(2, 3, *size)
    torch.testing.assert_close(pool_to_grid(x, grid), functional.adaptive_avg_pool2d(x, grid))


@pytest.mark.parametrize("size", [(64, 32), (25, 13)])
def test_every_cell_counts_in_the_pooling(size):
    x = drawn(1, 1, *size).requires_grad_()
    pool_to_grid(x, (4, 4)).sum().backward()
    assert x.grad.min() > 0


def test_initialising_follows_the_generator_alone():
    first, second, other = (FingerprintBlock(8, 8) for _ in range(3))
    for block, seed in ((first, 5), (second, 5), (other, 6)):
        started(block, seed)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert not torch.equal(first.freq_aware.conv1.weight, other.freq_aware.conv1.weight)


def test_initialising_with_a_generator_leaves_the_state_of_torch_alone():
    layer, before = nn.Sequential(nn.Conv2d(3, 4, 3), SelfAttention(8), nn.Linear(4, 2)), torch.get_rng_state()
    started(layer)
    assert torch.equal(torch.get_rng_state(), before)


def test_convolutions_start_by_fan_out_and_linear_layers_by_their_inputs():
    layers = started(nn.Sequential(nn.Conv2d(64, 128, 3), nn.Linear(400, 300), nn.BatchNorm2d(4)))
    assert layers[0].weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert layers[1].weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert layers[0].bias.abs().max() == layers[1].bias.abs().max() == 0
    assert torch.equal(layers[2].weight, torch.ones(4))
