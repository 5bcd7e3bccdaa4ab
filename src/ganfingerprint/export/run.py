"""An export from beginning to end: graph, check, folder, report."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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
PRECISIONS = ("fp32", "bf16", "int8")
LARGEST = 1e-2  # difference of a logit that is still the same answer, in fp32
AUC_LOSS = 0.002  # that a lower precision may cost on labelled pictures
CHANGED = 0.01  # share of verdicts that may fall on the other side of a threshold in a lower precision


def export_detector(
    source: Path, out: Path, target: str, *, pictures: Sequence[Path] = (), precision: str = "fp32"
) -> Parity:
    """Write the detector in `source` for another engine, once it answers as before.

    Args:
        source: a detector that torch can load.
        out: a new folder, which gets the graph and the card and no other weights; or `source` itself, which keeps
            its weights and gets the graph beside them.
        target: the engine, one of `TARGETS`.
        pictures: that must get the same verdicts; without any, drawn ones. Their labels, where folders or names
            tell them, give the AUC before and after. An export in int8 takes its scales from half of them, and is
            compared on the rest.
        precision: that the exported detector computes in; only for OpenVINO and another folder other than fp32.

    Raises:
        ExportError: verdicts, logits or the AUC have changed by more than is allowed, none of the pictures can be
            read, or `out` holds the weights of another detector; nothing is written.
        DetectorError: `source` is no detector, or `out` is something else.
        UsageError: no such target or precision.
        MissingExtraError: a package that the target needs is not installed.
    """
    if target not in TARGETS:
        raise UsageError(f"there is no export to '{target}' (there are: {', '.join(TARGETS)})")
    beside = out.resolve() == source.resolve()
    _check_precision(precision, target, pictures, beside=beside)
    card = read_card(source)
    original = load_engine("torch", source, card, device="cpu")
    card = card.replaced(precision=precision)
    assert isinstance(original, TorchEngine)
    assert isinstance(original.model, FingerprintNet)
    if not beside:
        _refuse_weights(out)
    scaled_on, tried = _tried(pictures, card)
    files = _files(original.model, target, source, card, scaled_on, beside=beside)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "detector"
        exported = load_engine(target, trial, _write(trial, source, card, files, beside=beside), device="cpu")
        parity = compare(
            original,
            exported,
            tried,
            pooling=card.window_config.pooling,
            calibration=Calibration.from_mapping(card.calibration),
        )
        del exported  # it may look into files of the folder
    _refuse_changed(parity, precision)
    text = json.dumps(dataclasses.asdict(parity), indent=2, allow_nan=False) + "\n"
    _write(out, source, card, files, beside=beside, report={report_name(target): text.encode()})
    return parity


def _check_precision(precision: str, target: str, pictures: Sequence[Path], *, beside: bool) -> None:
    if precision not in PRECISIONS:
        raise UsageError(f"there is no export in '{precision}' (there are: {', '.join(PRECISIONS)})")
    if precision != "fp32" and target != "openvino":
        raise UsageError(f"an export to {target} is in fp32; {precision} is for openvino")
    if precision != "fp32" and beside:
        raise UsageError(f"beside its weights a detector has a graph in fp32; choose another folder for {precision}")
    if precision == "int8" and not pictures:
        raise UsageError("an export in int8 takes its scales from pictures: name a folder of them with --pictures")


def _refuse_changed(parity: Parity, precision: str) -> None:
    whole = precision == "fp32"
    lost = (parity.auc_before or 0.0) - (parity.auc_after or 0.0)
    allowed = 0 if whole else CHANGED * parity.pictures
    if len(parity.changed) > allowed or (whole and not parity.largest_difference <= LARGEST) or not lost <= AUC_LOSS:
        raise ExportError(
            f"{len(parity.changed)} of {parity.pictures} verdicts would change, logits by up to "
            f"{parity.largest_difference:.3g} ({LARGEST:g} is allowed in fp32), the AUC falls by {lost:.4f} "
            f"({AUC_LOSS:g} is allowed); nothing was written. {'; '.join(parity.changed[:5])}"
        )


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


def _files(
    model: FingerprintNet, target: str, source: Path, card: Card, tried: Sequence[Tried], *, beside: bool
) -> dict[str, bytes]:
    """The graph's files; those that lie beside the weights refer to them."""
    side = card.window_config.size
    if target == "onnx":
        from ganfingerprint.export.onnx_graph import onnx_file

        return {ONNX: onnx_file(model, side)}
    from ganfingerprint.export.openvino_graph import openvino_graph, shared_files, whole_files

    graph = openvino_graph(model, side)
    if card.precision == "int8":
        from ganfingerprint.export.int8 import quantised

        graph = quantised(graph, [window[None] for picture in tried for window in picture.windows])
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


def _tried(pictures: Sequence[Path], card: Card) -> tuple[list[Tried], list[Tried]]:
    """What 8-bit scales are taken from, and what verdicts are compared on: in int8 not the same pictures."""
    policy = card.window_config
    tried = read_pictures(pictures, policy) if pictures else drawn_pictures(policy.size)
    if not tried:
        raise ExportError("none of the pictures can be read: there is nothing to compare on")
    if card.precision != "int8" or len(tried) < 2:
        return tried, tried
    mixed = [tried[place] for place in np.random.default_rng(0).permutation(len(tried))]  # names may alternate
    return mixed[::2], mixed[1::2]
