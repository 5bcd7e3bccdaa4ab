"""Covering the hottest place of a true heat map costs more evidence than covering the coldest."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.detector import Detector
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.heat_map import HeatMap
from ganfingerprint.explain.occlusion import cover, occlusion_check
from ganfingerprint.types import Image, ImageFacts, Label, Outputs, UInt8Array


class TextureEngine:
    """Fine structure is fake: network logit = 1 - mean difference between neighbours in a row. Keeps what it saw."""

    name = "texture"

    def __init__(self) -> None:
        self.seen: list[UInt8Array] = []

    def run(self, windows: UInt8Array) -> Outputs:
        self.seen.append(windows)
        logits = 1 - np.abs(np.diff(windows.astype(np.float32), axis=2)).mean(axis=(1, 2, 3))
        return Outputs(logits=logits.astype(np.float32), embeddings=np.zeros((len(windows), 512), np.float32))


def detector_with(engine: TextureEngine, **window: object) -> Detector:
    policy = {"size": 96, "placement": "grid", "count": 64, "slack": 0} | window
    card = Card(architecture={}, window=policy, calibration=Calibration.unfitted().to_mapping())
    return Detector(engine=engine, card=card)


def noisy_spot(width: int = 200, height: int = 150) -> tuple[Image, tuple[slice, slice]]:
    """A flat grey picture with strong noise in one place, and that place."""
    place = slice(height // 5, height // 2), slice(width // 10, width // 3)
    pixels = np.full((height, width, 3), 128, np.uint8)
    shape = pixels[place].shape
    pixels[place] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    facts = ImageFacts(size_bytes=1, format="PNG", mode="RGB", width=width, height=height)
    return Image(source="spot.png", pixels=pixels, sha256="0" * 64, facts=facts), place


def heat_at(
    image: Image, place: tuple[slice, slice], detector: Detector, *, label: Label = Label.FAKE, unseen: int = 0
) -> HeatMap:
    """A map that is hot at `place`; the `unseen` leftmost columns were not looked at."""
    values = np.zeros((image.height, image.width), np.float32)
    values[place] = 1.0
    coverage = np.ones(values.shape, np.bool_)
    coverage[:, :unseen] = False
    values[~coverage] = 0
    prediction = detector.predict_image(image)
    return HeatMap(values=values, coverage=coverage, label=label, peak=1.0, prediction=prediction)


@pytest.mark.parametrize("fill", ["blur", "mean"])
@pytest.mark.parametrize("label", list(Label))
def test_a_heat_map_that_points_at_the_evidence_passes(fill: Literal["blur", "mean"], label: Label) -> None:
    image, place = noisy_spot()
    detector = detector_with(TextureEngine())
    check = occlusion_check(detector, image, heat_at(image, place, detector, label=label), fill=fill)
    assert check.agrees
    assert check.logit == pytest.approx(detector.predict_image(image).logit)
    assert check.logit_without_hottest < check.logit - 0.5  # higher is more fake, and the noise was the fake part
    assert check.logit_without_coldest == pytest.approx(check.logit, abs=1e-3)
    sign = 1 if label is Label.FAKE else -1
    assert check.lost_with_hottest * sign > 0.5
    assert check.lost_with_coldest == pytest.approx(0, abs=1e-3)


def test_a_heat_map_that_points_elsewhere_fails() -> None:
    image, place = noisy_spot()
    detector = detector_with(TextureEngine())
    wrong = heat_at(image, place, detector)
    upside_down = HeatMap(
        values=1 - wrong.values, coverage=wrong.coverage, label=Label.FAKE, peak=1.0, prediction=wrong.prediction
    )
    assert not occlusion_check(detector, image, upside_down).agrees


@pytest.mark.parametrize(("patch", "side"), [(0.15, 22), (0.3, 45), (0.9, 48), (0.01, 8)])
def test_the_square_is_a_share_of_the_shorter_side_and_half_a_window_at_most(patch: float, side: int) -> None:
    image, place = noisy_spot()
    detector = detector_with(TextureEngine())
    check = occlusion_check(detector, image, heat_at(image, place, detector), patch=patch)
    for left, top, right, bottom in (check.hottest, check.coldest):
        assert (right - left, bottom - top) == (side, side)
        assert left >= 0
        assert top >= 0
        assert right <= image.width
        assert bottom <= image.height


def test_the_hottest_square_is_within_the_heat_and_the_coldest_far_from_it() -> None:
    image, place = noisy_spot()
    detector = detector_with(TextureEngine())
    check = occlusion_check(detector, image, heat_at(image, place, detector))
    left, top, right, bottom = check.hottest
    assert place[1].start <= left < right <= place[1].stop
    assert place[0].start <= top < bottom <= place[0].stop
    assert check.coldest == (200 - 22, 150 - 22, 200, 150)


def test_only_places_that_a_window_saw_are_compared() -> None:
    image, place = noisy_spot()
    detector = detector_with(TextureEngine())
    heat = heat_at(image, place, detector, unseen=40)
    heat.values[:] = np.where(heat.coverage, 0.5, 0)  # the unseen part is the coldest by its number
    check = occlusion_check(detector, image, heat)
    assert check.hottest[0] >= 40
    assert check.coldest[0] >= 40


@pytest.mark.parametrize("size", [(200, 150), (60, 300), (50, 60)])
@pytest.mark.parametrize("window", [{"placement": "texture", "count": 2}, {"resized_view": True}, {}])
def test_the_windows_stay_in_place_and_differ_by_the_cover_only(
    size: tuple[int, int], window: dict[str, object]
) -> None:
    image, place = noisy_spot(*size)
    engine = TextureEngine()
    detector = detector_with(engine, **window)
    heat = heat_at(image, place, detector)
    check = occlusion_check(detector, image, heat)
    judged, whole, without_hottest, _ = engine.seen
    assert np.array_equal(judged, whole)
    assert whole.shape == without_hottest.shape
    boxes = heat.prediction.boxes
    left, top, right, bottom = check.hottest
    for box, before, after in zip(boxes, whole, without_hottest, strict=True):
        if box[2] - box[0] == 96 and (box[:2] >= 0).all() and box[2] <= size[0] and box[3] <= size[1]:
            rows, columns = np.nonzero((before != after).any(axis=2))
            assert ((rows + box[1] >= top) & (rows + box[1] < bottom)).all()
            assert ((columns + box[0] >= left) & (columns + box[0] < right)).all()
    assert (whole != without_hottest).any()


@pytest.mark.parametrize("fill", ["blur", "mean"])
def test_a_cover_takes_the_detail_and_keeps_the_brightness(fill: Literal["blur", "mean"]) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (80, 90, 3), np.uint8)
    pixels[:, 50:] //= 4  # a coarse edge, which only the blur keeps
    original = pixels.copy()
    covered = cover(pixels, (30, 20, 70, 60), fill)
    outside = np.ones((80, 90), np.bool_)
    outside[20:60, 30:70] = False
    assert np.array_equal(pixels, original)
    assert np.array_equal(covered[outside], pixels[outside])
    inside, was = covered[28:52, 38:62].astype(float), pixels[28:52, 38:62].astype(float)
    assert np.abs(np.diff(inside, axis=0)).mean() < 0.1 * np.abs(np.diff(was, axis=0)).mean()
    assert covered[20:60, 30:70].mean() == pytest.approx(pixels[20:60, 30:70].mean(), rel=0.05)
    contrast = inside[:, :6].mean() - inside[:, -6:].mean()
    assert (contrast > 40) if fill == "blur" else (abs(contrast) < 1)


def test_the_border_of_a_cover_is_no_new_edge() -> None:
    ramp = np.tile(np.linspace(0, 255, 120).astype(np.uint8)[None, :, None], (120, 1, 3))
    covered = cover(ramp, (20, 20, 84, 84), "mean").astype(int)
    steps = np.abs(np.diff(covered, axis=1)).max()
    assert steps <= 20  # without feathering it jumps by 68


@pytest.mark.parametrize("patch", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(patch: float) -> None:
    image, place = noisy_spot()
    detector = detector_with(TextureEngine())
    with pytest.raises(UsageError, match="patch must be above 0"):
        occlusion_check(detector, image, heat_at(image, place, detector), patch=patch)


def test_a_heat_map_of_another_picture_is_refused() -> None:
    image, place = noisy_spot()
    other, _ = noisy_spot(160, 120)
    detector = detector_with(TextureEngine())
    with pytest.raises(UsageError, match=r"heat map is \(150, 200\), the picture \(120, 160\)"):
        occlusion_check(detector, other, heat_at(image, place, detector))
