"""The product on one screen: decode → windows → engine → score → evidence → verdict."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ganfingerprint.artifact import Card, read_card, shipped_detector
from ganfingerprint.calibrate import Calibration, fake_scores
from ganfingerprint.config import WindowConfig
from ganfingerprint.decode import decode
from ganfingerprint.engines import Engine, load_engine
from ganfingerprint.errors import DetectorError, ImageTooSmallError, InputError, UsageError
from ganfingerprint.types import Answer, Failure, Float32Array, Image, ImageFacts, Outputs, Prediction, Windows
from ganfingerprint.windows import cut_windows, pool

SMALLEST_SIDE = 48  # pixels; of less, mirrored many times to fill a window, the score says nothing
Source = str | Path | bytes | BinaryIO | Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A picture on its way to the engine: its windows, and what its answer will repeat."""

    source: str
    sha256: str
    format: str
    size_bytes: int
    width: int
    height: int
    windows: Windows
    seconds: float  # spent on it so far


def prepare(source: Source, policy: WindowConfig, *, name: str | None = None) -> Prepared:
    """Decode a picture and cut its windows: all that comes before the engine, and may happen in another process.

    `name` is what the answer and errors call it.

    Raises:
        InputError: it cannot be read as a picture, or is too small to show a trace.
    """
    start = time.perf_counter()
    image = source if isinstance(source, Image) else decode(source, name=name)
    if min(image.width, image.height) < SMALLEST_SIDE:
        said = f"the picture has {image.width} x {image.height} pixels; a side below {SMALLEST_SIDE} shows no trace"
        raise ImageTooSmallError(image.source, said)
    windows = cut_windows(image, policy)
    # only the facts stay: the decoded picture itself may be a thousand times larger than its windows
    return Prepared(
        source=image.source,
        sha256=image.sha256,
        format=image.facts.format,
        size_bytes=image.facts.size_bytes,
        width=image.width,
        height=image.height,
        windows=windows,
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Says whether a picture was made by a generator. Holds nothing of a picture: one serves many threads."""

    engine: Engine
    card: Card
    folder: Path | None = None  # that it was loaded from
    window: WindowConfig = field(init=False)  # these three are the card's, read once
    calibration: Calibration = field(init=False)
    detector_id: str = field(init=False)  # detectors of equal identity give equal answers

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", self.card.window_config)
        object.__setattr__(self, "calibration", Calibration.from_mapping(self.card.calibration))
        object.__setattr__(self, "detector_id", self.card.detector_id)

    @classmethod
    def from_pretrained(
        cls, path: str | Path | None = None, *, engine: str = "auto", device: str = "auto", precision: str = "auto"
    ) -> Detector:
        """Load the detector in a folder, or the one that comes with the package.

        Raises:
            DetectorError: there is none, it is damaged, or it is not one that this version reads.
            MissingExtraError: the engine's library is not installed.
            UsageError: no such engine, device or precision.
        """
        folder = shipped_detector() if path is None else Path(path)
        card = read_card(folder)
        loaded = load_engine(engine, folder, card, device=device, precision=precision)
        return cls(engine=loaded, card=card, folder=folder)

    def predict(self, source: Source) -> Prediction:
        """Judge one picture: a path, the bytes of a file, a binary stream, or an `Image`.

        Raises:
            InputError: it cannot be read as a picture, or is too small to show a trace.
        """
        return self.judge([prepare(source, self.window)])[0]

    def predict_image(self, image: Image) -> Prediction:
        """Judge pixels that are already decoded."""
        return self.predict(image)

    def trial(self) -> Prediction:
        """The answer for a grey picture: it shows that the engine works, and what it says of pictures."""
        side = max(self.window.size, SMALLEST_SIDE)
        pixels = np.full((side, side, 3), 128, np.uint8)
        facts = ImageFacts(size_bytes=pixels.nbytes, format="", mode="RGB", width=side, height=side)
        return self.predict(Image(source="a grey picture", pixels=pixels, sha256="", facts=facts))

    def predict_many(self, sources: Iterable[Source], *, batch_size: int = 16) -> Iterator[Answer]:
        """Judge many pictures, one answer each in their order; a picture that cannot be read is a `Failure`.

        Windows of several pictures share a call of the engine, which is made as soon as `batch_size` of them wait;
        no more than that and one picture are ever held, however long `sources` is.

        Raises:
            UsageError: `batch_size` is below 1, or `sources` is a single path.
        """
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}")
        if isinstance(sources, str | bytes | Path):
            raise UsageError(f"predict_many takes a list of pictures, not one {type(sources).__name__}: use predict")
        return self._answers(sources, batch_size)

    def _answers(self, sources: Iterable[Source], batch_size: int) -> Iterator[Answer]:
        waiting: list[Prepared | Failure] = []
        windows = 0
        for source in sources:
            try:
                prepared = prepare(source, self.window)
            except InputError as problem:
                waiting.append(Failure(source=problem.source, code=problem.code, error=problem.reason))
            else:
                waiting.append(prepared)
                windows += len(prepared.windows.pixels)
            if windows >= batch_size or len(waiting) >= batch_size:
                yield from self._settle(waiting)
                waiting, windows = [], 0
        yield from self._settle(waiting)

    def _settle(self, waiting: Sequence[Prepared | Failure]) -> Iterator[Answer]:
        """The answers of what waits, in its order."""
        judged = iter(self.judge([entry for entry in waiting if not isinstance(entry, Failure)]))
        for entry in waiting:
            yield entry if isinstance(entry, Failure) else next(judged)

    def judge(self, pictures: Sequence[Prepared]) -> list[Prediction]:
        """All windows of all pictures through the engine at once, then each picture's verdict on its own.

        Raises:
            DetectorError: the engine gave no number for a window.
        """
        if not pictures:
            return []
        start = time.perf_counter()
        outputs = self.engine.run(np.concatenate([picture.windows.pixels for picture in pictures]))  # [n, s, s, 3]
        if not np.isfinite(outputs.logits).all():
            raise DetectorError(f"engine {self.engine.name} gave a logit that is not a finite number")
        seconds = (time.perf_counter() - start) / len(outputs.logits)  # a window's share
        predictions, first = [], 0
        for picture in pictures:
            part = slice(first, first + len(picture.windows.pixels))
            own = outputs.part(part)
            predictions.append(self._verdict(picture, own, picture.seconds + seconds * len(own.logits)))
            first = part.stop
        return predictions

    def _verdict(self, picture: Prepared, outputs: Outputs, seconds: float) -> Prediction:
        scores = fake_scores(outputs.logits)  # [n]
        score = pool(scores, self.window.pooling)
        return Prediction(
            source=picture.source,
            sha256=picture.sha256,
            format=picture.format,
            size_bytes=picture.size_bytes,
            width=picture.width,
            height=picture.height,
            logit=score,
            prob_fake=float(self.calibration.prob_fake(score)),
            log10_lr=float(self.calibration.log10_lr(score)),
            verdict=self.calibration.verdict(score),
            boxes=picture.windows.boxes,
            window_prob_fake=self.calibration.prob_fake(scores),
            embedding=_middle(outputs.embeddings),
            summary=None if outputs.summaries is None else _middle(outputs.summaries),
            detector_id=self.detector_id,
            latency_ms=1000.0 * seconds,
        )


def _middle(of_windows: Float32Array) -> Float32Array:
    """The mean [d] over windows [n, d]."""
    middle: Float32Array = of_windows.mean(axis=0, dtype=np.float64).astype(np.float32)
    return middle
