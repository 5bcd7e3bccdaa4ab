"""Figures of every stage for a few samples with the shipped detector, as plain numbers.

python tests/golden/stages.py        writes golden.json anew; read the difference before committing it
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.engines.torch_engine import TorchEngine
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.windows import cut_windows

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden.json")
SAMPLES = ("real/astronaut.jpg", "real/palace.jpg", "fake/astronaut-realesrgan.jpg", "fake/rocket-taef2.jpg")
SCORES = ("network_logits", "logit", "log10_lr", "prob_fake")
STAGES = (
    *("pixels", "windows", "normalised", "low", "mid", "high", "statistics", "embedding", "class_logits"),
    *SCORES,
    "verdict",
)


def moments(values: Any) -> dict[str, Any]:
    array = np.asarray(values, dtype=np.float64)
    return {"shape": list(array.shape), "mean": float(array.mean()), "std": float(array.std())}


def stages(detector: Detector, sample: str) -> dict[str, Any]:
    """What each stage makes of one sample."""
    image = decode(ROOT / "samples" / sample)
    windows = cut_windows(image, detector.window)
    assert isinstance(detector.engine, TorchEngine)
    network = detector.engine.model
    assert isinstance(network, FingerprintNet)
    with torch.inference_mode():
        x = network.normalise(torch.from_numpy(windows.pixels.copy()))
        maps = network.feature_maps(x)
        assert network.statistics is not None
        statistics = network.statistics.statistics(maps)
        embeddings = network.embed(None, maps)
        class_logits = network.class_logits(embeddings)
        logits = network.decide(class_logits)
    answer = detector.predict_image(image)
    return {
        "pixels": moments(image.pixels),
        "windows": {"boxes": windows.boxes.tolist(), **moments(windows.pixels)},
        "normalised": moments(x),
        "low": moments(maps.low),
        "mid": moments(maps.mid),
        "high": moments(maps.high),
        "statistics": moments(statistics),
        "embedding": moments(embeddings),
        "class_logits": moments(class_logits),
        "network_logits": [float(value) for value in logits],
        "logit": answer.logit,
        "log10_lr": answer.log10_lr,
        "prob_fake": answer.prob_fake,
        "verdict": str(answer.verdict),
    }


def all_stages() -> dict[str, Any]:
    detector = Detector.from_pretrained(engine="torch", device="cpu")
    return {"detector_id": detector.detector_id, **{sample: stages(detector, sample) for sample in SAMPLES}}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(all_stages(), indent=1) + "\n", encoding="utf-8")
