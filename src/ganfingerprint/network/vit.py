"""The image tower of CLIP ViT-B/16 in plain torch (Dosovitskiy et al., 2021; Radford et al., 2021).

Letters in shapes: B windows, n patches (h x w of them), 1 + n tokens (class token first), c width, d = c / heads.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.errors import ConfigError
from ganfingerprint.network.backbones import Backbone, FeatureMaps, checked_taps

EPS = 1e-5  # of every layer norm

_PARTS = {
    "embeddings.class_embedding": "class_token",
    "embeddings.patch_embedding.weight": "patch.weight",
    "embeddings.position_embedding.weight": "position",
    "pre_layrnorm.weight": "pre_norm.weight",  # spelt so in the published files
    "pre_layrnorm.bias": "pre_norm.bias",
}
_BLOCK_PARTS = {
    "layer_norm1": "norm1",
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.out_proj": "out",
    "layer_norm2": "norm2",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}


class Block(nn.Module):
    """Transformer block with the norms before attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1+n, c] → the same."""
        x = x + self._attend(self.norm1(x))
        hidden = self.fc1(self.norm2(x))
        widened: Tensor = self.fc2(hidden * torch.sigmoid(1.702 * hidden))  # CLIP's quick GELU
        return x + widened

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(part(x)) for part in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v)  # [B, heads, 1+n, d]
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # [B, 1+n, c]
        return merged

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.reshape(batch, tokens, self.heads, width // self.heads).transpose(1, 2)  # [B, heads, 1+n, d]


class ClipViT(Backbone):
    """Patch tokens after three blocks, as maps, class tokens as summary; the blocks after the last tap do not exist.

    A side that is no multiple of the patch loses its remainder at the right and the bottom. In training
    `patch_dropout` leaves that share of the patches out, others in each window (Liu et al., 2023): blocks after the
    embedding then cost that much less.
    """

    def __init__(
        self,
        taps: tuple[int, ...],
        *,
        width: int = 768,
        heads: int = 12,
        depth: int = 12,
        patch: int = 16,
        grid: int = 14,
    ) -> None:
        chosen = checked_taps(taps, depth)
        super().__init__(channels=(width, width, width), strides=(patch, patch, patch), summary=3 * width)
        self.taps = chosen
        self.patch_dropout = 0.0
        self.grid = grid  # patches a side that the position embedding was learnt for
        self.patch = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_token = nn.Parameter(torch.empty(width))
        self.position = nn.Parameter(torch.empty(1 + grid * grid, width))
        self.pre_norm = nn.LayerNorm(width, eps=EPS)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(chosen[2]))
        self._init()

    def forward(self, x: Tensor) -> FeatureMaps:
        """The three maps [B, c, s / patch, s / patch] of normalised windows [B, 3, s, s], class tokens as summary.

        With patches left out a map has no places any more: [B, c, 1, patches].
        """
        height, width = x.shape[2] // self.strides[0], x.shape[3] // self.strides[0]
        tapped = self.tokens(x)
        if tapped[0].shape[1] != 1 + height * width:
            height, width = 1, tapped[0].shape[1] - 1
        low, mid, high = (
            tokens[:, 1:].transpose(1, 2).reshape(x.shape[0], self.channels[0], height, width) for tokens in tapped
        )
        return FeatureMaps(low, mid, high, summary=torch.cat([tokens[:, 0] for tokens in tapped], dim=1))

    def tokens(self, x: Tensor, after: tuple[int, ...] = ()) -> list[Tensor]:
        """All tokens [B, 1+n, c], class token first, after each tapped block, or after the blocks `after` (from 1).

        While training with `patch_dropout` only those of the patches that were not left out.

        Raises:
            ConfigError: a block in `after` does not exist or was cut off.
        """
        wanted = after or self.taps
        if not all(1 <= block <= len(self.blocks) for block in wanted):
            raise ConfigError([f"tokens are there after blocks 1..{len(self.blocks)}, asked for {list(wanted)}"])
        patches = self.patch(x)  # [B, c, h, w]
        position = self.positions(patches.shape[2], patches.shape[3])  # [1+n, c]
        first = self.class_token.expand(x.shape[0], 1, -1)  # [B, 1, c]
        x = self.pre_norm(torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1) + position)  # [B, 1+n, c]
        if self.training and self.patch_dropout:
            x = _some_patches(x, max(1, round((1 - self.patch_dropout) * (x.shape[1] - 1))))
        seen: dict[int, Tensor] = {}
        for count, block in enumerate(self.blocks[: max(wanted)], start=1):
            x = block(x)
            if count in wanted:
                seen[count] = x
        return [seen[block] for block in wanted]

    def positions(self, height: int, width: int) -> Tensor:
        """The position embedding [1 + height * width, c] of a grid of patches, bicubically resampled where needed."""
        if (height, width) == (self.grid, self.grid):
            return self.position
        plane = self.position[1:].T.reshape(1, self.channels[0], self.grid, self.grid)  # [1, c, grid, grid]
        resampled = functional.interpolate(plane, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat([self.position[:1], resampled[0].flatten(1).T])

    def published_name(self, name: str) -> str:
        """Our name of a parameter of `CLIPModel` or `CLIPVisionModel` (Hugging Face)."""
        return published_name(name)

    def _init(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.position, std=0.02)


def _some_patches(x: Tensor, count: int) -> Tensor:
    """The class token and `count` random patches of each window: [B, 1+n, c] → [B, 1+count, c]."""
    drawn = torch.rand(x.shape[0], x.shape[1] - 1, device=x.device).argsort(dim=1)[:, :count] + 1
    chosen = functional.pad(drawn, (1, 0)).unsqueeze(2)  # [B, 1+count, 1], the class token's 0 first
    return x.gather(1, chosen.expand(-1, -1, x.shape[2]))


def published_name(name: str) -> str:
    """Our name of a parameter that Hugging Face's CLIP calls `name`; other names stay as they are."""
    inner = name.removeprefix("vision_model.")
    if inner in _PARTS:
        return _PARTS[inner]
    match = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", inner)
    if match is None or match[2] not in _BLOCK_PARTS:
        return name
    return f"blocks.{match[1]}.{_BLOCK_PARTS[match[2]]}.{match[3]}"


def clip_vit_b16(taps: tuple[int, ...]) -> ClipViT:
    """CLIP ViT-B/16 with maps after the given three of its twelve blocks, randomly initialised."""
    return ClipViT(taps)
