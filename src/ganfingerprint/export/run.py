"""An export from beginning to end: graph, check, folder, report."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ganfingerprint.artifact import ONNX, OPENVINO, OPENVINO_REST, Card, read_card, read_file, weight_files, write_files
from ganfingerprint.atomic import replacing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.engines import load_engine
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import ExportError, UsageError
from ganfingerprint.export.parity import Parity, Tried, compare, drawn_pictures, read_pictures
from ganfingerprint.network.fingerprint_net import FingerprintNet

TARGETS = ("openvino", "onnx")
REPORT = "parity.json"


def export_detector(source: Path, out: Path, target: str, *, pictures: Sequence[Path] = ()) -> Parity:
    """Write the detector in `source` for another engine, once it answers as before.

    Args:
        source: a detector that torch can load.
        out: a new folder, which gets the graph and the card and no other weights; or `source` itself, which keeps
            its weights and gets the graph beside them.
        target: the engine, one of `TARGETS`.
        pictures: that must get the same verdicts; without any, drawn ones.

    Raises:
        ExportError: a verdict has changed, or none of the pictures can be read; nothing is written.
        DetectorError: `source` is no detector, or `out` is something else.
        UsageError: no such target.
        MissingExtraError: a package that the target needs is not installed.
    """
    if target not in TARGETS:
        raise UsageError(f"there is no export to '{target}' (there are: {', '.join(TARGETS)})")
    card = read_card(source)
    original = load_engine("torch", source, card, device="cpu")
    assert isinstance(original, TorchEngine)
    assert isinstance(original.model, FingerprintNet)
    beside = out.resolve() == source.resolve()
    files = _files(original.model, target, source, card, beside=beside)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "detector"
        exported = load_engine(target, trial, _write(trial, source, card, files, beside=beside), device="cpu")
        parity = compare(
            original,
            exported,
            _tried(pictures, card),
            pooling=card.window_config.pooling,
            calibration=Calibration.from_mapping(card.calibration),
        )
        del exported  # it may look into files of the folder
    if parity.changed:
        raise ExportError(
            f"{len(parity.changed)} of {parity.pictures} verdicts would change, logits by up to "
            f"{parity.largest_difference:.3g}; nothing was written. {'; '.join(parity.changed[:5])}"
        )
    _write(out, source, card, files, beside=beside)
    with replacing(out / REPORT) as path:
        path.write_text(json.dumps({"target": target, **dataclasses.asdict(parity)}, indent=2) + "\n", encoding="utf-8")
    return parity


def _files(model: FingerprintNet, target: str, source: Path, card: Card, *, beside: bool) -> dict[str, bytes]:
    """The graph's files; those that lie beside the weights refer to them."""
    side = card.window_config.size
    if target == "onnx":
        from ganfingerprint.export.onnx_graph import onnx_file

        return {ONNX: onnx_file(model, side)}
    from ganfingerprint.export.openvino_graph import openvino_graph, shared_files, whole_files

    graph = openvino_graph(model, side)
    files = (shared_files if beside else whole_files)(graph, source, card)
    return dict(zip((OPENVINO, OPENVINO_REST), files, strict=True))


def _write(out: Path, source: Path, card: Card, files: dict[str, bytes], *, beside: bool) -> Card:
    if not beside:
        return write_files(out, files, {}, card)
    kept = {item.file: read_file(source, item) for item in card.graphs if item.file not in files}
    return write_files(out, weight_files(source, card), {**kept, **files}, card)


def _tried(pictures: Sequence[Path], card: Card) -> list[Tried]:
    policy = card.window_config
    tried = read_pictures(pictures, policy) if pictures else drawn_pictures(policy.size)
    if not tried:
        raise ExportError("none of the pictures can be read: there is nothing to compare on")
    return tried
