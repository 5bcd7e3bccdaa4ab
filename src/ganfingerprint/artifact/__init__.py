"""A detector on disk: a folder of safetensors files and `card.json`. Nothing here is ever unpickled.

write_detector(folder, state, card)   whole folder at once, or not at all
write_card(folder, card)              new calibration or figures, same weights
read_card(folder) → Card              checked, cheap
read_weights(folder, card) → arrays   hashes checked, stored forms opened
shipped_detector() → folder           the one that rides in the package
"""

from ganfingerprint.artifact.card import FORMAT_VERSION, Card, WeightFile
from ganfingerprint.artifact.folder import (
    CARD_NAME,
    SHARD_BYTES,
    read_card,
    read_weights,
    shipped_detector,
    write_card,
    write_detector,
)
from ganfingerprint.artifact.tensors import Int8Tensor

__all__ = [
    "CARD_NAME",
    "FORMAT_VERSION",
    "SHARD_BYTES",
    "Card",
    "Int8Tensor",
    "WeightFile",
    "read_card",
    "read_weights",
    "shipped_detector",
    "write_card",
    "write_detector",
]
