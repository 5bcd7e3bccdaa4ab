"""A running mean of the weights: what is judged and shipped when `optim.ema_decay` is above 0."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential mean of the trained parameters and of the floating buffers (running statistics).

    After n updates the decay is at most (1 + n) / (10 + n), so that the first, random weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.mean = {name: value.detach().clone() for name, value in _averaged(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        values = _averaged(model)
        torch._foreach_lerp_(list(self.mean.values()), [values[name] for name in self.mean], 1 - keep)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Within it the model carries the mean; after it its own weights again."""
        own = {name: value.detach().clone() for name, value in _averaged(model).items()}
        _assign(model, self.mean)
        try:
            yield
        finally:
            _assign(model, own)

    def state_dict(self) -> dict[str, object]:
        """For the checkpoint."""
        return {"updates": self.updates, "mean": self.mean}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """From the checkpoint."""
        updates, mean = state["updates"], state["mean"]
        if not isinstance(updates, int) or not isinstance(mean, dict):
            raise TypeError("not the state of a WeightAverage")
        self.updates = updates
        for name, value in self.mean.items():
            value.copy_(mean[name])


def _averaged(model: nn.Module) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {name: value for name, value in model.named_parameters() if value.requires_grad}
    frozen = {name.rpartition(".")[0] for name, value in model.named_parameters() if not value.requires_grad}
    for name, value in model.named_buffers():
        if value.is_floating_point() and name.rpartition(".")[0] not in frozen:
            values[name] = value
    return values


@torch.no_grad()
def _assign(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, value in _averaged(model).items():
        value.copy_(values[name])
