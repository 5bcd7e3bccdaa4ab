from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.decode import decode
from ganfingerprint.errors import DataError
from ganfingerprint.fakes.likeness import psnr
from ganfingerprint.fakes.recipes import RECIPES, installed
from ganfingerprint.fakes.super_resolution import ALIGN, ENLARGERS, Enlarger, Reenlarged, build, find, load
from ganfingerprint.types import Float32Array, UInt8Array

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "real"
PLAIN = Enlarger(module="nowhere", files="plain", factor=2, pad=3)
# Two layers in ncnn's text format: an input, and an enlargement of it by repetition.
PARAM = "7767517\n2 2\nInput in 0 1 data\nInterp up 1 1 data output 0=1 1=2.0 2=2.0\n"


def repeat(pixels: Float32Array) -> Float32Array:
    return pixels.repeat(2, axis=1).repeat(2, axis=2)


@pytest.fixture(scope="module")
def crop() -> UInt8Array:
    return decode(SAMPLES / "cat.jpg").pixels[64:192, 96:224]


@pytest.mark.parametrize("shape", [(64, 64), (65, 70), (40, 131), (17, 16)])
def test_the_picture_keeps_its_size_and_its_place(shape: tuple[int, int], draw_picture: object) -> None:
    pixels = draw_picture(3, height=shape[0], width=shape[1])  # type: ignore[operator]
    fake = Reenlarged(PLAIN, repeat)(pixels, np.random.default_rng(0))
    assert fake.shape == pixels.shape
    assert fake.dtype == np.uint8
    assert psnr(fake, pixels) > 30  # smooth: moved by one pixel it would be less
    assert psnr(np.roll(fake, 2, axis=1), pixels) < psnr(fake, pixels)


def test_the_network_gets_the_reduced_picture_between_0_and_1(crop: UInt8Array) -> None:
    seen: list[Float32Array] = []

    def watch(pixels: Float32Array) -> Float32Array:
        seen.append(pixels)
        return repeat(pixels)

    Reenlarged(PLAIN, watch)(crop[:100, :90], np.random.default_rng(0))
    (given,) = seen
    sides = [-(-side // (2 * ALIGN)) * ALIGN + 2 * PLAIN.pad for side in (100, 90)]
    assert given.shape == (3, *sides)
    assert given.dtype == np.float32
    assert 0 <= given.min() < given.max() <= 1


def test_a_network_without_padding_of_its_own_loses_the_frame(crop: UInt8Array) -> None:
    """Valid convolutions give back 2 · pad · factor pixels less, spread evenly."""
    cut = PLAIN.pad * PLAIN.factor
    framed = Reenlarged(PLAIN, repeat)(crop, np.random.default_rng(1))
    valid = Reenlarged(PLAIN, lambda x: repeat(x)[:, cut:-cut, cut:-cut])(crop, np.random.default_rng(1))
    assert np.array_equal(framed, valid)


def test_values_out_of_range_are_clipped_and_a_residual_is_added(crop: UInt8Array) -> None:
    white = Reenlarged(PLAIN, lambda x: repeat(x) + 9)(crop, np.random.default_rng(0))
    assert (white == 255).all()
    residual = Enlarger(module="nowhere", files="plain", factor=2, pad=3, residual=True)
    nothing = Reenlarged(residual, lambda x: 0 * repeat(x))(crop, np.random.default_rng(0))
    assert np.array_equal(nothing, Reenlarged(PLAIN, repeat)(crop, np.random.default_rng(0)))


def test_the_way_of_reducing_is_drawn(crop: UInt8Array) -> None:
    recipe = Reenlarged(PLAIN, repeat)
    fakes = {recipe(crop, np.random.default_rng(seed)).tobytes() for seed in range(12)}
    assert len(fakes) == 3
    assert recipe(crop, np.random.default_rng(5)).tobytes() == recipe(crop, np.random.default_rng(5)).tobytes()


def test_every_row_has_a_network_and_every_network_a_row() -> None:
    assert set(ENLARGERS) == {name for name, row in RECIPES.items() if row.kind == "super-resolution"}
    for name, enlarger in ENLARGERS.items():
        assert f"-x{enlarger.factor}" in name
        assert enlarger.module in RECIPES[name].modules


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        find(Enlarger(module="nowhere_at_all", files="x", factor=2))


def test_a_package_of_another_version_is_refused() -> None:
    with pytest.raises(DataError, match=r"numpy holds no models/x\.param"):
        find(Enlarger(module="numpy", files="models/x", factor=2))


def test_a_network_of_two_layers_is_read_and_run(tmp_path: Path, crop: UInt8Array) -> None:
    pytest.importorskip("ncnn")
    (tmp_path / "two.param").write_text(PARAM)
    (tmp_path / "two.bin").write_bytes(b"")
    run = load(tmp_path / "two", ("data", "output"))
    pixels = np.random.default_rng(0).random((3, 5, 6), dtype=np.float32)
    assert np.allclose(run(pixels), repeat(pixels), atol=1e-3)
    assert psnr(Reenlarged(PLAIN, run)(crop, np.random.default_rng(0)), crop) > 20


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    (tmp_path / "bad.param").write_text("not a network")
    (tmp_path / "bad.bin").write_bytes(b"")
    with pytest.raises(DataError, match="ncnn cannot read the network"):
        load(tmp_path / "bad", ("data", "output"))


@pytest.mark.parametrize("name", sorted(ENLARGERS))
def test_a_real_network_draws_the_same_picture(name: str, crop: UInt8Array) -> None:
    """A wrong value range, channel order or offset costs far more than the 20 dB that are asked for here."""
    if not installed(name):
        pytest.skip(f"{' or '.join(RECIPES[name].modules)} is not installed")
    small = crop[:64, :64] if name.endswith("x4") else crop  # the large ones are slow
    fake = build(name)(small, np.random.default_rng(0))
    assert fake.shape == small.shape
    assert 20 < psnr(fake, small) < 50
    assert psnr(fake[..., ::-1], small) < psnr(fake, small) - 5
