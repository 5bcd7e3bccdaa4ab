"""Grad-CAM of any layer of a network in torch, by automatic differentiation.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
The maps of whole pictures (`heat_map.py`) come from the engines, which have the same numbers in closed form.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

import numpy as np
import torch
from torch import nn

from ganfingerprint.artifact import read_card
from ganfingerprint.detector import Detector
from ganfingerprint.engines import load_engine
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import DetectorDamagedError, UsageError
from ganfingerprint.types import Label, UInt8Array

WINDOWS_AT_ONCE = 8


class Explainable(Protocol):
    """What Grad-CAM asks of a network; `FingerprintNet` has it."""

    @property
    def gradcam_layer(self) -> nn.Module:
        """The module whose output [B, C, h, w] is explained."""

    def evidence(self, logits: torch.Tensor, label: Label) -> torch.Tensor:
        """The logits [B], turned so that higher speaks for `label`."""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits [B] of pixels uint8 [B, s, s, 3]."""

    def modules(self) -> Iterator[nn.Module]:
        """The network and every module in it."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights, which tell the device."""


class GradCAM:
    """Grad-CAM of a network, for use in a `with` statement; the hook is gone when the statement ends.

    The network is judged as in evaluation whatever mode it is in, and is left in that mode; no gradient reaches its
    parameters. Other threads may use the same network meanwhile: the hook answers only to the calling thread.

    Args:
        model: the network, frozen or not.
        layer: the module whose output is explained; the network's own choice when left out.
    """

    def __init__(self, model: Explainable, layer: nn.Module | None = None) -> None:
        self.model = model
        self.layer = get_gradcam_layer(model) if layer is None else layer
        self._hook: torch.utils.hooks.RemovableHandle | None = None
        self._caller: int | None = None
        self._features: torch.Tensor | None = None

    def __enter__(self) -> Self:
        self._hook = self.layer.register_forward_hook(self._capture)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hook is not None:
            self._hook.remove()
        self._hook = self._features = None

    def __call__(
        self, pixels: torch.Tensor | UInt8Array, label: Label, *, normalise: bool = False, rectify: bool = True
    ) -> torch.Tensor:
        """Heat [B, h, w] at the layer's resolution, in units of evidence x activation.

        Args:
            pixels: uint8 [B, s, s, 3].
            label: the class whose evidence is explained.
            normalise: divide each map by its own peak. Maps of one picture's windows compare only without.
            rectify: keep only what speaks for the class, as the paper does; else what speaks against it is negative.

        Raises:
            UsageError: outside a `with` statement, or the layer has no map or does not lead to the logits.
        """
        if self._hook is None:
            raise UsageError("GradCAM must be used in a with statement: `with GradCAM(model) as gradcam: ...`")
        self._caller = threading.get_ident()
        try:
            with evaluating(self.model), torch.inference_mode(False), torch.no_grad():
                logits = self.model(on_device(pixels, self.model))
                heat = self._heat(self.model.evidence(logits, label))
                heat = heat.relu() if rectify else heat
        finally:
            self._caller = self._features = None
        if normalise:
            heat = heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)
        return heat

    def _capture(self, module: nn.Module, inputs: Any, output: Any) -> torch.Tensor | None:
        if self._caller != threading.get_ident():
            return None
        if not isinstance(output, torch.Tensor) or output.ndim != 4:
            raise UsageError("Grad-CAM needs a layer whose output is one map [B, C, h, w]")
        # The graph starts here: frozen or trained, nothing before this layer is kept or differentiated. The switch
        # is undone by the no_grad of __call__ when that ends.
        torch.set_grad_enabled(True)
        self._features = output.detach().requires_grad_()  # [B, C, h, w]
        return self._features.clone()  # a copy, so that a later in-place layer may write into it

    def _heat(self, evidence: torch.Tensor) -> torch.Tensor:
        features, gradient = self._features, None
        if features is not None and evidence.requires_grad:
            (gradient,) = torch.autograd.grad(evidence.sum(), features, allow_unused=True)  # [B, C, h, w]
        if features is None or gradient is None:
            raise UsageError("Grad-CAM needs a layer that leads to the logits; this one does not")
        weights = gradient.mean(dim=(2, 3), keepdim=True)  # [B, C, 1, 1]
        return (weights * features.detach()).sum(dim=1).detach()  # [B, h, w]


def get_gradcam_layer(model: Explainable) -> nn.Module:
    """The module that the network names for Grad-CAM."""
    return model.gradcam_layer


def torch_model(detector: Detector) -> Any:
    """The network of a detector; of one on another engine, the same network from the folder it was loaded from.

    Raises:
        UsageError: the detector's engine has no layers to look into, and it was not loaded from a folder.
        DetectorError: the folder is no longer as it was, or holds an exported graph alone.
    """
    if isinstance(detector.engine, TorchEngine):
        return detector.engine.model
    if detector.folder is None or detector.engine.name == "fake":
        raise UsageError(
            f"An explanation looks inside the network, which the engine '{detector.engine.name}' cannot show. "
            "Load the detector with engine='torch'."
        )
    return _network_in(detector.folder.resolve(), detector.detector_id)


@functools.lru_cache(maxsize=1)
def _network_in(folder: Path, detector_id: str) -> Any:
    card = read_card(folder)
    if card.detector_id != detector_id:
        raise DetectorDamagedError(f"{folder}: another detector is there than the one that was loaded from it")
    return cast(TorchEngine, load_engine("torch", folder, card, device="cpu")).model


@contextmanager
def evaluating(model: nn.Module | Explainable) -> Iterator[None]:
    """The network in evaluation mode; every one of its modules is back in its own mode afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def on_device(pixels: torch.Tensor | UInt8Array, model: nn.Module | Explainable) -> torch.Tensor:
    """Pixels as a tensor on the device of the network's weights."""
    parameter = next(model.parameters(), None)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)) if isinstance(pixels, np.ndarray) else pixels
    return tensor if parameter is None else tensor.to(parameter.device)
