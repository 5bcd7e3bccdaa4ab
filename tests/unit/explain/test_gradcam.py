"""Grad-CAM explains the class that is named and leaves the network as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.gradcam import GradCAM, get_gradcam_layer
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.network.layers import FingerprintBlock
from ganfingerprint.types import Label, UInt8Array


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._backward_hooks) for module in network.modules())


@pytest.mark.parametrize(("label", "hot", "cold"), [(Label.FAKE, (0, 0), (6, 6)), (Label.REAL, (6, 6), (0, 0))])
def test_the_heat_lies_where_the_named_class_has_its_evidence(
    model: nn.Module, quadrants: UInt8Array, label: Label, hot: tuple[int, int], cold: tuple[int, int]
) -> None:
    with GradCAM(model) as gradcam:
        heat = gradcam(quadrants, label)
    assert heat.shape == (1, 12, 12)
    quarter = heat[0, hot[0] : hot[0] + 6, hot[1] : hot[1] + 6]
    assert (quarter > 0).all()
    assert float(quarter.sum()) == pytest.approx(float(heat.sum()))
    assert not heat[0, cold[0] : cold[0] + 6, cold[1] : cold[1] + 6].any()


def test_the_heat_is_the_formula_of_selvaraju_et_al(model: nn.Module) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
    cells = pixels.reshape(3, 12, model.cell, 12, model.cell, 3).mean(axis=(2, 4)) / 255
    red, blue = (np.maximum(sign * (cells[..., 0] - cells[..., 2]), 0) for sign in (1, -1))
    expected = np.maximum(10 / 144 * red - 10 / 144 * blue, 0)  # d evidence / d cell = 10 / number of cells
    with GradCAM(model) as gradcam:
        assert np.allclose(gradcam(pixels, Label.FAKE).numpy(), expected, atol=1e-6)


def test_without_fusion_the_heat_is_taken_from_the_last_map_of_the_backbone(quadrants: UInt8Array) -> None:
    config = NetworkConfig(
        backbone="resnet18", pretrained="none", fusion=False, statistics=True, frequency=False, attention=False,
        fingerprint_block=False,
    )  # fmt: skip
    network = build_network(config, generator=torch.Generator().manual_seed(3)).eval()
    with GradCAM(network) as gradcam:
        heat = gradcam(quadrants, Label.FAKE, rectify=False)
    assert heat.shape == (
        len(quadrants),
        *network.feature_maps(network.normalise(torch.as_tensor(quadrants))).high.shape[2:],
    )
    assert heat.std() > 0


def test_maps_are_normalised_only_when_asked(model: nn.Module, quadrants: UInt8Array) -> None:
    pixels = np.concatenate([quadrants, quadrants // 2, np.full((1, 96, 96, 3), 90, np.uint8)])
    with GradCAM(model) as gradcam:
        raw = gradcam(pixels, Label.FAKE).amax(dim=(1, 2))
        own = gradcam(pixels, Label.FAKE, normalise=True).amax(dim=(1, 2))
    assert float(raw[0] / raw[1]) == pytest.approx(255 / 127)
    assert own.tolist() == pytest.approx([1.0, 1.0, 0.0])


def test_a_batch_gives_what_its_windows_give_one_by_one(model: nn.Module) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 96, 96, 3), np.uint8)
    with GradCAM(model) as gradcam:
        together = gradcam(torch.from_numpy(pixels), Label.REAL)
        alone = torch.cat([gradcam(pixels[i : i + 1], Label.REAL) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-7)


def test_a_frozen_network_is_explained_like_a_trainable_one(model: nn.Module, quadrants: UInt8Array) -> None:
    with GradCAM(model) as gradcam:
        trainable = gradcam(quadrants, Label.FAKE)
    model.requires_grad_(False)
    with GradCAM(model) as gradcam:
        assert torch.equal(gradcam(quadrants, Label.FAKE), trainable)


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_gradient_mode_around_it_neither_matters_nor_changes(
    model: nn.Module, quadrants: UInt8Array, outside: Callable[[], torch.inference_mode]
) -> None:
    with outside():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        with GradCAM(model) as gradcam:
            assert float(gradcam(torch.from_numpy(quadrants), Label.FAKE).max()) > 0
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def test_no_gradient_reaches_the_parameters_and_earlier_ones_stay(model: nn.Module, quadrants: UInt8Array) -> None:
    with GradCAM(model) as gradcam:
        gradcam(quadrants, Label.FAKE)
        assert all(parameter.grad is None for parameter in model.parameters())
        model.conv.weight.grad = torch.full_like(model.conv.weight, 3.0)
        gradcam(quadrants, Label.REAL)
    assert torch.equal(model.conv.weight.grad, torch.full_like(model.conv.weight, 3.0))


def test_a_training_network_is_explained_as_in_evaluation_and_goes_on_training(
    model: nn.Module, quadrants: UInt8Array
) -> None:
    with GradCAM(model) as gradcam:
        expected = gradcam(quadrants, Label.FAKE)
        model.train()
        model.conv.eval()  # as a frozen backbone is
        modes = [module.training for module in model.modules()]
        statistics = {name: value.clone() for name, value in model.named_buffers()}
        assert torch.equal(gradcam(quadrants, Label.FAKE), expected)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, statistics[name]) for name, value in model.named_buffers())


def test_the_hook_is_gone_after_the_with_statement(model: nn.Module) -> None:
    with GradCAM(model):
        assert hooks(model) == 1
    assert hooks(model) == 0


def test_the_hook_is_gone_and_the_mode_restored_after_an_exception(model: nn.Module) -> None:
    model.train()
    with pytest.raises(RuntimeError), GradCAM(model) as gradcam:
        gradcam(np.zeros((1, 4, 4, 3), np.uint8), Label.FAKE)  # too small to pool
    assert hooks(model) == 0
    assert model.training
    assert torch.is_grad_enabled()


def test_a_failed_call_does_not_spoil_the_next_one(model: nn.Module, quadrants: UInt8Array) -> None:
    with GradCAM(model) as gradcam:
        expected = gradcam(quadrants, Label.FAKE)
        with pytest.raises(RuntimeError):
            gradcam(np.zeros((1, 4, 4, 3), np.uint8), Label.FAKE)
        assert torch.equal(gradcam(quadrants, Label.FAKE), expected)


def test_two_may_look_at_one_network_at_a_time(model: nn.Module, quadrants: UInt8Array) -> None:
    with GradCAM(model) as outer, GradCAM(model) as inner:
        assert torch.equal(outer(quadrants, Label.FAKE), inner(quadrants, Label.FAKE))
    assert hooks(model) == 0


def test_plain_use_of_the_network_meanwhile_is_untouched(model: nn.Module, quadrants: UInt8Array) -> None:
    expected = model(torch.from_numpy(quadrants))
    with GradCAM(model):
        logits = model(torch.from_numpy(quadrants))
        assert torch.equal(logits, expected)
        logits.sum().backward()
    assert model.conv.weight.grad is not None  # the graph was not cut


def test_another_thread_may_judge_in_the_middle_of_an_explanation(model: nn.Module, quadrants: UInt8Array) -> None:
    red, answers = torch.from_numpy(quadrants), []

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


def test_outside_a_with_statement_it_says_how_to_use_it(model: nn.Module, quadrants: UInt8Array) -> None:
    with pytest.raises(UsageError, match="with GradCAM"):
        GradCAM(model)(quadrants, Label.FAKE)


def test_a_layer_without_a_map_or_without_influence_is_refused(model: nn.Module, quadrants: UInt8Array) -> None:
    model.aside = nn.Identity()
    with pytest.raises(UsageError, match="leads to the logits"), GradCAM(model, model.aside) as gradcam:
        gradcam(quadrants, Label.FAKE)
    flat = nn.Flatten()
    model.later.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), flat, nn.Unflatten(1, (2, 1, 1))))
    with pytest.raises(UsageError, match="one map"), GradCAM(model, flat) as gradcam:
        gradcam(quadrants, Label.FAKE)


def test_published_error_04_the_layer_of_the_real_network_is_the_output_of_its_fingerprint_block(
    network: FingerprintNet,
) -> None:
    """The published code takes the convolution that happened to be registered last."""
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


@pytest.mark.parametrize("without", [{"fingerprint_block": False}, {"fingerprint_block": False, "attention": False}])
def test_a_network_without_a_fingerprint_block_is_explained_too(without: dict[str, bool]) -> None:
    config = NetworkConfig(backbone="resnet18", pretrained="none", frequency=False, **without)  # type: ignore[arg-type]
    network = build_network(config, generator=torch.Generator().manual_seed(4)).eval()
    with GradCAM(network) as gradcam:
        heat = gradcam(np.zeros((1, 96, 96, 3), np.uint8), Label.FAKE)
    assert heat.shape == (1, 3, 3)
