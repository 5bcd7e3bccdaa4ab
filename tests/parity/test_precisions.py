"""Exports in lower precisions: what they are, what they must keep, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import read_card
from ganfingerprint.cli.main import main
from ganfingerprint.detector import Detector
from ganfingerprint.engines import load_engine
from ganfingerprint.errors import ExportError, UsageError
from ganfingerprint.export import run
from ganfingerprint.types import UInt8Array


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures, in folders that say what they are."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in ("real", "fake"):
        (folder / label).mkdir()
        for number in range(8):
            PilImage.fromarray(drawn(number + 4 * (label == "fake"))).save(folder / label / f"{number}.png")
    return folder


def drawn(seed: int) -> UInt8Array:
    """Noise and cells of noise in turn, so that answers differ."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    smooth = rough[::8, ::8].repeat(8, axis=0).repeat(8, axis=1) // 2 + rough // 16
    return np.asarray(rough if seed % 2 else smooth, np.uint8)


def generous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random networks answer anything: their verdicts and their AUC mean nothing."""
    monkeypatch.setattr(run, "CHANGED", 1.0)
    monkeypatch.setattr(run, "AUC_LOSS", 1.0)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_an_export_computes_in_its_precision_and_stays_near(
    exported: Path, pictures: Path, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generous(monkeypatch)
    out = tmp_path / "out"
    arguments = ["export", str(out), "--detector", str(exported), "--precision", precision, "--pictures", str(pictures)]
    assert main(arguments) == 0
    report = json.loads((out / run.report_name("openvino")).read_text())
    compared = 8 if precision == "int8" else 16  # the others gave the scales
    assert report["labelled"] == report["pictures"] == compared
    assert 0 <= report["auc_after"] <= 1
    ready = Detector.from_pretrained(out)
    assert (ready.engine.name, ready.engine.precision) == ("openvino", precision)
    windows = np.stack([drawn(seed) for seed in range(8)])
    whole = load_engine("openvino", exported, read_card(exported)).run(windows).logits
    found = ready.engine.run(windows).logits
    assert 0 < np.abs(found - whole).max() < np.ptp(whole)  # random weights round worse than trained ones
    assert np.corrcoef(found, whole)[0, 1] > 0.5


def test_an_export_in_int8_is_smaller_and_cannot_compute_otherwise(
    exported: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generous(monkeypatch)
    paths = sorted(pictures.rglob("*.png"))
    sizes = {}
    for precision in ("fp32", "int8"):
        run.export_detector(exported, tmp_path / precision, "openvino", pictures=paths, precision=precision)
        sizes[precision] = sum(path.stat().st_size for path in (tmp_path / precision).glob("*.bin"))
    assert sizes["int8"] < 0.5 * sizes["fp32"]
    with pytest.raises(UsageError, match="exported in int8 and cannot compute in fp32"):
        Detector.from_pretrained(tmp_path / "int8", precision="fp32")


def test_weights_in_eight_bits_can_be_met_by_inputs_in_eight_bits(exported: Path) -> None:
    windows = np.stack([drawn(seed) for seed in range(8)])
    card = read_card(exported)
    whole, low = (load_engine("auto", exported, card, device="cpu", precision=name) for name in ("fp32", "int8"))
    assert (low.name, low.precision) == ("openvino", "int8")
    assert (
        0 < np.abs(low.run(windows).logits - whole.run(windows).logits).max() < 0.3 * np.ptp(whole.run(windows).logits)
    )


def test_a_loss_of_auc_is_refused(
    exported: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHANGED", 1.0)
    monkeypatch.setattr(run, "AUC_LOSS", -1.0)
    with pytest.raises(ExportError, match="the AUC falls by"):
        run.export_detector(exported, tmp_path / "out", "openvino", pictures=list(pictures.rglob("*.png")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("target", "precision", "said"),
    [
        ("openvino", "fp8", "no export in 'fp8'"),
        ("onnx", "int8", "an export to onnx is in fp32"),
        ("openvino", "int8", "name a folder of them with --pictures"),
    ],
)
def test_what_there_is_not_is_said(exported: Path, tmp_path: Path, target: str, precision: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run.export_detector(exported, tmp_path / "out", target, precision=precision)


def test_beside_the_weights_there_is_a_whole_graph_alone(exported: Path) -> None:
    with pytest.raises(UsageError, match="choose another folder for bf16"):
        run.export_detector(exported, exported, "openvino", precision="bf16")
