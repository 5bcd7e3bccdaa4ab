"""Detectors side by side: every score finds its picture, and the figures are those of the scores."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import rivals
from PIL import Image as PilImage

from ganfingerprint.detector import Detector
from ganfingerprint.evaluation.run import evaluate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Thirty photographs, thirty fakes of one GAN, and proxies that no headline counts."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [("path", "label", "generator", "family", "split", "group", "source")]
    for number in range(65):
        family = "photo" if number < 30 else "gan" if number < 60 else "proxy"
        shade = 40 + number if family != "gan" else 200
        PilImage.new("RGB", (100, 100), (shade,) * 3).save(folder / f"{number}.png")
        kind = ("real", "") if family == "photo" else ("fake", f"net-{family}")
        rows.append((f"{number}.png", *kind, family, "test", str(number), ""))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder


def test_tables_of_both_kinds_are_measured_alike(
    root: Path, bright_detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(bright_detector, data_root=root, output_dir=tmp_path / "own", by=(), samples=10)
    with (tmp_path / "others.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "coin", "upside-down"))
        for number in range(65):
            known = "" if number == 0 else str(float(not 30 <= number < 60))
            writer.writerow((f"{number}.png", "?", "0.5", known))
    arguments = ["--data-root", str(root), "--splits", "test", "--output", str(tmp_path / "rivals.csv")]
    scores = [str(tmp_path / "own" / "scores.parquet"), str(tmp_path / "others.csv")]
    monkeypatch.setattr(sys, "argv", ["rivals.py", *arguments, "--scores", *scores])
    rivals.main()
    with (tmp_path / "rivals.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    aucs = {(row["detector"], row["fakes"]): float(row["value"]) for row in rows if row["figure"] == "auc"}
    assert aucs == {
        ("own", "all"): 1.0, ("own", "GANs"): 1.0, ("coin", "all"): 0.5, ("coin", "GANs"): 0.5,
        ("upside-down", "all"): 0.0, ("upside-down", "GANs"): 0.0,
    }  # fmt: skip
    counts = {row["detector"]: (row["n_fake"], row["n_real"]) for row in rows}
    assert counts == {"own": ("30", "30"), "coin": ("30", "30"), "upside-down": ("30", "29")}
    assert {row["figure"] for row in rows} == {"auc", "tpr_at_fpr_1", "mean_auc_of_1_generators"}


def test_what_has_no_interval_has_empty_ends() -> None:
    assert rivals.shown(rivals.Interval(value=0.5)) == ("0.5000", "", "")
    assert rivals.shown(rivals.Interval(value=0.5, low=0.4, high=0.6)) == (
        "0.5000",
        "0.4000",
        "0.6000",
    )
