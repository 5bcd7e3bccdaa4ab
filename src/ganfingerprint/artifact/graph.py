"""The network as a graph for engines other than torch, whose constants lie in the detector's own weight files.

A graph refers to one buffer: the weight files in the card's order, each from a multiple of `ALIGNMENT` bytes, then what
no weight file holds. A detector for two engines is then hardly larger than one for one, and both read the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganfingerprint.artifact.card import Card, WeightFile
from ganfingerprint.artifact.folder import read_file
from ganfingerprint.errors import DetectorFormatError

OPENVINO, OPENVINO_REST = "model-openvino.xml", "model-openvino.bin"  # the graph, and what its buffer ends with
ONNX = "model.onnx"
GRAPHS = {"openvino": OPENVINO, "onnx": ONNX}  # engine → its graph
ALIGNMENT = 64  # bytes; no number of any kind straddles a boundary of its own size


def joined(parts: Sequence[bytes]) -> bytearray:
    """The parts, at least one, one after the other, each where `offsets` says."""
    starts = offsets(parts)
    whole = bytearray(starts[-1] + len(parts[-1]))
    for start, part in zip(starts, parts, strict=True):
        whole[start : start + len(part)] = part
    return whole


def offsets(parts: Sequence[bytes]) -> list[int]:
    """Where each part begins in `joined(parts)`."""
    found, end = [], 0
    for part in parts:
        found.append(end + -end % ALIGNMENT)
        end = found[-1] + len(part)
    return found


def weight_files(folder: Path, card: Card) -> dict[str, bytes]:
    """The weight files by name, checked."""
    return {item.file: read_file(folder, item) for item in card.weights}


def graph_engines(card: Card) -> list[str]:
    """The engines that the detector has a graph for, the fastest first."""
    return [engine for engine, name in GRAPHS.items() if _find(card, name) is not None]


def read_graph(folder: Path, card: Card, name: str, rest: str | None = None) -> tuple[bytes, bytearray]:
    """The graph `name` and the buffer that it refers to, which ends with the file `rest`; empty without one.

    Raises:
        DetectorFormatError: the detector has no such graph.
        DetectorDamagedError: a file is missing, or is not the one that the card describes.
    """
    graph, remainder = _find(card, name), _find(card, rest or name)
    if graph is None or remainder is None:
        absent = name if graph is None else rest
        raise DetectorFormatError(f"{folder}: this detector has no {absent}; `ganfingerprint export` makes it")
    text = read_file(folder, graph)
    if rest is None:
        return text, bytearray()
    shared = [read_file(folder, item) for item in card.weights if item.file.endswith(".safetensors")]
    return text, joined([*shared, read_file(folder, remainder)])


def _find(card: Card, name: str) -> WeightFile | None:
    return next((item for item in (*card.weights, *card.graphs) if item.file == name), None)
