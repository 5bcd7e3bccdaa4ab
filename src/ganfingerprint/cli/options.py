"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FAKE_ENGINE = "The engine 'fake' is arithmetic for tests: these verdicts mean nothing"

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
