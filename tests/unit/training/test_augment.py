"""Each change does what it says, measured on drawn pictures, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ganfingerprint.training.augment import (
    AddNoiseGaussian,
    CenterWindow,
    ColorJitter,
    ColorQuantization,
    Compose,
    HorizontalFlip,
    JPEGCompression,
    Maybe,
    OneOf,
    RandomAffine,
    RandomErasing,
    RandomWindow,
    Step,
    VariableBlur,
    WebPCompression,
)
from ganfingerprint.types import UInt8Array
from ganfingerprint.windows import pad_to

SAME_SIZE: dict[str, Step] = {
    "flip": HorizontalFlip(),
    "affine": RandomAffine(),
    "color": ColorJitter(),
    "blur": VariableBlur((0.5, 1.5)),
    "noise": AddNoiseGaussian(),
    "quantize": ColorQuantization(),
    "jpeg": JPEGCompression(),
    "webp": WebPCompression(),
    "erase": RandomErasing(),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def smooth(draw_picture: Callable[..., UInt8Array]) -> UInt8Array:
    return draw_picture(1, height=90, width=120)


@pytest.fixture
def rough(smooth: UInt8Array) -> UInt8Array:
    """The same picture with fine texture."""
    return np.clip(smooth + rng(5).normal(0, 10, smooth.shape), 0, 255).astype(np.uint8)


def roughness(pixels: UInt8Array) -> float:
    """Mean square of the difference between neighbours."""
    return float(np.square(np.diff(pixels.astype(float), axis=1)).mean())


@pytest.mark.parametrize("name", SAME_SIZE)
def test_a_step_keeps_shape_and_type_and_changes_the_picture(name: str, rough: UInt8Array) -> None:
    before = rough.copy()
    changed = SAME_SIZE[name](rough, rng())
    assert changed.shape == rough.shape
    assert changed.dtype == np.uint8
    assert changed.flags.c_contiguous
    assert not np.array_equal(changed, rough)
    assert np.array_equal(rough, before)  # its input is left as it was


@pytest.mark.parametrize("name", SAME_SIZE)
def test_one_seed_gives_one_result_and_the_global_state_plays_no_part(name: str, rough: UInt8Array) -> None:
    step = SAME_SIZE[name]
    first = step(rough, rng(3))
    np.random.seed(99)
    cv2.setRNGSeed(99)
    assert np.array_equal(step(rough, rng(3)), first)


@pytest.mark.parametrize("name", sorted(set(SAME_SIZE) - {"flip"}))
def test_other_seeds_give_other_results(name: str, rough: UInt8Array) -> None:
    results = {SAME_SIZE[name](rough, rng(seed)).tobytes() for seed in range(6)}
    assert len(results) > 1


def test_jpeg_lowers_high_frequencies_and_leaves_steps_at_its_grid(rough: UInt8Array) -> None:
    compressed = JPEGCompression((20, 20))(rough, rng())
    assert roughness(compressed) < 0.7 * roughness(rough)
    steps = np.abs(np.diff(compressed.astype(float), axis=1)).mean(axis=(0, 2))  # [width - 1]
    at_grid = np.arange(len(steps)) % 8 == 7
    assert steps[at_grid].mean() > 1.3 * steps[~at_grid].mean()


def test_the_worse_the_quality_the_further_from_the_picture(rough: UInt8Array) -> None:
    for step in (JPEGCompression, WebPCompression):
        errors = [
            float(np.abs(step((quality, quality))(rough, rng()).astype(float) - rough).mean())
            for quality in (95, 60, 20)
        ]
        assert errors == sorted(errors)
        assert errors[0] < errors[-1]


def test_compression_keeps_the_order_of_channels() -> None:
    red = np.full((32, 32, 3), (200, 40, 20), np.uint8)
    for step in (JPEGCompression((95, 95)), WebPCompression((95, 95))):
        assert np.abs(step(red, rng()).astype(int) - red).max() <= 6


def test_jpeg_qualities_come_from_the_whole_range_with_both_ends(rough: UInt8Array) -> None:
    ends = {JPEGCompression((quality, quality))(rough, rng(s)).tobytes() for quality in (50, 51) for s in range(8)}
    drawn = {JPEGCompression((50, 51))(rough, rng(seed)).tobytes() for seed in range(60)}
    assert drawn == ends
    assert len(ends) == 4  # two qualities, colour halved or not


def test_blur_lowers_the_energy_of_gradients_the_more_the_wider(rough: UInt8Array) -> None:
    energies = [roughness(VariableBlur((sigma, sigma))(rough, rng())) for sigma in (0.6, 1.2, 2.4)]
    assert roughness(rough) > energies[0] > energies[1] > energies[2]
    assert abs(float(VariableBlur((1.2, 1.2))(rough, rng()).mean()) - float(rough.mean())) < 1


@pytest.mark.parametrize("std", [0.01, 0.05])
def test_noise_raises_the_variance_by_what_it_says(std: float) -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = AddNoiseGaussian((std, std))(grey, rng()).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.2)
    assert noisy.var() == pytest.approx((255 * std) ** 2 + 1 / 12, rel=0.03)  # and that of rounding
    channels = noisy.reshape(-1, 3).T
    assert np.abs(np.corrcoef(channels) - np.eye(3)).max() < 0.03  # each channel has its own


def test_noise_stops_at_black_and_white() -> None:
    for level in (0, 255):
        noisy = AddNoiseGaussian((0.05, 0.05))(np.full((50, 50, 3), level, np.uint8), rng())
        assert np.abs(noisy.astype(int) - level).max() < 80  # a wrap-around would give 255


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_quantisation_leaves_at_most_two_to_the_bits_levels_with_black_and_white(bits: int) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    levels = np.unique(ColorQuantization((bits, bits))(ramp, rng()))
    assert len(levels) == 2**bits
    assert (levels[0], levels[-1]) == (0, 255)
    spread = np.diff(levels.astype(int))
    assert spread.max() - spread.min() <= 1


def test_quantisation_draws_every_number_of_bits() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    counts = {len(np.unique(ColorQuantization((5, 7))(ramp, rng(seed)))) for seed in range(30)}
    assert counts == {32, 64, 128}


def test_hue_and_saturation_keep_grey_grey() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    changed = ColorJitter(brightness=0, contrast=0, saturation=0.5, hue=0.5)(ramp, rng())
    assert np.abs(changed.astype(int) - ramp).max() <= 1


def test_no_jitter_is_the_picture_itself(rough: UInt8Array) -> None:
    assert np.abs(ColorJitter(0, 0, 0, 0)(rough, rng()).astype(int) - rough).max() <= 1


def test_brightness_multiplies_and_contrast_spreads_about_the_mean(smooth: UInt8Array) -> None:
    for seed in range(5):
        bright = ColorJitter(0.2, 0, 0, 0)(smooth, rng(seed))
        factor = float(bright.mean() / smooth.mean())
        assert 0.8 <= factor <= 1.2
        assert bright.std() == pytest.approx(smooth.std() * factor, rel=0.02)
        spread = ColorJitter(0, 0.2, 0, 0)(smooth, rng(seed))
        assert spread.mean() == pytest.approx(smooth.mean(), abs=1)
        assert 0.79 <= spread.std() / smooth.std() <= 1.21


def test_hue_turns_colours_and_keeps_their_lightness() -> None:
    red = np.full((4, 4, 3), (150, 100, 100), np.uint8)
    turned = ColorJitter(0, 0, 0, 0.5)(red, rng(1))[0, 0].astype(float)
    weights = np.array([0.299, 0.587, 0.114])
    assert turned @ weights == pytest.approx(red[0, 0] @ weights, abs=1)
    assert np.abs(turned - red[0, 0]).max() > 10


@pytest.mark.parametrize("seed", range(8))
def test_erasing_changes_only_one_rectangle_of_a_bounded_area(smooth: UInt8Array, seed: int) -> None:
    erased = RandomErasing((0.02, 0.15))(smooth, rng(seed))
    changed = (erased != smooth).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    box = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert box.mean() > 0.99  # full, but for noise that happens to equal the picture
    assert 0.015 <= box.size / changed.size <= 0.16
    assert 0.25 <= box.shape[0] / box.shape[1] <= 4


def test_erasing_a_narrow_picture_stays_inside_it() -> None:
    strip = np.zeros((4, 200, 3), np.uint8)
    for seed in range(20):
        assert RandomErasing((0.3, 0.3))(strip, rng(seed)).shape == strip.shape


def test_two_flips_are_the_picture_itself(rough: UInt8Array) -> None:
    flip = HorizontalFlip()
    once = flip(rough, rng())
    assert np.array_equal(once[:, 0], rough[:, -1])
    assert np.array_equal(flip(once, rng()), rough)


def test_affine_without_angle_and_shear_is_the_picture_itself(rough: UInt8Array) -> None:
    assert np.array_equal(RandomAffine(degrees=0, shear=0)(rough, rng()), rough)


def test_affine_turns_about_the_centre_and_fills_corners_by_reflection() -> None:
    white = np.full((61, 61, 3), 255, np.uint8)
    white[28:33, 28:33] = 0
    turned = RandomAffine(degrees=20, shear=0)(white, rng(2))
    assert turned[30, 30].max() < 40  # the mark stays in the middle
    assert turned[[0, 0, -1, -1], [0, -1, 0, -1]].min() == 255  # no black corners


@pytest.mark.parametrize("seed", range(6))
def test_a_window_without_resize_is_an_exact_crop(rough: UInt8Array, seed: int) -> None:
    window = RandomWindow(48)(rough, rng(seed))
    views = np.lib.stride_tricks.sliding_window_view(rough, (48, 48, 3))[:, :, 0]
    assert (views == window).all(axis=(2, 3, 4)).sum() == 1


def test_windows_reach_every_place_with_both_edges() -> None:
    columns = np.repeat(np.arange(10, dtype=np.uint8)[None, :, None], 6, axis=0).repeat(3, axis=2)  # [6, 10, 3]
    lefts = {int(RandomWindow(6)(columns, rng(seed))[0, 0, 0]) for seed in range(80)}
    assert lefts == {0, 1, 2, 3, 4}


def test_a_resize_changes_the_scale_and_never_the_size_of_the_window() -> None:
    stripes = np.zeros((240, 240, 3), np.uint8)
    stripes[:, np.arange(240) % 16 < 8] = 255

    def period(pixels: UInt8Array) -> float:
        spectrum = np.abs(np.fft.rfft(pixels[0, :, 0] - pixels[0, :, 0].mean(), n=2048))
        return 2048 / float(spectrum.argmax())

    assert period(RandomWindow(96)(stripes, rng())) == pytest.approx(16, rel=0.05)
    for seed in range(4):
        for factor in (0.5, 2.0):
            window = RandomWindow(96, 1.0, (factor, factor))(stripes, rng(seed))
            assert window.shape == (96, 96, 3)
            assert period(window) == pytest.approx(16 * factor, rel=0.05)


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40), (20, 20), (16, 300)])
def test_a_small_picture_is_padded_by_reflection_and_never_enlarged(
    draw_picture: Callable[..., UInt8Array], height: int, width: int
) -> None:
    picture = draw_picture(2, height=height, width=width)
    padded, _, _ = pad_to(picture, 64)
    assert padded.shape == (max(64, height), max(64, width), 3)
    top, left = (max(0, 64 - side) // 2 for side in (height, width))
    assert np.array_equal(padded[top : top + height, left : left + width], picture)
    if top:
        assert np.array_equal(padded[top - 1], padded[top + 1])
    if left:
        assert np.array_equal(padded[:, left - 1], padded[:, left + 1])
    for window in (RandomWindow(64)(picture, rng()), CenterWindow(64)(picture, rng())):
        assert window.shape == (64, 64, 3)
        assert {tuple(colour) for colour in window.reshape(-1, 3)} <= {
            tuple(colour) for colour in picture.reshape(-1, 3)
        }


def test_a_picture_of_one_row_is_padded_too() -> None:
    assert pad_to(np.full((1, 30, 3), 7, np.uint8), 32)[0].tolist() == np.full((32, 32, 3), 7).tolist()


def test_the_centre_window_is_in_the_middle(rough: UInt8Array) -> None:
    assert np.array_equal(CenterWindow(40)(rough, rng()), rough[25:65, 40:80])


def test_steps_happen_in_order_and_with_their_probability() -> None:
    def add(amount: int) -> Step:
        return lambda pixels, rng: pixels + np.uint8(amount)

    def double(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return pixels * np.uint8(2)

    dot = np.ones((1, 1, 3), np.uint8)
    assert Compose((add(1), double))(dot, rng())[0, 0, 0] == 4
    assert Compose((double, add(1)))(dot, rng())[0, 0, 0] == 3
    assert Maybe(0.0, add(1))(dot, rng())[0, 0, 0] == 1
    assert Maybe(1.0, add(1))(dot, rng())[0, 0, 0] == 2
    source = rng()
    happened = sum(int(Maybe(0.3, add(1))(dot, source)[0, 0, 0]) - 1 for _ in range(2000))
    assert happened == pytest.approx(600, abs=80)
    drawn = [int(OneOf((add(1), add(2), add(3)))(dot, source)[0, 0, 0]) for _ in range(300)]
    assert {level: drawn.count(level) > 60 for level in set(drawn)} == {2: True, 3: True, 4: True}
