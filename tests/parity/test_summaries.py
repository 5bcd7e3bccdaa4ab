"""A backbone's summary comes through every engine as torch gives it, and none where there is none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import read_card
from ganfingerprint.detector import Detector
from ganfingerprint.engines import ENGINES, load_engine
from ganfingerprint.types import UInt8Array

OTHERS = sorted(set(ENGINES) - {"torch", "fake"})
SUMMARY = 72  # numbers

pytestmark = pytest.mark.usefixtures("small_towers")


def windows(count: int = 37) -> UInt8Array:
    rng = np.random.default_rng(1)
    rough = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
    return rough // np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None]  # darker and darker


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_sums_up_as_torch_does(of_small_tower: Path, name: str) -> None:
    card, pixels = read_card(of_small_tower), windows()
    expected = load_engine("torch", of_small_tower, card, device="cpu").run(pixels)
    engine = load_engine(name, of_small_tower, card)
    found = engine.run(pixels)
    assert engine.name == name
    assert expected.summaries is not None
    assert found.summaries is not None
    assert found.summaries.dtype == expected.summaries.dtype == np.float32
    assert found.summaries.shape == expected.summaries.shape == (37, SUMMARY)
    assert expected.summaries.std(axis=0).min() > 0.01  # equal summaries would agree too
    np.testing.assert_allclose(found.summaries, expected.summaries, atol=1e-4)
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-4)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)
    alone = engine.run(pixels[20:21]).summaries
    assert alone is not None
    np.testing.assert_allclose(alone[0], found.summaries[20], atol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_heat_is_still_heat(of_small_tower: Path, name: str) -> None:
    card, pixels = read_card(of_small_tower), windows(5)
    expected = load_engine("torch", of_small_tower, card, device="cpu").heat(pixels)
    found = load_engine(name, of_small_tower, card).heat(pixels)
    assert found.shape == expected.shape == (5, 6, 6)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["torch", *OTHERS])
def test_a_summary_arrives_in_the_answer_for_a_picture(of_small_tower: Path, name: str) -> None:
    detector = Detector.from_pretrained(of_small_tower, engine=name, device="cpu")
    assert detector.engine.name == name
    pixels = np.concatenate(windows(4), axis=1)  # [96, 384, 3]
    stream = io.BytesIO()
    PilImage.fromarray(pixels).save(stream, "PNG")
    answer = detector.predict(stream.getvalue())
    assert answer.windows > 1
    assert answer.summary is not None
    cut = np.stack([pixels[top : top + 96, left : left + 96] for left, top, *_ in answer.boxes])
    each = detector.engine.run(cut).summaries
    assert each is not None
    assert answer.summary == pytest.approx(each.mean(axis=0), abs=1e-5)
