"""An export from beginning to end: graph, check, folder, report."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganfingerprint.artifact import (
    GRAPHS,
    ONNX,
    OPENVINO,
    OPENVINO_REST,
    Card,
    read_card,
    read_file,
    weight_files,
    write_files,
)
from ganfingerprint.calibrate import Calibration
from ganfingerprint.engines import load_engine
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.errors import ExportError, UsageError
from ganfingerprint.export.parity import Parity, Tried, compare, drawn_pictures, read_pictures
from ganfingerprint.network.fingerprint_net import FingerprintNet

TARGETS = tuple(GRAPHS)
LARGEST = 1e-2  # difference of a logit that is still the same answer


def export_detector(source: Path, out: Path, target: str, *, pictures: Sequence[Path] = ()) -> Parity:
    """Write the detector in `source` for another engine, once it answers as before.

    Args:
        source: a detector that torch can load.
        out: a new folder, which gets the graph and the card and no other weights; or `source` itself, which keeps
            its weights and gets the graph beside them.
        target: the engine, one of `TARGETS`.
        pictures: that must get the same verdicts; without any, drawn ones.

    Raises:
        ExportError: a verdict or a logit has changed, none of the pictures can be read, or `out` holds the weights
            of another detector; nothing is written.
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
    if not beside:
        _refuse_weights(out)
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
    if parity.changed or not parity.largest_difference <= LARGEST:
        raise ExportError(
            f"{len(parity.changed)} of {parity.pictures} verdicts would change, logits by up to "
            f"{parity.largest_difference:.3g} ({LARGEST:g} is allowed); nothing was written. "
            f"{'; '.join(parity.changed[:5])}"
        )
    text = json.dumps(dataclasses.asdict(parity), indent=2, allow_nan=False) + "\n"
    _write(out, source, card, files, beside=beside, report={report_name(target): text.encode()})
    return parity


def report_name(target: str) -> str:
    """The file beside a graph that says how well it agrees with torch."""
    return f"model-{target}.parity.json"


def _refuse_weights(out: Path) -> None:
    """An export is a graph alone: written over a detector with weights, it would be the end of them."""
    held = sorted(path.name for path in out.glob("*.safetensors"))
    if held:
        raise ExportError(
            f"{out} holds a detector with weights ({held[0]}), which an export would throw away; choose a new folder, "
            f"or name it with --detector too, to put its own graph beside them"
        )


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


def _write(
    out: Path, source: Path, card: Card, files: dict[str, bytes], *, beside: bool, report: Mapping[str, bytes] = {}
) -> Card:
    if not beside:
        return write_files(out, files, report, card)
    new = {**files, **report}
    kept = {item.file: read_file(source, item) for item in card.graphs if item.file not in new}
    return write_files(out, weight_files(source, card), {**kept, **new}, card)


def _tried(pictures: Sequence[Path], card: Card) -> list[Tried]:
    policy = card.window_config
    tried = read_pictures(pictures, policy) if pictures else drawn_pictures(policy.size)
    if not tried:
        raise ExportError("none of the pictures can be read: there is nothing to compare on")
    return tried
