"""The values that travel, in the order in which they travel: Image → Windows → Outputs → Prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


class Label(StrEnum):
    """What a picture truly is."""

    REAL = "real"
    FAKE = "fake"


class Verdict(StrEnum):
    """What the detector says of a picture."""

    REAL = "real"
    UNCERTAIN = "uncertain"
    FAKE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a file stored its pixels, as far as other pixels can be stored the same way."""

    format: str = "PNG"  # Pillow's name
    grey: bool = False  # one channel, no colours
    qtables: tuple[tuple[int, ...], ...] = ()  # JPEG: 64 steps each, row by row; luma first
    subsampling: int = -1  # JPEG: Pillow's number, 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0; -1 where it is another
    lossless: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the file said before its pixels were made upright sRGB. Shown to people, never to the network."""

    size_bytes: int
    format: str  # Pillow's name: JPEG, PNG, WEBP, ...
    mode: str  # Pillow's mode as stored: RGB, L, P, CMYK, I;16, ...
    width: int  # as stored, before the EXIF orientation
    height: int
    orientation: int = 1  # EXIF, 1..8
    frames: int = 1
    had_alpha: bool = False  # transparency that was really used; composited on white
    had_profile: bool = False  # an ICC profile that was converted to sRGB
    encoding: Encoding = Encoding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A decoded picture: upright, sRGB, 8 bits."""

    source: str
    pixels: UInt8Array  # [height, width, 3]
    sha256: str  # of the file's bytes; of the pixels when there was no file
    facts: ImageFacts

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(
                f"Image.pixels must be uint8 [height, width, 3], got {self.pixels.dtype} {self.pixels.shape}"
            )

    @property
    def width(self) -> int:
        """Pixels from left to right, upright."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom, upright."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The parts of one picture that the network sees."""

    pixels: UInt8Array  # [n, s, s, 3]
    boxes: Int32Array  # [n, 4] left, top, right, bottom in picture pixels; past the edge where it was padded

    def __post_init__(self) -> None:
        n = len(self.pixels)
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[3] != 3:
            raise ValueError(f"Windows.pixels must be uint8 [n, s, s, 3], got {self.pixels.dtype} {self.pixels.shape}")
        if self.boxes.shape != (n, 4):
            raise ValueError(f"Windows.boxes must be [{n}, 4], got {self.boxes.shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What an engine returns for n windows, in the network's own sign (logit > 0: photograph)."""

    logits: Float32Array  # [n]
    embeddings: Float32Array  # [n, 512]
    summaries: Float32Array | None = None  # [n, k] the backbone's own of each window; None where it has none

    def part(self, windows: slice) -> Outputs:
        """Those of some of the windows."""
        summaries = None if self.summaries is None else self.summaries[windows]
        return Outputs(logits=self.logits[windows], embeddings=self.embeddings[windows], summaries=summaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer for one picture."""

    source: str
    sha256: str
    format: str
    size_bytes: int
    width: int
    height: int
    logit: float  # pooled raw score; higher is more likely *fake*; comparable within one detector only
    prob_fake: float  # calibrated, at even prior odds, 0..1
    log10_lr: float  # weight of evidence, > 0 speaks for fake; bounded by what the calibration data support
    verdict: Verdict
    boxes: Int32Array = field(repr=False)  # [n, 4] the windows that were judged
    window_prob_fake: Float64Array = field(repr=False)  # [n] the same calibration applied to each window alone
    embedding: Float32Array = field(repr=False)  # [512] mean over windows
    summary: Float32Array | None = field(default=None, repr=False)  # [k] the backbone's own, mean over windows
    detector_id: str
    latency_ms: float

    @property
    def windows(self) -> int:
        """How many windows were judged."""
        return len(self.boxes)

    @property
    def windows_for_fake(self) -> int:
        """How many of them, each by itself, speak for fake rather than for a photograph."""
        return int(np.sum(self.window_prob_fake > 0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A picture that could not be judged, and why."""

    source: str
    code: str
    error: str


Answer = Prediction | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A generator that may have made a picture."""

    name: str
    probability: float  # 0..1; with those of the other candidates, unknown and photograph it makes 1
    log10_lr: float  # > 0 speaks for this generator rather than one that is not enrolled; bounded
    references: int  # enrolled pictures behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An enrolled picture whose fingerprint is near."""

    id: str
    name: str  # the generator that it was enrolled for
    distance: float  # 1 - cos of the two fingerprints, 0..2


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Which generator made a picture, as far as a gallery can tell. A lead, no proof."""

    source: str
    answer: str  # a candidate's name, "unknown generator" or "photograph"
    probability: float  # of the answer
    prob_photograph: float
    prob_unknown: float  # a generator that is not enrolled
    candidates: tuple[Candidate, ...]  # likeliest first
    nearest: tuple[Neighbour, ...]  # nearest first
    gallery_id: str
    detector_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether pictures of two origins are of one generator, given that generators made them."""

    distance: float  # 1 - cos of the mean fingerprints, 0..2
    log10_lr: float  # > 0 speaks for one generator rather than two; bounded by what the gallery was fitted on
    prob_same: float  # the same at even prior odds
    counts: tuple[int, int]  # pictures on either side
