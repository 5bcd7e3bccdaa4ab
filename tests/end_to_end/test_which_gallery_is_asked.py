"""`--gallery` of `report` and `scan`: the gallery that is named, the one beside the detector, and none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint.artifact import read_card
from ganfingerprint.attribution import FILE_NAME, Gallery, save_gallery
from ganfingerprint.cli.main import main
from ganfingerprint.engines.fake_engine import FakeEngine


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without a gallery of their own."""
    monkeypatch.delenv("GANFINGERPRINT_GALLERY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))


def said(out: Path) -> list[dict[str, Any] | None]:
    pictures = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))["pictures"]
    return [picture["attribution"] for picture in pictures]


@pytest.mark.usefixtures("nowhere")
def test_the_gallery_of_the_detector_or_the_named_one_or_none_is_asked(
    tmp_path: Path, detector: Path, tint_gallery: Callable[[str], Gallery], tinted: Callable[..., bytes]
) -> None:
    picture, out = tmp_path / "a.png", tmp_path / "case.html"
    picture.write_bytes(tinted("blues"))
    command = ["report", str(picture), "--detector", str(detector), "--engine", "fake", "--out", str(out)]
    assert main(command) == 0
    assert said(out) == [None]
    known = tint_gallery(read_card(detector).detector_id)
    named = tmp_path / "named.safetensors"
    save_gallery(known.without("reds"), named)
    assert main([*command, "--gallery", str(named)]) == 0
    (first,) = said(out)
    assert first is not None
    assert (first["answer"], first["gallery_id"]) == ("blues", known.without("reds").gallery_id)
    own = tmp_path / "own" / "ganfingerprint" / f"gallery-{known.detector_id}.safetensors"
    own.parent.mkdir(parents=True)
    save_gallery(known, own)
    assert main(command) == 0
    assert [found and found["gallery_id"] for found in said(out)] == [known.gallery_id]


@pytest.mark.usefixtures("nowhere")
def test_a_gallery_that_was_asked_for_has_to_be_there_and_of_this_detector(
    tmp_path: Path,
    detector: Path,
    tint_gallery: Callable[[str], Gallery],
    tinted: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture, other = tmp_path / "a.png", tmp_path / "other.safetensors"
    picture.write_bytes(tinted("blues"))
    save_gallery(tint_gallery("another"), other)
    command = ["report", str(picture), "--detector", str(detector), "--engine", "fake"]
    command += ["--out", str(tmp_path / "case.html")]
    for gallery, reason in ((other, "two detectors cannot be compared"), (tmp_path / "no", "there is no gallery")):
        assert main([*command, "--gallery", str(gallery)]) == 1
        assert reason in capsys.readouterr().err
    monkeypatch.setenv("GANFINGERPRINT_GALLERY", str(other))
    assert main(command) == 1
    assert "two detectors cannot be compared" in capsys.readouterr().err
    monkeypatch.delenv("GANFINGERPRINT_GALLERY")
    beside = detector / FILE_NAME
    beside.write_bytes(other.read_bytes())  # as where a detector was trained anew: nobody asked for it
    try:
        assert main(command) == 0
        beside.write_bytes(b"damaged")
        assert main(command) == 1
        assert "is not a gallery, or a damaged one" in capsys.readouterr().err
    finally:
        beside.unlink()


@pytest.mark.usefixtures("nowhere")
def test_an_engine_that_the_gallery_does_not_fit_stops_who_asked_for_it_and_nobody_else(
    tmp_path: Path,
    detector: Path,
    tint_gallery: Callable[[str], Gallery],
    tinted: Callable[..., bytes],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = FakeEngine.run
    monkeypatch.setattr(
        FakeEngine, "run", lambda self, windows: replace(run(self, windows), summaries=np.ones((len(windows), 2)))
    )
    own = tmp_path / "own" / "ganfingerprint" / f"gallery-{read_card(detector).detector_id}.safetensors"
    own.parent.mkdir(parents=True)
    save_gallery(tint_gallery(read_card(detector).detector_id), own)
    picture = tmp_path / "a.png"
    picture.write_bytes(tinted("blues"))
    options = [str(picture), "--detector", str(detector), "--engine", "fake"]
    said = "takes 512 numbers of a picture, and the engine gave 514"
    assert main(["report", *options, "--out", str(tmp_path / "case.html")]) == 0
    assert f"no generators are named: the gallery {said}" in capsys.readouterr().err
    assert f"--gallery {own}" in json.loads((tmp_path / "case.json").read_text())["command"]
    (shown,) = json.loads((tmp_path / "case.json").read_text())["pictures"]
    assert shown["attribution"] is None
    for command in (["report", *options, "--out", str(tmp_path / "b.html"), "--gallery", str(own)],
                    ["attribute", *options],
                    ["gallery", "enroll", *options, "--name", "new"],
                    ["scan", *options, "--out", str(tmp_path / "scan"), "--workers", "0", "--attribute"]):  # fmt: skip
        assert main(command) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "scan").exists()


@pytest.mark.usefixtures("nowhere")
def test_a_scan_asks_one_where_it_is_told_to(
    tmp_path: Path,
    detector: Path,
    tint_gallery: Callable[[str], Gallery],
    tinted: Callable[..., bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("blues", "reds"):
        (tmp_path / "in" / f"{name}.png").write_bytes(tinted(name))
    named = tmp_path / "named.safetensors"
    save_gallery(tint_gallery(read_card(detector).detector_id), named)
    command = ["scan", str(tmp_path / "in"), "--detector", str(detector), "--engine", "fake", "--workers", "0"]

    def generators(out: str, *options: str) -> list[str | None]:
        assert main([*command, "--out", str(tmp_path / out), *options]) == 0
        capsys.readouterr()
        assert main(["results", str(tmp_path / out), "--format", "json"]) == 0
        return [row["generator"] for row in json.loads(capsys.readouterr().out)["rows"]]

    assert generators("without") == [None, None]
    assert generators("named", "--gallery", str(named)) == ["blues", "reds"]
    assert main([*command, "--out", str(tmp_path / "none"), "--attribute"]) == 1
    assert "there is no gallery" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    own = tmp_path / "own" / "ganfingerprint" / f"gallery-{read_card(detector).detector_id}.safetensors"
    own.parent.mkdir(parents=True)
    save_gallery(tint_gallery(read_card(detector).detector_id), own)
    assert generators("asked", "--attribute") == ["blues", "reds"]
    assert generators("unasked") == [None, None]
    capsys.readouterr()
    assert main(["results", str(tmp_path / "asked"), "--where", "generator = 'reds'", "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 2


@pytest.mark.usefixtures("nowhere")
def test_a_report_of_a_scan_has_the_generators_that_it_was_asked_for(
    tmp_path: Path, detector: Path, tint_gallery: Callable[[str], Gallery], tinted: Callable[..., bytes]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("greens", "photograph"):
        (tmp_path / "in" / f"{name}.png").write_bytes(tinted(name))
    (tmp_path / "in" / "text.png").write_text("none")
    named = tmp_path / "named.safetensors"
    save_gallery(tint_gallery(read_card(detector).detector_id), named)
    of = ["--detector", str(detector), "--engine", "fake"]
    for out, options in (("asked", ["--gallery", str(named)]), ("not", [])):
        main(["scan", str(tmp_path / "in"), "--out", str(tmp_path / out), "--workers", "0", *of, *options])
        page = tmp_path / f"{out}.html"
        assert main(["report", str(tmp_path / out), "--out", str(page), "--pictures", "0", *of]) in (0, 2)
        rows = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["rows"]
        told = {Path(row["source"]).stem: row["generator"] for row in rows}
        html = page.read_text(encoding="utf-8")
        if out == "not":
            assert set(told.values()) == {None}
            assert "<th>generator</th>" not in html
        else:
            assert told["text"] is None
            assert told["photograph"].startswith("photograph (")
            assert told["greens"].removeprefix("if one made it: ").startswith("greens (")
            assert f"<td><bdi>{told['greens']}</bdi></td>" in html
            assert html.count("<th>generator</th>") == 1
