"""Low-rank adapters: what a frozen backbone may change of its linear layers (Hu et al., 2022)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.errors import ConfigError


class AdaptedLinear(nn.Linear):
    """A linear layer that computes W x + b + up (down x); `up` starts at zero, so that nothing changes at first.

    `weight` and `bias` keep their names, their values and whether they learn.

    Args:
        linear: the layer whose weights are taken over.
        rank: rows of `down`, columns of `up`.
        generator: decides `down`; None takes torch's own.
    """

    def __init__(self, linear: nn.Linear, rank: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        drawn = torch.randn(rank, linear.in_features, generator=generator)  # [r, in]
        self.down = nn.Parameter(drawn * linear.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))  # [out, r]

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] → [..., out]."""
        return super().forward(x) + functional.linear(functional.linear(x, self.down), self.up)


def add_adapters(module: nn.Module, rank: int, *, generator: torch.Generator | None = None) -> None:
    """Put an `AdaptedLinear` in the place of every linear layer inside `module`.

    Raises:
        ConfigError: there is none.
    """
    linears = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linears:
        raise ConfigError(["network.adapter_rank: this backbone has no linear layers; set it to 0"])
    for name in linears:
        holder, _, own_name = name.rpartition(".")
        place = module.get_submodule(holder)
        setattr(place, own_name, AdaptedLinear(getattr(place, own_name), rank, generator=generator))


def adapter_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Name and value of all that the adapters of `module` learn."""
    for name, part in module.named_modules():
        if isinstance(part, AdaptedLinear):
            yield f"{name}.down", part.down
            yield f"{name}.up", part.up


def freeze_all_but_adapters(module: nn.Module) -> bool:
    """Let nothing of `module` learn but its adapters; whether it has any."""
    module.requires_grad_(False)
    adapters = [parameter.requires_grad_(True) for _, parameter in adapter_parameters(module)]
    return bool(adapters)
