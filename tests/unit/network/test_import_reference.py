import io
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import DetectorFormatError, DetectorMissingError
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.network.import_reference import import_reference_state, read_reference_checkpoint


class BasicBlock(nn.Module):
    """The block of ResNet-18 and -34, under torchvision's names."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x))))) + shortcut)


def blocks(count: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *(BasicBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(count))
    )


def norm_stage(layer: nn.Module, norm: nn.Module, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, norm, *more)


class SharedNorms(nn.Module):
    """FrequencyAwareness with the norms shared, as the published code has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(256, 256, 3, padding=1), nn.BatchNorm2d(256)
        self.conv2, self.bn2 = nn.Conv2d(256, 256, 3, padding=1), nn.BatchNorm2d(256)

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.branch(x) + self.branch(x - functional.avg_pool2d(x, 3, stride=1, padding=1)))


class Restated(nn.Module):
    """The road of the published network, restated with its parameter names (and pooling in the spectrum branch)."""

    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        self.backbone_low = nn.Sequential(*stem, nn.MaxPool2d(3, stride=2, padding=1), blocks(3, 64, 64, 1))
        self.backbone_mid = nn.Sequential(blocks(4, 64, 128, 2))
        self.backbone_high = nn.Sequential(blocks(6, 128, 256, 2), blocks(3, 256, 512, 2))
        self.low_adapter = norm_stage(nn.Conv2d(64, 128, 1), nn.BatchNorm2d(128), nn.ReLU())
        self.mid_adapter = norm_stage(nn.Conv2d(128, 128, 1), nn.BatchNorm2d(128), nn.ReLU())
        self.high_adapter = norm_stage(nn.Conv2d(512, 128, 1), nn.BatchNorm2d(128), nn.ReLU())
        self.fusion_layer = norm_stage(nn.Conv2d(640, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU())
        self.freq_encoder = nn.Module()
        for i, (inputs, outputs) in enumerate([(3, 64), (64, 128), (128, 256)], start=1):
            stage = norm_stage(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())
            self.freq_encoder.add_module(f"conv{i}", stage if i == 1 else nn.Sequential(*stage, nn.MaxPool2d(2)))
        self.fingerprint_block = nn.Module()
        self.fingerprint_block.freq_aware = SharedNorms()
        self.fingerprint_block.spatial_attn = nn.Module()
        self.fingerprint_block.spatial_attn.conv = nn.Conv2d(256, 1, 1)
        self.attention = nn.Module()
        self.attention.query, self.attention.key = nn.Conv2d(256, 32, 1), nn.Conv2d(256, 32, 1)
        self.attention.value, self.attention.gamma = nn.Conv2d(256, 256, 1), nn.Parameter(torch.zeros(1))
        self.embedding = norm_stage(nn.Linear(256, 512), nn.BatchNorm1d(512), nn.ReLU())
        self.classifier = nn.Module()
        for i, (inputs, outputs) in enumerate([(512, 512), (512, 256), (256, 128)], start=1):
            stage = norm_stage(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.1))
            self.classifier.add_module(f"layer{i}", stage)
        self.classifier.residual_adapter = nn.Linear(512, 256)
        self.classifier.classifier = nn.Linear(128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        low = self.backbone_low(x)
        mid = self.backbone_mid(low)
        high = self.backbone_high(mid)
        grid = high.shape[2:]
        pooled = [functional.adaptive_avg_pool2d(m, grid) for m in (low, mid)]
        spectrum = torch.log(torch.abs(torch.fft.rfft2(x)) + 1e-10)
        freq = self.freq_encoder.conv3(self.freq_encoder.conv2(self.freq_encoder.conv1(spectrum)))
        parts = [self.low_adapter(pooled[0]), self.mid_adapter(pooled[1]), self.high_adapter(high)]
        fused = self.fusion_layer(torch.cat([*parts, functional.adaptive_avg_pool2d(freq, grid)], dim=1))
        q, k, v = (m(fused).flatten(2) for m in (self.attention.query, self.attention.key, self.attention.value))
        weights = functional.softmax(torch.bmm(q.permute(0, 2, 1), k), dim=-1)
        fused = self.attention.gamma * torch.bmm(v, weights.permute(0, 2, 1)).view(fused.shape) + fused
        aware = self.fingerprint_block.freq_aware(fused)
        aware = aware * torch.sigmoid(self.fingerprint_block.spatial_attn.conv(aware))
        embedding = self.embedding(aware.mean(dim=(2, 3)))
        c = self.classifier
        logits = c.classifier(c.layer3(c.layer2(c.layer1(embedding)) + c.residual_adapter(embedding)))
        return low, high, embedding, logits[:, 0]


@pytest.fixture(scope="module")
def published() -> Restated:
    """With drawn weights, and statistics that differ from one channel to the next."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        net = Restated()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        nn.init.constant_(net.attention.gamma, 0.7)
    return net.eval()


@pytest.fixture(scope="module")
def imported(published) -> FingerprintNet:
    net = build_network(NetworkConfig(), generator=torch.Generator().manual_seed(0), pretrained=False)
    net.load_state_dict(import_reference_state(published.state_dict()), strict=True)
    return net.eval()


def test_imported_weights_give_the_features_and_logits_of_the_published_network(published, imported):
    x = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        low, high, embedding, logits = published(x)
        maps = imported.feature_maps(x)
        ours = imported.head(maps, x)
    torch.testing.assert_close(maps.low, low, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(maps.high, high, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours[1], embedding, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours[0], logits, rtol=1e-3, atol=1e-4)
    assert embedding.std() > 0.01  # the comparison says something


def test_both_norms_of_a_pair_receive_the_one_that_was_shared(published, imported):
    shared, block = published.fingerprint_block.freq_aware, imported.fingerprint.freq_aware
    for name in ("weight", "bias", "running_mean", "running_var"):
        for norm, theirs in ((block.bn1, shared.bn1), (block.bn1_freq, shared.bn1), (block.bn2_freq, shared.bn2)):
            assert torch.equal(getattr(norm, name), getattr(theirs, name))


def changed(state: dict[str, Tensor], change: str) -> dict[str, Tensor]:
    state = OrderedDict(state)
    if change == "missing":
        del state["low_adapter.0.weight"]
    elif change == "missing norm":
        del state["fingerprint_block.freq_aware.bn1.weight"]
    elif change == "unknown":
        state["extra.weight"] = torch.zeros(3)
    elif change == "unknown backbone":
        state["backbone_mid.0.7.conv1.weight"] = torch.zeros(3)
    else:
        state["embedding.0.weight"] = torch.zeros(256, 256)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"missing low_adapter\.0\.weight"),
        ("missing norm", r"missing fingerprint\.freq_aware\.bn1\.weight"),
        ("unknown", r"unknown extra\.weight"),
        ("unknown backbone", r"unknown backbone_mid\.0\.7\.conv1\.weight"),
        ("shape", r"embedding\.0\.weight is \[256, 256\], not \[512, 256\]"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(published, change, message):
    with pytest.raises(DetectorFormatError, match=message):
        import_reference_state(changed(published.state_dict(), change))


def test_a_long_list_of_mistakes_is_cut_short():
    with pytest.raises(DetectorFormatError, match=r"and \d+ more$"):
        import_reference_state({"conv.weight": torch.zeros(1)})


# Files


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "best.pth")
    return folder / "best.pth"


def test_a_checkpoint_as_the_published_training_writes_it_is_read(tmp_path):
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=5e-5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 * (1 + np.cos(np.pi * epoch / 20)))
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    path = saved(
        {
            "epoch": 4,
            "model_state_dict": layer.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "combined_score": np.float64(0.9),
            "val_metrics": {"auc": np.float64(0.9), "confusion": np.eye(2, dtype=np.int64)},
            "random_state": {
                "random": random.getstate(),
                "numpy": np.random.get_state(),
                "torch": torch.get_rng_state(),
            },
            "config": {"BACKBONE": "resnet34", "SEED": 42},
        },
        tmp_path,
    )
    state = read_reference_checkpoint(path)
    assert set(state) == {"weight", "bias"}
    assert torch.equal(state["weight"], layer.weight)


def test_a_checkpoint_that_was_written_with_numpy_1_is_read(tmp_path):
    written = saved(
        {"model_state_dict": {"w": torch.ones(2)}, "score": np.float64(0.9), "scores": np.ones(2)}, tmp_path
    )
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            assert not name.endswith("data.pkl") or b"numpy._core.multiarray" in content
            target.writestr(name, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert torch.equal(read_reference_checkpoint(old)["w"], torch.ones(2))


def test_a_file_with_the_weights_alone_is_read_and_the_prefix_of_parallel_training_taken_off(tmp_path):
    path = saved({"module.embedding.0.bias": torch.ones(2)}, tmp_path)
    assert torch.equal(read_reference_checkpoint(path)["embedding.0.bias"], torch.ones(2))


class Harmful:
    """What a hostile file would hold: a call to make while it is read."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


def test_published_error_18_a_file_that_needs_code_to_be_read_is_refused_and_the_code_not_run(tmp_path):
    path = saved({"model_state_dict": {"w": torch.ones(1)}, "extra": Harmful(tmp_path / "touched")}, tmp_path)
    with pytest.raises(DetectorFormatError, match="without running code from it"):
        read_reference_checkpoint(path)
    assert not (tmp_path / "touched").exists()


def half_a_checkpoint() -> bytes:
    stream = io.BytesIO()
    torch.save({"model_state_dict": {"w": torch.ones(100)}}, stream)
    return stream.getvalue()[: stream.tell() // 2]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"PK\x03\x04 nearly", half_a_checkpoint()])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "best.pth").write_bytes(content)
    with pytest.raises(DetectorFormatError, match=r"best\.pth: not a"):
        read_reference_checkpoint(tmp_path / "best.pth")


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"model_state_dict": {"w": 1.0}}, torch.ones(3)])
def test_a_file_without_weights_is_refused(tmp_path, content):
    with pytest.raises(DetectorFormatError, match="holds no weights"):
        read_reference_checkpoint(saved(content, tmp_path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DetectorMissingError, match=r"none\.pth"):
        read_reference_checkpoint(tmp_path / "none.pth")
