"""`ganfingerprint export`: a detector for another engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganfingerprint.artifact import shipped_detector
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder
from ganfingerprint.cli.predict import list_pictures


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the exported detector.")],
    target: Annotated[str, typer.Option("--to", help="openvino or onnx.")] = "openvino",
    detector: DetectorFolder = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures that must keep their verdicts; else drawn ones.")
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, bf16 or int8 (scaled on the pictures).")] = "fp32",
) -> int:
    """Write a detector for another engine, from pixels to logits in one graph.

    Where OUT is the detector's own folder, the graph lies beside its weights
    and is found by itself; a graph for OpenVINO then shares them. Any other
    OUT holds the graph and its card alone. An export that changes a verdict
    is refused.
    """
    from ganfingerprint.export.run import export_detector, report_name

    source = shipped_detector() if detector is None else detector
    paths = [] if pictures is None else list_pictures([pictures], recursive=True, output_dir=out)
    parity = export_detector(source, out, target, pictures=paths, precision=precision)
    if parity.auc_before is not None:
        said = (
            f"AUC of {parity.labelled} labelled pictures: {parity.auc_before:.4f} before, {parity.auc_after:.4f} after"
        )
        print(said, file=sys.stderr)
    kept = parity.pictures - len(parity.changed)
    print(
        f"{kept} of {parity.pictures} pictures keep their verdicts; the logits of {parity.windows} windows differ by "
        f"at most {parity.largest_difference:.1e}, on average by {parity.mean_difference:.1e} "
        f"({out / report_name(target)})",
        file=sys.stderr,
    )
    print(out)
    return ExitCode.DONE
