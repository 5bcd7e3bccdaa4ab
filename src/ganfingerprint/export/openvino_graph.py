"""The network as an OpenVINO graph: pixels in, the outputs of `Traced` out.

Where the graph lies beside the detector's own weights it refers to them (`artifact.graph`): a constant that a weight
file holds byte for byte is not written again, and a tensor that is stored in 8 or 16 bits is opened inside the graph.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ganfingerprint.artifact import Card, offsets, read_stored, weight_files
from ganfingerprint.artifact.graph import ALIGNMENT
from ganfingerprint.artifact.tensors import INT8, SCALE, ZERO, Array, opened_form
from ganfingerprint.engines.openvino_engine import openvino  # as it is silent, see there
from ganfingerprint.export.traced import Traced
from ganfingerprint.network.fingerprint_net import FingerprintNet

ops = openvino.opset14
SMALLEST = 64  # bytes; shorter constants are written again, they are no matter


def openvino_graph(model: FingerprintNet, side: int) -> openvino.Model:
    """The graph of a network in evaluation mode for windows uint8 [n, side, side, 3], any n."""
    traced = Traced(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of shapes that are fixed here
        # by torch.jit: of the graphs that torch.export makes OpenVINO does not know the FFT
        graph = openvino.convert_model(
            traced,
            example_input=torch.zeros(2, side, side, 3, dtype=torch.uint8),
            input=[openvino.PartialShape([-1, side, side, 3])],
        )
    graph.inputs[0].get_tensor().set_names({"pixels"})
    for output, name in zip(graph.outputs, traced.names, strict=True):
        output.get_tensor().set_names({name})
    _turn_back(graph)
    return graph


def shared_files(graph: openvino.Model, folder: Path, card: Card) -> tuple[bytes, bytes]:
    """The graph as XML and the rest of its buffer, beside the weight files of the detector in `folder`."""
    _open_inside(graph, read_stored(folder, card))
    text, constants = _serialised(graph)
    parts = list(weight_files(folder, card).values())
    places = _places(parts)
    *_, base = offsets([*parts, b""])
    rest = bytearray()
    tree = ElementTree.fromstring(text)
    for data in tree.iter("data"):
        if "offset" not in data.attrib:
            continue
        start, size = int(data.attrib["offset"]), int(data.attrib["size"])
        chunk = constants[start : start + size]
        place = places.get(hashlib.sha256(chunk).digest()) if size >= SMALLEST else None
        if place is None:
            rest += bytes(-len(rest) % ALIGNMENT)
            place = base + len(rest)
            rest += chunk
        data.set("offset", str(place))
    return ElementTree.tostring(tree, encoding="utf-8"), bytes(rest)


def whole_files(graph: openvino.Model, folder: Path, card: Card) -> tuple[bytes, bytes]:
    """The graph as XML and all its constants, in the detector's stored forms: a pair that OpenVINO reads by itself."""
    _open_inside(graph, read_stored(folder, card))
    return _serialised(graph)


def _turn_back(graph: openvino.Model) -> None:
    """Let products read weights as they are stored: the converter turns those of gradients, a second copy."""
    for node in list(graph.get_ops()):
        if node.get_type_name() != "MatMul":
            continue
        left, right = node.input_value(0), node.input_value(1).get_node()
        if right.get_type_name() == "Constant" and right.get_friendly_name().startswith("Transpose"):
            turned = ops.matmul(left, ops.constant(np.ascontiguousarray(right.data.T)), False, False)
            turned.set_friendly_name(node.get_friendly_name())
            for reader in node.output(0).get_target_inputs():
                reader.replace_source_output(turned.output(0))


def _open_inside(graph: openvino.Model, stored: Mapping[str, Array]) -> None:
    """Put stored forms of 8 and 16 bits in the place of the float32 constants that they open to."""
    state = opened_form(stored)
    for node in graph.get_ops():
        name = node.get_friendly_name().removeprefix("self.network.")
        if node.get_type_name() != "Constant" or name not in state or not np.array_equal(state[name], node.data):
            continue  # another node, or folded into something else on the way
        opened = _opening(name, stored)
        if opened is None:
            continue
        opened.set_friendly_name(node.get_friendly_name())
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(opened.output(0))


def _opening(name: str, stored: Mapping[str, Array]) -> openvino.Node | None:
    """The nodes that open a stored tensor as `opened_form` does; None for one that is stored as it is."""
    if name + INT8 in stored:
        whole = ops.convert(ops.constant(stored[name + INT8]), np.float32)
        if name + ZERO in stored:
            whole = ops.subtract(whole, ops.convert(ops.constant(stored[name + ZERO]), np.float32))
        return ops.multiply(whole, ops.constant(stored[name + SCALE]))
    if stored[name].dtype == np.float16:
        return ops.convert(ops.constant(stored[name]), np.float32)
    return None


def _serialised(graph: openvino.Model) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        text, constants = Path(folder) / "graph.xml", Path(folder) / "graph.bin"
        openvino.serialize(graph, str(text), str(constants))
        return text.read_bytes(), constants.read_bytes()


def _places(parts: list[bytes]) -> dict[bytes, int]:
    """Where in the joined weight files each tensor's bytes begin, by their hash."""
    found: dict[bytes, int] = {}
    for start, part in zip(offsets(parts), parts, strict=True):
        first = 8 + int.from_bytes(part[:8], "little")  # where the header ends
        for begin, end in _entries(part[8:first]):
            found.setdefault(
                hashlib.sha256(memoryview(part)[first + begin : first + end]).digest(), start + first + begin
            )
    return found


def _entries(header: bytes) -> list[tuple[int, int]]:
    """First and last byte of each tensor, from a safetensors header (which is JSON)."""
    return [tuple(entry["data_offsets"]) for name, entry in json.loads(header).items() if name != "__metadata__"]
