"""A detector on disk: a folder of safetensors files and `card.json`. Nothing here is ever unpickled.

write_detector(folder, state, card)   whole folder at once, or not at all
write_card(folder, card)              new calibration or figures, same weights
read_card(folder) → Card              checked, cheap
read_weights(folder, card) → arrays   hashes checked, stored forms opened
read_graph(folder, card, name)        the same network for engines other than torch, on the same weight files
shipped_detector() → folder           the one that rides in the package
"""

from ganfingerprint.artifact.card import FORMAT_VERSION, Card, WeightFile
from ganfingerprint.artifact.folder import (
    CARD_NAME,
    SHARD_BYTES,
    read_card,
    read_file,
    read_stored,
    read_weights,
    shipped_detector,
    write_card,
    write_detector,
    write_files,
)
from ganfingerprint.artifact.graph import (
    GRAPHS,
    ONNX,
    OPENVINO,
    OPENVINO_REST,
    graph_engines,
    offsets,
    read_graph,
    weight_files,
)
from ganfingerprint.artifact.tensors import Int8Tensor

__all__ = [
    "CARD_NAME",
    "FORMAT_VERSION",
    "GRAPHS",
    "ONNX",
    "OPENVINO",
    "OPENVINO_REST",
    "SHARD_BYTES",
    "Card",
    "Int8Tensor",
    "WeightFile",
    "graph_engines",
    "offsets",
    "read_card",
    "read_file",
    "read_graph",
    "read_stored",
    "read_weights",
    "shipped_detector",
    "weight_files",
    "write_card",
    "write_detector",
    "write_files",
]
