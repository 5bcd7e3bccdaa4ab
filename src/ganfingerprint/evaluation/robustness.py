"""What a picture goes through before anybody can judge it: scaled down and saved once more, as a platform does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ganfingerprint.catalog import Sample
from ganfingerprint.decode import decode
from ganfingerprint.errors import InputError
from ganfingerprint.types import UInt8Array

SMALLEST = 16  # pixels; no side becomes shorter


@dataclass(frozen=True, slots=True)
class Tier:
    """A delivery: scaled by a factor, then one JPEG with halved colour."""

    scale: float  # 0..1
    quality: int  # of the JPEG, 1..100

    def deliver(self, pixels: UInt8Array) -> bytes:
        """The JPEG file that arrives, of a picture [h, w, 3]."""
        height, width = (max(SMALLEST, round(side * self.scale)) for side in pixels.shape[:2])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        settings = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(small[:, :, ::-1]), settings)
        return encoded.tobytes()


# For crops, whose pictures' sizes are not known: in proportion to the longest sides of 768, 512 and 1080 pixels.
TIERS = {"web": Tier(0.75, 60), "hard": Tier(0.5, 40), "social": Tier(0.85, 75)}


def delivered(samples: Iterable[Sample], tier: Tier) -> Iterator[bytes | Path]:
    """What arrives of each picture; one that cannot be read comes as its path, for the detector to say why."""
    for sample in samples:
        try:
            pixels = decode(sample.path).pixels
        except InputError:
            yield sample.path
        else:
            yield tier.deliver(pixels)
