"""The gradient in closed form is that of automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganfingerprint.config import NetworkConfig
from ganfingerprint.explain.gradcam import GradCAM
from ganfingerprint.network.classifier import EnhancedClassifier, decide, decide_gradient
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.network.gradient import pull_back
from ganfingerprint.types import Label

PARTS = {"attention": False, "fingerprint_block": False, "frequency": False}
NETWORKS = {
    "document": NetworkConfig(backbone="resnet18", pretrained="none"),
    "map and statistics": NetworkConfig(backbone="resnet18", pretrained="none", statistics=True, **PARTS),
    "statistics of unequal grids": NetworkConfig(
        backbone="resnet18", pretrained="none", statistics=True, fusion=False, **PARTS
    ),
    "statistics of one grid, many classes": NetworkConfig(
        backbone="clip-vit-b16",
        pretrained="none",
        taps=(1, 2, 3),
        statistics=True,
        fusion=False,
        classes=("photograph", "one", "two", "three"),
        photograph_classes=1,
        **PARTS,
    ),
}


def alive(module: nn.Module, seed: int) -> nn.Module:
    """In evaluation mode, with norms that do something."""
    torch.manual_seed(seed)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d):
            assert each.running_mean is not None
            assert each.running_var is not None
            each.running_mean.normal_(0, 0.3)
            each.running_var.uniform_(0.5, 2)
            if each.affine:
                nn.init.uniform_(each.weight, -1, 2)
    return module.eval()


@pytest.mark.parametrize("photographs", [1, 2])
@pytest.mark.parametrize("classes", [1, 5])
def test_of_the_classifier_and_the_decision(classes: int, photographs: int) -> None:
    classifier = alive(EnhancedClassifier(32, 0.4, classes), 1)
    assert isinstance(classifier, EnhancedClassifier)
    embedding = torch.randn(6, 32, requires_grad=True)
    logits = classifier(embedding)
    (expected,) = torch.autograd.grad(decide(logits, photographs).sum(), embedding)
    with torch.no_grad():
        found = classifier.pull_back(embedding, decide_gradient(logits, photographs))
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_layer_without_a_derivative_is_refused() -> None:
    with pytest.raises(TypeError, match="GELU"):
        pull_back([nn.Linear(4, 4), nn.GELU()], torch.zeros(1, 4), torch.zeros(1, 4))


@pytest.mark.parametrize("name", NETWORKS)
def test_heat_is_the_grad_cam_of_the_network(name: str) -> None:
    network = alive(build_network(NETWORKS[name], generator=torch.Generator().manual_seed(2)), 2)
    assert isinstance(network, FingerprintNet)
    pixels = torch.randint(0, 256, (3, 96, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        logits, embeddings, heat, *summary = network.explained(pixels)
        expected_logits, expected_embeddings, *expected_summary = network.answers(pixels)
    for label, sign in ((Label.FAKE, 1), (Label.REAL, -1)):
        with GradCAM(network) as gradcam:
            expected = gradcam(pixels, label, rectify=False)
        assert expected.abs().max() > 0
        torch.testing.assert_close(sign * heat, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    torch.testing.assert_close(logits, expected_logits)
    torch.testing.assert_close(embeddings, expected_embeddings)
    assert len(summary) == (network.backbone.summary > 0)
    torch.testing.assert_close(summary, expected_summary)
