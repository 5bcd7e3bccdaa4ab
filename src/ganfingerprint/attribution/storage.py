"""A gallery in one file: safetensors, its words as JSON in the header. Nothing in it is ever unpickled."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from filelock import FileLock

from ganfingerprint.artifact import shipped_detector
from ganfingerprint.atomic import replacing
from ganfingerprint.attribution.basis import Basis
from ganfingerprint.attribution.gallery import Background, Gallery
from ganfingerprint.attribution.space import Scatter
from ganfingerprint.attribution.weighing import Weighing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.errors import DataError, DetectorError, GalleryError
from ganfingerprint.types import Float32Array

FORMAT_VERSION = 2  # 1 held fingerprints in a space that no enrolment changed
FILE_NAME = "gallery.safetensors"  # beside the weights of a detector
_WORDS = "ganfingerprint.gallery"  # the entry of the header
_CODES = ("basis.axes", "photographs", "codes")  # arrays of 8 bits; see `Gallery.arrays`
_PROFILES = "profiles"  # an array that need not be there
_MOST_BYTES = 2**30  # what safetensors lets a header hold, 100 MB, is the words of some 600,000 pictures
_DAMAGE = (  # what strange content makes of the code that reads it
    safetensors.SafetensorError, DataError, DetectorError, KeyError, ValueError, TypeError, AttributeError,
    OverflowError, RecursionError,
)  # fmt: skip


def save_gallery(gallery: Gallery, path: str | Path) -> None:
    """Write the gallery, whole or not at all.

    Raises:
        GalleryError: the place cannot be written to, or there are more pictures than one file holds.
    """
    path, words = Path(path), _words(gallery)
    arrays: dict[str, Any] = {**gallery.arrays()}
    if gallery.profiles:
        arrays[_PROFILES] = np.stack([*gallery.profiles.values()]).astype(np.float32)
        words |= {"profiled": [*gallery.profiles], "profiles_sha256": _sha256(arrays[_PROFILES])}
    words["checksum"] = _checksum(words)
    try:
        content = safetensors.numpy.save(arrays, metadata={_WORDS: json.dumps(words)})
    except safetensors.SafetensorError as problem:  # its header is limited, and holds the words
        raise GalleryError(
            f"{path}: {len(gallery.names)} pictures are more than a gallery holds ({problem})"
        ) from problem
    try:
        with replacing(path) as beside:
            beside.write_bytes(content)
    except OSError as problem:
        raise GalleryError(f"{path}: cannot be written ({problem.strerror})") from problem


def _words(gallery: Gallery) -> dict[str, Any]:
    background = gallery.background
    return {
        "format_version": FORMAT_VERSION,
        "gallery_id": gallery.gallery_id,
        "detector_id": gallery.detector_id,
        "origin": gallery.origin,
        "figures": {name: dict(figure) for name, figure in gallery.figures.items()},
        "embedding": gallery.basis.embedding,
        "background": {
            "names": background.names,
            "origins": background.origins,
            "counts": [int(count) for count in background.counts],
            "pictures": background.scatter.pictures,
            "spread": background.spread,
        },
        "pairs": gallery.pairs.to_mapping(),
        "claims": gallery.claims.to_mapping(),
        "names": gallery.names,
        "ids": gallery.ids,
        "hashes": gallery.hashes,
    }


def read_gallery(path: str | Path) -> Gallery:
    """Read a gallery.

    Raises:
        GalleryError: there is none, it is damaged, or of another format.
    """
    path = Path(path)
    content = _content(path)
    try:
        words, arrays = _opened(content)
        version = words.get("format_version")
        if version != FORMAT_VERSION:
            raise GalleryError(
                f"{path}: written in format {version!r}, this version reads {FORMAT_VERSION}; what is in it cannot be "
                "carried over: move the file away, and enrol the pictures again"
            )
        if words.pop("checksum") != _checksum(words):
            raise GalleryError(f"{path}: is damaged: its words do not have their checksum")
        gallery = _gallery(words, arrays)
    except GalleryError:
        raise
    except _DAMAGE as problem:
        raise GalleryError(f"{path}: this is not a gallery, or a damaged one ({problem})") from problem
    if gallery.gallery_id != words.get("gallery_id"):
        raise GalleryError(f"{path}: is damaged: it does not hold what its identity says")
    return gallery


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Alone with the gallery at `path`: two enrolments at once would lose one of them.

    The lock is the system's: it ends with the process, and the file that is left says nothing.

    Raises:
        GalleryError: the folder cannot be written to.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as problem:
        raise GalleryError(f"{path}: its folder cannot be written to ({problem.strerror})") from problem
    try:
        yield
    finally:
        lock.release()


def shipped_gallery() -> Path | None:
    """The gallery beside the shipped detector, where there is one."""
    path = shipped_detector() / FILE_NAME
    return path if path.is_file() else None


def _content(path: Path) -> bytes:
    try:
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode) and facts.st_size <= _MOST_BYTES:
            return path.read_bytes()
    except OSError as problem:
        hint = "; `ganfingerprint gallery enroll` makes one" if isinstance(problem, FileNotFoundError) else ""
        raise GalleryError(f"{path}: there is no gallery that can be read ({problem.strerror}){hint}") from problem
    raise GalleryError(f"{path}: this is not a gallery: no file, or one larger than {_MOST_BYTES >> 20} MiB")


def _opened(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The words of the header and the arrays."""
    arrays = safetensors.numpy.load(content)  # first: it refuses headers that are not one, and too large ones
    if any(value.dtype != (np.int8 if name in _CODES else np.float32) for name, value in arrays.items()):
        raise ValueError("its arrays are not of float32, or codes not of 8 bits")
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length].decode("utf-8"))
    return json.loads(header["__metadata__"][_WORDS]), arrays


def _checksum(words: dict[str, Any]) -> str:
    """Of all words but itself: the identity of a gallery leaves out what people call its pictures."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _sha256(array: Float32Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _profiles(words: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """They have a checksum of their own: no answer depends on them, and no identity."""
    if _PROFILES not in arrays and "profiled" not in words:
        return {}
    if words["profiles_sha256"] != _sha256(arrays[_PROFILES]):
        raise ValueError("its profiles do not have their checksum")
    return dict(zip(map(str, words["profiled"]), arrays[_PROFILES], strict=True))


def _gallery(words: dict[str, Any], arrays: dict[str, Any]) -> Gallery:
    doubles = {name: value.astype(np.float64) for name, value in arrays.items() if value.dtype == np.float32}
    basis = Basis(
        embedding=int(words["embedding"]),
        axes=arrays["basis.axes"],
        **{name: doubles[f"basis.{name}"] for name in ("mean", "scale", "steps", "grain")},
    )
    known = words["background"]
    background = Background(
        names=tuple(map(str, known["names"])),
        origins=tuple(map(str, known["origins"])),
        middles=doubles["background.middles"],
        counts=np.array([int(count) for count in known["counts"]], dtype=np.int64),
        scatter=Scatter(covariance=doubles["background.scatter"], pictures=float(known["pictures"])),
        spread=float(known["spread"]),
    )
    return Gallery(
        detector_id=str(words["detector_id"]),
        basis=basis,
        background=background,
        seen_photographs=arrays["photographs"],
        weighing=Weighing(weights=doubles["weights"]),
        pairs=Calibration.from_mapping(words["pairs"]),
        claims=Calibration.from_mapping(words["claims"]),
        origin=str(words["origin"]),
        figures={
            str(name): {str(key): float(value) for key, value in figure.items()}
            for name, figure in words["figures"].items()
        },
        profiles=_profiles(words, arrays),
        codes=arrays["codes"],
        names=tuple(map(str, words["names"])),
        ids=tuple(map(str, words["ids"])),
        hashes=tuple(map(str, words["hashes"])),
    )
