"""The plain detectors see what their papers say they look at."""

from __future__ import annotations

import argparse
from pathlib import Path

import baselines
import numpy as np
import pytest
import torch
from PIL import Image as PilImage

from ganfingerprint.catalog import Sample, read_catalog
from ganfingerprint.types import Label


def test_a_ring_of_the_spectrum_shows_its_period(tmp_path: Path) -> None:
    x = np.arange(224)
    wave = 30 * np.cos(2 * np.pi * np.hypot(*np.meshgrid(x, x)) / 8)[:, :, None].repeat(3, 2)  # rings around a corner
    noise = np.random.default_rng(0).normal(120, 20, (224, 224, 3))
    PilImage.fromarray(np.clip(noise + wave, 0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    (profile,) = baselines.azimuthal([Sample(path=tmp_path / "a.png", label=Label.FAKE)])
    assert profile.shape == (112,)
    assert profile[0] == 1.0
    assert abs(int(np.argmax(profile[5:])) + 5 - 28) <= 1  # 28 cycles of 8 pixels


def test_npr_sees_nothing_of_pixels_that_are_doubled() -> None:
    torch.manual_seed(0)
    model = baselines.Npr().eval()
    small = np.random.default_rng(0).integers(0, 256, (2, 56, 56, 3), dtype=np.uint8)
    doubled = small.repeat(2, 1).repeat(2, 2)
    with torch.inference_mode():
        found, flat = model(doubled), model(np.full_like(doubled, 90))
        noise = model(np.random.default_rng(1).integers(0, 256, doubled.shape, dtype=np.uint8))
    assert found.shape == (2,)
    torch.testing.assert_close(found, flat)  # the residual of both is zero everywhere
    assert not torch.allclose(noise, flat, atol=1e-4)


def test_scores_are_of_test_and_external_and_are_not_made_twice(
    drawn_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "JUDGED", ("test",))
    monkeypatch.setattr(baselines, "SIDE", 64)
    file = tmp_path / "scores.csv"
    called: list[str] = []

    def arguments(only: str) -> None:
        monkeypatch.setattr(
            "sys.argv", ["baselines.py", "--data-root", str(drawn_root), "--scores", str(file), "--only", only]
        )

    arguments("durall*")
    baselines.main()
    columns = baselines.read_columns(file)
    expected = [s.path.relative_to(drawn_root).as_posix() for s in read_catalog(drawn_root).split("test")]
    assert columns["path"] == expected
    assert len({*columns["durall-2020"]}) > 1
    monkeypatch.setitem(baselines.BASELINES, "durall-2020", lambda *_: called.append("again"))
    baselines.main()
    assert called == []


def test_npr_learns_for_its_minutes(drawn_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "SIDE", 64)
    monkeypatch.setattr(baselines, "BATCH", 4)
    catalog = read_catalog(drawn_root)
    judged = list(catalog.split("test"))
    scores = baselines.npr(catalog, judged, argparse.Namespace(seed=1, minutes=0.03))
    assert scores.shape == (len(judged),)
    assert np.isfinite(scores).all()
