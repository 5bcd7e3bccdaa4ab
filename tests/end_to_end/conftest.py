"""A detector for commands that are tested without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector whose card is real and whose weights the arithmetic engine does not look at."""
    folder = tmp_path_factory.mktemp("detector") / "arithmetic"
    card = Card(
        name="arithmetic",
        architecture=to_mapping(NetworkConfig(backbone="efficientnet-lite0", pretrained="none")),
        window=to_mapping(WindowConfig(size=96, count=2)),
        calibration=Calibration.unfitted().to_mapping(),
    )
    write_detector(folder, {"unused": np.zeros(3, np.float32)}, card)
    return folder
