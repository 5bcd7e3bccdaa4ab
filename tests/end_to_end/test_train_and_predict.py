"""From labelled pictures to verdicts with heat maps, on a real network: small, untrained backbone, drawn pictures."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage

from ganfingerprint import Detector, decode_image
from ganfingerprint.artifact import read_card
from ganfingerprint.catalog import read_catalog
from ganfingerprint.cli.main import main
from ganfingerprint.config import NetworkConfig
from ganfingerprint.explain.heat_map import generate_gradcam
from ganfingerprint.network.fingerprint_net import build_network

SMALL = (
    *("--preset", "light", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--precision", "fp32"),
    *("--set", "network.pretrained=none", "--set", "network.embedding_dim=16", "--set", "window.size=96"),
    *("--set", "window.count=1", "--set", "output.tensorboard=false"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, drawn_root: Path) -> Path:
    """The detector of a run of one epoch."""
    run = tmp_path_factory.mktemp("runs") / "mine"
    assert main(["train", "--data-root", str(drawn_root), "--output", str(run), *SMALL]) == 0
    return run / "detector"


def test_training_leaves_a_calibrated_detector(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(trained)]) == 0
    shown = capsys.readouterr().out
    assert "on 4 photographs and 4 fakes" in shown
    assert "efficientnet-lite0" in shown
    assert read_card(trained).window["size"] == 96


def test_predict_draws_a_heat_map_for_each_picture(
    trained: Path, drawn_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = drawn_root / "test" / "fake" / "00.png"
    assert main(["predict", str(picture), "--detector", str(trained), "--gradcam", "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert "ganfingerprint-output" in captured.err  # says where it went when nobody said where
    (row,) = json.loads(captured.out)["answers"]
    assert row["true_label"] == "fake"
    (drawn,) = (tmp_path / "ganfingerprint-output").glob("*.png")
    plain = tmp_path / "plain"
    assert main(["predict", str(picture), "--detector", str(trained), "--output-dir", str(plain)]) == 0
    with PilImage.open(drawn) as with_heat, PilImage.open(next(plain.glob("*.png"))) as without:
        assert with_heat.width > without.width  # a second panel


def test_published_error_17_one_picture_has_one_score_on_every_path(
    trained: Path, drawn_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def score(*arguments: str) -> dict[str, float]:
        assert main(["predict", *arguments, "--detector", str(trained), "--format", "json"]) == 0
        return {row["path"]: row["logit"] for row in json.loads(capsys.readouterr().out)["answers"]}

    together = score(str(drawn_root / "test"), "-r", "--batch-size", "3")
    detector = Detector.from_pretrained(trained)
    many = detector.predict_many(together, batch_size=5)
    for (path, logit), answer in list(zip(together.items(), many, strict=True))[::3]:
        heat = generate_gradcam(detector, decode_image(path))
        paths = [score(path)[path], detector.predict(path).logit, answer.logit, heat.prediction.logit]
        assert paths == pytest.approx([logit] * 4, abs=1e-5)


def test_published_error_17_training_and_serving_score_alike(trained: Path, drawn_root: Path) -> None:
    """The loss that the run wrote for its last epoch is that of the answers which its detector gives."""
    with (trained.parent / "epochs.csv").open(encoding="utf-8", newline="") as stream:
        (epoch,) = csv.DictReader(stream)
    detector = Detector.from_pretrained(trained)
    samples = read_catalog(drawn_root).split("validation")
    signs = np.array([1 if sample.is_fake else -1 for sample in samples])
    scores = np.array([detector.predict(sample.path).logit for sample in samples])
    assert float(np.ptp(scores)) > 0  # pictures do differ
    assert float(epoch["val_loss"]) == pytest.approx(np.logaddexp(0, -signs * scores).mean(), abs=1e-5)


def test_evaluate_draws_where_the_network_looks_in_up_to_four_pictures(
    trained: Path, drawn_root: Path, tmp_path: Path
) -> None:
    common = ["evaluate", "--detector", str(trained), "--data-root", str(drawn_root), "--device", "cpu"]
    assert main([*common, "--samples", "5", "--output-dir", str(tmp_path)]) == 0
    drawn = sorted((tmp_path / "figures").glob("attention*"))
    assert [path.name for path in drawn] == [f"attention-{number}.png" for number in range(1, 5)]
    contents = set()
    for path in drawn:
        with PilImage.open(path) as sheet:
            assert sheet.width > 2 * sheet.height  # the picture, the gate and the attention side by side
            contents.add(sheet.tobytes())
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert all(f"figures/{path.name}" in summary for path in drawn)
    assert len(contents) == 4  # of each class the most rightly and the most wrongly judged


def test_damaged_weights_are_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    weights = next(copy.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for command in (["predict", "any.png", "--detector", str(copy)], ["info", str(copy)]):
        assert main(command) == 1
        assert "error [detector_damaged]" in capsys.readouterr().err


def reference_names(state: dict[str, torch.Tensor], published: dict[str, str]) -> dict[str, torch.Tensor]:
    """The default network's weights under the names of the published code."""
    stages = {"conv1.": "backbone_low.0.", "bn1.": "backbone_low.1.", "layer1.": "backbone_low.4."}
    stages |= {"layer2.": "backbone_mid.0.", "layer3.": "backbone_high.0.", "layer4.": "backbone_high.1."}
    parts = {
        "fusion.": "fusion_layer.",
        "fingerprint.": "fingerprint_block.",
        "classifier.residual.": "classifier.residual_adapter.",
        "classifier.output.": "classifier.classifier.",
    }
    theirs = {}
    for ours, value in state.items():
        name = published.get(ours.removeprefix("backbone."), ours) if ours.startswith("backbone.") else ours
        for start, renamed in (stages if ours.startswith("backbone.") else parts).items():
            if name.startswith(start):
                name = renamed + name.removeprefix(start)
                break
        if "_freq." not in ours:  # the published code shares those norms
            theirs[name] = value
    return theirs


def torchvision_names() -> list[str]:
    """Parameters and buffers of torchvision's ResNet-34, without its classifier."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["conv1.weight", *(f"bn1.{part}" for part in norm)]
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            for number in (1, 2):
                start = f"layer{stage}.{block}."
                names += [f"{start}conv{number}.weight", *(f"{start}bn{number}.{part}" for part in norm)]
        if stage > 1:
            start = f"layer{stage}.0.downsample."
            names += [f"{start}0.weight", *(f"{start}1.{part}" for part in norm)]
    return names


def test_a_checkpoint_of_the_reference_code_becomes_a_detector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = build_network(NetworkConfig(), generator=torch.Generator().manual_seed(3), pretrained=False)
    published = {network.backbone.published_name(name): name for name in torchvision_names()}
    file, folder = tmp_path / "best.pth", tmp_path / "detector"
    torch.save({"model_state_dict": reference_names(network.state_dict(), published), "epoch": 3}, file)
    assert main(["import-checkpoint", str(file), str(folder)]) == 0
    captured = capsys.readouterr()
    assert str(folder) in captured.out
    assert "evaluate --fit" in captured.err
    assert read_card(folder).calibration["n_real"] == 0
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)  # one window of the default
    PilImage.fromarray(pixels).save(tmp_path / "x.png")
    assert main(["predict", str(tmp_path / "x.png"), "--detector", str(folder), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["answers"]
    with torch.inference_mode():
        logit = float(network.eval()(torch.from_numpy(pixels[None])))  # > 0: photograph
    assert row["logit"] == pytest.approx(-logit, rel=1e-4)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(b"cos\nsystem\n(S'touch should-not-exist'\ntR.")
    assert main(["import-checkpoint", str(file), str(tmp_path / "out")]) == 1
    assert "error [detector_format]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not Path("should-not-exist").exists()
