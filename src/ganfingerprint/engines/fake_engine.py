"""An engine that is arithmetic, for tests and for the examples of the docs: bright pictures are fake."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganfingerprint.artifact import Card
from ganfingerprint.errors import UsageError
from ganfingerprint.types import Float32Array, Outputs, UInt8Array

EMBEDDING_DIM = 512


class FakeEngine:
    """Network logit = (128 - mean brightness) / 16; the embedding is the mean red, green and blue, then zeros."""

    name = "fake"
    precision = "fp32"

    def run(self, windows: UInt8Array) -> Outputs:
        """Logits [n] and embeddings [n, 512] of windows [n, s, s, 3]."""
        colours = windows.mean(axis=(1, 2), dtype=np.float64)  # [n, 3]
        embeddings = np.zeros((len(windows), EMBEDDING_DIM), dtype=np.float32)
        embeddings[:, :3] = colours / 255.0
        return Outputs(logits=((128.0 - colours.mean(axis=1)) / 16.0).astype(np.float32), embeddings=embeddings)

    def heat(self, windows: UInt8Array) -> Float32Array:
        """Raises UsageError: there is no network to look into."""
        raise UsageError("the engine 'fake' is arithmetic and has no heat maps; choose another engine")


def build(card: Card, folder: Path, *, device: str, precision: str) -> FakeEngine:
    """The same engine whatever the detector: it has no weights and needs no device."""
    return FakeEngine()
