from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ganfingerprint.config import AugmentConfig
from ganfingerprint.errors import ConfigError
from ganfingerprint.training.augment import (
    AddNoiseGaussian,
    CenterWindow,
    ColorJitter,
    Compose,
    JPEGCompression,
    Maybe,
    OneOf,
    RandomAffine,
    RandomWindow,
    Step,
    VariableBlur,
    WebPCompression,
)
from ganfingerprint.training.transforms import PHASES, get_transforms
from ganfingerprint.types import UInt8Array

ALWAYS = AugmentConfig(resize=1, recompress=1, affine=1, color=1, blur=1, noise=1, quantize=1, jpeg=1, webp=1, erase=1)


def chain(augment: AugmentConfig | None = None) -> Compose:
    steps = get_transforms("train", size=96, augment=augment)
    assert isinstance(steps, Compose)
    return steps


def inner(augment: AugmentConfig | None = None) -> dict[str, Step]:
    steps = [step.step if isinstance(step, Maybe) else step for step in chain(augment).steps]
    return {type(step).__name__: step for step in steps}


@pytest.fixture
def picture(draw_picture: Callable[..., UInt8Array]) -> UInt8Array:
    return draw_picture(3, height=150, width=200)


def test_the_order_is_one_that_a_real_picture_can_have_had() -> None:
    assert list(inner(ALWAYS)) == [
        "OneOf",
        "RandomWindow",
        "HorizontalFlip",
        "RandomAffine",
        "ColorJitter",
        "VariableBlur",
        "AddNoiseGaussian",
        "ColorQuantization",
        "JPEGCompression",
        "WebPCompression",
        "RandomErasing",
    ]


def test_strength_a_half_has_the_published_ranges() -> None:
    steps = inner(AugmentConfig(strength=0.5))
    assert steps["ColorJitter"] == ColorJitter(0.1, 0.1, 0.1, 0.05)
    assert steps["VariableBlur"] == VariableBlur((0.1, 1.5))
    assert steps["AddNoiseGaussian"] == AddNoiseGaussian((0.002, 0.05))
    assert steps["JPEGCompression"] == JPEGCompression((60, 98))
    assert steps["WebPCompression"] == WebPCompression((60, 98))
    assert steps["RandomAffine"] == RandomAffine(degrees=10)


def test_strength_one_has_the_widest_ranges() -> None:
    steps = inner(AugmentConfig(strength=1))
    assert steps["ColorJitter"] == ColorJitter(0.2, 0.2, 0.2, 0.1)
    assert steps["JPEGCompression"] == JPEGCompression((25, 98))


def test_every_step_has_the_probability_of_its_setting() -> None:
    config = AugmentConfig(
        recompress=0.09, affine=0.01, color=0.02, blur=0.03, noise=0.04, quantize=0.05, jpeg=0.06, webp=0.07, erase=0.08
    )
    found = {type(step.step).__name__: step.probability for step in chain(config).steps if isinstance(step, Maybe)}
    assert found == {
        "OneOf": 0.09,
        "HorizontalFlip": 0.5,
        "RandomAffine": 0.01,
        "ColorJitter": 0.02,
        "VariableBlur": 0.03,
        "AddNoiseGaussian": 0.04,
        "ColorQuantization": 0.05,
        "JPEGCompression": 0.06,
        "WebPCompression": 0.07,
        "RandomErasing": 0.08,
    }


def test_the_resize_comes_from_its_settings() -> None:
    window = chain(AugmentConfig(resize=0.7, scale_low=0.4, scale_high=2)).steps[0]
    assert window == RandomWindow(96, 0.7, (0.4, 2))


def test_a_picture_sent_on_was_compressed_before_it_is_scaled(picture: UInt8Array) -> None:
    quiet = dict.fromkeys(("resize", "affine", "color", "blur", "noise", "quantize", "jpeg", "webp", "erase"), 0.0)
    step = get_transforms("train", size=96, augment=AugmentConfig(**quiet, recompress=1.0))
    assert isinstance(step, Compose)
    first = step.steps[0]
    assert isinstance(first, Maybe)
    assert first.step == OneOf((JPEGCompression((60, 98)), WebPCompression((60, 98))))
    for seed in range(3):
        rng, alike = np.random.default_rng(seed), np.random.default_rng(seed)
        compressed = first(picture, alike)
        assert not np.array_equal(compressed, picture)
        assert np.array_equal(step(picture, rng), Compose(step.steps[1:])(compressed, alike))


def test_strength_0_leaves_only_window_and_flip(draw_picture: Callable[..., UInt8Array]) -> None:
    """Every window is a piece of the picture itself, maybe mirrored: not one pixel is computed."""
    picture = draw_picture(3, height=99, width=103)
    step = get_transforms("train", size=96, augment=AugmentConfig(**{**to_dict(ALWAYS), "strength": 0.0}))
    views = np.lib.stride_tricks.sliding_window_view(picture, (96, 96, 3))[:, :, 0]
    mirrored = []
    for seed in range(12):
        window = step(picture, np.random.default_rng(seed))
        plain = (views[:, :, 0] == window[0]).all(axis=(2, 3)).any()
        mirrored.append(not plain)
        piece = window[:, ::-1] if mirrored[-1] else window
        assert (views == piece).all(axis=(2, 3, 4)).any()
    assert set(mirrored) == {True, False}


def to_dict(config: AugmentConfig) -> dict[str, float]:
    return {name: getattr(config, name) for name in config.__slots__}


@pytest.mark.parametrize("strength", [0.001, 0.01, 0.03, 0.3, 1.0])
def test_every_strength_gives_a_window(picture: UInt8Array, strength: float) -> None:
    step = get_transforms("train", size=96, augment=AugmentConfig(**{**to_dict(ALWAYS), "strength": strength}))
    for seed in range(4):
        window = step(picture, np.random.default_rng(seed))
        assert window.shape == (96, 96, 3)
        assert window.dtype == np.uint8


def test_one_seed_gives_one_window(picture: UInt8Array) -> None:
    step = get_transforms("train", size=96, augment=ALWAYS)
    one, again, other = (step(picture, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "train"])
def test_validation_and_test_see_the_centre_unchanged(picture: UInt8Array, phase: str) -> None:
    step = get_transforms(phase, size=96, augment=ALWAYS)
    assert step == CenterWindow(96)
    assert np.array_equal(step(picture, np.random.default_rng(0)), picture[27:123, 52:148])


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ConfigError, match="phase must be one of train, validation, val, test, got 'training'"):
        get_transforms("training", size=96)
