"""Every engine of the table gives the answers of torch, one by one and in batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ganfingerprint.artifact import read_card
from ganfingerprint.engines import ENGINES, load_engine
from ganfingerprint.errors import UsageError
from ganfingerprint.types import UInt8Array

OTHERS = sorted(set(ENGINES) - {"torch", "fake"})
TOLERANCE = 1e-4  # of a logit


def windows(count: int = 37) -> UInt8Array:
    rng = np.random.default_rng(1)
    rough = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
    # a little noise: of exactly repeated cells the spectrum has noughts, whose logarithm is each engine's own rounding
    smooth = rough[:, ::8, ::8].repeat(8, axis=1).repeat(8, axis=2) // 2 + rough // 16
    return np.where(np.arange(count)[:, None, None, None] % 2 == 0, rough, smooth).astype(np.uint8)


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_answers_as_torch_does(exported: Path, name: str) -> None:
    card, pixels = read_card(exported), windows()
    expected = load_engine("torch", exported, card, device="cpu").run(pixels)
    assert np.ptp(expected.logits) > 200 * TOLERANCE  # equal answers would agree too
    engine = load_engine(name, exported, card)
    found = engine.run(pixels)
    assert engine.name == name
    assert (found.logits.dtype, found.embeddings.dtype) == (np.float32, np.float32)
    assert found.summaries is expected.summaries is None  # of those that have one see test_summaries.py
    np.testing.assert_allclose(found.logits, expected.logits, atol=TOLERANCE)
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=TOLERANCE)
    for i in (0, 36):
        alone = engine.run(pixels[i : i + 1])
        assert alone.logits.shape == (1,)
        assert alone.logits[0] == pytest.approx(found.logits[i], abs=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_explains_as_torch_does(exported: Path, name: str) -> None:
    card, pixels = read_card(exported), windows()
    expected = load_engine("torch", exported, card, device="cpu").heat(pixels)
    found = load_engine(name, exported, card).heat(pixels)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_refuses_what_is_no_window(exported: Path, name: str) -> None:
    engine = load_engine(name, exported, read_card(exported))
    for wrong in (windows(1)[0], windows(1).astype(np.float32), windows(1)[:0]):
        with pytest.raises(ValueError, match="windows must be uint8"):
            engine.run(wrong)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("setting", "value"), [("device", "tpu"), ("precision", "fp8")])
def test_an_engine_refuses_what_it_cannot_have(exported: Path, name: str, setting: str, value: str) -> None:
    with pytest.raises(UsageError, match=value):
        load_engine(name, exported, read_card(exported), **{setting: value})


def test_openvino_in_half_precision_is_near(exported: Path) -> None:
    card, pixels = read_card(exported), windows()
    whole, half = (load_engine("openvino", exported, card, precision=name).run(pixels) for name in ("fp32", "bf16"))
    assert 0 < np.abs(whole.logits - half.logits).max() < 0.3 * np.ptp(whole.logits)


@pytest.mark.parametrize("name", OTHERS)
def test_threads_may_share_an_engine(exported: Path, name: str) -> None:
    engine, pixels = load_engine(name, exported, read_card(exported)), windows(12)
    expected = engine.run(pixels).logits
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: engine.run(pixels).logits, range(8)):
            np.testing.assert_allclose(found, expected, atol=1e-5)
