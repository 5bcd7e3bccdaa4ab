"""MobileNetV2 as a feature extractor (Sandler et al., 2018), in the form of torchvision's weights."""

from __future__ import annotations

import re

from ganfingerprint.network.mbconv import ConvStyle, MBConvNet, Stage

STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(3, 3, 2, 6, 32),
    Stage(4, 3, 2, 6, 64),
    Stage(3, 3, 1, 6, 96),
    Stage(3, 3, 2, 6, 160),
    Stage(1, 3, 1, 6, 320),
)
STYLE = ConvStyle(tf_same=False, eps=1e-5, momentum=0.1)

_STEM = {"0": "stem.conv", "1": "stem.norm"}
# torchvision numbers the parts of a block; the first block has no expansion and so other numbers
_FIRST_BLOCK = {"0.0": "depthwise.conv", "0.1": "depthwise.norm", "1": "project.conv", "2": "project.norm"}
_BLOCK = {
    "0.0": "expand.conv",
    "0.1": "expand.norm",
    "1.0": "depthwise.conv",
    "1.1": "depthwise.norm",
    "2": "project.conv",
    "3": "project.norm",
}


class MobileNetV2(MBConvNet):
    """MobileNetV2; strides after stages 1 to 7: 2, 4, 8, 16, 16, 32, 32."""

    def published_name(self, name: str) -> str:
        """Our name of a parameter of torchvision's `mobilenet_v2`."""
        match = re.fullmatch(r"features\.(\d+)\.(?:conv\.)?(\d(?:\.\d)?)\.([a-z]\w*)", name)
        if match is None:
            return name
        index, part, leaf = int(match[1]), match[2], match[3]
        if index == 0:
            return f"{_STEM[part]}.{leaf}" if part in _STEM else name
        table = _FIRST_BLOCK if index == 1 else _BLOCK
        return f"blocks.{index - 1}.{table[part]}.{leaf}" if part in table else name


def mobilenet_v2(taps: tuple[int, ...]) -> MobileNetV2:
    """MobileNetV2 with maps after the given three of its seven stages, randomly initialised."""
    return MobileNetV2(STAGES, taps, STYLE)
