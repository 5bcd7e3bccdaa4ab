"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ganfingerprint.detector import Detector

DetectorFolder = Annotated[
    Path | None,
    typer.Option("--detector", metavar="PATH", help="Folder of a detector; without it the shipped one."),
]
EngineName = Annotated[str, typer.Option("--engine", help="What computes the network.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
PrecisionName = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32: equal answers everywhere; bf16, int8: faster, logits move by a twentieth; auto: as exported.",
    ),
]


def load_judge(folder: Path | None, *, engine: str, device: str, precision: str) -> Detector:
    """The detector that these options name; an engine that only tests want is warned of.

    Raises:
        DetectorError, MissingExtraError, UsageError: as `Detector.from_pretrained`.
    """
    from ganfingerprint.detector import Detector

    judge = Detector.from_pretrained(folder, engine=engine, device=device, precision=precision)
    if judge.engine.name == "fake":
        print("The engine 'fake' is arithmetic for tests: these verdicts mean nothing", file=sys.stderr)
    return judge
