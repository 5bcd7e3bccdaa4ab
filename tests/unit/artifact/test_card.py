"""What a detector says about itself, to and from `card.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint.artifact import CARD_NAME, Card, WeightFile, read_card
from ganfingerprint.artifact.card import card_text, parse_card, plain
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.errors import DetectorFormatError


def card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "name": "test",
        "architecture": to_mapping(NetworkConfig(backbone="resnet18")),
        "window": to_mapping(WindowConfig(size=96)),
        "calibration": {"slope": 1.5, "intercept": 0.25},
        "training": {"pictures_seen": 10, "config": {"seed": 1}},
        "figures": {"test": {"auc": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 100}}},
        "licence": "Apache-2.0",
        "origin": "random",
        "weights": (WeightFile(file="model.safetensors", sha256="ab" * 32, bytes=10),),
    }
    return Card(**{**values, **changes})


def with_changes(**changes: Any) -> str:
    """The text of a card, some fields replaced after it was written."""
    return json.dumps({**json.loads(card_text(card())), **changes})


def test_a_card_survives_its_text() -> None:
    assert parse_card(card_text(card())) == card()
    assert json.loads(card_text(card()))["detector_id"] == card().detector_id


def test_settings_come_back_as_configs() -> None:
    assert card().network_config == NetworkConfig(backbone="resnet18")
    assert card().window_config == WindowConfig(size=96)
    with pytest.raises(DetectorFormatError, match=r"card's window.*spiral"):
        _ = card(window={"placement": "spiral"}).window_config
    with pytest.raises(DetectorFormatError, match=r"card's architecture.*wings"):
        _ = card(architecture={"wings": 2}).network_config


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"calibration": {"slope": 1.5, "intercept": 0.26}}, False),
        ({"window": to_mapping(WindowConfig(size=128))}, False),
        ({"architecture": to_mapping(NetworkConfig(backbone="resnet34"))}, False),
        ({"weights": (WeightFile(file="model.safetensors", sha256="0" * 64, bytes=10),)}, False),
        ({"figures": {}, "training": {}, "name": "other", "created": "2020-02-02"}, True),
    ],
)
def test_identity_follows_everything_that_decides_an_answer(change: dict[str, Any], same: bool) -> None:
    assert len(card().detector_id) == 12
    assert (card(**change).detector_id == card().detector_id) is same


def test_identity_is_of_the_values_and_not_of_what_the_card_claims() -> None:
    assert parse_card(with_changes(detector_id="000000000000")).detector_id == card().detector_id
    reordered = json.loads(card_text(card()))
    reordered["window"] = dict(reversed(reordered["window"].items()))
    assert parse_card(json.dumps(reordered)).detector_id == card().detector_id


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:x", ".hidden", "a\0b", "a\n", None, 3],
)
def test_a_card_that_points_out_of_its_folder_is_refused(name: object) -> None:
    with pytest.raises(DetectorFormatError, match="plain file name"):
        parse_card(with_changes(weights=[{"file": name, "sha256": "ab" * 32, "bytes": 10}]))


def test_a_card_of_an_older_version_reads_with_defaults() -> None:
    values = json.loads(card_text(card()))
    needed = {"format_version", "architecture", "window", "calibration", "weights"}
    older = parse_card(json.dumps({name: value for name, value in values.items() if name in needed}))
    assert (older.name, older.licence, older.figures, older.created) == ("detector", "", {}, "")
    assert older.detector_id == card().detector_id
    assert older.weights == card().weights


def test_fields_that_this_version_does_not_know_are_left_out() -> None:
    entry = {"file": "model.safetensors", "sha256": "ab" * 32, "bytes": 10, "role": "network"}
    assert parse_card(with_changes(gallery={"size": 3}, weights=[entry])) == card()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format 2, this version reads up to 1.*upgrade"),
        ({"format_version": 0}, "format_version must be"),
        ({"format_version": True}, "format_version must be"),
        ({"format_version": "1"}, "format_version must be"),
        ({"architecture": []}, "architecture must be an object"),
        ({"name": 3}, "name must be str"),
        ({"weights": {}}, "weights must be a list"),
        ({"weights": ["model"]}, "weights must be a list"),
        ({"weights": [{"file": "m.safetensors", "sha256": "abc", "bytes": 1}]}, "sha256 of m.safetensors"),
        ({"weights": [{"file": "m.safetensors", "sha256": "0" * 64}]}, "bytes of m.safetensors"),
        ({"weights": [{"sha256": "0" * 64, "bytes": 1}]}, "plain file name"),
    ],
)
def test_cards_that_cannot_be_read_say_why(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / CARD_NAME).write_text(with_changes(**change), encoding="utf-8")
    with pytest.raises(DetectorFormatError, match=message) as caught:
        read_card(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / CARD_NAME))


@pytest.mark.parametrize("missing", ["architecture", "window", "calibration", "weights"])
def test_a_card_without_what_it_must_have_names_it(missing: str) -> None:
    values = json.loads(card_text(card()))
    del values[missing]
    with pytest.raises(DetectorFormatError, match=f"lacks {missing}"):
        parse_card(json.dumps(values))


def test_numbers_of_numpy_and_nan_are_written_as_json_has_them() -> None:
    figures = {"test": {"auc": {"value": np.float32(0.5), "low": float("nan"), "n": np.int64(3), "by": (1, 2)}}}
    read = parse_card(card_text(card(figures=figures, training={"path": Path("x"), "taps": np.arange(2)})))
    assert read.figures == {"test": {"auc": {"value": 0.5, "low": None, "n": 3, "by": [1, 2]}}}
    assert read.training == {"path": "x", "taps": [0, 1]}


def test_plain_leaves_truth_values_and_text_alone() -> None:
    assert plain({"a": True, "b": "é", "c": None, 4: -1.5}) == {"a": True, "b": "é", "c": None, "4": -1.5}
