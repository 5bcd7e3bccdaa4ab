"""A scan that says which generator it was: two columns more, and a setting like the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ganfingerprint.attribution import Gallery, attribute
from ganfingerprint.cli.main import main
from ganfingerprint.detector import Detector
from ganfingerprint.errors import GalleryError, ScanError
from ganfingerprint.scan.query import ask, tally
from ganfingerprint.scan.run import scan
from ganfingerprint.scan.settings import ScanSettings
from ganfingerprint.scan.writer import SETTINGS, SHARDS

HERE = ScanSettings(workers=0, batch_size=4, shard_size=5)
NAMES = ("reds", "greens", "photograph")


@pytest.fixture
def folder(tmp_path: Path, tinted: Callable[..., bytes]) -> Path:
    """Nine pictures, a copy of one of them, and a file that is none."""
    root = tmp_path / "in"
    root.mkdir()
    for name in NAMES:
        for number in range(3):
            (root / f"{name}-{number}.png").write_bytes(tinted(name, number))
    (root / "copy.png").write_bytes(tinted("reds", 1))
    (root / "text.png").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def gallery(bright_detector: Detector, tint_gallery: Callable[[str], Gallery]) -> Gallery:
    return tint_gallery(bright_detector.detector_id)


def rows(out: Path, where: str = "") -> dict[str, dict[str, Any]]:
    return {Path(row["path"]).name: row for row in ask(out, where=where).to_pylist()}


@pytest.mark.parametrize("dedup", [True, False])
def test_rows_say_which_generator_it_was(
    bright_detector: Detector, gallery: Gallery, folder: Path, tmp_path: Path, dedup: bool
) -> None:
    settings = ScanSettings(workers=0, batch_size=4, shard_size=5, dedup=dedup)
    scan(bright_detector, [str(folder)], tmp_path / "out", settings, gallery=gallery)
    found = rows(tmp_path / "out")
    assert len(found) == 11
    for name in ("reds", "greens"):
        row = found[f"{name}-0.png"]
        (expected,) = attribute([bright_detector.predict(folder / f"{name}-0.png")], gallery)
        assert (row["generator"], expected.answer) == (name, name)
        assert row["generator_probability"] == pytest.approx(expected.probability)
    columns = ("generator", "generator_probability", "logit")
    assert [found["copy.png"][name] for name in columns] == [found["reds-1.png"][name] for name in columns]
    assert (found["text.png"]["generator"], found["text.png"]["generator_probability"]) == (None, None)
    named = rows(tmp_path / "out", where="generator = 'greens' and generator_probability > 0.2")
    assert set(named) == {"greens-0.png", "greens-1.png", "greens-2.png"}


def test_the_table_for_people_shows_generators_where_they_were_asked_for(
    bright_detector: Detector, gallery: Gallery, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "asked", HERE, gallery=gallery)
    scan(bright_detector, [str(folder)], tmp_path / "not", HERE)
    capsys.readouterr()
    assert main(["results", str(tmp_path / "asked"), "--where", "generator = 'greens' or verdict is null"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[-1] == "generator"
    expected = rows(tmp_path / "asked")["greens-1.png"]["generator_probability"]
    assert next(line for line in lines if "greens-1.png" in line).rstrip().endswith(f"greens ({expected:.2f})")
    assert next(line for line in lines if "text.png" in line).rstrip().endswith("not read")
    assert main(["results", str(tmp_path / "not")]) == 0
    assert "generator" not in capsys.readouterr().out


def test_a_scan_goes_on_and_knows_what_it_said_of_equal_bytes(
    bright_detector: Detector, gallery: Gallery, folder: Path, tmp_path: Path
) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE, gallery=gallery)
    (folder / "late.png").write_bytes((folder / "greens-2.png").read_bytes())
    progress = scan(bright_detector, [str(folder)], tmp_path / "out", HERE, gallery=gallery)
    assert (progress.earlier, progress.done) == (11, 1)
    found = rows(tmp_path / "out")
    assert found["late.png"]["generator"] == found["greens-2.png"]["generator"] == "greens"
    assert found["late.png"]["generator_probability"] == found["greens-2.png"]["generator_probability"]


def test_going_on_with_another_gallery_or_none_is_refused(
    bright_detector: Detector, gallery: Gallery, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scan(bright_detector, [str(folder)], out, HERE, gallery=gallery)
    other = gallery.without("blues")
    for changed in (None, other):
        new = None if changed is None else other.gallery_id
        with pytest.raises(ScanError, match=f"gallery_id: {gallery.gallery_id} is now {new}"):
            scan(bright_detector, [str(folder)], out, HERE, gallery=changed)
    with pytest.raises(GalleryError, match="two detectors cannot be compared"):
        scan(bright_detector, [str(folder)], tmp_path / "new", HERE, gallery=replace(gallery, detector_id="another"))
    assert not (tmp_path / "new").exists()


def test_without_one_the_columns_are_null(bright_detector: Detector, folder: Path, tmp_path: Path) -> None:
    scan(bright_detector, [str(folder)], tmp_path / "out", HERE)
    assert {(row["generator"], row["generator_probability"]) for row in rows(tmp_path / "out").values()} == {
        (None, None)
    }


def test_a_table_from_before_the_columns_is_read_and_not_gone_on_with(
    bright_detector: Detector, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scan(bright_detector, [str(folder)], out, HERE)
    expected = rows(out)
    for shard in out.glob(SHARDS):
        pq.write_table(pq.read_table(shard).drop_columns(["generator", "generator_probability"]), shard)
    noted = json.loads((out / SETTINGS).read_text())
    del noted["settings"]["gallery_id"]
    (out / SETTINGS).write_text(json.dumps(noted | {"version": 1}))
    assert rows(out) == expected
    assert tally(out, where="generator is null") == tally(out)
    with pytest.raises(ScanError, match="another version of the table"):
        scan(bright_detector, [str(folder)], out, HERE)
