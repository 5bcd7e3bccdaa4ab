"""A detector after deliveries: the same pictures each time, a row each, and nothing lost of those that fail."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.catalog import Sample, read_catalog
from ganfingerprint.delivery import TIERS, Delivery
from ganfingerprint.detector import Detector
from ganfingerprint.evaluation.delivery_plots import plot_deliveries
from ganfingerprint.evaluation.measure import DeliveryFigures, Evaluation
from ganfingerprint.evaluation.protocol import score_table
from ganfingerprint.evaluation.robustness import AS_IT_IS, delivered, measure_deliveries, write_deliveries
from ganfingerprint.evaluation.run import evaluate
from ganfingerprint.evaluation.summary import summary_markdown
from ganfingerprint.types import Image, Label, UInt8Array


class Darker(Delivery):
    """Bright fakes arrive as dark as photographs, some darker: a detector of brightness loses them."""

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return pixels % 40


DELIVERIES = {"web": TIERS["web"], "darker": Darker()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen photographs, twelve fakes, three aligned fakes that are dark, one broken file."""
    folder = tmp_path_factory.mktemp("data")
    rows = [("path", "label", "generator", "family", "split", "group", "source")]
    for number in range(30):
        fake = number % 2 == 1
        family = ("proxy" if number % 10 == 9 else "gan") if fake else "photo"
        brightness = 20 + number if not fake or family == "proxy" else 200 + number
        PilImage.new("RGB", (200, 200), (brightness,) * 3).save(folder / f"{number}.png")
        rows.append((f"{number}.png", "fake" if fake else "real", "", family, "test", str(number), "drawn"))
    (folder / "broken.png").write_bytes(b"nothing")
    rows.append(("broken.png", "fake", "", "gan", "test", "broken", "drawn"))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def found(bright_detector: Detector, root: Path) -> tuple[DeliveryFigures, ...]:
    samples = read_catalog(root).split("test")
    as_it_is = score_table(samples, bright_detector.predict_many(sample.path for sample in samples), root)
    told: list[tuple[str, int, int]] = []
    rows = measure_deliveries(
        bright_detector, samples, as_it_is, DELIVERIES, seed=3, resamples=100, advance=lambda *step: told.append(step)
    )
    assert told == [(name, done, 31) for name in DELIVERIES for done in range(1, 32)]
    return rows


def test_each_delivery_has_a_row_and_aligned_fakes_have_no_part(found: tuple[DeliveryFigures, ...]) -> None:
    assert [row.name for row in found] == [AS_IT_IS, *DELIVERIES]
    for row in found:
        assert (row.figures.n_fake, row.figures.n_real, row.failed) == (12, 15, 1)
    untouched, web, darker = found
    assert untouched.auc_lost is None
    for row in (untouched, web):
        assert row.figures.figures["auc"].value == 1.0  # with the dark aligned fakes it would be less
        assert row.figures.figures["recall_shipped"].value == 1.0
        assert row.figures.figures["false_alarm_rate_shipped"].value == 0.0
    assert darker.figures.figures["recall_shipped"].value == 0.0


def test_what_is_lost_is_the_difference_with_an_interval_of_its_own(found: tuple[DeliveryFigures, ...]) -> None:
    _, web, darker = found
    assert web.auc_lost is not None
    assert darker.auc_lost is not None
    assert web.auc_lost.value == 0.0
    assert math.isnan(web.auc_lost.low)  # no resample lost anything
    assert darker.auc_lost.value == pytest.approx(1.0 - darker.figures.figures["auc"].value)
    assert darker.auc_lost.low <= darker.auc_lost.value <= darker.auc_lost.high


def test_the_table_has_value_and_ends_of_each_figure(found: tuple[DeliveryFigures, ...], tmp_path: Path) -> None:
    write_deliveries(found, tmp_path / "deliveries.csv")
    with (tmp_path / "deliveries.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["delivery"] for row in rows] == [AS_IT_IS, "web", "darker"]
    assert rows[0]["auc_lost_value"] == ""
    assert float(rows[2]["recall_shipped_value"]) == 0.0
    assert float(rows[2]["auc_lost_low"]) <= float(rows[2]["auc_lost_value"]) <= float(rows[2]["auc_lost_high"])
    assert {row["fakes"] for row in rows} == {"12"}


def test_the_figure_shows_every_delivery_from_the_top(found: tuple[DeliveryFigures, ...]) -> None:
    figure = plot_deliveries(found)
    left, right = figure.axes
    names = {text.get_text(): tick for tick, text in zip(left.get_yticks(), left.get_yticklabels(), strict=True)}
    assert names == {AS_IT_IS: 2, "web": 1, "darker": 0}
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in dots] == [2, 1, 0]  # type: ignore[index]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "fakes called fake",
        "photographs called fake",
    ]
    assert right.get_xlim() == (-0.02, 1.02)


def test_an_evaluation_with_deliveries_tells_of_them_everywhere(
    bright_detector: Detector, root: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    done: Evaluation = evaluate(
        bright_detector, data_root=root, output_dir=tmp_path, by=(), samples=50, deliveries=DELIVERIES,
        advance=lambda name, *_: told.append(name),
    )  # fmt: skip
    assert set(told) == set(DELIVERIES)
    assert [row["delivery"] for row in done.as_dict()["deliveries"]] == [AS_IT_IS, *DELIVERIES]
    page = (tmp_path / "summary.md").read_text()
    assert page == summary_markdown(done, _links(page))
    assert "## After a delivery" in page
    assert "| darker |" in page
    assert (tmp_path / "deliveries.csv").is_file()
    assert (tmp_path / "figures" / "deliveries.png").is_file()


def _links(page: str) -> dict[str, str]:
    lines = [line for line in page.splitlines() if line.startswith("![")]
    return {line[2:].partition("](")[0]: line.partition("](")[2].rstrip(")") for line in lines}


def test_a_picture_that_cannot_be_read_comes_as_its_path(
    drawn_root: Path, tmp_path: Path, draw_picture: Callable[..., UInt8Array]
) -> None:
    good = read_catalog(drawn_root).split("test")[0]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    bad = Sample(path=broken, label=Label.FAKE)
    first, second = delivered([good, bad], TIERS["web"])
    assert isinstance(first, Image)
    assert second == broken
