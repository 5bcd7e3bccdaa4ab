from __future__ import annotations

import pytest
import torch
from torch import nn

from ganfingerprint.errors import ConfigError
from ganfingerprint.training.precision import Compute

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


def test_auto_takes_the_fastest_device_that_is_there() -> None:
    fastest = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert Compute.choose().device.type == fastest


def test_auto_on_a_cpu_is_bf16_only_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"bf16": True}, "bf16"),
        ({"avx2": True, "avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags, raising=False)
        assert Compute.choose("cpu").precision == expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # a torch that cannot say
    assert Compute.choose("cpu").precision == "fp32"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_asked_for_is_what_is_computed_in(precision: str) -> None:
    compute = Compute.choose("cpu", precision)
    assert compute.precision == precision
    layer = nn.Linear(4, 4)
    with compute.autocast():
        result = layer(torch.ones(1, 4))
    assert result.dtype is {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert layer.weight.dtype is torch.float32
    assert layer(torch.ones(1, 4)).dtype is torch.float32  # nothing stays on


def test_fp16_is_refused_on_a_cpu() -> None:
    with pytest.raises(ConfigError, match="fp16 is for GPUs; on a CPU use bf16 or fp32"):
        Compute.choose("cpu", "fp16")


@NO_CUDA
def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"optim\.device 'cuda' is not available here \(available: .*cpu"):
        Compute.choose("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"optim\.device 'tpu' is not available here"):
        Compute.choose("tpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_scaler_passes_everything_through_without_fp16(precision: str) -> None:
    scaler = Compute.choose("cpu", precision).scaler()
    assert not scaler.is_enabled()
    assert scaler.scale(torch.tensor(3.0)).item() == 3.0


@pytest.mark.gpu
def test_fp16_on_a_gpu_scales_the_loss() -> None:
    compute = Compute.choose("cuda", "fp16")
    assert compute.scaler().is_enabled()
    with compute.autocast():
        assert nn.Linear(8, 8).cuda()(torch.ones(1, 8, device="cuda")).dtype is torch.float16
