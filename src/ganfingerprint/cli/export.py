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
    parity = export_detector(source, out, target, pictures=paths)
    print(
        f"{parity.pictures} pictures keep their verdicts; the logits of {parity.windows} windows differ by at most "
        f"{parity.largest_difference:.1e}, on average by {parity.mean_difference:.1e} ({out / report_name(target)})",
        file=sys.stderr,
    )
    print(out)
    return ExitCode.DONE
