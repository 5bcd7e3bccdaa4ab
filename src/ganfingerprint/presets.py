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
        # What validation chose (benchmarks/README.md): statistics of frozen blocks, beside the fusion alone.
        "network": {
            "backbone": "clip-vit-b16",
            "train_backbone": False,
            "frequency": False,
            "frequency_width": 16,
            "attention": False,
            "fingerprint_block": False,
            "statistics": True,
        },
        "window": {"size": 224},
        "optim": {
            "lr": 5e-4,
            "batch_size": 64,
            "epochs": 8,
            "weight_decay": 0.05,
            "warmup_epochs": 0.5,
            "ema_decay": 0.995,
            "patience": 0,
            "cache_views": 3,
        },
        "augment": {"strength": 0.6, "resize": 0.5, "scale_low": 0.5, "jpeg": 0.6, "erase": 0.1},
        "data": {"proxy_weight": 0.3},
    },
}
