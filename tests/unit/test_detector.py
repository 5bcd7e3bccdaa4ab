"""From a picture to an answer, with an engine that is arithmetic: logit for real = (128 - brightness) / 16."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import Card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import WindowConfig, to_mapping
from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import DetectorError, DetectorFormatError, DetectorMissingError, FileMissingError, UsageError
from ganfingerprint.types import Failure, Outputs, Prediction, UInt8Array, Verdict

CALIBRATION = Calibration(
    slope=math.log(10), intercept=0.0, log10_lr_bound=3.0, fake_threshold=2.0, real_threshold=-2.0,
    false_alarm_rate=0.01, miss_rate=0.05,
)  # fmt: skip


def card(**window: Any) -> Card:
    policy = WindowConfig(**{"size": 96, "count": 4, **window})
    return Card(architecture={}, window=to_mapping(policy), calibration=CALIBRATION.to_mapping())


@pytest.fixture
def detector() -> Detector:
    return Detector(engine=FakeEngine(), card=card())


def picture(brightness: int, width: int = 96, height: int = 96) -> bytes:
    """A flat grey PNG."""
    buffer = io.BytesIO()
    PilImage.new("RGB", (width, height), (brightness,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


class CountingEngine:
    """The fake engine, and how many windows each call had."""

    name = "counting"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def run(self, windows: UInt8Array) -> Outputs:
        self.calls.append(len(windows))
        return FakeEngine().run(windows)


class TellingEngine:
    """The fake engine, and a summary of two numbers: a window's brightness at its left and at its right edge."""

    name = "telling"

    def run(self, windows: UInt8Array) -> Outputs:
        edges = windows[:, :, [0, -1]].astype(np.float32).mean(axis=(1, 3))  # [n, 2]
        return replace(FakeEngine().run(windows), summaries=edges)


@pytest.mark.parametrize(
    ("brightness", "logit", "log10_lr", "verdict"),
    [
        (0, -8.0, -3.0, Verdict.REAL),
        (1, -7.9375, -3.0, Verdict.REAL),
        (80, -3.0, -3.0, Verdict.REAL),
        (96, -2.0, -2.0, Verdict.UNCERTAIN),
        (128, 0.0, 0.0, Verdict.UNCERTAIN),
        (144, 1.0, 1.0, Verdict.UNCERTAIN),
        (160, 2.0, 2.0, Verdict.UNCERTAIN),
        (161, 2.0625, 2.0625, Verdict.FAKE),
        (255, 7.9375, 3.0, Verdict.FAKE),
    ],
)
def test_answer_follows_from_the_arithmetic(
    detector: Detector, brightness: int, logit: float, log10_lr: float, verdict: Verdict
) -> None:
    answer = detector.predict(picture(brightness))
    assert answer.logit == logit
    assert answer.log10_lr == pytest.approx(log10_lr)
    assert answer.prob_fake == pytest.approx(10**log10_lr / (1 + 10**log10_lr))
    assert answer.verdict is verdict


def test_answer_repeats_the_facts_of_the_picture(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "grey.png"
    file.write_bytes(picture(200, 300, 120))
    image, answer = decode(file), detector.predict(file)
    assert (answer.source, answer.sha256) == (str(file), image.sha256)
    assert (answer.format, answer.size_bytes) == ("PNG", file.stat().st_size)
    assert (answer.width, answer.height) == (300, 120)
    assert answer.boxes.shape == (answer.windows, 4)
    assert answer.window_prob_fake == pytest.approx([answer.prob_fake] * answer.windows)
    assert answer.embedding.shape == (512,)
    assert answer.embedding.dtype == np.float32
    assert answer.embedding[:3] == pytest.approx([200 / 255] * 3)
    assert answer.detector_id == detector.detector_id == detector.card.detector_id
    assert answer.latency_ms > 0


def test_a_path_its_text_its_bytes_a_stream_and_an_image_give_one_answer(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture(150))
    with file.open("rb") as stream:
        answers = [detector.predict(source) for source in (file, str(file), file.read_bytes(), stream, decode(file))]
    answers.append(detector.predict_image(decode(file)))
    assert {answer.prob_fake for answer in answers} == {answers[0].prob_fake}
    assert {answer.sha256 for answer in answers} == {answers[0].sha256}


@pytest.mark.parametrize(("pooling", "logit"), [("mean", 0.0), ("max", 4.0), ("median", 0.0)])
def test_windows_are_pooled_in_the_sign_of_fake(pooling: str, logit: float) -> None:
    half = np.full((96, 192, 3), 64, np.uint8)  # left dark: score -4, right bright: score 4
    half[:, 96:] = 192
    buffer = io.BytesIO()
    PilImage.fromarray(half).save(buffer, "PNG")
    answer = Detector(engine=FakeEngine(), card=card(pooling=pooling)).predict(buffer.getvalue())
    assert answer.windows == 2
    assert answer.logit == logit
    assert answer.window_prob_fake == pytest.approx([1 / 1001, 1000 / 1001])


def test_a_trial_is_the_answer_for_a_grey_picture(detector: Detector) -> None:
    answer = detector.trial()
    assert answer.logit == 0.0
    assert answer.embedding[:3] == pytest.approx(128 / 255)
    assert answer.detector_id == detector.detector_id


def test_a_summary_is_the_mean_over_the_windows_of_a_picture(detector: Detector) -> None:
    half = np.full((96, 192, 3), 64, np.uint8)  # two windows
    half[:, 96:] = 192
    half[:, -1] = 0
    buffer = io.BytesIO()
    PilImage.fromarray(half).save(buffer, "PNG")
    telling = Detector(engine=TellingEngine(), card=card())
    first, second, third = telling.predict_many([picture(10), buffer.getvalue(), picture(30)], batch_size=8)
    for answer, expected in ((first, [10, 10]), (second, [128, 32]), (third, [30, 30])):
        assert isinstance(answer, Prediction)
        assert answer.summary is not None
        assert answer.summary.dtype == np.float32
        assert answer.summary == pytest.approx(expected)
    assert detector.predict(picture(10)).summary is None
    assert "summary" not in repr(first)


def sources(tmp_path: Path) -> list[Any]:
    """Good and bad ones mixed."""
    (tmp_path / "cut.png").write_bytes(picture(10)[:-40])
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    return [
        picture(0),
        tmp_path / "nowhere.jpg",
        picture(100, 400, 300),
        tmp_path / "text.jpg",
        picture(130),
        tmp_path / "cut.png",
        picture(255, 50, 60),
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16, 1000])
def test_published_error_15_a_corrupt_file_is_a_row_and_the_others_go_on(
    detector: Detector, tmp_path: Path, batch_size: int
) -> None:
    answers = list(detector.predict_many(sources(tmp_path), batch_size=batch_size))
    shown = [answer.code if isinstance(answer, Failure) else answer.logit for answer in answers]
    assert shown == [-8.0, "not_found", -1.75, "unreadable_image", 0.125, "unreadable_image", 7.9375]
    failure = answers[1]
    assert isinstance(failure, Failure)
    assert failure.source == str(tmp_path / "nowhere.jpg")
    assert failure.error
    assert failure.source not in failure.error  # the column source says it already


def test_many_give_the_same_answers_as_one_by_one(detector: Detector) -> None:
    generator = np.random.default_rng(0)
    pictures = []
    for side in (50, 96, 200, 500):
        buffer = io.BytesIO()
        PilImage.fromarray(generator.integers(0, 256, (side, side + 7, 3), dtype=np.uint8)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    many = list(detector.predict_many(pictures, batch_size=64))
    for source, together in zip(pictures, many, strict=True):
        alone = detector.predict(source)
        assert isinstance(together, Prediction)
        assert together.prob_fake == pytest.approx(alone.prob_fake, abs=1e-9)
        assert np.array_equal(together.boxes, alone.boxes)
        assert together.embedding == pytest.approx(alone.embedding, abs=1e-6)


def test_windows_of_several_pictures_share_a_call() -> None:
    engine = CountingEngine()
    answers = list(Detector(engine=engine, card=card()).predict_many([picture(0)] * 10, batch_size=4))
    assert len(answers) == 10
    assert engine.calls == [4, 4, 2]


def test_a_picture_of_many_windows_fills_a_call_by_itself() -> None:
    engine = CountingEngine()
    large = picture(0, 800, 800)  # 16 windows of the 9 x 9 that would cover it
    list(Detector(engine=engine, card=card(count=16)).predict_many([picture(0), large, picture(0)], batch_size=8))
    assert engine.calls == [17, 1]


def test_sources_are_drawn_no_further_than_answers_are_asked_for(detector: Detector) -> None:
    drawn = []

    def endless() -> Iterator[bytes | Path]:
        while True:
            drawn.append(1)
            yield picture(0) if len(drawn) % 2 else Path("nowhere.png")

    answers = detector.predict_many(endless(), batch_size=4)
    for _ in range(9):
        next(answers)
    assert len(drawn) <= 12


def test_no_sources_no_answers(detector: Detector) -> None:
    assert list(detector.predict_many([])) == []


def test_only_failures_never_reach_the_engine() -> None:
    engine = CountingEngine()
    answers = list(Detector(engine=engine, card=card()).predict_many([Path("nowhere.png")] * 3, batch_size=2))
    assert [type(answer) for answer in answers] == [Failure] * 3
    assert engine.calls == []


def test_one_bad_picture_raises_when_asked_for_one(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError):
        detector.predict(tmp_path / "nowhere.png")


def test_a_batch_size_that_makes_no_sense_is_refused_at_once(detector: Detector) -> None:
    with pytest.raises(UsageError, match="batch_size must be at least 1, got 0"):
        detector.predict_many([], batch_size=0)


class BrokenEngine:
    """Overflows, as half precision does."""

    name = "broken"

    def run(self, windows: UInt8Array) -> Outputs:
        n = len(windows)
        return Outputs(logits=np.full(n, np.nan, np.float32), embeddings=np.zeros((n, 512), np.float32))


def test_a_logit_that_is_no_number_is_an_error_and_not_a_verdict() -> None:
    with pytest.raises(DetectorError, match="engine broken gave a logit that is not a finite number"):
        Detector(engine=BrokenEngine(), card=card()).predict(picture(0))


def test_a_detector_is_loaded_from_its_folder(tmp_path: Path) -> None:
    written = write_detector(tmp_path / "d", {}, card(count=2, pooling="max"))
    for place in (tmp_path / "d", str(tmp_path / "d")):
        loaded = Detector.from_pretrained(place, engine="fake")
        assert loaded.card == written
        assert loaded.window == WindowConfig(size=96, count=2, pooling="max")
        assert loaded.calibration == CALIBRATION
        assert loaded.predict(picture(144)).logit == 1.0


def test_a_folder_without_a_detector_is_said(tmp_path: Path) -> None:
    with pytest.raises(DetectorMissingError):
        Detector.from_pretrained(tmp_path, engine="fake")


def test_a_card_without_a_usable_calibration_is_a_format_error(tmp_path: Path) -> None:
    write_detector(tmp_path / "d", {}, card().replaced(calibration={"slope": -1}))
    with pytest.raises(DetectorFormatError, match="calibration"):
        Detector.from_pretrained(tmp_path / "d", engine="fake")


def test_a_detector_does_not_change(detector: Detector) -> None:
    with pytest.raises(FrozenInstanceError):
        detector.calibration = CALIBRATION  # type: ignore[misc]


@pytest.mark.parametrize(("size", "judged"), [((48, 48), True), ((47, 300), False), ((300, 47), False)])
def test_a_picture_too_small_to_show_a_trace_is_refused_and_not_called_real(
    detector: Detector, size: tuple[int, int], judged: bool
) -> None:
    (answer,) = detector.predict_many([picture(90, *size)])
    assert isinstance(answer, Prediction) is judged
    if isinstance(answer, Failure):
        assert answer.code == "too_small"
        assert "a side below 48" in answer.error


@pytest.mark.parametrize("one", ["photo.jpg", Path("photo.jpg"), b"bytes"])
def test_one_path_is_not_a_list_of_pictures(detector: Detector, one: Any) -> None:
    with pytest.raises(UsageError, match="predict_many takes a list of pictures, not one"):
        detector.predict_many(one)


def test_another_kind_of_picture_is_refused_with_the_kinds_there_are(detector: Detector) -> None:
    with pytest.raises(TypeError, match="a path, the bytes of a file, a binary stream or an Image, got ndarray"):
        detector.predict(np.zeros((96, 96, 3), np.uint8))  # type: ignore[arg-type]


def test_a_printed_answer_is_one_line_without_its_arrays(detector: Detector) -> None:
    text = repr(detector.predict(picture(90)))
    assert "embedding" not in text
    assert "verdict" in text
