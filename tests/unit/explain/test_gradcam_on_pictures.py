"""A heat map lies on the picture's own pixels, at any size, and speaks for the class that the verdict names."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.heat_map import HeatMap, generate_gradcam, named_class
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.types import Image, ImageFacts, Label, Prediction, UInt8Array, Verdict

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (90, 90, 90)


def detector_of(network: nn.Module, **window: object) -> Detector:
    return Detector(engine=TorchEngine(network), card=card_with(**window))


def card_with(**window: object) -> Card:
    policy = {"size": 96, "placement": "grid", "count": 64, "slack": 0} | window
    return Card(architecture={}, window=policy, calibration=Calibration.unfitted().to_mapping())


def image_of(pixels: UInt8Array) -> Image:
    facts = ImageFacts(size_bytes=1, format="PNG", mode="RGB", width=pixels.shape[1], height=pixels.shape[0])
    return Image(source="drawn.png", pixels=pixels, sha256="0" * 64, facts=facts)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (96, 96), (50, 70), (1000, 50)])
@pytest.mark.parametrize("corner", [(0.1, 0.1), (0.55, 0.3), (0.7, 0.7)])
def test_published_error_04_the_heat_lies_on_the_pictures_own_pixels_at_any_size(
    model: nn.Module, width: int, height: int, corner: tuple[float, float]
) -> None:
    """The published Grad-CAM fails on any picture that is not 256 x 256."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    left, top = round(corner[0] * width), round(corner[1] * height)
    patch = np.zeros((height, width), np.bool_)
    patch[top : top + max(16, height // 5), left : left + max(16, width // 5)] = True
    pixels[patch] = RED
    heat = generate_gradcam(detector_of(model), image_of(pixels), Label.FAKE)
    assert heat.values.shape == heat.coverage.shape == (height, width)
    assert heat.coverage.all()
    assert heat.values.max() == pytest.approx(1.0)
    near = np.zeros_like(patch)  # the patch and two cells around it: one of pooling, one of stretching
    rows, columns = np.nonzero(patch)
    reach = 2 * model.cell
    near[max(rows.min() - reach, 0) : rows.max() + reach, max(columns.min() - reach, 0) : columns.max() + reach] = True
    assert heat.values[~near].max(initial=0) == 0
    assert heat.values[patch].mean() > 4 * heat.values[~patch].mean()


def test_where_no_window_looked_there_is_no_heat_and_the_mask_says_so(model: nn.Module) -> None:
    pixels = np.tile(np.array(RED, np.uint8), (300, 400, 1))
    heat = generate_gradcam(detector_of(model, placement="center"), image_of(pixels), Label.FAKE)
    left, top, right, bottom = heat.prediction.boxes[0]
    inside = np.zeros((300, 400), np.bool_)
    inside[top:bottom, left:right] = True
    assert np.array_equal(heat.coverage, inside)
    assert np.allclose(heat.values, inside)


def test_the_reduced_view_of_the_whole_is_laid_back_over_all_that_it_shows(model: nn.Module) -> None:
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[:60, 60:120] = RED
    policy = {"placement": "center", "resized_view": True}
    heat = generate_gradcam(detector_of(model, **policy), image_of(pixels), Label.FAKE)
    assert heat.coverage[:, 50:350].all()
    assert not heat.coverage[:, :50].any()
    assert heat.values[20:40, 80:100].min() > 0.8  # cells of the view are 25 pixels wide
    assert heat.values[100:].max() == 0


def test_windows_keep_their_strength_relative_to_one_another(model: nn.Module) -> None:
    pixels = np.full((96, 288, 3), 90, np.uint8)
    pixels[:, :96] = RED
    pixels[:, 192:] = (128, 0, 0)
    heat = generate_gradcam(detector_of(model), image_of(pixels), Label.FAKE)
    assert float(heat.values[48, 48]) == pytest.approx(1.0)
    assert float(heat.values[48, 240]) == pytest.approx(128 / 255, abs=1e-5)
    assert heat.peak == pytest.approx(10 / 144)


@pytest.mark.parametrize(("colour", "label"), [(RED, Label.FAKE), (BLUE, Label.REAL), (GREY, Label.REAL)])
def test_published_error_04_the_class_that_the_verdict_names_is_explained(
    model: nn.Module, colour: tuple[int, int, int], label: Label
) -> None:
    """The published Grad-CAM always explains the logit for real."""
    image = image_of(np.tile(np.array(colour, np.uint8), (120, 120, 1)))
    detector = detector_of(model)
    heat = generate_gradcam(detector, image)
    assert heat.label is label
    assert (heat.peak > 0) == (colour is not GREY)
    assert heat.prediction.logit == detector.predict_image(image).logit
    against = Label.REAL if label is Label.FAKE else Label.FAKE
    assert generate_gradcam(detector, image, against).peak == 0


def test_where_no_place_speaks_for_the_class_the_map_shows_where_least_speaks_against_it(model: nn.Module) -> None:
    """A network's constant part may name a class that no place supports; an empty map would tell a person nothing."""
    pixels = np.full((96, 96, 3), BLUE, np.uint8)
    pixels[:48] = pixels[:48] // 2
    detector = detector_of(model)
    heat = generate_gradcam(detector, image_of(pixels), Label.FAKE)
    assert heat.relative
    assert heat.values[:40].min() == 1
    assert heat.values[56:].max() == 0
    assert not generate_gradcam(detector, image_of(pixels), Label.REAL).relative


@pytest.mark.parametrize(
    ("verdict", "log10_lr", "label"),
    [
        (Verdict.FAKE, 1.0, Label.FAKE),
        (Verdict.REAL, -1.0, Label.REAL),
        (Verdict.UNCERTAIN, 0.2, Label.FAKE),
        (Verdict.UNCERTAIN, -0.2, Label.REAL),
        (Verdict.UNCERTAIN, 0.0, Label.REAL),
        (Verdict.REAL, 0.1, Label.REAL),  # thresholds need not be where the evidence turns
    ],
)
def test_an_uncertain_verdict_names_the_side_it_leans_to(
    model: nn.Module, quadrants: UInt8Array, verdict: Verdict, log10_lr: float, label: Label
) -> None:
    known = detector_of(model).predict_image(image_of(quadrants[0]))
    values = {name: getattr(known, name) for name in known.__slots__}
    prediction = Prediction(**(values | {"verdict": verdict, "log10_lr": log10_lr}))
    assert named_class(prediction) is label
    heat = generate_gradcam(detector_of(model), image_of(quadrants[0]), prediction=prediction)
    assert heat.label is label
    assert heat.prediction is prediction


def test_an_engine_without_layers_is_refused_with_a_way_out(quadrants: UInt8Array) -> None:
    with pytest.raises(UsageError, match=r"'fake' is arithmetic.*choose another engine"):
        generate_gradcam(Detector(engine=FakeEngine(), card=card_with()), image_of(quadrants[0]))


def test_a_heat_map_of_wrong_shape_or_type_is_refused(model: nn.Module, quadrants: UInt8Array) -> None:
    good = generate_gradcam(detector_of(model), image_of(quadrants[0]))
    for values, coverage in [
        (good.values.astype(np.float64), good.coverage),
        (good.values[None], good.coverage),
        (good.values, good.coverage[1:]),
        (good.values, good.coverage.astype(np.float32)),
    ]:
        with pytest.raises(ValueError, match="must be"):
            HeatMap(values=values, coverage=coverage, label=Label.FAKE, peak=1.0, prediction=good.prediction)  # type: ignore[arg-type]


def test_the_real_network_explains_a_picture_of_an_odd_size(network: FingerprintNet) -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (131, 157, 3), np.uint8)
    heat = generate_gradcam(detector_of(network, count=4), image_of(pixels))
    assert heat.values.shape == (131, 157)
    assert heat.label is named_class(heat.prediction)
    assert 0 <= heat.values.min() <= heat.values.max() <= 1
