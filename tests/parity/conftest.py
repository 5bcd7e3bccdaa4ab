"""Tiny random detectors with a graph for every engine; the backbone of one has a summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganfingerprint.artifact import Card, Int8Tensor, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.export.run import TARGETS, export_detector
from ganfingerprint.network import vit
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network

SIDE = 96
NETWORKS = {
    # all the document's parts: the FFT, attention, the fingerprint block
    "document": NetworkConfig(backbone="efficientnet-lite0", pretrained="none", taps=(1, 2, 3), frequency_width=4),
    # the shipped detector's: statistics alone, several classes
    "statistics": NetworkConfig(
        backbone="mobilenet-v2", pretrained="none", taps=(1, 2, 3), fusion=False, frequency=False, attention=False,
        fingerprint_block=False, statistics=True, classes=("photographs", "a", "b"),
    ),
}  # fmt: skip


def lively(network: FingerprintNet) -> FingerprintNet:
    """The network with running statistics of pictures and wide logits, so that answers differ from each other."""
    torch.manual_seed(0)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network.outputs(torch.randint(0, 256, (4, SIDE, SIDE, 3), dtype=torch.uint8))
        network.classifier.output.weight.mul_(100)
    return network.eval()


def quantised(values: np.ndarray) -> Int8Tensor:
    """A matrix as 8-bit integers with a zero point, nearly itself."""
    low, high = values.min(axis=1), values.max(axis=1)
    scale = ((high - low) / 255).astype(np.float32)
    zero = np.clip(np.rint(-128 - low / scale), -128, 127).astype(np.int8)
    numbers = np.rint(values / scale[:, None]) + zero[:, None]
    return Int8Tensor(values=np.clip(numbers, -128, 127).astype(np.int8), scale=scale, zero=zero)


def write_tiny(folder: Path, config: NetworkConfig) -> Card:
    network = lively(build_network(config, generator=torch.Generator().manual_seed(5), pretrained=False))
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    whole = "embedding.0.weight", "classifier.layer1.0.weight"
    stored = {**state, whole[0]: quantised(state[whole[0]]), whole[1]: state[whole[1]].astype(np.float16)}
    calibration = Calibration(
        slope=1.0, intercept=0.0, log10_lr_bound=2.0, fake_threshold=0.5, real_threshold=-0.5,
        false_alarm_rate=0.01, miss_rate=0.05,
    )  # fmt: skip
    card = Card(
        architecture=to_mapping(config),
        window=to_mapping(WindowConfig(size=SIDE)),
        calibration=calibration.to_mapping(),
    )
    return write_detector(folder, stored, card)


@pytest.fixture(scope="session", params=sorted(NETWORKS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with a graph for every engine beside its weights. Only read it."""
    folder = tmp_path_factory.mktemp(request.param) / "detector"
    write_tiny(folder, NETWORKS[request.param])
    for target in TARGETS:
        export_detector(folder, folder, target)
    return folder


SUMMARY = 72  # numbers


def small_tower(taps: tuple[int, ...]) -> vit.ClipViT:
    """With weights that let class tokens differ from window to window."""
    tower = vit.ClipViT(taps, width=SUMMARY // 3, heads=3, depth=4)
    with torch.no_grad():
        for part in (tower.patch, *(layer for layer in tower.blocks.modules() if isinstance(layer, torch.nn.Linear))):
            part.weight.mul_(8)
    return tower


@pytest.fixture(scope="session")
def of_small_tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a detector of a small CLIP image tower. Only read it, and where `small_towers` are built."""
    folder = tmp_path_factory.mktemp("tower") / "detector"
    parts = dict.fromkeys(("fusion", "frequency", "attention", "fingerprint_block"), False)
    config = NetworkConfig(
        backbone="clip-vit-b16", pretrained="none", taps=(1, 2, 4), statistics=True, classes=("photographs", "a", "b"),
        **parts,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vit, "clip_vit_b16", small_tower)
        write_tiny(folder, config)
        for target in TARGETS:
            export_detector(folder, folder, target)
    return folder


@pytest.fixture
def small_towers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every CLIP image tower is a small one."""
    monkeypatch.setattr(vit, "clip_vit_b16", small_tower)
