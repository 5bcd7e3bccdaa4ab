"""Everything that is found out about one picture for a person who has to decide: one file in, an examination out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ganfingerprint.attribution import PHOTOGRAPH, Gallery, attribute
from ganfingerprint.decode import decode, read_bytes
from ganfingerprint.detector import Detector
from ganfingerprint.errors import InputError, UsageError
from ganfingerprint.explain.heat_map import HeatMap, generate_gradcam
from ganfingerprint.explain.spectrum import residual_spectrum
from ganfingerprint.metadata import Metadata, read_metadata
from ganfingerprint.provenance import Provenance, read_provenance
from ganfingerprint.stability import Stability, check_stability, settled
from ganfingerprint.types import Answer, Attribution, Failure, Float32Array, Image, Prediction
from ganfingerprint.windows import cut_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found out about one file. What could not be is None; `answer` then says why, if it is a failure."""

    source: str
    received: str  # when the file was read, UTC, ISO 8601
    sha256: str  # of the file's bytes; empty where they could not be read
    size_bytes: int
    answer: Answer  # already uncertain where it flips
    image: Image | None = None
    metadata: Metadata | None = None
    provenance: Provenance | None = None  # None where the file holds no manifest
    stability: Stability | None = None
    heat: HeatMap | None = None
    spectrum: Float32Array | None = None  # [s, s], see explain.spectrum
    attribution: Attribution | None = None  # None where no gallery was asked
    profiles: Mapping[str, Float32Array] = field(default_factory=dict)  # of the gallery: photographs', best candidate's


def examine(
    detector: Detector,
    source: str | Path | bytes,
    *,
    name: str | None = None,
    trust: str | None = "",
    gallery: Gallery | None = None,
) -> Examination:
    """Judge a file and look at all that speaks beside the verdict. Never raises for what is wrong with the file.

    Args:
        detector: whose engine has heat maps; with one that has none, the heat is left out.
        source: a path, or the bytes of a file.
        name: what it is called in the examination; the path itself when left out.
        trust: certificates (PEM) of those whose manifests are trusted, see `provenance`; None: no manifest is read.
        gallery: of this detector, asked which generator made the picture; None asks nobody.

    Raises:
        GalleryError: the gallery is of another detector.
    """
    shown = str(name or (source if isinstance(source, str | Path) else "<bytes>"))
    received = _now()
    data = b""
    try:
        data = read_bytes(source, name=shown)
        image = decode(data, name=shown)
        first = detector.predict(image)
    except InputError as problem:
        return failed(Failure(source=shown, code=problem.code, error=problem.reason), data)
    stability = _stability(detector, image, first)
    answer = first if stability is None else settled(first, stability)
    whose = None if gallery is None else attribute([answer], gallery)[0]
    found = Examination(
        source=shown,
        received=received,
        sha256=image.sha256,
        size_bytes=len(data),
        answer=answer,
        image=image,
        metadata=read_metadata(data),
        stability=stability,
        heat=_heat(detector, image, answer),
        spectrum=residual_spectrum(cut_windows(image, detector.window).pixels),
        attribution=whose,
        profiles={} if gallery is None or whose is None else _profiles(gallery, whose, detector.window.size),
    )
    return found if trust is None else with_manifest(found, data, trust=trust)


def with_manifest(examination: Examination, data: bytes, *, trust: str = "") -> Examination:
    """The same with what the manifest in the bytes says, where they hold one; it takes a process of its own."""
    if examination.metadata is None or not examination.metadata.has_manifest:
        return examination
    return replace(examination, provenance=read_provenance(data, trust=trust))


def failed(failure: Failure, data: bytes) -> Examination:
    """The examination of a file that could not be judged; `data` are its bytes, none where they could not be read."""
    return Examination(
        source=failure.source,
        received=_now(),
        sha256=hashlib.sha256(data).hexdigest() if data else "",
        size_bytes=len(data),
        answer=failure,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _profiles(gallery: Gallery, found: Attribution, side: int) -> dict[str, Float32Array]:
    """What the gallery has of photographs and of the likeliest generator, if of spectra of this size."""
    names = (PHOTOGRAPH, *(candidate.name for candidate in found.candidates[:1]))
    known = {name: gallery.profiles[name] for name in names if name in gallery.profiles}
    return {name: profile for name, profile in known.items() if profile.shape[1] == side // 2}


def _stability(detector: Detector, image: Image, first: Prediction) -> Stability | None:
    try:
        return check_stability(detector, image, first)
    except InputError:  # too small to be judged once it is scaled down
        return None


def _heat(detector: Detector, image: Image, answer: Prediction) -> HeatMap | None:
    try:
        return generate_gradcam(detector, image, prediction=answer)
    except UsageError:  # this engine has none
        return None
