"""Where the network itself says that it looks: its gate over places, and how much each place is looked at.

Attention is what the network weighs, not what speaks for a class; for that see `gradcam`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ganfingerprint.detector import Detector
from ganfingerprint.errors import UsageError
from ganfingerprint.explain.gradcam import WINDOWS_AT_ONCE, evaluating, on_device, torch_model
from ganfingerprint.explain.overlay import SCALE, Panel, draw_scale, heat_panel, with_panels
from ganfingerprint.explain.stitch import lay_on_picture
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.layers import FingerprintBlock, SelfAttention
from ganfingerprint.types import BoolArray, Float32Array, Image, UInt8Array
from ganfingerprint.windows import cut_windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


EVEN = 1e-4  # a smaller spread over the picture is rounding, and is not stretched to the whole range of colours


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMaps:
    """The attention of a network over B windows, on the grid of its fused map; None where it has no such layer."""

    spatial: torch.Tensor | None  # [B, h, w] 0..1, the gate of the fingerprint block's SpatialAttention
    received: torch.Tensor | None  # [B, h, w] >= 0, mean 1: how much all cells look at this one, 1 being an even share


def attention_maps(model: FingerprintNet, pixels: torch.Tensor | UInt8Array) -> AttentionMaps:
    """The spatial gate and the self-attention that each cell receives, of windows uint8 [B, s, s, 3].

    The network is judged as in evaluation and left in the mode it was in; no gradients are computed.
    """
    if model.fusion is None:
        return AttentionMaps(spatial=None, received=None)
    with evaluating(model), torch.no_grad():
        x = model.normalise(on_device(pixels, model))
        fused = model.fuse(model.feature_maps(x), x)  # [B, C, h, w]
        received = spatial = None
        if isinstance(model.attention, SelfAttention):
            looks = model.attention.attention_map(fused)  # [B, hw, hw], rows sum to 1
            received = looks.sum(dim=1).view(len(looks), *fused.shape[-2:])  # [B, h, w], mean 1
        if isinstance(model.fingerprint, FingerprintBlock):
            features = model.fingerprint.freq_aware(model.attention(fused))
            spatial = model.fingerprint.spatial_attn.attention_map(features)[:, 0]  # [B, h, w]
    return AttentionMaps(spatial=spatial, received=received)


def visualize_attention_maps(detector: Detector, image: Image) -> Figure:
    """The picture beside its attention maps, laid on its own pixels.

    Each map is coloured over its own range, which its caption names.

    Raises:
        UsageError: the detector runs on another engine, or its network has no attention.
    """
    model = torch_model(detector)
    windows = cut_windows(image, detector.window)
    parts = [
        attention_maps(model, windows.pixels[start : start + WINDOWS_AT_ONCE])
        for start in range(0, len(windows.pixels), WINDOWS_AT_ONCE)
    ]
    kinds = {
        "spatial gate": [part.spatial for part in parts if part.spatial is not None],
        "self-attention received, 1 = even": [part.received for part in parts if part.received is not None],
    }
    laid = {
        name: lay_on_picture(
            torch.cat(maps).float().cpu().numpy(), windows.boxes, height=image.height, width=image.width
        )
        for name, maps in kinds.items()
        if maps
    }
    if not laid:
        raise UsageError("This detector's network has neither self-attention nor a spatial gate: nothing to show.")
    panels = [_panel(image, values, coverage, name) for name, (values, coverage) in laid.items()]
    sheet, top = with_panels(image, panels, below=SCALE)
    draw_scale(sheet, top, "lowest", "highest", partial=not all(coverage.all() for _, coverage in laid.values()))
    return sheet.figure


def _panel(image: Image, values: Float32Array, coverage: BoolArray, name: str) -> Panel:
    low, high = float(values[coverage].min()), float(values[coverage].max())
    spread = high - low
    relative = (values - low) / spread * coverage if spread > EVEN else np.zeros_like(values)
    return heat_panel(image, relative, coverage, f"{name}: {low:.2f} to {high:.2f}")
