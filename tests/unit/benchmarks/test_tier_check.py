"""Tiers of a detector, with one whose answers are known: it calls bright pictures fake."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import tier_check
from PIL import Image as PilImage

from ganfingerprint.detector import Detector


def test_each_tier_has_a_row_and_aligned_fakes_have_no_part(
    bright_detector: Detector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("path", "label", "generator", "family", "split", "group", "source")]
    for number in range(30):
        fake = number % 2 == 1
        family = ("proxy" if number % 10 == 9 else "gan") if fake else "photo"
        brightness = 20 + number if not fake or family == "proxy" else 200 + number
        PilImage.new("RGB", (200, 200), (brightness,) * 3).save(tmp_path / f"{number}.png")
        rows.append((f"{number}.png", "fake" if fake else "real", "", family, "test", str(number), "drawn"))
    (tmp_path / "broken.png").write_bytes(b"nothing")
    rows.append(("broken.png", "fake", "", "gan", "test", "broken", "drawn"))
    with (tmp_path / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    monkeypatch.setattr(Detector, "from_pretrained", lambda folder: bright_detector)
    output = tmp_path / "out" / "tiers.csv"
    monkeypatch.setattr(
        sys, "argv", ["tier_check.py", "--data-root", str(tmp_path), "--tiers", "web,hard", "--output", str(output)]
    )
    tier_check.main()
    with output.open() as stream:
        found = list(csv.DictReader(stream))
    assert [row["tier"] for row in found] == ["web", "hard"]
    for row in found:
        assert (row["fakes"], row["photographs"], row["failed"]) == ("12", "15", "1")
        assert float(row["auc"].split()[0]) == 1.0  # with the dark aligned fakes it would be less
        assert float(row["recall_shipped"].split()[0]) == 1.0
        assert float(row["false_alarm_rate_shipped"].split()[0]) == 0.0
    assert capsys.readouterr().out.count("'tier'") == 2
