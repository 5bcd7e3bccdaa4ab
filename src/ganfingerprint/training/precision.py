"""Which device computes, and in which number format."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from ganfingerprint.errors import ConfigError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """A device with a number format for the forward pass; weights and losses stay in fp32."""

    device: torch.device
    precision: str  # fp32, bf16 or fp16

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto") -> Compute:
        """Resolve `auto`: the fastest device that is there; bf16 where the hardware has it, else fp32.

        Raises:
            ConfigError: the device is not there, or does not have the format.
        """
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        name = next(each for each in ("cuda", "mps", "cpu") if there[each]) if device == "auto" else device
        if not there.get(name, False):
            available = ", ".join(each for each in there if there[each])
            raise ConfigError([f"optim.device '{name}' is not available here (available: {available})"])
        if precision == "auto":
            precision = "bf16" if _has_bf16(name) else "fp32"
        if precision == "fp16" and name == "cpu":
            raise ConfigError(["optim.precision fp16 is for GPUs; on a CPU use bf16 or fp32"])
        return cls(device=torch.device(name), precision=precision)

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        """Loss scaling, which only fp16 needs; otherwise it passes everything through."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        flags: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot say
        return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("bf16"))
    return False
