"""Batch norms whose statistics are those of the windows of all processes that train together."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def share_norms(model: nn.Module) -> None:
    """Let every batch norm in `model` be one of all processes; its weights and statistics keep their names."""
    if any(value.is_cuda for value in model.parameters()):
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = SharedBatchNorm


class SharedBatchNorm(_BatchNorm):
    """What torch's SyncBatchNorm is on GPUs, which it needs and where it is faster, on any device."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, ...] → the same shape; B must be the same in all processes."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        over = [0, *range(2, x.ndim)]
        mean = _mean_of_all(wide.mean(over, keepdim=True))  # [1, c, ...]
        centred = wide - mean
        variance = _mean_of_all(centred.square().mean(over, keepdim=True))
        self._remember(mean.detach(), variance.detach(), dist.get_world_size() * x.numel() // x.shape[1])
        normal = centred * (variance + self.eps).rsqrt()
        if self.affine:
            normal = normal * self.weight.view_as(mean) + self.bias.view_as(mean)
        return normal.to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.flatten(), share)
        self.running_var.lerp_(variance.flatten() * (count / (count - 1)), share)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any: it stands for norms of one and of two dimensions."""


class _SumOfAll(torch.autograd.Function):
    """The sum over all processes; each part's gradient is the sum of what all of them ask for."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumOfAll.forward(ctx, gradient)


def _mean_of_all(part: Tensor) -> Tensor:
    total: Tensor = _SumOfAll.apply(part)  # type: ignore[no-untyped-call]
    return total / dist.get_world_size()
