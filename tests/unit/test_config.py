from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganfingerprint.config import (
    AugmentConfig,
    NetworkConfig,
    OptimConfig,
    TrainConfig,
    WindowConfig,
    describe,
    from_mapping,
    load_config,
    to_mapping,
)
from ganfingerprint.errors import ConfigError
from ganfingerprint.presets import PRESETS


def mistakes(*overrides: str, **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides, **more)
    return caught.value.mistakes


def sections() -> list[type[Any]]:
    return [type(value) for value in vars_of(TrainConfig()).values() if dataclasses.is_dataclass(value)]


def vars_of(config: Any) -> dict[str, Any]:
    return {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}


def test_the_defaults_are_those_of_the_reference_document() -> None:
    config = load_config()
    assert config == TrainConfig()
    assert (config.network.backbone, config.window.size, config.network.embedding_dim) == ("resnet34", 256, 512)
    assert (config.optim.lr, config.optim.batch_size, config.optim.epochs) == (5e-5, 16, 20)


def test_all_mistakes_are_reported_at_once_with_the_nearest_names() -> None:
    found = mistakes(
        "optim.lrr=1", "optim.epochs=0", "network.dropout=high", "window.placement=girds", "optm.lr=1", "seed"
    )
    assert found == [
        "'seed' is not of the form section.name=value",
        "optim.lrr is not a setting (did you mean 'lr'?)",
        "optim.epochs must be at least 1, got 0",
        "network.dropout must be a number, got 'high'",
        "window.placement must be one of center, grid, texture, got 'girds' (did you mean 'grid'?)",
        "optm is not a setting (did you mean 'optim'?)",
    ]


def test_the_text_of_the_error_holds_every_mistake() -> None:
    with pytest.raises(ConfigError, match=r"optim\.epochs must be at least 1, got 0; seed must be a whole number"):
        load_config(overrides=["optim.epochs=0", "seed=x"])


def test_a_name_like_no_other_is_answered_with_all_there_are() -> None:
    (found,) = mistakes("score.zzz=1")
    assert found.startswith("score.zzz is not a setting (there are: ")
    assert all(item.name in found for item in dataclasses.fields(TrainConfig().score))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("augment.jpeg=1.01", "augment.jpeg must be in 0..1, got 1.01"),
        ("augment.jpeg=-0.01", "augment.jpeg must be in 0..1, got -0.01"),
        ("augment.jpeg=.nan", "augment.jpeg must be in 0..1, got nan"),
        ("augment.scale_low=0.05", "augment.scale_low must be in 0.1..1, got 0.05"),
        ("window.size=95", "window.size must be in 96..1024, got 95"),
        ("data.workers=-1", "data.workers must be in 0..256, got -1"),
        ("data.proxy_weight=.nan", "data.proxy_weight must be at least 0, got nan"),
        ("data.proxy_weight=-1", "data.proxy_weight must be at least 0, got -1"),
        ("optim.batch_size=1.5", "optim.batch_size must be a whole number, got 1.5"),
        ("optim.batch_size=true", "optim.batch_size must be a whole number, got True"),
        ("optim.lr=true", "optim.lr must be a number, got True"),
        ("network.attention=1", "network.attention must be true or false, got 1"),
        ("network.taps=3", "network.taps must be tuple[int, ...], got 3"),
        ("network.taps=[1, x, 3]", "network.taps must be tuple[int, ...], got [1, 'x', 3]"),
        ("seed=-1", "seed must be in 0..4.29497e+09, got -1"),
        ("optim=3", "optim must be a mapping, got 3"),
    ],
)
def test_a_value_out_of_its_range_or_type_is_refused_with_name_range_and_value(override: str, message: str) -> None:
    assert mistakes(override) == [message]


@pytest.mark.parametrize(
    ("section", "name"),
    [(cls, item) for cls in sections() for item in dataclasses.fields(cls)],
    ids=lambda x: str(x)[:40],
)
def test_both_ends_of_a_range_are_allowed(section: type[Any], name: dataclasses.Field[Any]) -> None:
    for end in ("low", "high"):
        limit = name.metadata[end]
        if limit is not None:
            kind: Any = type(name.default)
            assert getattr(from_mapping(section, {name.name: kind(limit)}), name.name) == limit


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "'1e-4'"])
def test_a_number_that_yaml_reads_as_text_is_a_number(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"optim:\n  lr: {text}\n")
    assert load_config(file=file).optim.lr == 1e-4
    assert load_config(overrides=[f"optim.lr={text}"]).optim.lr == 1e-4


def test_a_whole_number_serves_where_a_number_is_asked_for() -> None:
    rate = load_config(overrides=["optim.lr=1"]).optim.lr
    assert rate == 1.0
    assert isinstance(rate, float)


def test_later_places_win(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("optim: {lr: 0.01, batch_size: 7}\n")
    config = load_config(preset="light", file=file, overrides=["optim.batch_size=9"])
    assert config.optim.ema_decay == 0.998  # preset
    assert config.optim.lr == 0.01  # file over preset
    assert config.optim.batch_size == 9  # override over file
    assert config.window.size == 160


def test_a_base_takes_the_place_of_the_preset() -> None:
    assert load_config(preset="light", base={"window": {"size": 128}}).window.size == 128


def test_published_error_08_the_data_root_given_on_the_command_line_is_used(tmp_path: Path) -> None:
    """The published `--data_root` changed nothing, because paths were computed at import."""
    file = tmp_path / "run.yaml"
    file.write_text("data: {root: elsewhere}\n")
    assert load_config(file=file, overrides=[f"data.root={tmp_path}"]).data.root == str(tmp_path)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("output.name=2024-05-01", "2024-05-01"),
        ("output.name=on", "on"),
        ("data.root=007", "007"),
        ("data.root=a=b", "a=b"),
        ("data.root=C: pictures", "C: pictures"),
        ("network.pretrained=none", "none"),
    ],
)
def test_text_on_the_command_line_stays_as_it_was_typed(override: str, value: str) -> None:
    section, _, name = override.partition("=")[0].partition(".")
    assert getattr(getattr(load_config(overrides=[override]), section), name) == value


@pytest.mark.parametrize(("text", "value"), [("null", None), ("list.csv", "list.csv")])
def test_an_optional_setting_can_be_emptied(text: str, value: str | None) -> None:
    assert load_config(base={"data": {"manifest": "x"}}, overrides=[f"data.manifest={text}"]).data.manifest == value


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_and_survives_json_and_yaml(preset: str) -> None:
    config = load_config(preset=preset)
    values = to_mapping(config)
    assert from_mapping(TrainConfig, json.loads(json.dumps(values))) == config
    assert from_mapping(TrainConfig, yaml.safe_load(yaml.safe_dump(values))) == config


def test_presets_are_not_changed_by_what_is_merged_into_them() -> None:
    before = json.dumps(PRESETS)
    load_config(preset="clip", overrides=["optim.lr=1", "data.root=x", "augment.jpeg=0"])
    assert json.dumps(PRESETS) == before


def test_an_unknown_preset_is_a_mistake_beside_the_others() -> None:
    assert mistakes("optim.epochs=0", preset="lite") == [
        "preset 'lite' is not known (did you mean 'light'?)",
        "optim.epochs must be at least 1, got 0",
    ]


def test_tuples_become_lists_and_come_back() -> None:
    network = from_mapping(NetworkConfig, {"taps": [2, 3, 4]})
    assert network.taps == (2, 3, 4)
    assert to_mapping(network)["taps"] == [2, 3, 4]
    assert from_mapping(NetworkConfig, to_mapping(network)) == network


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must hold a mapping of settings"),
        ("optim: [\n", "cannot be read"),
        (None, "cannot be read"),
    ],
    ids=["a list", "broken", "no file"],
)
def test_a_file_that_cannot_be_used_is_one_mistake(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "run.yaml"
    if text is not None:
        file.write_text(text)
    (found,) = mistakes(file=file)
    assert found.startswith(str(file))
    assert message in found


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("# nothing yet\n")
    assert load_config(file=file) == TrainConfig()


def test_a_section_is_built_alone_and_frozen() -> None:
    window = from_mapping(WindowConfig, {"size": 128})
    assert window == WindowConfig(size=128)
    with pytest.raises(dataclasses.FrozenInstanceError):
        window.size = 64


def test_every_setting_is_described_once_with_its_default() -> None:
    rows = describe()
    names = [name for name, _, _ in rows]
    assert len(names) == len(set(names)) == sum(len(dataclasses.fields(cls)) for cls in sections()) + 2
    defaults = {name: default for name, default, _ in rows}
    assert (defaults["seed"], defaults["optim.lr"], defaults["augment.strength"]) == (42, 5e-5, 0.5)
    assert all(text for _, _, text in rows)


@pytest.mark.parametrize("cls", [AugmentConfig, OptimConfig])
def test_described_names_can_be_set(cls: type[Any]) -> None:
    section = {AugmentConfig: "augment", OptimConfig: "optim"}[cls]
    every = [f"{section}.{name}={default}" for name, default, _ in describe(cls)]
    assert getattr(load_config(overrides=every), section) == cls()


@pytest.mark.parametrize("text", ["optim.warmup_epochs=.inf", "optim.grad_clip=.inf", "data.proxy_weight=.inf"])
def test_a_number_must_be_finite(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a finite number"):
        load_config(overrides=[text])


def test_one_picture_an_epoch_is_refused_because_a_batch_norm_needs_two() -> None:
    with pytest.raises(ConfigError, match=r"optim\.epoch_samples must be 0 or at least 2, got 1"):
        load_config(overrides=["optim.epoch_samples=1"])
