"""Questions to the table of a scan: conditions choose rows, and can do nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage

from ganfingerprint.cli.main import main
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ScanError
from ganfingerprint.scan.query import ask, settings_of, tally
from ganfingerprint.scan.run import ScanSettings, scan
from ganfingerprint.scan.schema import meant, shown

HERE = ScanSettings(workers=0, batch_size=4, shard_size=5)


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(out).to_pylist()
    return found


@pytest.fixture
def scanned(bright_detector: Detector, tmp_path: Path) -> Path:
    """The table of twelve pictures, dark to bright, and two files that are none."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(12):
        pixels = np.full((100, 130, 3), 10 + 20 * number, np.uint8)
        PilImage.fromarray(pixels).save(root / f"{number:02}.png")
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.png").write_text("no picture")
    scan(bright_detector, [str(root)], tmp_path / "out", HERE)
    return tmp_path / "out"


def test_a_condition_chooses_rows(scanned: Path) -> None:
    everything = rows(scanned)
    found = ask(scanned, where="verdict = 'fake' and width > 100").to_pylist()
    assert [row["path"] for row in found] == [row["path"] for row in everything if row["verdict"] == "fake"]
    top = ask(scanned, top=3).to_pylist()
    assert [row["logit"] for row in top] == sorted(r["logit"] for r in everything if r["logit"] is not None)[:-4:-1]
    assert ask(scanned, where="error_code is not null").num_rows == 2


def test_a_scan_without_rows_yet_can_be_asked(bright_detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    scan(bright_detector, [str(tmp_path / "empty")], tmp_path / "out", HERE)
    assert ask(tmp_path / "out", where="verdict = 'fake'").num_rows == 0
    with pytest.raises(ScanError, match="no scan here"):
        ask(tmp_path / "empty")


@pytest.mark.parametrize(
    "where",
    [
        "verdict =",
        "nothing = 1",
        "1=1); DROP VIEW results; --",
        "1=1; COPY results TO 'stolen.csv'",
        "path in (SELECT content FROM read_text('/etc/hostname'))",
        "path in (SELECT path FROM read_parquet('*.parquet'))",
    ],
)
def test_a_question_that_is_no_condition_is_refused(
    scanned: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(scanned.iterdir())
    assert main(["results", str(scanned), "--where", where]) == 1
    assert capsys.readouterr().err.startswith("error [scan]: this cannot be asked")
    assert sorted(scanned.iterdir()) == before


def test_rows_are_counted_by_verdict(scanned: Path) -> None:
    verdicts = [row["verdict"] for row in rows(scanned)]
    assert tally(scanned) == {verdict: verdicts.count(verdict) for verdict in set(verdicts)}
    assert tally(scanned)[None] == 2
    assert tally(scanned, where="verdict = 'fake'") == {"fake": verdicts.count("fake")}
    with pytest.raises(ScanError, match="cannot be asked"):
        tally(scanned, where="nothing = 1")


def test_the_settings_of_a_table_are_told(scanned: Path, bright_detector: Detector) -> None:
    found = settings_of(scanned)
    assert found["detector_id"] == bright_detector.detector_id
    assert (found["engine"], found["precision"]) == ("fake", bright_detector.engine.precision)


@given(st.text(st.sampled_from("\\ud89f0a\udc80\udcff"), max_size=12))
def test_a_name_comes_back_from_what_the_table_shows(name: str) -> None:
    assert meant(shown(name)) == name
