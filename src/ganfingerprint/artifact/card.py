"""What a detector says about itself: the values of `card.json`, to and from text."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganfingerprint.config import NetworkConfig, WindowConfig, from_mapping
from ganfingerprint.errors import ConfigError, DetectorFormatError

FORMAT_VERSION = 1

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # no separator, no drive, no leading dot: stays in its folder
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of a detector, as its card promises it."""

    file: str  # a name inside the detector's folder, never a path
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not (isinstance(self.file, str) and _PLAIN_NAME.fullmatch(self.file)):
            raise DetectorFormatError(f"weights.file must be a plain file name in the detector's folder: {self.file!r}")
        if not (isinstance(self.sha256, str) and _SHA256.fullmatch(self.sha256)):
            raise DetectorFormatError(f"weights.sha256 of {self.file} must be 64 hexadecimal digits: {self.sha256!r}")
        if type(self.bytes) is not int or self.bytes < 0:
            raise DetectorFormatError(f"weights.bytes of {self.file} must be a whole number, got {self.bytes!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything about a detector that is not a weight."""

    format_version: int = FORMAT_VERSION
    name: str = "detector"
    created: str = ""  # ISO date
    package_version: str = ""
    architecture: Mapping[str, Any]  # NetworkConfig
    window: Mapping[str, Any]  # WindowConfig
    normalisation: Mapping[str, Any] = field(default_factory=dict)  # mean, std; what the network must have
    calibration: Mapping[str, Any]  # calibrate.Calibration: slope, thresholds, the error rates they were chosen for
    scores: Mapping[str, Any] = field(default_factory=dict)  # photographs, fakes: those of the calibration
    training: Mapping[str, Any] = field(default_factory=dict)  # data, pictures seen, minutes, command, seed, config
    figures: Mapping[str, Any] = field(default_factory=dict)  # split → metric → {value, low, high, n}
    licence: str = ""  # of the weights
    origin: str = ""  # where the backbone's first weights came from
    weights: tuple[WeightFile, ...] = ()
    graphs: tuple[WeightFile, ...] = ()  # the same network for other engines, which give the same answers
    precision: str = "fp32"  # that an exported graph was checked in, and is run in unless another is asked for

    def replaced(self, **changes: Any) -> Card:
        """This card with other values in the named fields."""
        return dataclasses.replace(self, **changes)

    @property
    def detector_id(self) -> str:
        """12 hexadecimal digits that change with the weights, the architecture, the windows or the calibration."""
        parts = [[item.sha256 for item in self.weights], self.architecture, self.window, self.calibration]
        return hashlib.sha256(json.dumps(plain(parts), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def exported(self) -> bool:
        """Whether it is a graph for another engine alone: torch has no weights to load."""
        return any(not item.file.endswith(".safetensors") for item in self.weights)

    @property
    def network_config(self) -> NetworkConfig:
        """The architecture as settings; raises DetectorFormatError where this version does not have them."""
        return typing.cast(NetworkConfig, _settings(NetworkConfig, self.architecture, "architecture"))

    @property
    def window_config(self) -> WindowConfig:
        """The window policy as settings; raises DetectorFormatError where this version does not have them."""
        return typing.cast(WindowConfig, _settings(WindowConfig, self.window, "window"))


def card_text(card: Card) -> str:
    """The card as JSON. The detector's identity is written for readers, and computed anew on reading."""
    values = {"format_version": card.format_version, "detector_id": card.detector_id, **plain(card)}
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse_card(text: str) -> Card:
    """The card in a JSON text; fields that this version does not know are left out, absent ones get their default.

    Raises:
        DetectorFormatError: it is not a card, or one of a newer format.
    """
    try:
        values = json.loads(text)
    except ValueError as problem:
        raise DetectorFormatError(f"not JSON: {problem}") from problem
    if not isinstance(values, dict):
        raise DetectorFormatError("the card must hold an object")
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise DetectorFormatError(f"format_version must be a whole number, got {version!r}")
    if version > FORMAT_VERSION:
        raise DetectorFormatError(
            f"written in format {version}, this version reads up to {FORMAT_VERSION}; "
            "pip install --upgrade ganfingerprint"
        )
    absent = [name for name in ("architecture", "window", "calibration", "weights") if name not in values]
    if absent:
        raise DetectorFormatError(f"the card lacks {', '.join(absent)}")
    return Card(**{item.name: _field(item, values[item.name]) for item in _fields(Card) if item.name in values})


def plain(value: Any) -> Any:
    """The value as JSON has it: arrays and tuples as lists, NaN and infinity as null, anything else as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _field(item: dataclasses.Field[Any], value: Any) -> Any:
    """A card's field checked for its kind; text, whole number, mapping, or a list of files."""
    if item.name in ("weights", "graphs"):
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise DetectorFormatError(f"{item.name} must be a list of objects")
        names = [known.name for known in _fields(WeightFile)]
        return tuple(WeightFile(**{name: entry.get(name) for name in names}) for entry in value)
    kind = {"int": int, "str": str}.get(str(item.type), dict)
    if not isinstance(value, kind):
        raise DetectorFormatError(f"{item.name} must be {'an object' if kind is dict else kind.__name__}")
    return value


def _settings(cls: type[Any], values: Mapping[str, Any], field_name: str) -> Any:
    try:
        return from_mapping(cls, values)
    except ConfigError as problem:
        raise DetectorFormatError(f"the card's {field_name} is not of this version: {problem}") from problem
