"""Grad-CAM explains the class that is named, on the picture's own pixels, and leaves the network as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.gradcam import GradCAM, HeatMap, generate_gradcam, get_gradcam_layer, named_class
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.network.layers import FingerprintBlock
from ganfingerprint.types import Image, ImageFacts, Label, Prediction, UInt8Array, Verdict

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (90, 90, 90)
CELL = 8  # pixels a cell of ColourNet's map


class ColourNet(nn.Module):
    """Red is evidence for fake, blue for real: logit = 10 (mean blueness - mean redness), in the network's sign."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        self.conv.weight.data = torch.tensor([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])[..., None, None]
        self.fingerprint = nn.Sequential(nn.ReLU(), nn.AvgPool2d(1))
        self.later = nn.Sequential(nn.LeakyReLU(1.0, inplace=True), nn.BatchNorm2d(2, eps=0.0), nn.Dropout2d(0.5))
        self.before: Callable[[], None] = lambda: None

    @property
    def gradcam_layer(self) -> nn.Module:
        return self.fingerprint

    @staticmethod
    def evidence(logits: Tensor, label: Label) -> Tensor:
        return logits if label is Label.REAL else -logits

    def forward(self, pixels: Tensor) -> Tensor:
        return self.outputs(pixels)[0]

    def outputs(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float() / 255, CELL)
        x = self.conv(x)
        self.before()
        pooled = self.later(self.fingerprint(x)).mean(dim=(2, 3))  # [B, 2]
        return 10 * (pooled[:, 1] - pooled[:, 0]), torch.zeros(len(pixels), 512)


@pytest.fixture
def model() -> ColourNet:
    return ColourNet().eval()


def quadrants(size: int = 96) -> UInt8Array:
    """One window [1, s, s, 3], grey, red in its upper left quarter and blue in its lower right one."""
    pixels = np.full((1, size, size, 3), 90, np.uint8)
    pixels[0, : size // 2, : size // 2] = RED
    pixels[0, size // 2 :, size // 2 :] = BLUE
    return pixels


def detector_of(network: nn.Module, **window: object) -> Detector:
    return Detector(engine=TorchEngine(network), card=card_with(**window))


def card_with(**window: object) -> Card:
    policy = {"size": 96, "placement": "grid", "count": 64, "slack": 0} | window
    return Card(architecture={}, window=policy, calibration=Calibration.unfitted().to_mapping())


def image_of(pixels: UInt8Array) -> Image:
    facts = ImageFacts(size_bytes=1, format="PNG", mode="RGB", width=pixels.shape[1], height=pixels.shape[0])
    return Image(source="drawn.png", pixels=pixels, sha256="0" * 64, facts=facts)


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._backward_hooks) for module in network.modules())


@pytest.mark.parametrize(("label", "hot", "cold"), [(Label.FAKE, (0, 0), (6, 6)), (Label.REAL, (6, 6), (0, 0))])
def test_the_heat_lies_where_the_named_class_has_its_evidence(
    model: ColourNet, label: Label, hot: tuple[int, int], cold: tuple[int, int]
) -> None:
    with GradCAM(model) as gradcam:
        heat = gradcam(quadrants(), label)
    assert heat.shape == (1, 12, 12)
    quarter = heat[0, hot[0] : hot[0] + 6, hot[1] : hot[1] + 6]
    assert (quarter > 0).all()
    assert float(quarter.sum()) == pytest.approx(float(heat.sum()))
    assert not heat[0, cold[0] : cold[0] + 6, cold[1] : cold[1] + 6].any()


def test_the_heat_is_the_formula_of_selvaraju_et_al(model: ColourNet) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
    cells = pixels.reshape(3, 12, CELL, 12, CELL, 3).mean(axis=(2, 4)) / 255
    red, blue = (np.maximum(sign * (cells[..., 0] - cells[..., 2]), 0) for sign in (1, -1))
    expected = np.maximum(10 / 144 * red - 10 / 144 * blue, 0)  # d evidence / d cell = 10 / number of cells
    with GradCAM(model) as gradcam:
        assert np.allclose(gradcam(pixels, Label.FAKE).numpy(), expected, atol=1e-6)


def test_maps_are_normalised_only_when_asked(model: ColourNet) -> None:
    pixels = np.concatenate([quadrants(), quadrants() // 2, np.full((1, 96, 96, 3), 90, np.uint8)])
    with GradCAM(model) as gradcam:
        raw = gradcam(pixels, Label.FAKE).amax(dim=(1, 2))
        own = gradcam(pixels, Label.FAKE, normalise=True).amax(dim=(1, 2))
    assert float(raw[0] / raw[1]) == pytest.approx(255 / 127)
    assert own.tolist() == pytest.approx([1.0, 1.0, 0.0])


def test_a_batch_gives_what_its_windows_give_one_by_one(model: ColourNet) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 96, 96, 3), np.uint8)
    with GradCAM(model) as gradcam:
        together = gradcam(torch.from_numpy(pixels), Label.REAL)
        alone = torch.cat([gradcam(pixels[i : i + 1], Label.REAL) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-7)


def test_a_frozen_network_is_explained_like_a_trainable_one(model: ColourNet) -> None:
    with GradCAM(model) as gradcam:
        trainable = gradcam(quadrants(), Label.FAKE)
    model.requires_grad_(False)
    with GradCAM(model) as gradcam:
        assert torch.equal(gradcam(quadrants(), Label.FAKE), trainable)


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_gradient_mode_around_it_neither_matters_nor_changes(
    model: ColourNet, outside: Callable[[], torch.inference_mode]
) -> None:
    with outside():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        with GradCAM(model) as gradcam:
            assert float(gradcam(torch.from_numpy(quadrants()), Label.FAKE).max()) > 0
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def test_no_gradient_reaches_the_parameters_and_earlier_ones_stay(model: ColourNet) -> None:
    with GradCAM(model) as gradcam:
        gradcam(quadrants(), Label.FAKE)
        assert all(parameter.grad is None for parameter in model.parameters())
        model.conv.weight.grad = torch.full_like(model.conv.weight, 3.0)
        gradcam(quadrants(), Label.REAL)
    assert torch.equal(model.conv.weight.grad, torch.full_like(model.conv.weight, 3.0))


def test_a_training_network_is_explained_as_in_evaluation_and_goes_on_training(model: ColourNet) -> None:
    with GradCAM(model) as gradcam:
        expected = gradcam(quadrants(), Label.FAKE)
        model.train()
        model.conv.eval()  # as a frozen backbone is
        modes = [module.training for module in model.modules()]
        statistics = {name: value.clone() for name, value in model.named_buffers()}
        assert torch.equal(gradcam(quadrants(), Label.FAKE), expected)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, statistics[name]) for name, value in model.named_buffers())


def test_the_hook_is_gone_after_the_with_statement(model: ColourNet) -> None:
    with GradCAM(model):
        assert hooks(model) == 1
    assert hooks(model) == 0


def test_the_hook_is_gone_and_the_mode_restored_after_an_exception(model: ColourNet) -> None:
    model.train()
    with pytest.raises(RuntimeError), GradCAM(model) as gradcam:
        gradcam(np.zeros((1, 4, 4, 3), np.uint8), Label.FAKE)  # too small to pool
    assert hooks(model) == 0
    assert model.training
    assert torch.is_grad_enabled()


def test_a_failed_call_does_not_spoil_the_next_one(model: ColourNet) -> None:
    with GradCAM(model) as gradcam:
        expected = gradcam(quadrants(), Label.FAKE)
        with pytest.raises(RuntimeError):
            gradcam(np.zeros((1, 4, 4, 3), np.uint8), Label.FAKE)
        assert torch.equal(gradcam(quadrants(), Label.FAKE), expected)


def test_two_may_look_at_one_network_at_a_time(model: ColourNet) -> None:
    with GradCAM(model) as outer, GradCAM(model) as inner:
        assert torch.equal(outer(quadrants(), Label.FAKE), inner(quadrants(), Label.FAKE))
    assert hooks(model) == 0


def test_plain_use_of_the_network_meanwhile_is_untouched(model: ColourNet) -> None:
    expected = model(torch.from_numpy(quadrants()))
    with GradCAM(model):
        logits = model(torch.from_numpy(quadrants()))
        assert torch.equal(logits, expected)
        logits.sum().backward()
    assert model.conv.weight.grad is not None  # the graph was not cut


def test_another_thread_may_judge_in_the_middle_of_an_explanation(model: ColourNet) -> None:
    red, answers = torch.from_numpy(quadrants()), []

    def judge() -> None:
        with torch.no_grad():
            answers.append(model(255 - red))

    def meanwhile() -> None:
        model.before = lambda: None
        thread = threading.Thread(target=judge)
        thread.start()
        thread.join()

    with GradCAM(model) as gradcam:
        expected = gradcam(red, Label.FAKE)
        model.before = meanwhile
        assert torch.equal(gradcam(red, Label.FAKE), expected)
    assert len(answers) == 1
    assert not answers[0].requires_grad


def test_outside_a_with_statement_it_says_how_to_use_it(model: ColourNet) -> None:
    with pytest.raises(UsageError, match="with GradCAM"):
        GradCAM(model)(quadrants(), Label.FAKE)


def test_a_layer_without_a_map_or_without_influence_is_refused(model: ColourNet) -> None:
    model.aside = nn.Identity()
    with pytest.raises(UsageError, match="leads to the logits"), GradCAM(model, model.aside) as gradcam:
        gradcam(quadrants(), Label.FAKE)
    flat = nn.Flatten()
    model.later.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), flat, nn.Unflatten(1, (2, 1, 1))))
    with pytest.raises(UsageError, match="one map"), GradCAM(model, flat) as gradcam:
        gradcam(quadrants(), Label.FAKE)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (96, 96), (50, 70), (1000, 20)])
@pytest.mark.parametrize("corner", [(0.1, 0.1), (0.55, 0.3), (0.7, 0.7)])
def test_the_heat_lies_on_the_pictures_own_pixels_at_any_size(
    model: ColourNet, width: int, height: int, corner: tuple[float, float]
) -> None:
    """DESIGN 6.4: the published Grad-CAM fails on any picture that is not 256 x 256."""
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
    reach = 2 * CELL
    near[max(rows.min() - reach, 0) : rows.max() + reach, max(columns.min() - reach, 0) : columns.max() + reach] = True
    assert heat.values[~near].max(initial=0) == 0
    assert heat.values[patch].mean() > 4 * heat.values[~patch].mean()


def test_where_no_window_looked_there_is_no_heat_and_the_mask_says_so(model: ColourNet) -> None:
    pixels = np.tile(np.array(RED, np.uint8), (300, 400, 1))
    heat = generate_gradcam(detector_of(model, placement="center"), image_of(pixels), Label.FAKE)
    left, top, right, bottom = heat.prediction.boxes[0]
    inside = np.zeros((300, 400), np.bool_)
    inside[top:bottom, left:right] = True
    assert np.array_equal(heat.coverage, inside)
    assert np.allclose(heat.values, inside)


def test_the_reduced_view_of_the_whole_is_laid_back_over_all_that_it_shows(model: ColourNet) -> None:
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[:60, 60:120] = RED
    policy = {"placement": "center", "resized_view": True}
    heat = generate_gradcam(detector_of(model, **policy), image_of(pixels), Label.FAKE)
    assert heat.coverage[:, 50:350].all()
    assert not heat.coverage[:, :50].any()
    assert heat.values[20:40, 80:100].min() > 0.8  # cells of the view are 25 pixels wide
    assert heat.values[100:].max() == 0


def test_windows_keep_their_strength_relative_to_one_another(model: ColourNet) -> None:
    pixels = np.full((96, 288, 3), 90, np.uint8)
    pixels[:, :96] = RED
    pixels[:, 192:] = (128, 0, 0)
    heat = generate_gradcam(detector_of(model), image_of(pixels), Label.FAKE)
    assert float(heat.values[48, 48]) == pytest.approx(1.0)
    assert float(heat.values[48, 240]) == pytest.approx(128 / 255, abs=1e-5)
    assert heat.peak == pytest.approx(10 / 144)


@pytest.mark.parametrize(("colour", "label"), [(RED, Label.FAKE), (BLUE, Label.REAL), (GREY, Label.REAL)])
def test_the_class_that_the_verdict_names_is_explained(
    model: ColourNet, colour: tuple[int, int, int], label: Label
) -> None:
    """DESIGN 6.4: the published Grad-CAM always explains the logit for real."""
    image = image_of(np.tile(np.array(colour, np.uint8), (120, 120, 1)))
    detector = detector_of(model)
    heat = generate_gradcam(detector, image)
    assert heat.label is label
    assert (heat.peak > 0) == (colour is not GREY)
    assert heat.prediction.logit == detector.predict_image(image).logit
    against = Label.REAL if label is Label.FAKE else Label.FAKE
    assert generate_gradcam(detector, image, against).peak == 0


def test_where_no_place_speaks_for_the_class_the_map_shows_where_least_speaks_against_it(model: ColourNet) -> None:
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
    model: ColourNet, verdict: Verdict, log10_lr: float, label: Label
) -> None:
    known = detector_of(model).predict_image(image_of(quadrants()[0]))
    values = {name: getattr(known, name) for name in known.__slots__}
    prediction = Prediction(**(values | {"verdict": verdict, "log10_lr": log10_lr}))
    assert named_class(prediction) is label
    heat = generate_gradcam(detector_of(model), image_of(quadrants()[0]), prediction=prediction)
    assert heat.label is label
    assert heat.prediction is prediction


def test_an_engine_without_layers_is_refused_with_a_way_out() -> None:
    with pytest.raises(UsageError, match=r"'fake' cannot show.*engine='torch'"):
        generate_gradcam(Detector(engine=FakeEngine(), card=card_with()), image_of(quadrants()[0]))


def test_a_heat_map_of_wrong_shape_or_type_is_refused(model: ColourNet) -> None:
    good = generate_gradcam(detector_of(model), image_of(quadrants()[0]))
    for values, coverage in [
        (good.values.astype(np.float64), good.coverage),
        (good.values[None], good.coverage),
        (good.values, good.coverage[1:]),
        (good.values, good.coverage.astype(np.float32)),
    ]:
        with pytest.raises(ValueError, match="must be"):
            HeatMap(values=values, coverage=coverage, label=Label.FAKE, peak=1.0, prediction=good.prediction)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def network() -> FingerprintNet:
    torch.set_num_threads(1)
    config = NetworkConfig(backbone="resnet18", pretrained="none")
    return build_network(config, generator=torch.Generator().manual_seed(3)).eval()


def test_the_layer_of_the_real_network_is_the_output_of_its_fingerprint_block(network: FingerprintNet) -> None:
    """DESIGN 6.4: the published code takes the convolution that happened to be registered last."""
    assert get_gradcam_layer(network) is network.fingerprint
    assert isinstance(network.fingerprint, FingerprintBlock)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_real_network_is_explained_for_both_classes(network: FingerprintNet, frozen: bool) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (2, 96, 96, 3), np.uint8)
    network.backbone.requires_grad_(not frozen)
    with GradCAM(network) as gradcam:
        fake, real = gradcam(pixels, Label.FAKE), gradcam(pixels, Label.REAL)
    assert fake.shape == real.shape == (2, 3, 3)
    assert float((fake * real).abs().max()) == 0  # a cell speaks for one class at most
    assert float(fake.max()) > 0 or float(real.max()) > 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_real_network_explains_a_picture_of_an_odd_size(network: FingerprintNet) -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (131, 157, 3), np.uint8)
    heat = generate_gradcam(detector_of(network, count=4), image_of(pixels))
    assert heat.values.shape == (131, 157)
    assert heat.label is named_class(heat.prediction)
    assert 0 <= heat.values.min() <= heat.values.max() <= 1


@pytest.mark.parametrize("without", [{"fingerprint_block": False}, {"fingerprint_block": False, "attention": False}])
def test_a_network_without_a_fingerprint_block_is_explained_too(without: dict[str, bool]) -> None:
    config = NetworkConfig(backbone="resnet18", pretrained="none", frequency=False, **without)  # type: ignore[arg-type]
    network = build_network(config, generator=torch.Generator().manual_seed(4)).eval()
    with GradCAM(network) as gradcam:
        heat = gradcam(np.zeros((1, 96, 96, 3), np.uint8), Label.FAKE)
    assert heat.shape == (1, 3, 3)
