"""A report of a scan shows the table's own numbers, and examines only what is still what was judged."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import Card
from ganfingerprint.detector import Detector
from ganfingerprint.errors import ScanError, UsageError
from ganfingerprint.report import scanned
from ganfingerprint.report.content import report_content
from ganfingerprint.report.page import report_page
from ganfingerprint.report.scanned import CHANGED, CUSTODY, ELSEWHERE, GONE, Scanned, select
from ganfingerprint.scan.query import ask
from ganfingerprint.scan.run import scan
from ganfingerprint.scan.settings import ScanSettings

HERE = ScanSettings(workers=0, batch_size=4)
SHADES = (40, 90, 130, 160, 190, 220, 250)


@pytest.fixture
def table(bright_detector: Detector, tmp_path: Path) -> Path:
    """The scan of seven pictures from dark to bright, a copy of the brightest, and one that is none."""
    root = tmp_path / "in"
    root.mkdir()
    for shade in SHADES:
        PilImage.fromarray(np.full((100, 120, 3), shade, np.uint8)).save(root / f"{shade:03}.png")
    (root / "copy.png").write_bytes((root / "250.png").read_bytes())
    (root / "bad.jpg").write_bytes(b"nothing")
    scan(bright_detector, [str(root)], tmp_path / "scan", HERE)
    return tmp_path / "scan"


def reported(found: Scanned, detector: Detector, most: int = 20) -> dict[str, Any]:
    return report_content(found.examinations(detector, most=most), detector, custody=CUSTODY, scan=found)


def by_name(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {Path(row["source"]).name: row for row in content["rows"]}


def test_the_numbers_are_those_of_the_table(table: Path, bright_detector: Detector) -> None:
    content = reported(select(table), bright_detector)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    kept = {row["path"]: row for row in ask(table).to_pylist()}
    assert len(content["rows"]) == len(kept) == 9
    for row in content["rows"]:
        own = kept[row["source"]]
        assert (row["score"], row["prob_fake"], row["log10_lr"]) == (own["logit"], own["prob_fake"], own["log10_lr"])
        assert (row["verdict"], row["windows"], row["sha256"] or None) == (
            own["verdict"], own["windows"], own["sha256"]
        )  # fmt: skip
    scores = [row["score"] for row in content["rows"]]
    assert scores[:-1] == sorted(scores[:-1], reverse=True)
    assert scores[-1] is None  # what could not be read comes last
    verdicts = [row["verdict"] for row in kept.values()]
    assert content["counts"] == {
        "pictures": 9, "not read": 1, **{name: verdicts.count(name) for name in ("real", "uncertain", "fake")}
    }  # fmt: skip


def test_the_page_shows_every_row_and_what_was_examined(table: Path, bright_detector: Detector) -> None:
    content = reported(select(table), bright_detector, most=3)
    assert [picture["source"][-7:-4] for picture in content["pictures"]] == ["250", "220", "190"]
    assert by_name(content)["copy.png"]["picture"] == by_name(content)["250.png"]["picture"] == 0
    assert by_name(content)["160.png"]["picture"] is None
    assert content["scan"]["examined"] == 3
    for row in content["rows"]:
        if row["picture"] is not None:
            examined = content["pictures"][row["picture"]]
            assert examined["sha256"] == row["sha256"]
            assert examined["score"] == pytest.approx(row["score"], abs=1e-4)
    text = unescape(report_page(content))
    rows = re.findall(r'<tr data-verdict="(\w+)">(.*?)</tr>', text)
    assert [verdict for verdict, _ in rows] == [row["verdict"] or "none" for row in content["rows"]]
    for row, (_, shown) in zip(content["rows"], rows, strict=True):
        assert row["source"] in shown
        assert row["error"]["code"] in shown if row["error"] else f"{row['prob_fake']:.3f}" in shown
    assert text.count('<section class="picture"') == 3
    assert "Of 3 the file was examined again" in text
    assert CUSTODY in text


def test_a_condition_and_a_number_choose_rows_and_what_is_left_out_is_said(
    table: Path, bright_detector: Detector
) -> None:
    content = reported(select(table, where="verdict = 'fake'", top=2), bright_detector, most=0)
    fakes = ask(table, where="verdict = 'fake'").num_rows
    assert content["counts"]["fake"] == content["counts"]["pictures"] == fakes == content["scan"]["matching"]
    assert (content["scan"]["rows"], content["scan"]["shown"], content["scan"]["left_out"]) == (9, 2, fakes - 2)
    assert content["pictures"] == []
    text = unescape(report_page(content))
    assert f"The 2 likeliest to be generated are shown; {fakes - 2} are left out here." in text
    assert f"; for {fakes} the condition <code>verdict = 'fake'</code> holds." in text
    assert f"<h1>Scan of {fakes} pictures" in text
    assert "All of them are shown." in report_page(reported(select(table), bright_detector, most=0))


def test_no_page_holds_more_rows_than_a_browser_can_sort(
    table: Path, bright_detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanned, "MOST_ROWS", 4)
    for top in (0, 6):
        found = select(table, top=top)
        assert len(found.rows) == 4
        assert found.content()["left_out"] == 5
        assert found.counts["pictures"] == 9


def test_a_file_that_is_gone_or_has_changed_says_so(table: Path, bright_detector: Detector) -> None:
    root = table.parent / "in"
    (root / "220.png").unlink()
    (root / "090.png").unlink()
    PilImage.new("RGB", (100, 100), (7, 7, 7)).save(root / "190.png")
    content = reported(select(table), bright_detector, most=3)
    assert by_name(content)["220.png"]["note"] == by_name(content)["090.png"]["note"] == GONE  # examined or not
    assert by_name(content)["040.png"]["note"] == ""
    assert by_name(content)["190.png"]["note"] == CHANGED
    assert by_name(content)["190.png"]["verdict"] == "fake"  # as it was judged
    assert [picture["source"][-7:-4] for picture in content["pictures"]] == ["250", "160", "130"]  # the next in line
    text = report_page(content)
    assert f"({GONE})" in text
    assert f"({CHANGED})" in text


def test_an_examination_that_says_otherwise_is_noted_and_the_row_stays(table: Path, bright_detector: Detector) -> None:
    """As where stability turns a verdict into `cannot tell`."""
    found = select(table, top=3)
    found.rows[2]["verdict"] = "uncertain"
    content = reported(found, bright_detector)
    assert [row["verdict"] for row in content["rows"]] == ["fake", "fake", "uncertain"]
    assert [row["note"] for row in content["rows"]] == ["", "", "examined again: looks generated"]
    assert content["pictures"][1]["words"] == "looks generated"


def test_members_of_archives_are_rows_and_are_not_examined(
    bright_detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    PilImage.new("RGB", (100, 100), (250, 250, 250)).save("a.png")
    with zipfile.ZipFile("some.zip", "w") as packed:
        packed.write("a.png", "inner/a.png")
    with tarfile.open("some.tar", "w") as archive:
        archive.add("a.png", "b.png")
    scan(bright_detector, ["some.zip", "some.tar"], tmp_path / "scan", HERE)
    content = reported(select(tmp_path / "scan"), bright_detector)
    assert [row["note"] for row in content["rows"]] == [ELSEWHERE, ELSEWHERE]
    assert content["pictures"] == []


def test_paths_are_relative_to_where_the_scan_was_begun(
    bright_detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    name = "caf\udce9.png"
    PilImage.new("RGB", (100, 100), (250, 250, 250)).save("plain.png")
    try:
        Path(name).write_bytes(Path("plain.png").read_bytes() + b"more")
    except (OSError, UnicodeEncodeError):
        pytest.skip("names on this system are text")
    scan(bright_detector, ["."], tmp_path / "scan", HERE)
    monkeypatch.chdir(tmp_path)
    content = reported(select(tmp_path / "scan"), bright_detector)
    assert sorted(picture["source"] for picture in content["pictures"]) == ["caf\\udce9.png", "plain.png"]


def test_another_detector_is_refused(table: Path, bright_detector: Detector) -> None:
    found = select(table)
    found.require(bright_detector)
    card: Card = bright_detector.card.replaced(window={**bright_detector.card.window, "size": 128})
    other = Detector(engine=bright_detector.engine, card=card)
    assert other.detector_id != bright_detector.detector_id
    with pytest.raises(UsageError, match=f"{bright_detector.detector_id}.*not mixed"):
        found.require(other)
    with pytest.raises(UsageError, match="an engine that computes the network"):
        replace(found, settings={**found.settings, "engine": "of the network"}).require(bright_detector)


def test_a_folder_that_is_no_scan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no scan here"):
        select(tmp_path)
    for text in ("", "{}", "[]", '{"settings": {"inputs": []}}'):
        (tmp_path / "scan.json").write_text(text)
        with pytest.raises(ScanError, match="damaged, or of another version"):
            select(tmp_path)


def test_a_manifest_of_a_row_is_read(
    bright_detector: Detector, tmp_path: Path, signer: Any, draw_picture: Callable[..., Any]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(signer.sign(draw_picture(1)))
    scan(bright_detector, [str(tmp_path / "in")], tmp_path / "scan", HERE)
    found = select(tmp_path / "scan")
    (examined,) = found.examinations(bright_detector, most=1, trust=signer.root)
    assert examined.provenance is not None
    assert examined.provenance.state == "trusted"
