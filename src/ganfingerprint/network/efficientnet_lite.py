"""EfficientNet-Lite0 as a feature extractor (Tan and Le, 2019, in the Lite form of the TensorFlow authors, 2020).

Against EfficientNet-B0: no squeeze-and-excite, ReLU6, and stem and head that do not scale. The published weights
were trained in TensorFlow: strided convolutions pad like its SAME, batch norms have eps 1e-3 and a running mean
of decay .99. The stochastic depth of the original training is left out.
"""

from __future__ import annotations

import re

from ganfingerprint.network.mbconv import ConvStyle, MBConvNet, Stage

STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STYLE = ConvStyle(tf_same=True, eps=1e-3, momentum=0.01)

_PARTS = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_expand_conv": "expand.conv",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


class EfficientNetLite(MBConvNet):
    """EfficientNet-Lite0; strides after stages 1 to 7: 2, 4, 8, 16, 16, 32, 32."""

    def published_name(self, name: str) -> str:
        """Our name of a parameter of the published torch weights (`_blocks.3._bn1.weight` and the like)."""
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_[a-z]\w*?)\.(\w+)", name)
        if match is None or match[2] not in _PARTS:
            return name
        index, part, leaf = match.groups()
        if index is None:  # outside the blocks `_bn1` belongs to the head, which we do not have
            return f"{_PARTS[part]}.{leaf}" if part in ("_conv_stem", "_bn0") else name
        return f"blocks.{index}.{'expand.norm' if part == '_bn0' else _PARTS[part]}.{leaf}"


def efficientnet_lite0(taps: tuple[int, ...]) -> EfficientNetLite:
    """EfficientNet-Lite0 with maps after the given three of its seven stages, randomly initialised."""
    return EfficientNetLite(STAGES, taps, STYLE)
