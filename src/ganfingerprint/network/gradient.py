"""The gradient of the logit back to what the head pools, in closed form.

Everything between is a chain of linear layers, norms in evaluation mode and rectifiers, so that the gradient is a few
matrix products. Written out, it is a part of every exported graph, and engines without automatic differentiation can
say where the evidence lies.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def pull_back(layers: Iterable[nn.Module], x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient at `x` [B, i] of what has `gradient` [B, o] behind the layers, [B, i], in evaluation mode.

    Raises:
        TypeError: a layer whose derivative is not written here.
    """
    outputs: list[tuple[nn.Module, Tensor]] = []
    for layer in layers:
        x = layer(x)
        outputs.append((layer, x))
    for layer, output in reversed(outputs):
        gradient = _through(layer, output, gradient)
    return gradient


def _through(layer: nn.Module, output: Tensor, gradient: Tensor) -> Tensor:
    match layer:
        case nn.Linear():
            return gradient @ layer.weight
        case nn.BatchNorm1d():
            assert layer.running_var is not None
            scale = (layer.running_var + layer.eps).rsqrt()
            return gradient * (scale if layer.weight is None else scale * layer.weight)
        case nn.ReLU():  # of the output, for it may have been computed in place
            return gradient * (output > 0)
        case nn.LeakyReLU():
            return torch.where(output > 0, gradient, layer.negative_slope * gradient)
        case nn.Dropout():
            return gradient
    raise TypeError(f"the derivative of {type(layer).__name__} is not written in {__name__}")
