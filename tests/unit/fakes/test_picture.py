from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.decode import decode
from ganfingerprint.errors import InputError
from ganfingerprint.explain.sheet import HEAT_COLORS
from ganfingerprint.fakes import picture
from ganfingerprint.fakes.ledger import read_rows
from ganfingerprint.fakes.photographs import list_photographs
from ganfingerprint.fakes.picture import CELL, GAIN, difference, draw_pairs, heat, pairs_by_recipe, red_blue
from ganfingerprint.fakes.recipes import Recipe
from ganfingerprint.fakes.run import FakesSettings, make_fakes
from ganfingerprint.types import UInt8Array


def build(name: str) -> Recipe:
    """`plus-N` is N grey levels brighter."""

    def recipe(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return np.asarray(np.clip(pixels.astype(np.int16) + int(name[5:]), 0, 255), np.uint8)

    return recipe


@pytest.fixture
def out(photographs: Path, tmp_path: Path) -> Path:
    """Pairs of six photographs by two recipes."""
    settings = FakesSettings(recipes=("plus-2", "plus-8"), size=96, per_photo=2)
    make_fakes(list_photographs(photographs), tmp_path / "out", settings, build)
    return tmp_path / "out"


def test_there_is_a_row_for_each_recipe(out: Path) -> None:
    drawn = draw_pairs(out)
    assert drawn == out / "pairs.png"
    two = decode(drawn).pixels
    assert two.shape[1] > 6 * CELL
    assert two.shape[0] > 2 * CELL
    assert two.min() < 60
    assert (two == 255).mean() < 0.5


def test_many_recipes_do_not_make_an_endless_sheet(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw_pairs(out)
    assert drawn is not None
    whole = decode(drawn).height
    monkeypatch.setattr(picture, "MOST_ROWS", 1)
    draw_pairs(out)
    assert decode(drawn).height < whole - CELL


def test_without_pairs_there_is_no_picture(tmp_path: Path) -> None:
    assert draw_pairs(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_pairs_are_found_by_their_photograph(out: Path) -> None:
    found = pairs_by_recipe(read_rows(out))
    assert sorted(found) == ["plus-2", "plus-8"]
    assert all(len(pairs) == 6 for pairs in found.values())
    for photograph, fake in found["plus-8"]:
        assert photograph["sha256"] == fake["sha256"]
        assert (photograph["label"], fake["label"], fake["recipe"]) == ("real", "fake", "plus-8")


def test_a_picture_that_is_damaged_is_named(out: Path) -> None:
    row = read_rows(out)[1]
    (out / row["path"]).write_bytes(b"no picture")
    with pytest.raises(InputError, match=row["path"]):
        draw_pairs(out)


@pytest.mark.parametrize(("change", "expected"), [(0, 128), (3, 128 + 3 * GAIN), (-3, 128 - 3 * GAIN), (100, 255)])
def test_a_difference_is_enlarged_around_grey(change: int, expected: int) -> None:
    photograph = np.full((4, 4, 3), 120, np.uint8)
    fake = (photograph.astype(int) + change).astype(np.uint8)
    assert (difference(photograph, fake) == expected).all()


def test_heat_runs_from_a_maps_darkest_to_its_brightest() -> None:
    ramp = np.linspace(3, 7, 10_000, dtype=np.float32).reshape(100, 100)
    colours = heat(ramp)
    assert (colours[0, 0] == HEAT_COLORS[0]).all()
    assert (colours[-1, -1] == HEAT_COLORS[-1]).all()
    assert heat(np.zeros((5, 5), np.float32)).shape == (5, 5, 3)


def test_red_is_more_and_blue_is_less() -> None:
    colours = red_blue(np.array([[0.0, 0.4, -0.4, 99.0]], np.float32)).astype(int)
    white, red, blue, full = colours[0]
    assert (white == 255).all()
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert tuple(full) == (178, 24, 43)


def test_small_pictures_are_shown_at_their_resolution(tmp_path: Path) -> None:
    """A pair of 64 pixels fills a cell by reflection, never by enlargement."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 250, (64, 64, 3), dtype=np.uint8)
    PilImage.fromarray(noise).save(folder / "a.png")
    make_fakes(list_photographs(folder), tmp_path / "out", FakesSettings(recipes=("plus-2",)), build)
    assert draw_pairs(tmp_path / "out") is not None
    middle = picture._middle(noise)
    assert middle.shape == (CELL, CELL, 3)
    assert np.array_equal(middle[:64, 64:128], noise[:, ::-1])
