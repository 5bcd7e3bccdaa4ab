from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.decode import decode
from ganfingerprint.errors import DataError, UnchangedImageError
from ganfingerprint.fakes.pairs import (
    GRID,
    choose_crop,
    choose_recipes,
    make_pair,
    pair_id,
    photograph_rng,
    texture,
)
from ganfingerprint.types import Image, UInt8Array

SHA = hashlib.sha256(b"a photograph").hexdigest()
NAMES = ("a", "b", "c", "d", "e")


def brighter(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    return np.asarray(np.clip(pixels.astype(np.int16) + 10, 0, 255), np.uint8)


def noisy(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    return np.asarray(np.clip(pixels.astype(np.int16) + rng.integers(-3, 4, pixels.shape), 0, 255), np.uint8)


def stored(folder: Path, pixels: UInt8Array, name: str, mode: str = "RGB", **settings: Any) -> Image:
    PilImage.fromarray(pixels).convert(mode).save(folder / name, **settings)
    return decode(folder / name)


def test_decisions_about_a_photograph_do_not_move_each_other() -> None:
    draws = {
        (seed, sha, what): photograph_rng(seed, sha, what).random()
        for seed in (1, 2)
        for sha in (SHA, SHA[::-1])
        for what in ("crop", "recipes")
    }
    assert len(set(draws.values())) == 8
    assert photograph_rng(1, SHA, "crop").random() == draws[1, SHA, "crop"]


def test_recipes_are_drawn_without_repetition_whatever_their_order() -> None:
    chosen = choose_recipes(NAMES, 3, seed=1, sha256=SHA)
    assert chosen == choose_recipes(NAMES[::-1], 3, seed=1, sha256=SHA)
    assert len(set(chosen)) == 3
    assert list(chosen) == sorted(chosen)
    assert choose_recipes(NAMES, 9, seed=1, sha256=SHA) == NAMES


def test_every_recipe_has_its_turn() -> None:
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(200)]
    drawn = [choose_recipes(NAMES, 1, seed=1, sha256=sha)[0] for sha in hashes]
    assert min(drawn.count(name) for name in NAMES) > 20


@pytest.mark.parametrize("shape", [(300, 400), (128, 500), (100, 90), (64, 64), (130, 131)])
def test_a_crop_is_a_part_of_the_picture_on_the_grid(shape: tuple[int, int]) -> None:
    rows, columns = np.indices(shape)
    pixels = np.stack([rows // 2, columns // 2, rows % 2 + 2 * (columns % 2)], axis=2).astype(np.uint8)
    for seed in range(5):
        crop = choose_crop(pixels, 128, np.random.default_rng(seed))
        assert crop.shape[:2] == tuple(min(128, side) for side in shape)
        top, left = int(crop[0, 0, 0]) * 2, int(crop[0, 0, 1]) * 2
        assert (top % GRID, left % GRID) == (0, 0)
        assert np.array_equal(crop, pixels[top : top + crop.shape[0], left : left + crop.shape[1]])


def test_a_crop_prefers_texture(draw_picture: Callable[..., UInt8Array]) -> None:
    """Half of the picture is blank: a place without any texture needs six unlucky draws."""
    pixels = np.full((128, 1024, 3), 90, np.uint8)
    pixels[:, 512:] = np.random.default_rng(0).integers(0, 256, (128, 512, 3), dtype=np.uint8)
    crops = [choose_crop(pixels, 128, np.random.default_rng(seed)) for seed in range(50)]
    assert sum(texture(crop) > 0 for crop in crops) >= 47
    assert texture(pixels[:, :128]) == 0


def test_both_members_are_stored_alike(tmp_path: Path, draw_picture: Callable[..., UInt8Array]) -> None:
    image = stored(tmp_path, draw_picture(1, height=200, width=240), "p.jpg", quality=71, subsampling=1)
    photograph, fake = make_pair(image, {"brighter": brighter}, size=128, seed=1, out=tmp_path)
    assert photograph.path == f"real/{pair_id(image.sha256)}.jpg"
    assert fake.path == f"fake/{pair_id(image.sha256)}-brighter.jpg"
    first, second = (decode(tmp_path / member.path) for member in (photograph, fake))
    assert first.facts.encoding == second.facts.encoding == image.facts.encoding
    assert first.pixels.shape == second.pixels.shape == (128, 128, 3)
    assert (photograph.width, photograph.height, photograph.format) == (128, 128, "JPEG")
    assert photograph.psnr is None
    assert fake.psnr == pytest.approx(20 * np.log10(255 / 10), abs=0.1)
    change = second.pixels.astype(int) - first.pixels
    assert abs(change.mean() - 10) < 1


@pytest.mark.parametrize(
    ("name", "mode", "settings", "suffix"),
    [
        ("p.png", "RGB", {}, ".png"),
        ("p.png", "L", {}, ".png"),
        ("p.webp", "RGB", {"lossless": True}, ".webp"),
        ("p.tif", "RGB", {}, ".png"),
    ],
)
def test_without_loss_the_photograph_is_its_crop(
    tmp_path: Path, name: str, mode: str, settings: dict[str, Any], suffix: str
) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    image = stored(tmp_path, pixels, name, mode, **settings)
    photograph, fake = make_pair(image, {"noisy": noisy}, size=128, seed=1, out=tmp_path)
    assert photograph.path.endswith(suffix)
    assert fake.path.endswith(suffix)
    first, second = (decode(tmp_path / member.path) for member in (photograph, fake))
    assert np.array_equal(first.pixels, image.pixels)
    assert first.facts.mode == second.facts.mode == mode
    assert 0 < np.abs(second.pixels.astype(int) - first.pixels).max() <= 3


def test_a_lossy_webp_keeps_about_its_quality(tmp_path: Path) -> None:
    sample = decode(Path(__file__).resolve().parents[3] / "samples" / "real" / "cat.jpg").pixels[:192, :256]
    lengths = []
    for quality in (60, 95):
        image = stored(tmp_path, sample, f"{quality}.webp", quality=quality)
        photograph, fake = make_pair(image, {"noisy": noisy}, size=256, seed=1, out=tmp_path)
        lengths.append((tmp_path / photograph.path).stat().st_size)
        assert fake.format == photograph.format == "WEBP"
    assert lengths[0] < 0.7 * lengths[1]


def test_a_pair_depends_on_the_seed_and_the_file_alone(tmp_path: Path, draw_picture: Callable[..., UInt8Array]) -> None:
    image = stored(tmp_path, draw_picture(5, height=300, width=300), "p.png")

    def fake(seed: int, *others: str) -> bytes:
        recipes = {**dict.fromkeys(others, brighter), "noisy": noisy}
        members = make_pair(image, recipes, size=96, seed=seed, out=tmp_path / f"{seed}{len(others)}")
        return (tmp_path / f"{seed}{len(others)}" / members[-1].path).read_bytes()

    assert fake(1) == fake(1, "brighter")
    assert fake(1) != fake(2)


@pytest.mark.parametrize(
    "wrong",
    [lambda pixels, rng: pixels[:-1], lambda pixels, rng: pixels.astype(np.float32)],
    ids=["size", "kind"],
)
def test_a_recipe_that_changes_size_or_kind_is_refused(
    tmp_path: Path, draw_picture: Callable[..., UInt8Array], wrong: Any
) -> None:
    image = stored(tmp_path, draw_picture(1), "p.png")
    with pytest.raises(DataError, match="recipe 'wrong' gave"):
        make_pair(image, {"wrong": wrong}, size=96, seed=1, out=tmp_path)


def test_a_name_with_a_colon_is_a_file_name_without(tmp_path: Path, draw_picture: Callable[..., UInt8Array]) -> None:
    image = stored(tmp_path, draw_picture(1), "p.png")
    made = make_pair(image, {"mix:decoder:a": brighter}, size=96, seed=1, out=tmp_path)
    assert made[1].path.endswith("-mix_decoder_a.png")
    assert made[1].recipe == "mix:decoder:a"


@pytest.mark.parametrize(
    ("name", "settings", "change"),
    [("p.png", {}, 0), ("p.jpg", {"quality": 30}, 1)],
    ids=["equal", "equal once it is stored"],
)
def test_a_fake_that_is_its_photograph_is_refused_and_nothing_is_stored(
    tmp_path: Path, name: str, settings: dict[str, Any], change: int
) -> None:
    """A blank picture, or a trace that a coarse JPEG rounds away: its label would be wrong."""
    image = stored(tmp_path, np.full((64, 64, 3), 128, np.uint8), name, **settings)

    def weak(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        pixels = pixels.copy()
        pixels[0, 0] += np.uint8(change)
        return pixels

    with pytest.raises(UnchangedImageError, match="recipe 'weak' gives it back unchanged") as caught:
        make_pair(image, {"brighter": brighter, "weak": weak}, size=96, seed=1, out=tmp_path / "out")
    assert caught.value.code == "unchanged"
    assert not (tmp_path / "out").exists()
