"""A gallery in one file: safetensors, its words as JSON in the header. Nothing in it is ever unpickled."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from filelock import FileLock

from ganfingerprint.artifact import shipped_detector
from ganfingerprint.atomic import replacing
from ganfingerprint.attribution.gallery import Gallery, Photographs
from ganfingerprint.attribution.space import FingerprintSpace
from ganfingerprint.attribution.weighing import Weighing
from ganfingerprint.calibrate import Calibration
from ganfingerprint.errors import DetectorError, GalleryError

FORMAT_VERSION = 1
FILE_NAME = "gallery.safetensors"  # beside the weights of a detector
_WORDS = "ganfingerprint.gallery"  # the entry of the header


def save_gallery(gallery: Gallery, path: Path) -> None:
    """Write the gallery, whole or not at all."""
    space = gallery.space
    tensors = {
        "mean": space.mean,
        "matrix": space.matrix,
        "within": space.within,
        "between": space.between,
        "photographs.mean": gallery.photographs.mean,
        "photographs.precision": gallery.photographs.precision,
        "weights": gallery.weighing.weights,
    }
    arrays = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}
    arrays["fingerprints"] = np.ascontiguousarray(gallery.fingerprints, dtype=np.float32)
    words = {
        "format_version": FORMAT_VERSION,
        "gallery_id": gallery.gallery_id,
        "detector_id": gallery.detector_id,
        "origin": gallery.origin,
        "radius": space.radius,
        "pairs": gallery.pairs.to_mapping(),
        "names": gallery.names,
        "ids": gallery.ids,
        "hashes": gallery.hashes,
    }
    with replacing(path) as beside:
        beside.write_bytes(safetensors.numpy.save(arrays, metadata={_WORDS: json.dumps(words)}))


def read_gallery(path: Path) -> Gallery:
    """Read a gallery.

    Raises:
        GalleryError: there is none, it is damaged, or of a newer format.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise GalleryError(f"{path}: there is no gallery that can be read ({problem.strerror})") from problem
    try:
        words, arrays = _opened(content)
        version = words.get("format_version")
        if version != FORMAT_VERSION:
            raise GalleryError(f"{path}: written in format {version!r}, this version reads {FORMAT_VERSION}")
        gallery = _gallery(words, arrays)
    except GalleryError:
        raise
    except (safetensors.SafetensorError, DetectorError, KeyError, ValueError, TypeError, AttributeError) as problem:
        raise GalleryError(f"{path}: this is not a gallery, or a damaged one ({problem})") from problem
    if gallery.gallery_id != words.get("gallery_id"):
        raise GalleryError(f"{path}: is damaged: it does not hold what its identity says")
    return gallery


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Alone with the gallery at `path`: two enrolments at once would lose one of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


def shipped_gallery() -> Path | None:
    """The gallery beside the shipped detector, where there is one."""
    path = shipped_detector() / FILE_NAME
    return path if path.is_file() else None


def _opened(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The words of the header and the arrays."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length].decode("utf-8"))
    return json.loads(header["__metadata__"][_WORDS]), safetensors.numpy.load(content)


def _gallery(words: dict[str, Any], arrays: dict[str, Any]) -> Gallery:
    doubles = {name: value.astype(np.float64) for name, value in arrays.items() if name != "fingerprints"}
    return Gallery(
        detector_id=str(words["detector_id"]),
        space=FingerprintSpace(
            mean=doubles["mean"],
            matrix=doubles["matrix"],
            radius=float(words["radius"]),
            within=doubles["within"],
            between=doubles["between"],
        ),
        photographs=Photographs(mean=doubles["photographs.mean"], precision=doubles["photographs.precision"]),
        weighing=Weighing(weights=doubles["weights"]),
        pairs=Calibration.from_mapping(words["pairs"]),
        origin=str(words["origin"]),
        fingerprints=arrays["fingerprints"],
        names=tuple(map(str, words["names"])),
        ids=tuple(map(str, words["ids"])),
        hashes=tuple(map(str, words["hashes"])),
    )
