"""Named starting points: what each changes of the defaults of `config.py`, which are the reference document's."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "reference": {},
    "light": {
        "network": {"backbone": "efficientnet-lite0", "dropout": 0.3, "frequency_width": 16},
        "window": {"size": 160},
        "optim": {
            "lr": 4e-4,
            "batch_size": 32,
            "weight_decay": 0.01,
            "warmup_epochs": 0.5,
            "ema_decay": 0.998,
            "patience": 0,
        },
        "augment": {"jpeg": 0.5},
    },
    "clip": {
        # Statistics of frozen blocks; generators told apart and a degraded view of each picture, as validation and
        # families left out chose (docs/what-generalises.md).
        "network": {
            "backbone": "clip-vit-b16",
            "train_backbone": False,
            "fusion": False,
            "frequency": False,
            "attention": False,
            "fingerprint_block": False,
            "statistics": True,
        },
        "window": {"size": 224},
        "optim": {
            "lr": 5e-4,
            "batch_size": 64,
            "epochs": 20,
            "weight_decay": 0.05,
            "warmup_epochs": 0.5,
            "ema_decay": 0.995,
            "patience": 0,
            "cache_views": 2,
            "targets": "generators",
        },
        "augment": {
            "strength": 0.75,
            "scale_low": 0.45,
            "scale_high": 1.2,
            "resize": 0.7,
            "recompress": 0.5,
            "affine": 0.0,
            "color": 0.2,
            "blur": 0.05,
            "noise": 0.05,
            "quantize": 0.0,
            "jpeg": 0.7,
            "webp": 0.25,
            "erase": 0.0,
        },
        "data": {"proxy_weight": 0.3},
    },
}
