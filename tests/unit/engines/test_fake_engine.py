"""The engine that a reader can compute in the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.artifact import Card
from ganfingerprint.engines import ENGINES, Engine, load_engine
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import UsageError


def flat(*brightness: int, size: int = 8) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.full((size, size, 3), value, np.uint8) for value in brightness])


def empty_card() -> Card:
    return Card(architecture={}, window={}, calibration={})


@pytest.mark.parametrize(
    ("brightness", "logit"), [(0, 8.0), (1, 7.9375), (112, 1.0), (128, 0.0), (144, -1.0), (255, -7.9375)]
)
def test_bright_is_fake_one_unit_of_logit_every_16_levels(brightness: int, logit: float) -> None:
    outputs = FakeEngine().run(flat(brightness))
    assert outputs.logits.dtype == np.float32
    assert outputs.logits.tolist() == [logit]


def test_embedding_is_the_mean_colour() -> None:
    windows = flat(0, 51)
    windows[0, :, :, 2] = 255
    outputs = FakeEngine().run(windows)
    assert outputs.embeddings.shape == (2, 512)
    assert outputs.embeddings.dtype == np.float32
    assert outputs.embeddings[:, :4] == pytest.approx(np.array([[0, 0, 1, 0], [0.2, 0.2, 0.2, 0]]))


def test_a_window_does_not_see_its_neighbours() -> None:
    windows = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    together = FakeEngine().run(windows)
    alone = [FakeEngine().run(windows[i : i + 1]) for i in range(5)]
    assert together.logits.tolist() == [float(outputs.logits[0]) for outputs in alone]


def test_an_engine_is_loaded_by_its_name_and_knows_it() -> None:
    engine: Engine = load_engine("fake", Path("nowhere"), empty_card())
    assert engine.name == "fake"
    assert engine.run(flat(128)).logits.tolist() == [0.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trch", "did you mean 'torch'"),
        ("quantum", r"'quantum' is not known \(there are: auto, torch"),
        ("", "there are"),
    ],
)
def test_an_unknown_engine_is_answered_with_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_engine(name, Path("nowhere"), empty_card())


def test_each_row_of_the_table_names_a_module_of_its_own() -> None:
    modules = [row.partition(":")[0] for row in ENGINES.values()]
    assert len(set(modules)) == len(modules)
    assert modules == [f"ganfingerprint.engines.{name}_engine" for name in ENGINES]
