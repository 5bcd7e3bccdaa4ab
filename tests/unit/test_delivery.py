"""What arrives of a picture: smaller, compressed, blurred, noisy, and alike whoever asks."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.decode import decode
from ganfingerprint.delivery import SINGLE_STEPS, TIERS, WHOLE_TIERS, Delivery, encoded
from ganfingerprint.types import Image, UInt8Array

Draw = Callable[..., UInt8Array]


def picture(pixels: UInt8Array) -> Image:
    stream = io.BytesIO()
    PilImage.fromarray(pixels).save(stream, "PNG")
    return decode(stream.getvalue(), name="drawn.png")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_tiers_are_those_of_the_field() -> None:
    crops = {name: (tier.scale, tier.longest, tier.codec, tier.quality) for name, tier in TIERS.items()}
    whole = {name: (tier.scale, tier.longest, tier.codec, tier.quality) for name, tier in WHOLE_TIERS.items()}
    assert crops == {
        "web": (0.75, 0, "JPEG", 60), "hard": (0.5, 0, "JPEG", 40), "social": (0.85, 0, "JPEG", 75)
    }  # fmt: skip
    assert whole == {
        "web-768": (1.0, 768, "JPEG", 60), "hard-512": (1.0, 512, "JPEG", 40), "social-1080": (1.0, 1080, "JPEG", 75)
    }  # fmt: skip


@pytest.mark.parametrize("name", TIERS)
def test_what_arrives_is_the_same_picture_smaller(name: str, draw_picture: Draw) -> None:
    pixels, tier = draw_picture(3, height=120, width=160), TIERS[name]
    arrived = tier.deliver(picture(pixels))
    assert arrived.pixels.shape == (round(120 * tier.scale), round(160 * tier.scale), 3)
    assert np.abs(arrived.pixels.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 3  # and its colours in order


def test_the_longest_side_is_limited_and_never_enlarged(draw_picture: Draw) -> None:
    pixels = draw_picture(3, height=120, width=160)
    assert Delivery(longest=80)(pixels, rng()).shape == (60, 80, 3)
    assert Delivery(longest=160)(pixels, rng()) is pixels
    assert Delivery(longest=1000)(pixels, rng()).shape == (120, 160, 3)
    assert Delivery(longest=80, scale=0.25)(pixels, rng()).shape == (30, 40, 3)
    assert Delivery(longest=72, crop=0.9)(pixels, rng()).shape == (54, 72, 3)


def test_colour_is_halved_and_the_quality_is_as_said(draw_picture: Draw) -> None:
    for quality in (40, 75):
        with PilImage.open(io.BytesIO(encoded(draw_picture(4), "JPEG", quality))) as file:
            reference = io.BytesIO()
            PilImage.fromarray(draw_picture(4)).save(reference, "JPEG", quality=quality)
            with PilImage.open(reference) as other:
                assert file.quantization == other.quantization  # type: ignore[attr-defined]
            assert file.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]  # luma twice as often as colour
    assert encoded(draw_picture(4), "WEBP", 75)[8:12] == b"WEBP"


def test_no_side_becomes_shorter_than_the_smallest() -> None:
    pixels = np.full((20, 400, 3), 90, np.uint8)
    assert Delivery(scale=0.5)(pixels, rng()).shape == (16, 200, 3)
    assert Delivery(crop=0.5)(pixels, rng()).shape == (16, 200, 3)


def test_a_blur_is_the_gaussian_it_says() -> None:
    pixels = np.zeros((41, 41, 3), np.uint8)
    pixels[20, 20] = 255
    for sigma in (0.5, 1.0, 2.0):
        arrived = Delivery(blur=sigma)(pixels, rng())[:, :, 0].astype(float)
        at = np.arange(41) - 20
        exact = np.exp(-0.5 * (at / sigma) ** 2)
        exact /= exact.sum()
        assert np.abs(arrived - 255 * np.outer(exact, exact)).max() < 1.0
    flat = np.full((20, 30, 3), 77, np.uint8)
    np.testing.assert_array_equal(Delivery(blur=2.0)(flat, rng()), flat)  # nothing is lost at the edges


def test_noise_is_as_strong_as_it_says_and_drawn_for_each_picture() -> None:
    first = np.full((64, 64, 3), 128, np.uint8)
    second = np.full((64, 64, 3), 129, np.uint8)
    noisy = Delivery(noise=5.0)
    arrived = noisy.deliver(picture(first)).pixels.astype(float) - 128
    assert abs(arrived.std() - 5.0) < 0.2
    np.testing.assert_array_equal(noisy.deliver(picture(first)).pixels - 128.0, arrived)
    other = noisy.deliver(picture(second)).pixels.astype(float) - 129
    assert abs(np.corrcoef(arrived.ravel(), other.ravel())[0, 1]) < 0.05
    assert (noisy.deliver(picture(first), seed=1).pixels - 128.0 != arrived).any()


def test_a_crop_is_a_part_of_the_picture(draw_picture: Draw) -> None:
    pixels = draw_picture(5, height=100, width=100)
    part = Delivery(crop=0.9)(pixels, rng())
    assert part.shape == (90, 90, 3)
    found = [
        (top, left)
        for top in range(11)
        for left in range(11)
        if np.array_equal(pixels[top : top + 90, left : left + 90], part)
    ]
    assert len(found) == 1


def test_every_single_step_changes_the_picture_a_little(draw_picture: Draw) -> None:
    pixels = draw_picture(6, height=128, width=128)
    for name, step in SINGLE_STEPS.items():
        arrived = step(pixels, rng())
        assert arrived.dtype == np.uint8, name
        assert not np.array_equal(arrived, pixels), name
        if arrived.shape == pixels.shape:
            assert np.abs(arrived.astype(float) - pixels).mean() < 25, name


def test_facts_and_hash_stay_those_of_the_file_that_was_sent(draw_picture: Draw) -> None:
    sent = picture(draw_picture(7))
    arrived = TIERS["hard"].deliver(sent)
    assert dataclasses.replace(arrived, pixels=sent.pixels) == dataclasses.replace(sent)  # all but the pixels
    assert Delivery()(sent.pixels, rng()) is sent.pixels


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="JPEG, WEBP or empty"):
        Delivery(codec="GIF")
