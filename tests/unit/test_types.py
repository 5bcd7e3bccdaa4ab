from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ganfingerprint.types import Failure, Image, ImageFacts, Label, Outputs, Prediction, Verdict, Windows

FACTS = ImageFacts(size_bytes=10, format="PNG", mode="RGB", width=6, height=4)


def image(pixels: np.ndarray) -> Image:
    return Image(source="a.png", pixels=pixels, sha256="", facts=FACTS)


def windows(pixels: np.ndarray, boxes: np.ndarray) -> Windows:
    return Windows(pixels=pixels, boxes=boxes)


def prediction(count: int) -> Prediction:
    return Prediction(
        source="a.png",
        sha256="",
        format="PNG",
        size_bytes=10,
        width=6,
        height=4,
        logit=1.0,
        prob_fake=0.7,
        log10_lr=0.4,
        verdict=Verdict.UNCERTAIN,
        boxes=np.zeros((count, 4), np.int32),
        window_prob_fake=np.full(count, 0.7),
        embedding=np.zeros(512, np.float32),
        detector_id="x",
        latency_ms=1.0,
    )


def test_width_and_height_follow_the_pixels_not_the_file() -> None:
    upright = image(np.zeros((6, 4, 3), np.uint8))  # stored 6 x 4, turned
    assert (upright.width, upright.height) == (4, 6)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 6, 3), np.float32),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6), np.uint8),
        np.zeros((1, 4, 6, 3), np.uint8),
    ],
    ids=["float", "alpha", "grey", "batch"],
)
def test_an_image_is_uint8_rgb_and_nothing_else(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 \[height, width, 3\], got"):
        image(pixels)


@pytest.mark.parametrize(
    ("pixels", "boxes", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 4), np.int32), r"uint8 \[n, s, s, 3\], got float32"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 4), np.int32), r"uint8 \[n, s, s, 3\], got uint8 \(8, 8, 3\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), np.zeros((2, 4), np.int32), r"\(2, 3, 8, 8\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 4), np.int32), r"boxes must be \[2, 4\], got \(1, 4\)"),
    ],
    ids=["float", "one window without batch", "channels first", "a box is missing"],
)
def test_windows_of_a_wrong_shape_are_refused(pixels: np.ndarray, boxes: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        windows(pixels, boxes)


def test_a_prediction_counts_its_windows() -> None:
    assert prediction(3).windows == 3


def test_labels_and_verdicts_are_the_words_that_tables_carry() -> None:
    assert [f"{label}" for label in Label] == ["real", "fake"]
    assert [f"{verdict}" for verdict in Verdict] == ["real", "uncertain", "fake"]
    assert Label("fake") is Label.FAKE


@pytest.mark.parametrize("cls", [ImageFacts, Image, Windows, Prediction, Failure])
def test_values_are_frozen_and_made_by_name(cls: type) -> None:
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(item.kw_only for item in dataclasses.fields(cls))


def test_a_prediction_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction(1).prob_fake = 0.0  # type: ignore[misc]


def test_outputs_of_some_windows_are_their_rows() -> None:
    rows = np.arange(5, dtype=np.float32)
    whole = Outputs(logits=rows, embeddings=np.stack([rows, -rows], axis=1), summaries=10 * rows[:, None])
    part = whole.part(slice(1, 3))
    assert part.logits.tolist() == [1, 2]
    assert part.embeddings.tolist() == [[1, -1], [2, -2]]
    assert part.summaries is not None
    assert part.summaries.tolist() == [[10], [20]]
    assert dataclasses.replace(whole, summaries=None).part(slice(1, 3)).summaries is None
