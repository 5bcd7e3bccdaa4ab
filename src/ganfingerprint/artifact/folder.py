"""The detector's folder: written whole or not at all, read with every hash checked."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import importlib.resources
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from ganfingerprint.artifact.card import FORMAT_VERSION, Card, WeightFile, card_text, parse_card
from ganfingerprint.artifact.tensors import Array, Int8Tensor, opened_form, pack, stored_form, unpack
from ganfingerprint.atomic import replacing
from ganfingerprint.errors import DetectorDamagedError, DetectorError, DetectorFormatError, DetectorMissingError

CARD_NAME = "card.json"
SHARD_BYTES = 40_000_000

_OURS = (".safetensors", ".xml", ".bin", ".onnx", ".parity.json")
_PICKLES = frozenset({".pth", ".pt", ".ckpt", ".pkl", ".pickle"})


def write_detector(
    folder: Path,
    state: Mapping[str, Array | Int8Tensor],
    card: Card,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> Card:
    """Write a detector, or replace the one that is there, whole or not at all.

    Files beside an older detector that are not its own (a README) are kept.

    Args:
        folder: absent, empty, or a detector.
        state: the tensors, by the network's own names.
        card: `weights` is filled in; so are `created` and `package_version` where they are empty.
        shard_bytes: no file is longer.

    Returns:
        The card as written.

    Raises:
        DetectorError: the folder holds something else, or a tensor cannot be stored.
    """
    contents = pack(stored_form(state), shard_bytes)
    total = len(contents)
    names = (
        ["model.safetensors"]
        if total == 1
        else [f"model-{n:05d}-of-{total:05d}.safetensors" for n in range(1, total + 1)]
    )
    return write_files(folder, dict(zip(names, contents, strict=True)), {}, card)


def write_files(folder: Path, weights: Mapping[str, bytes], graphs: Mapping[str, bytes], card: Card) -> Card:
    """Write a detector of files that are there already, by name, as `write_detector` does.

    Raises:
        DetectorError: the folder holds something else.
    """
    folder = folder.resolve()
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(folder, "new")
    beside.mkdir()
    try:
        for name, content in (*weights.items(), *graphs.items()):
            (beside / name).write_bytes(content)
        written = _completed(card, tuple(_entry(*item) for item in weights.items()))
        written = written.replaced(graphs=tuple(_entry(*item) for item in graphs.items()))
        (beside / CARD_NAME).write_text(card_text(written), encoding="utf-8")
        _swap(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return written


def write_card(folder: Path, card: Card) -> None:
    """Replace the card of a detector: a new calibration or new figures for the same weights.

    Raises:
        DetectorError: there is no detector, or the new card is of other weights.
    """
    if read_card(folder).weights != card.weights:
        raise DetectorError(f"{folder}: a card can only be replaced by one of the same weights")
    with replacing(folder.resolve() / CARD_NAME) as beside:
        beside.write_text(card_text(card), encoding="utf-8")


def read_card(folder: Path) -> Card:
    """Read and check a detector's card; its weights are not opened.

    Raises:
        DetectorMissingError: there is no detector.
        DetectorFormatError: it is something else (such as a pickled checkpoint), or of a newer format.
    """
    _refuse_pickles(folder)
    try:
        return parse_card((folder / CARD_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DetectorMissingError(f"{folder}: there is no detector here (no {CARD_NAME})") from None
    except NotADirectoryError:
        raise DetectorFormatError(f"{folder} is a file; a detector is a folder with a {CARD_NAME}") from None
    except (OSError, UnicodeDecodeError, DetectorFormatError) as problem:
        raise DetectorFormatError(f"{folder / CARD_NAME}: {problem}") from problem


def read_weights(folder: Path, card: Card) -> dict[str, Array]:
    """The tensors by name: half precision and int8 opened to float32, all else as stored; writable.

    Raises:
        DetectorDamagedError: a file is missing, or is not the one that the card describes; the message names it.
    """
    return opened_form(read_stored(folder, card))


def read_stored(folder: Path, card: Card) -> dict[str, Array]:
    """The tensors in their stored forms, see `Int8Tensor.stored`; raises as `read_weights` does."""
    if card.exported:
        graph = card.weights[0].file
        raise DetectorFormatError(f"{folder} was exported and holds no weights but those of its graph: {graph}")
    stored: dict[str, Array] = {}
    for item in card.weights:
        path = folder / item.file
        content = read_file(folder, item)
        try:
            tensors = unpack(content)
        except DetectorDamagedError as problem:
            raise DetectorDamagedError(f"{path}: {problem}") from problem
        twice = sorted(stored.keys() & tensors.keys())
        if twice:
            raise DetectorDamagedError(f"{path}: also holds {twice[0]}, which another file has")
        stored.update(tensors)
    return stored


def read_file(folder: Path, item: WeightFile) -> bytes:
    """The bytes of one file, read once: what is checked is what is used.

    Raises:
        DetectorDamagedError: it is missing, or is not the one that the card describes.
    """
    path = folder / item.file
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise DetectorDamagedError(f"{path} cannot be read: {problem.strerror}") from problem
    if len(content) != item.bytes:
        raise DetectorDamagedError(f"{path}: has {len(content)} bytes, the card says {item.bytes}")
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise DetectorDamagedError(f"{path}: its sha256 is not the one in the card")
    return content


def shipped_detector(places: Iterable[Path] | None = None) -> Path:
    """Folder of the detector that comes with the package: inside it, or `weights/` of a source checkout.

    Raises:
        DetectorMissingError: none came with it.
    """
    for place in _shipped_places() if places is None else places:
        if (place / CARD_NAME).is_file():
            return place
    raise DetectorMissingError(
        "no detector came with this installation: train one with `ganfingerprint train`, or name one with --detector"
    )


def _shipped_places() -> list[Path]:
    places = [Path(str(importlib.resources.files("ganfingerprint") / "weights"))]
    root = Path(__file__).resolve().parents[3]  # of src/ganfingerprint/artifact/folder.py
    if (root / "pyproject.toml").is_file():  # in an installed package that folder is not ours
        places.append(root / "weights")
    return places


def _entry(name: str, content: bytes) -> WeightFile:
    return WeightFile(file=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def _completed(card: Card, files: tuple[WeightFile, ...]) -> Card:
    return card.replaced(
        format_version=FORMAT_VERSION,
        weights=files,
        created=card.created or datetime.datetime.now(datetime.UTC).date().isoformat(),
        package_version=card.package_version or _package_version(),
    )


def _package_version() -> str:
    try:
        return importlib.metadata.version("ganfingerprint")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def _refuse_pickles(folder: Path) -> None:
    inside = [] if not folder.is_dir() or (folder / CARD_NAME).exists() else sorted(folder.iterdir())
    for path in (folder, *inside):
        if path.suffix.lower() in _PICKLES and path.is_file():
            raise DetectorFormatError(
                f"{path} is a pickled checkpoint, which is never opened as a detector; convert one of the reference "
                f"code with `ganfingerprint import-checkpoint {path} OUT`"
            )


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / CARD_NAME).is_file()):
        raise DetectorError(f"{folder} is there and is not a detector; it is left alone, choose another folder")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{suffix}")


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`. Between the two renames the old one lies beside, hidden but whole."""
    if not folder.exists():
        new.rename(folder)
        return
    for entry in folder.iterdir():
        if entry.name != CARD_NAME and not (entry.name.startswith("model") and entry.name.endswith(_OURS)):
            copy = shutil.copytree if entry.is_dir() else shutil.copy2
            copy(entry, new / entry.name)
    old = _beside(folder, "old")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
