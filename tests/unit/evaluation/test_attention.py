"""Attention is drawn where there is any (see test_train_and_predict.py); elsewhere nothing is, and nothing stays."""

from __future__ import annotations

from pathlib import Path

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration
from ganfingerprint.catalog import read_catalog
from ganfingerprint.config import WindowConfig, to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.evaluation.attention import draw_attention
from ganfingerprint.evaluation.protocol import score_table


def test_an_engine_without_layers_shows_nothing_and_figures_of_an_earlier_evaluation_go(
    drawn_root: Path, tmp_path: Path
) -> None:
    window = to_mapping(WindowConfig(size=96, count=1))
    card = Card(architecture={}, window=window, calibration=Calibration.unfitted().to_mapping())
    judge = Detector(engine=FakeEngine(), card=card)
    samples = read_catalog(drawn_root).split("test")
    table = score_table(samples, judge.predict_many([sample.path for sample in samples]), drawn_root)
    (tmp_path / "attention-1.png").write_bytes(b"of another detector")
    (tmp_path / "roc.png").write_bytes(b"not ours to remove")
    assert draw_attention(judge, table, drawn_root, tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["roc.png"]
