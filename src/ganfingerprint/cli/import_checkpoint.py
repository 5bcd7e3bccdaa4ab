"""`ganfingerprint import-checkpoint`: a checkpoint of the published reference code becomes a detector."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping

NOTICE = """\
It will not score as the published code does: pictures are judged in windows at native resolution, where that resizes
them to 256 pixels, and the spectrum is averaged, where that takes single points.
Its probabilities are the network's own and no error rate stands behind its verdicts. Fit them to labelled pictures:
  ganfingerprint evaluate --fit --detector {folder} --data-root DIR --split validation --output-dir OUT"""


def import_checkpoint(
    file: Annotated[Path, typer.Argument(metavar="FILE.pth", help="Checkpoint that the reference code wrote.")],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the new detector.")],
) -> int:
    """Turn a checkpoint of the published reference code into a detector; nothing in the file is executed."""
    from ganfingerprint.network.backbones import BACKBONES
    from ganfingerprint.network.import_reference import import_reference_state, read_reference_checkpoint
    from ganfingerprint.network.storage import stored_architecture

    state = import_reference_state(read_reference_checkpoint(file))
    network = NetworkConfig()
    row = BACKBONES[network.backbone]
    card = Card(
        name=file.stem,
        architecture=stored_architecture(network),
        window=to_mapping(WindowConfig()),
        normalisation={"mean": list(row.mean), "std": list(row.std)},
        calibration=Calibration.unfitted().to_mapping(),
        training={"imported_from": file.name},
        licence="not known: that of the checkpoint",
        origin="checkpoint of the reference code",
    )
    tensors = {name: value.detach().float() if value.is_floating_point() else value for name, value in state.items()}
    written = write_detector(folder, {name: value.numpy() for name, value in tensors.items()}, card)
    print(f"Detector {written.detector_id}: {folder}")
    print(NOTICE.format(folder=folder), file=sys.stderr)
    return ExitCode.DONE
