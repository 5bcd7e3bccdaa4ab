"""Exports: what is written where, what is shared, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage

from ganfingerprint.artifact import OPENVINO, OPENVINO_REST, Card, read_card, write_card, write_detector
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.main import main
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.engines import Engine, load_engine
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.errors import DetectorDamagedError, DetectorFormatError, ExportError, UsageError
from ganfingerprint.explain.heat_map import generate_gradcam
from ganfingerprint.export import run
from ganfingerprint.network.fingerprint_net import build_network
from ganfingerprint.types import Outputs, UInt8Array

CONFIG = NetworkConfig(
    backbone="mobilenet-v2", pretrained="none", taps=(1, 2, 3), fusion=False, frequency=False, attention=False,
    fingerprint_block=False, statistics=True,
)  # fmt: skip


def write_tiny(folder: Path, seed: int = 1) -> Card:
    network = build_network(CONFIG, generator=torch.Generator().manual_seed(seed), pretrained=False)
    calibration = Calibration(
        slope=1.0, intercept=0.0, log10_lr_bound=2.0, fake_threshold=3.0, real_threshold=-1.0,
        false_alarm_rate=0.01, miss_rate=0.05,
    )  # fmt: skip
    card = Card(
        architecture=to_mapping(CONFIG), window=to_mapping(WindowConfig(size=96)), calibration=calibration.to_mapping()
    )
    return write_detector(folder, {name: value.numpy() for name, value in network.state_dict().items()}, card)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with a graph for OpenVINO beside its weights."""
    folder = tmp_path_factory.mktemp("ready") / "detector"
    write_tiny(folder)
    run.export_detector(folder, folder, "openvino")
    return folder


@pytest.fixture
def detector(ready: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(ready, tmp_path / "detector"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (150, 120, 3), dtype=np.uint8)
        PilImage.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_graph_beside_the_weights_shares_them_and_changes_no_identity(ready: Path, tmp_path: Path) -> None:
    plain = write_tiny(tmp_path / "plain")
    card = read_card(ready)
    assert card.detector_id == plain.detector_id
    assert [item.file for item in card.graphs] == [OPENVINO, OPENVINO_REST, run.report_name("openvino")]
    # convolutions are folded with their norms and written again; the linear layers, most of the weights, are not
    stored = sum(item.bytes for item in card.weights)
    assert (ready / OPENVINO_REST).stat().st_size < stored / 3
    assert json.loads((ready / run.report_name("openvino")).read_text())["changed"] == []


def test_auto_takes_openvino_where_there_is_a_graph(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny(tmp_path / "plain")
    assert Detector.from_pretrained(ready, device="cpu").engine.name == "openvino"
    assert Detector.from_pretrained(ready, device="cpu", precision="bf16").engine.name == "openvino"
    assert Detector.from_pretrained(tmp_path / "plain", device="cpu").engine.name == "torch"
    monkeypatch.setattr("ganfingerprint.engines.base._has_accelerator", lambda: True)
    assert Detector.from_pretrained(ready).engine.name == "torch"


def test_a_detector_on_openvino_is_explained_by_its_own_network(ready: Path, pictures: Path) -> None:
    image = decode(pictures / "0.png")
    found, expected = (
        generate_gradcam(Detector.from_pretrained(ready, engine=name, device="cpu"), image)
        for name in ("openvino", "torch")
    )
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)


def test_elsewhere_lies_the_graph_alone(ready: Path, tmp_path: Path, pictures: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", str(out), "--detector", str(ready), "--pictures", str(pictures)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "card.json",
        OPENVINO_REST,
        run.report_name("openvino"),
        OPENVINO,
    ]
    report = json.loads((out / run.report_name("openvino")).read_text())
    assert (report["pictures"], report["largest_difference"] < 1e-4) == (2, True)
    card = read_card(out)
    assert card.detector_id != read_card(ready).detector_id  # other files: other answers are possible
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    expected = load_engine("torch", ready, read_card(ready), device="cpu").run(pixels)
    np.testing.assert_allclose(
        load_engine("auto", out, card, device="cpu").run(pixels).logits, expected.logits, atol=1e-4
    )
    with pytest.raises(DetectorFormatError, match="was exported"):
        load_engine("torch", out, card, device="cpu")


def test_an_export_that_changes_a_verdict_is_refused_and_nothing_written(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Accuser(FakeEngine):
        def run(self, windows: UInt8Array) -> Outputs:
            return dataclasses.replace(super().run(windows), logits=np.full(len(windows), -50, np.float32))

    def wrong(name: str, folder: Path, card: Card, **options: str) -> Engine:
        return Accuser() if name == "openvino" else load_engine(name, folder, card, **options)

    monkeypatch.setattr(run, "load_engine", wrong)
    assert main(["export", str(tmp_path / "out"), "--detector", str(ready)]) == 1
    assert "error [export]: 16 of 16 verdicts would change" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pictures_that_cannot_be_read_prove_nothing(ready: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ExportError, match="none of the pictures"):
        run.export_detector(ready, tmp_path / "out", "openvino", pictures=[tmp_path / "broken.png"])


def test_an_unknown_target_is_named(ready: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="coreml"):
        run.export_detector(ready, tmp_path / "out", "coreml")


@pytest.mark.parametrize("name", [OPENVINO, OPENVINO_REST])
def test_a_damaged_graph_is_not_used(detector: Path, name: str) -> None:
    content = bytearray((detector / name).read_bytes())
    content[len(content) // 2] ^= 1
    (detector / name).write_bytes(content)
    with pytest.raises(DetectorDamagedError, match=name):
        load_engine("openvino", detector, read_card(detector))


def test_a_new_card_keeps_the_graph_and_new_weights_do_not(detector: Path) -> None:
    card = read_card(detector)
    write_card(detector, card.replaced(name="other"))
    assert load_engine("auto", detector, read_card(detector), device="cpu").name == "openvino"
    write_tiny(detector, seed=2)
    assert read_card(detector).graphs == ()
    assert not (detector / OPENVINO).exists()
    assert load_engine("auto", detector, read_card(detector), device="cpu").name == "torch"


def test_an_engine_without_its_graph_says_what_makes_one(ready: Path) -> None:
    with pytest.raises(DetectorFormatError, match="ganfingerprint export"):
        load_engine("onnx", ready, read_card(ready))


def test_openvino_tells_nobody_of_its_use(ready: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from ganfingerprint.detector import Detector\n"
        "Detector.from_pretrained(sys.argv[1], engine='openvino')\n"
        "import ganfingerprint.export.openvino_graph\n"
        "from openvino.tools.ovc import convert_impl; print(convert_impl.tm.__name__)"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(ready)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("telemetry_stub")
    assert list(tmp_path.iterdir()) == []


def test_an_export_never_replaces_weights(ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny(tmp_path / "other", seed=2)
    before = sorted(path.name for path in (tmp_path / "other").iterdir())
    assert main(["export", str(tmp_path / "other"), "--detector", str(ready)]) == 1
    assert "holds a detector with weights" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == before


@pytest.mark.parametrize("offset", [0.5, float("nan")])
def test_logits_that_moved_are_refused_whatever_the_verdicts(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: float
) -> None:
    class Shifted:
        name, precision = "shifted", "fp32"

        def __init__(self, engine: Engine) -> None:
            self.engine = engine

        def run(self, windows: UInt8Array) -> Outputs:
            found = self.engine.run(windows)
            return dataclasses.replace(found, logits=found.logits + np.float32(offset))

    def shifted(name: str, folder: Path, card: Card, **options: str) -> Engine:
        engine = load_engine("torch", ready, read_card(ready), device="cpu")
        return Shifted(engine) if name == "openvino" else load_engine(name, folder, card, **options)

    monkeypatch.setattr(run, "load_engine", shifted)
    with pytest.raises(ExportError, match=r"0 of 16 verdicts|nan"):
        run.export_detector(ready, tmp_path / "out", "openvino")
    assert not (tmp_path / "out").exists()
