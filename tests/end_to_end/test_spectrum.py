"""`spectrum` as its users call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.cli.main import main


@pytest.fixture
def folders(tmp_path: Path, draw_picture: Callable[..., Any]) -> Path:
    for name, fake in (("photos", False), ("generated", True)):
        (tmp_path / name).mkdir()
        for seed in range(12):
            grain = np.random.default_rng(seed).normal(0, 6, (224, 224, 1))
            pixels = draw_picture(seed, fake=fake, height=224, width=224) + grain
            PilImage.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / name / f"{seed}.png")
    return tmp_path


def test_folders_side_by_side(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folders / "out" / "spectra.png"
    assert main(["spectrum", str(folders / "photos"), str(folders / "generated"), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    spectra = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))["spectra"]
    assert list(spectra) == ["photos", "generated"]
    assert spectra["generated"]["pictures"] == 12
    # a checkerboard of 2 x 2 pixels repeats after four
    assert {(abs(peak["across"]), peak["down"]) for peak in spectra["generated"]["peaks"]} >= {(0.25, 0.25)}
    assert not any(peak["down"] == 0.25 for peak in spectra["photos"]["peaks"])
    shown = capsys.readouterr().out
    assert "generated" in shown
    assert "+0.250" in shown


def test_a_damaged_file_is_named_and_the_others_count(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "photos" / "0.jpg").write_bytes(b"\xff\xd8\xff\xe0 no")
    arguments = ["spectrum", str(folders / "photos"), "--pictures", "5", "--out", str(folders / "s.png")]
    assert main(arguments) == 2
    assert "0.jpg" in capsys.readouterr().err
    assert json.loads((folders / "s.json").read_text(encoding="utf-8"))["spectra"]["photos"]["pictures"] == 5


def test_refusals(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", str(folders / "photos"), "--out", "s.pdf"]) == 1
    assert "name it like spectrum.png" in capsys.readouterr().err
    (folders / "empty").mkdir()
    assert main(["spectrum", str(folders / "empty"), "--out", str(folders / "s.png")]) == 1
    assert "no picture of it can be read; --recursive" in capsys.readouterr().err
