"""The torch engine: one score a picture, whatever stands beside it, and only weights that fit."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.engines import load_engine
from ganfingerprint.errors import DetectorDamagedError, DetectorFormatError, UsageError
from ganfingerprint.types import UInt8Array

torch = pytest.importorskip("torch")
torch_engine = pytest.importorskip("ganfingerprint.engines.torch_engine")


class SmallNet(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, a batch norm, dropout, and two heads: enough to see the mode and the batch.

    With a summary of three numbers, or none.
    """

    def __init__(self, *, summary: bool = False) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Dropout(0.5)
        )
        self.head = torch.nn.Linear(8, 1)
        self.seen: list[int] = []
        self.summary = summary

    def answers(self, pixels: Any) -> tuple[Any, ...]:
        self.seen.append(len(pixels))
        assert pixels.dtype == torch.uint8
        features = self.body(pixels.permute(0, 3, 1, 2).float() / 255).mean(dim=(2, 3))
        summary = (pixels.float().mean(dim=(1, 2)) - 128,) if self.summary else ()
        return self.head(features).squeeze(1), features, *summary


@pytest.fixture
def net() -> SmallNet:
    torch.manual_seed(0)
    return SmallNet()


def noise(n: int, size: int = 32) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(("n", "calls"), [(1, [1]), (32, [32]), (33, [32, 1]), (70, [32, 32, 6])])
def test_windows_go_through_in_sub_batches_of_at_most_32(net: SmallNet, n: int, calls: list[int]) -> None:
    outputs = torch_engine.TorchEngine(net).run(noise(n))
    assert net.seen == calls
    assert (outputs.logits.shape, outputs.embeddings.shape) == ((n,), (n, 8))
    assert (outputs.logits.dtype, outputs.embeddings.dtype) == (np.float32, np.float32)


def test_a_summary_is_passed_on_where_there_is_one(net: SmallNet) -> None:
    windows = noise(70)
    assert torch_engine.TorchEngine(net).run(windows).summaries is None
    for precision, near in (("fp32", 1e-3), ("bf16", 1.0)):
        summaries = torch_engine.TorchEngine(SmallNet(summary=True), precision=precision).run(windows).summaries
        assert summaries.dtype == np.float32
        assert summaries == pytest.approx(windows.mean(axis=(1, 2)) - 128, abs=near)


def test_published_error_02_a_batch_of_one_is_like_any_other(net: SmallNet) -> None:
    windows = noise(40)
    engine = torch_engine.TorchEngine(net)
    together = engine.run(windows)
    for i in (0, 17, 39):
        alone = engine.run(windows[i : i + 1])
        assert alone.logits.shape == (1,)
        assert alone.logits[0] == pytest.approx(together.logits[i], abs=1e-5)
        assert alone.embeddings[0] == pytest.approx(together.embeddings[i], abs=1e-5)


def test_the_module_is_judged_in_evaluation_mode_and_nothing_is_learnt(net: SmallNet) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    engine = torch_engine.TorchEngine(net.train())
    first, second = engine.run(noise(4)), engine.run(noise(4))
    assert np.array_equal(first.logits, second.logits)  # dropout would differ
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_windows_that_may_not_be_written_are_read(net: SmallNet) -> None:
    windows = noise(2)
    windows.flags.writeable = False
    assert len(torch_engine.TorchEngine(net).run(windows[:, ::-1]).logits) == 2


def test_published_error_17_half_precision_is_only_taken_when_asked_for(net: SmallNet) -> None:
    full, half = (
        torch_engine.TorchEngine(net).run(noise(3)),
        torch_engine.TorchEngine(net, precision="bf16").run(noise(3)),
    )
    assert half.logits.dtype == np.float32
    assert half.logits == pytest.approx(full.logits, abs=0.05)
    assert not np.array_equal(half.logits, full.logits)
    assert torch_engine.TorchEngine(net).precision == "fp32"


@pytest.mark.parametrize(
    "windows", [np.zeros((0, 8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.float32)]
)
def test_what_is_not_uint8_windows_is_refused(net: SmallNet, windows: Any) -> None:
    with pytest.raises(ValueError, match="windows must be uint8"):
        torch_engine.TorchEngine(net).run(windows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "precision 'int4' is not known"),
        ({"device": "tpu"}, "device 'tpu' is not here"),
        ({"device": "cpu:x"}, "device 'cpu:x' cannot be used"),
    ],
)
def test_a_device_or_precision_that_there_is_not_is_said(net: SmallNet, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        torch_engine.TorchEngine(net, **options)


ARITHMETIC = (
    "import torch\n"
    "from ganfingerprint.engines.torch_engine import TorchEngine, require_full_precision\n"
    "cudnn = torch.backends.cudnn\n"
    "cudnn.deterministic, cudnn.allow_tf32 = True, True\n"
    "torch.set_float32_matmul_precision('high')\n"
    "{change}\n"
    "print(cudnn.enabled, cudnn.deterministic, cudnn.allow_tf32, torch.get_float32_matmul_precision())\n"
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("require_full_precision()", "True True False highest"),
        ("TorchEngine(torch.nn.Identity(), device='cpu')", "True True True high"),  # TF32 is of CUDA alone
    ],
)
def test_full_precision_turns_off_tf32_and_nothing_else(change: str, expected: str) -> None:
    program = ARITHMETIC.format(change=change)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.gpu
def test_on_cuda_fp32_is_full_fp32_with_cudnn_and_equals_the_cpu() -> None:
    torch.manual_seed(0)
    net, windows = SmallNet().eval(), noise(40, 64)
    on_cpu = torch_engine.TorchEngine(net).run(windows)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):  # puts back what the engine changes
        engine = torch_engine.TorchEngine(net, device="cuda")
        on_cuda = engine.run(windows)
        assert torch.backends.cudnn.enabled
        assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
    assert on_cuda.logits == pytest.approx(on_cpu.logits, abs=1e-5)
    assert on_cuda.embeddings == pytest.approx(on_cpu.embeddings, abs=1e-5)


def test_auto_takes_a_device_that_is_there() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert torch_engine.pick_device("auto").type == best


CONFIG = NetworkConfig(backbone="resnet18")


def random_network(seed: int, config: NetworkConfig = CONFIG) -> Any:
    from ganfingerprint.network.fingerprint_net import build_network

    return build_network(config, pretrained=False, generator=torch.Generator().manual_seed(seed)).eval()


def state_of(model: Any) -> dict[str, Any]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network as a detector."""
    place = tmp_path_factory.mktemp("torch") / "detector"
    card = Card(
        architecture=to_mapping(CONFIG),
        window=to_mapping(WindowConfig(size=96)),
        calibration=Calibration.unfitted().to_mapping(),
    )
    write_detector(place, state_of(random_network(1)), card)
    return place


def test_a_network_that_was_written_gives_the_same_logits_when_read(folder: Path) -> None:
    from ganfingerprint.artifact import read_card

    windows = noise(3, 96)
    before = torch.random.get_rng_state()
    outputs = load_engine("auto", folder, read_card(folder), device="cpu").run(windows)
    assert torch.equal(torch.random.get_rng_state(), before)  # loading draws nothing from the process
    with torch.inference_mode():
        logits, embeddings = random_network(1).outputs(torch.tensor(windows))
    assert outputs.logits == pytest.approx(logits.numpy(), abs=1e-6)
    assert outputs.embeddings == pytest.approx(embeddings.numpy(), abs=1e-6)
    with torch.inference_mode():
        others = random_network(2).outputs(torch.tensor(windows))[0]
    assert not np.allclose(outputs.logits, others.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, None),
        ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.2250000001]}, None),
        ({"mean": [0.5, 0.5, 0.5], "std": [0.229, 0.224, 0.225]}, "normalisation has mean"),
        ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.22501]}, "normalisation has std"),
        ({"mean": [0.485, 0.456]}, "normalisation has mean"),
        ({"mean": 0.485}, "normalisation has mean"),
        ({"mean": ["0.485", None, 0.406]}, "normalisation has mean"),
        ({"mean": [math.nan, 0.456, 0.406]}, "normalisation has mean"),
    ],
)
def test_a_card_of_another_normalisation_is_refused(folder: Path, stated: dict[str, Any], message: str | None) -> None:
    from ganfingerprint.artifact import read_card

    card = read_card(folder).replaced(normalisation=stated)
    if message is None:
        assert load_engine("torch", folder, card, device="cpu").run(noise(1, 96)).logits.shape == (1,)
    else:
        with pytest.raises(DetectorFormatError, match=message):
            load_engine("torch", folder, card, device="cpu")


def test_weights_that_leave_a_layer_random_are_refused(tmp_path: Path) -> None:
    card = Card(architecture=to_mapping(CONFIG), window={}, calibration={})
    state = state_of(random_network(1))
    del state["classifier.out.weight" if "classifier.out.weight" in state else next(iter(state))]
    written = write_detector(tmp_path / "d", state, card)
    with pytest.raises(DetectorFormatError, match="not of the card's architecture"):
        load_engine("torch", tmp_path / "d", written, device="cpu")


def test_an_architecture_that_this_version_lacks_is_a_format_error(tmp_path: Path) -> None:
    card = Card(architecture={"backbone": "resnet18", "wings": 2}, window={}, calibration={})
    with pytest.raises(DetectorFormatError, match=r"architecture.*wings"):
        load_engine("torch", tmp_path, card, device="cpu")


def test_damaged_weights_never_reach_the_network(folder: Path, tmp_path: Path) -> None:
    import shutil

    from ganfingerprint.artifact import read_card

    shutil.copytree(folder, tmp_path / "d")
    file = next((tmp_path / "d").glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DetectorDamagedError, match=file.name):
        load_engine("torch", tmp_path / "d", read_card(tmp_path / "d"), device="cpu")


def test_without_torch_the_answer_is_the_pip_command() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from ganfingerprint.artifact import Card\n"
        "from ganfingerprint.engines import load_engine\n"
        "from ganfingerprint.errors import MissingExtraError\n"
        "try: load_engine('torch', Path('x'), Card(architecture={}, window={}, calibration={}))\n"
        "except MissingExtraError as problem: print(problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "the torch engine needs torch: pip install 'ganfingerprint[train]'"
