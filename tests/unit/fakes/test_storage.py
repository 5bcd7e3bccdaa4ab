from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ganfingerprint.errors import DataError
from ganfingerprint.fakes.decoders import Copier, DecoderSpec, build, draw_spec
from ganfingerprint.fakes.recipes import build_recipe, default_recipes
from ganfingerprint.fakes.storage import Copied, load, load_recipe, read_facts, save
from ganfingerprint.types import UInt8Array

SPEC = dataclasses.replace(draw_spec(2), width=8, latent_channels=8, kernel=3)


class Same(Copier):
    """Copies exactly, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def learn(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen.append(x)
        return x, x.new_zeros(())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save(tmp_path, build(SPEC), spec=SPEC, steps=12, psnr=23.5)
    return tmp_path


def picture(height: int = 40, width: int = 52) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_network_comes_back_as_it_went(folder: Path) -> None:
    torch.manual_seed(1)
    before = build(SPEC).eval()
    after = load(folder, SPEC.name)
    x = torch.rand(1, 3, 32, 32)
    assert not after.training
    assert torch.equal(before(x), after(x))
    facts = read_facts(folder, SPEC.name)
    assert (facts.spec, facts.steps, facts.psnr, facts.is_good) == (SPEC, 12, 23.5, True)
    assert len(facts.sha256) == 64


def test_a_poor_network_is_told_from_a_good_one(folder: Path) -> None:
    assert not dataclasses.replace(read_facts(folder, SPEC.name), psnr=21.9).is_good


def test_it_is_a_recipe_by_its_name(folder: Path) -> None:
    assert f"decoder:{SPEC.name}" in default_recipes(folder)
    recipe = build_recipe(f"decoder:{SPEC.name}", folder)
    fake = recipe(picture(), np.random.default_rng(0))
    assert fake.shape == (40, 52, 3)
    assert fake.dtype == np.uint8
    assert np.array_equal(fake, load_recipe(folder, SPEC.name)(picture(), np.random.default_rng(0)))


def test_damaged_weights_are_refused(folder: Path) -> None:
    path = folder / f"{SPEC.name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged: its hash is not the one"):
        load(folder, SPEC.name)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    path = folder / f"{SPEC.name}.json"
    told = json.loads(path.read_text())
    told["spec"]["width"] = 16
    path.write_text(json.dumps(told))
    with pytest.raises(DataError, match="cannot be read"):
        load(folder, SPEC.name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2 is not read by this version"),
        ({"spec": {"kind": "unet"}}, "is not the description of a network"),
        ({"psnr": "much"}, "is not the description of a network"),
    ],
)
def test_a_description_that_is_not_ours_is_refused(folder: Path, change: dict[str, object], said: str) -> None:
    path = folder / f"{SPEC.name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=said):
        read_facts(folder, SPEC.name)


@pytest.mark.parametrize("field", ["kind", "up", "norm", "latent"])
def test_a_description_with_an_unknown_layer_is_refused(folder: Path, field: str) -> None:
    path = folder / f"{SPEC.name}.json"
    told = json.loads(path.read_text())
    told["spec"][field] = "nonsense"
    path.write_text(json.dumps(told))
    with pytest.raises(DataError, match="nonsense"):
        load(folder, SPEC.name)


def test_a_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no network 'unet8-nearest-1'"):
        load(tmp_path, "unet8-nearest-1")


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 71), (33, 100)])
def test_pixels_keep_their_place_and_value(stride: int, height: int, width: int) -> None:
    network = Same()
    pixels = picture(height, width)
    assert np.array_equal(Copied(network, stride)(pixels, np.random.default_rng(0)), pixels)
    (given,) = network.seen
    assert all(side % stride == 0 for side in given.shape[2:])
    assert (float(given.min()), float(given.max())) == (-1.0, 1.0)


def test_noise_comes_from_the_generator_that_is_given_alone() -> None:
    noisy: DecoderSpec = dataclasses.replace(SPEC, up="modulated")
    recipe = Copied(build(noisy).eval(), noisy.stride)
    state = torch.get_rng_state()
    first, again, other = (recipe(picture(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
