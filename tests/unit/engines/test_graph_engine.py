"""What a graph puts out, by the order of its outputs: graphs of earlier versions have fewer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ganfingerprint.engines.base import GraphEngine, chunks
from ganfingerprint.errors import UsageError
from ganfingerprint.types import UInt8Array


class Arithmetic(GraphEngine):
    """A graph of so many outputs, two windows at a time: logit, embedding, heat and summary are of the brightness."""

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs

    def _parts(self, windows: UInt8Array) -> Iterator[list[Any]]:
        for chunk in chunks(windows, 2):
            brightness = chunk.mean(axis=(1, 2, 3))
            every = [brightness, brightness[:, None] + 1, brightness[:, None, None] + 2, brightness[:, None] + 3]
            yield every[: self.outputs]


@pytest.fixture
def windows() -> UInt8Array:
    return np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((5, 4, 4, 3), np.uint8)


@pytest.mark.parametrize("outputs", [2, 3, 4])
def test_a_summary_is_the_fourth_output_where_there_is_one(outputs: int, windows: UInt8Array) -> None:
    found = Arithmetic(outputs).run(windows)
    assert found.logits.tolist() == [0, 1, 2, 3, 4]
    assert found.embeddings.tolist() == [[1], [2], [3], [4], [5]]
    if outputs < 4:
        assert found.summaries is None
    else:
        assert found.summaries is not None
        assert found.summaries.dtype == np.float32
        assert found.summaries.tolist() == [[3], [4], [5], [6], [7]]


def test_heat_is_the_third_output(windows: UInt8Array) -> None:
    for outputs in (3, 4):
        assert Arithmetic(outputs).heat(windows).tolist() == [[[2]], [[3]], [[4]], [[5]], [[6]]]
    with pytest.raises(UsageError, match="has no heat maps"):
        Arithmetic(2).heat(windows)
