"""The CLIP image tower, mostly on a small one of the same build."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganfingerprint.errors import ConfigError
from ganfingerprint.network.vit import Block, ClipViT, published_name


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def small(taps: tuple[int, ...] = (1, 2, 4)) -> ClipViT:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClipViT(taps, width=24, heads=3, depth=6).eval()


@pytest.mark.parametrize("side", [96, 128, 160, 224, 256])
@torch.no_grad()
def test_every_map_has_one_cell_a_patch(side: int) -> None:
    maps = small()(torch.randn(2, 3, side, side))
    assert [tuple(item.shape) for item in maps[:3]] == [(2, 24, side // 16, side // 16)] * 3
    assert maps.summary is not None
    assert maps.summary.shape == (2, 72) == (2, small().summary)


@torch.no_grad()
def test_a_side_that_is_no_multiple_loses_its_remainder() -> None:
    x = torch.randn(1, 3, 101, 110)
    maps, cut = small()(x), small()(x[:, :, :96, :96])
    assert torch.equal(maps.high, cut.high)


@torch.no_grad()
def test_maps_are_the_tokens_without_the_class_token_row_by_row() -> None:
    tower, x = small(), torch.randn(2, 3, 96, 96)
    tokens = tower.tokens(x)
    assert [tuple(t.shape) for t in tokens] == [(2, 37, 24)] * 3
    maps = tower(x)
    for plane, after in zip(maps[:3], tokens, strict=True):
        assert torch.equal(plane[1, :, 2, 5], after[1, 1 + 2 * 6 + 5])
    assert torch.equal(maps.summary, torch.cat([after[:, 0] for after in tokens], dim=1))


@torch.no_grad()
def test_tokens_after_other_blocks_can_be_asked_for() -> None:
    tower, x = small(), torch.randn(1, 3, 96, 96)
    second, first = tower.tokens(x, after=(2, 1))
    assert torch.equal(second, tower.tokens(x)[1])
    assert torch.equal(first, tower.tokens(x)[0])
    with pytest.raises(ConfigError, match=r"after blocks 1\.\.4, asked for \[5\]"):
        tower.tokens(x, after=(5,))


@pytest.mark.parametrize("taps", [(1, 2), (3, 2, 4), (2, 2, 4), (0, 1, 2), (1, 2, 7)])
def test_taps_must_rise_within_the_blocks(taps: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"three rising numbers in 1\.\.6"):
        small(taps)


@pytest.mark.parametrize("last", [3, 4, 6])
def test_blocks_after_the_last_tap_are_cut_off(last: int) -> None:
    names = small((1, 2, last)).state_dict()
    assert {int(name.split(".")[1]) for name in names if name.startswith("blocks.")} == set(range(last))


def test_the_position_embedding_is_used_as_it_is_at_its_own_size() -> None:
    tower = small()
    assert tower.positions(14, 14) is tower.position


@pytest.mark.parametrize(("height", "width"), [(6, 6), (16, 16), (10, 14)])
@torch.no_grad()
def test_a_resampled_position_embedding_keeps_the_class_token_and_a_constant(height: int, width: int) -> None:
    tower = small()
    tower.position[1:] = 0.5
    resampled = tower.positions(height, width)
    assert resampled.shape == (1 + height * width, 24)
    assert torch.equal(resampled[0], tower.position[0])
    torch.testing.assert_close(resampled[1:], torch.full((height * width, 24), 0.5))


@torch.no_grad()
def test_a_resampled_position_embedding_keeps_rows_and_columns_apart() -> None:
    tower = small()
    tower.position[1:] = torch.arange(14.0).repeat_interleave(14)[:, None]  # the row of each patch
    rows = tower.positions(10, 10)[1:].reshape(10, 10, 24)
    torch.testing.assert_close(rows[:, 0], rows[:, 9])
    assert bool((rows[1:, 0] > rows[:-1, 0]).all())


@torch.no_grad()
def test_a_block_is_attention_then_an_mlp_with_quick_gelu() -> None:
    block, x = Block(24, 3).eval(), torch.randn(2, 5, 24)
    reference = nn.MultiheadAttention(24, 3, batch_first=True).eval()
    reference.in_proj_weight.copy_(torch.cat([block.q.weight, block.k.weight, block.v.weight]))
    reference.in_proj_bias.copy_(torch.cat([block.q.bias, block.k.bias, block.v.bias]))
    reference.out_proj.load_state_dict(block.out.state_dict())
    normed = block.norm1(x)
    middle = x + reference(normed, normed, normed, need_weights=False)[0]
    hidden = block.fc1(block.norm2(middle))
    torch.testing.assert_close(block(x), middle + block.fc2(hidden / (1 + torch.exp(-1.702 * hidden))))


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("vision_model.embeddings.class_embedding", "class_token"),
        ("vision_model.embeddings.patch_embedding.weight", "patch.weight"),
        ("vision_model.embeddings.position_embedding.weight", "position"),
        ("vision_model.pre_layrnorm.bias", "pre_norm.bias"),
        ("vision_model.encoder.layers.3.self_attn.out_proj.weight", "blocks.3.out.weight"),
        ("vision_model.encoder.layers.0.layer_norm2.bias", "blocks.0.norm2.bias"),
        ("encoder.layers.2.mlp.fc1.weight", "blocks.2.fc1.weight"),
    ],
)
def test_published_names_become_ours(published: str, ours: str) -> None:
    assert published_name(published) == ours
    assert ours in small().state_dict()


@pytest.mark.parametrize(
    "name",
    ["visual_projection.weight", "vision_model.post_layernorm.weight", "text_model.encoder.layers.0.mlp.fc1.bias"],
)
def test_names_outside_the_image_tower_stay_as_they_are(name: str) -> None:
    assert published_name(name) == name


@torch.no_grad()
def test_tokens_are_those_of_the_published_implementation() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=96,
        num_hidden_layers=6,
        num_attention_heads=3,
        image_size=224,
        patch_size=16,
        hidden_act="quick_gelu",
    )
    theirs = transformers.CLIPVisionModel(config).eval()
    ours = small((2, 4, 6))
    state = {published_name(name): value for name, value in theirs.state_dict().items()}
    ours.load_state_dict({name: state[name] for name in ours.state_dict()})
    for side in (224, 96):
        x = torch.randn(1, 3, side, side)
        hidden: tuple[Tensor, ...] = theirs(
            x, output_hidden_states=True, interpolate_pos_encoding=side != 224
        ).hidden_states
        for mine, other in zip(ours.tokens(x), (hidden[2], hidden[4], hidden[6]), strict=True):
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)
