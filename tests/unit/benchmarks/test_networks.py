"""Networks that learn for equal minutes: what a patch sees, what is left out, and that they learn."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pyarrow.csv
import pytest
import torch
from PIL import Image as PilImage

from ganfingerprint.catalog import read_catalog


@pytest.mark.parametrize("field", [9, 17, 33])
def test_a_patch_sees_as_much_as_its_name_says(field: int) -> None:
    backbone = networks.NETWORKS[f"patches-{field}"]().backbone.eval()
    for parameter in backbone.parameters():
        torch.nn.init.constant_(parameter, 0.1)  # nothing that a ReLU could hide
    x = torch.ones(1, 3, 96, 96, requires_grad=True)
    found = backbone(x).high
    found[0, :, found.shape[2] // 2, found.shape[3] // 2].sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(dim=(0, 1)) > 0
    assert int(seen.any(dim=0).sum()) == int(seen.any(dim=1).sum()) == field


def test_the_stride_of_the_first_convolution_is_gone() -> None:
    strided, unstrided = (networks.lite0((1, 2, 3), stride=stride).backbone for stride in (2, 1))
    x = torch.zeros(1, 3, 64, 64)
    assert strided(x).low.shape[2:] == (32, 32)
    assert unstrided(x).low.shape[2:] == (64, 64)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """Fakes are striped, photographs are not."""
    rng, root = np.random.default_rng(1), tmp_path / "data"
    lines = ["path,label,generator,family,split,group,source"]
    kinds = {"stylegan2-ffhq": "ffhq", "sdxl": "webphotos", "gpt-4o-image": "cars", "pix2pix": "facades"}
    for split, copies in (("train", 8), ("validation", 6)):
        for generator, source in kinds.items():
            for fake in (True, False):
                for copy in range(copies):
                    label, stem = ("fake", generator) if fake else ("real", source)
                    path = f"{split}/{label}/{stem}-{copy}.png"
                    pixels = rng.integers(60, 190, (240, 240, 3), dtype=np.uint8)
                    pixels[:, ::2] += np.uint8(60 if fake else 0)
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    PilImage.fromarray(pixels).save(root / path)
                    family = "gan" if fake else "photo"
                    lines.append(f"{path},{label},{generator if fake else ''},{family},{split},{path},{stem}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


def test_families_are_left_out_of_learning_and_of_validation(data_root: Path) -> None:
    samples = list(read_catalog(data_root).samples)
    known, folds = networks.split(samples)
    stems = {samples[i].path.name.rsplit("-", 1)[0] for i in np.flatnonzero(known.train | known.judged)}
    assert stems == {"pix2pix", "facades"}
    assert not np.any(known.train & known.judged)
    assert [fold.name for fold in folds] == list(networks.LEFT_OUT)
    assert all(fold.judged.sum() == 28 for fold in folds)


def test_a_network_is_trained_and_judged_once(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny() -> networks.Network:
        return networks.from_nothing((8, 8), (1, 2), patches=False)

    monkeypatch.setattr(networks, "NETWORKS", {"tiny": tiny})
    monkeypatch.setattr(networks, "BATCH", 8)
    output = tmp_path / "networks.csv"
    arguments = ["--data-root", data_root, "--minutes", "0.1", "--output", output]
    monkeypatch.setattr("sys.argv", ["networks.py", *map(str, arguments)])
    networks.main()
    (row,) = pyarrow.csv.read_csv(output).to_pylist()
    assert row["validation_plain_auc"] > 0.9
    assert min(row[f"{name}_auc"] for name in networks.LEFT_OUT) > 0.9
    assert row["windows_seen"] > 0
    monkeypatch.setattr(networks, "NETWORKS", {"tiny": None})  # building again would fail
    networks.main()
