"""Every setting, in one frozen dataclass a stage: default, help and range side by side.

Settings come from three places, later ones win: a preset, a YAML file, `section.name=value` overrides of the
command line. All mistakes are collected and reported together, each with the nearest name. The defaults are
those of the reference document (and, where the document is silent, of its published code).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ganfingerprint.errors import ConfigError
from ganfingerprint.presets import PRESETS


def setting(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A dataclass field with its help and its allowed range or choices (`low` and `high` included)."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the labelled pictures are and how often each is drawn."""

    root: str = setting("data", "folder of labelled pictures, or a folder with a CSV manifest")
    manifest: str | None = setting(None, "CSV with path,label[,generator,family,split,group,source]")
    layout: str = setting(
        "auto", "how the folder is arranged", choices=("auto", "reference", "forensynths", "genimage", "manifest")
    )
    workers: int = setting(0, "processes that decode and augment; 0 does it in the training process", low=0, high=256)
    balance_power: float = setting(
        0.5, "within a class, a source of n pictures is drawn as n**power: 1 as it is, 0 all alike", low=0, high=1
    )
    proxy_weight: float = setting(1.0, "how often aligned fakes (family 'proxy') are drawn, 0 leaves them out", low=0)
    pairs: str | None = setting(None, "folder that 'fakes' made: its pairs join training, each within one batch")
    leave_out: tuple[str, ...] = setting(
        (), "names (* ?) of generators, of photographs' sources or files: not learnt from"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """Which parts of a picture the network sees. Travels with the weights."""

    size: int = setting(256, "side of a window, pixels (the document's input size)", low=96, high=1024)
    placement: str = setting(
        "grid", "in the centre, an even grid, or the most textured of the grid", choices=("center", "grid", "texture")
    )
    count: int = setting(9, "at most this many windows a picture", low=1, high=64)
    slack: float = setting(
        0.25, "grid: so much of a window may stay unseen along a side before another one is added", low=0, high=1
    )
    pooling: str = setting("mean", "how the logits of the windows become one", choices=("mean", "median", "max"))
    resized_view: bool = setting(False, "add the whole picture, reduced to one window, as one more view")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The architecture. Travels with the weights."""

    backbone: str = setting("resnet34", "name of a row of network.backbones.BACKBONES")
    pretrained: str = setting(
        "auto", "auto: packaged or local weights, else random with a notice; none; or a folder, file or hub name"
    )
    taps: tuple[int, ...] = setting(
        (), "which blocks give the low, mid and high map (three); empty: the backbone's own"
    )
    train_backbone: bool = setting(True, "false freezes the backbone; its maps are then computed once and cached")
    adapter_rank: int = setting(
        0, "a frozen ViT learns corrections of this rank to its linear layers; 0 none", low=0, high=256
    )
    patch_dropout: float = setting(
        0.0, "share of a ViT's patches that a window does without in training; needs fusion false", low=0, high=0.95
    )
    embedding_dim: int = setting(512, "length of the fingerprint", low=8, high=4096)
    dropout: float = setting(0.4, "dropout of embedding and classifier", low=0, high=0.9)
    fusion: bool = setting(True, "fuse the maps into one, which keeps places; false leaves the statistics alone")
    frequency: bool = setting(True, "the document's spectrum branch")
    frequency_width: int = setting(
        64, "channels of its first convolution; the branch gives four times as many", low=4, high=256
    )
    attention: bool = setting(True, "self-attention after the fusion")
    fingerprint_block: bool = setting(True, "frequency awareness and spatial attention before the pooling")
    classes: tuple[str, ...] = setting(
        (),
        "what the classifier tells apart, photographs first; empty: one logit. Training fills it in, see optim.targets",
    )
    photograph_classes: int = setting(1, "how many of the classes are photographs", low=1)
    statistics: bool = setting(False, "mean and deviation of the backbone's maps, class tokens too, join the embedding")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """What training pictures live through."""

    strength: float = setting(
        0.5, "0 none, 1 twice the document's colour changes and the widest degradations", low=0, high=1
    )
    scale_low: float = setting(0.6, "smallest factor of a random resize", low=0.1, high=1)
    scale_high: float = setting(1.35, "largest factor of a random resize", low=1, high=4)
    resize: float = setting(0.3, "probability of a resize; otherwise the crop keeps its own pixels", low=0, high=1)
    recompress: float = setting(
        0.0, "probability of a codec before everything else, as of a picture that was shared before", low=0, high=1
    )
    affine: float = setting(0.05, "probability of a small rotation and shear", low=0, high=1)
    color: float = setting(0.5, "probability of colour jitter", low=0, high=1)
    blur: float = setting(0.15, "probability of blur", low=0, high=1)
    noise: float = setting(0.15, "probability of Gaussian noise", low=0, high=1)
    quantize: float = setting(0.05, "probability of colour quantisation", low=0, high=1)
    jpeg: float = setting(0.4, "probability of a JPEG re-encoding", low=0, high=1)
    webp: float = setting(0.05, "probability of a WebP re-encoding", low=0, high=1)
    erase: float = setting(0.2, "probability of an erased rectangle", low=0, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """How the weights are learnt."""

    epochs: int = setting(20, "passes over the training set", low=1)
    epoch_samples: int = setting(0, "pictures drawn an epoch, at least two; 0: as many as the training set has", low=0)
    batch_size: int = setting(16, "windows a step", low=2)
    lr: float = setting(5e-5, "peak learning rate of AdamW", low=1e-8, high=1)
    backbone_lr_factor: float = setting(1.0, "the backbone learns at lr times this", low=0, high=10)
    weight_decay: float = setting(1e-5, "of AdamW, on weights with more than one dimension", low=0, high=1)
    warmup_epochs: float = setting(2.0, "epochs of linear warm-up, by step and from above 0", low=0)
    patience: int = setting(5, "epochs without a better score before training stops; 0 never stops", low=0)
    grad_clip: float = setting(1.0, "largest norm of the gradient; 0 leaves it alone", low=0)
    ema_decay: float = setting(
        0.0, "decay of the running mean of weights that is judged and shipped; 0 off", low=0, high=0.99999
    )
    label_smoothing: float = setting(0.0, "0 to 0.5", low=0, high=0.5)
    targets: str = setting(
        "two",
        "what is told apart: two (photograph, fake), each of the generators, or sources: those of photographs too",
        choices=("two", "generators", "sources"),
    )
    contrastive: float = setting(0.0, "weight of pulling embeddings of one generator together; 0 off", low=0)
    start_from: str = setting("", "detector folder whose weights training starts from; adapters may be new")
    max_minutes: float = setting(
        0.0, "time budget of the training itself, without cached maps and calibration; 0 none", low=0
    )
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting(
        "auto", "auto: bf16 where the hardware has it, else fp32", choices=("auto", "fp32", "bf16", "fp16")
    )
    cache_views: int = setting(
        4, "frozen backbone: views a picture whose maps are cached, the plain one included", low=1, high=64
    )
    cache_dir: str = setting(
        "", "frozen backbone: folder where its maps stay for later runs; empty: in the run, removed at its end"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreConfig:
    """Weights of the score that chooses the checkpoint; recall and precision are those of *fake*."""

    accuracy: float = setting(0.10, "weight", low=0, high=1)
    precision: float = setting(0.05, "weight", low=0, high=1)
    recall: float = setting(0.70, "weight", low=0, high=1)
    f1: float = setting(0.10, "weight", low=0, high=1)
    auc: float = setting(0.05, "weight", low=0, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationConfig:
    """The error rates, on validation, that the two thresholds are chosen for."""

    false_alarm_rate: float = setting(0.01, "share of photographs that may be called fake", low=0.0001, high=0.5)
    miss_rate: float = setting(0.05, "share of fakes that may be called real", low=0.0001, high=0.5)
    selection_rate: float = setting(
        0.05, "false alarms at which checkpoints are compared; a looser rate is a steadier judge", low=0.0001, high=0.5
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConfig:
    """Where a run is written."""

    run: str = setting("", "folder of this run; empty: a new one in output.runs")
    runs: str = setting("runs", "folder of the experiment folders")
    name: str = setting("ganfingerprint", "name of the experiment; a time stamp is added")
    checkpoint_every: int = setting(1, "epochs between periodic checkpoints", low=1)
    keep_checkpoints: int = setting(2, "periodic checkpoints to keep; best and last are always kept", low=1)
    tensorboard: bool = setting(True, "write TensorBoard event files")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that a training run depends on; written into the run."""

    seed: int = setting(42, "of every random choice", low=0, high=2**32 - 1)
    deterministic: bool = setting(True, "deterministic algorithms where torch has them")
    data: DataConfig = field(default_factory=DataConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    output: OutputConfig = field(default_factory=OutputConfig)


def from_mapping(cls: type[Any], values: Mapping[str, Any]) -> Any:
    """Build a config dataclass from nested mappings (YAML, a card, a checkpoint).

    Raises:
        ConfigError: unknown names, wrong types and values out of range, all of them together.
    """
    mistakes: list[str] = []
    built = _build(cls, values, "", mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    return built


def load_config(
    *,
    preset: str | None = None,
    file: Path | None = None,
    overrides: Iterable[str] = (),
    base: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """The resolved configuration: `base` or a preset, then a YAML file, then `section.name=value` overrides.

    Raises:
        ConfigError: every mistake found in any of them.
    """
    mistakes: list[str] = []
    merged: dict[str, Any] = {}
    if preset is not None and preset not in PRESETS:
        mistakes.append(f"preset '{preset}' is not known{_nearest(preset, PRESETS)}")
    _merge(merged, base if base is not None else PRESETS.get(preset or "reference", {}))
    if file is not None:
        _merge(merged, _read_yaml(file, mistakes))
    for text in overrides:
        _merge(merged, _parse_override(text, mistakes))
    config = _build(TrainConfig, merged, "", mistakes)
    if config.optim.epoch_samples == 1:
        mistakes.append("optim.epoch_samples must be 0 or at least 2, got 1: batch norms need two windows")
    if mistakes:
        raise ConfigError(mistakes)
    return typing.cast(TrainConfig, config)


def to_mapping(config: Any) -> dict[str, Any]:
    """The config as nested plain dictionaries; tuples become lists, as JSON and YAML have them."""
    plain = dataclasses.asdict(config)

    def listed(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: listed(v) for k, v in value.items()}
        return list(value) if isinstance(value, tuple) else value

    return typing.cast(dict[str, Any], listed(plain))


def describe(cls: type[Any] = TrainConfig, prefix: str = "") -> list[tuple[str, Any, str]]:
    """Every setting as (dotted name, default, help), for `--help-config` and the docs."""
    rows: list[tuple[str, Any, str]] = []
    for item in dataclasses.fields(cls):
        if dataclasses.is_dataclass(item.default_factory):
            rows += describe(typing.cast(type[Any], item.default_factory), f"{prefix}{item.name}.")
        else:
            rows.append((prefix + item.name, item.default, item.metadata["help"]))
    return rows


def _build(cls: type[Any], values: Any, prefix: str, mistakes: list[str]) -> Any:
    if not isinstance(values, Mapping):
        mistakes.append(f"{prefix.rstrip('.') or 'the configuration'} must be a mapping, got {values!r}")
        return cls()
    known = {item.name: item for item in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            mistakes.append(f"{prefix}{name} is not a setting{_nearest(str(name), known)}")
        elif dataclasses.is_dataclass(hints[name]):
            arguments[name] = _build(typing.cast(type[Any], hints[name]), value, f"{prefix}{name}.", mistakes)
        else:
            checked = _check(prefix + name, value, hints[name], known[name].metadata, mistakes)
            if checked is not _INVALID:
                arguments[name] = checked
    return cls(**arguments)


_INVALID = object()


def _check(name: str, value: Any, hint: Any, rule: Mapping[str, Any], mistakes: list[str]) -> Any:
    """The value in the field's type, or _INVALID after adding to `mistakes`."""
    converted = _convert(value, hint)
    if converted is _INVALID:
        mistakes.append(f"{name} must be {_type_name(hint)}, got {value!r}")
        return _INVALID
    if rule["choices"] and converted not in rule["choices"]:
        mistakes.append(
            f"{name} must be one of {', '.join(rule['choices'])}, got {value!r}{_nearest(str(value), rule['choices'])}"
        )
        return _INVALID
    low, high = rule["low"], rule["high"]
    if converted is not None and (
        (low is not None and not converted >= low) or (high is not None and not converted <= high)
    ):
        allowed = (
            f"at least {low:g}" if high is None else f"in {low:g}..{high:g}" if low is not None else f"at most {high:g}"
        )
        mistakes.append(f"{name} must be {allowed}, got {value!r}")
        return _INVALID
    if isinstance(converted, float) and not math.isfinite(converted):
        mistakes.append(f"{name} must be a finite number, got {value!r}")
        return _INVALID
    return converted


def _convert(value: Any, hint: Any) -> Any:
    if isinstance(hint, types.UnionType):  # only `X | None` is used
        inner = next(arm for arm in typing.get_args(hint) if arm is not type(None))
        return None if value is None else _convert(value, inner)
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        if not isinstance(value, list | tuple):
            return _INVALID
        items = tuple(_convert(item, inner) for item in value)
        return _INVALID if _INVALID in items else items
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            return _INVALID
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    return _INVALID


def _type_name(hint: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(hint, str(hint).replace("|", "or").replace("None", "nothing"))


def _nearest(name: str, known: Iterable[str]) -> str:
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else f" (there are: {', '.join(options)})"


def _read_yaml(file: Path, mistakes: list[str]) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        mistakes.append(f"{file} cannot be read: {problem}")
        return {}
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        mistakes.append(f"{file} must hold a mapping of settings")
        return {}
    return values


def _parse_override(text: str, mistakes: list[str]) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        mistakes.append(f"'{text}' is not of the form section.name=value")
        return {}
    texts = {known for known, default, _help in describe() if isinstance(default, str)}
    nested: Any = value  # a folder named 2024 or a run named on is text
    if value and name.strip() not in texts:
        with contextlib.suppress(yaml.YAMLError):
            nested = yaml.safe_load(value)
    for part in reversed(name.strip().split(".")):
        nested = {part: nested}
    return typing.cast(dict[str, Any], nested)


def _merge(base: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(value, Mapping) and isinstance(base.get(key, {}), dict):
            inner = base.setdefault(key, {})
            _merge(inner, value)
        else:
            base[key] = value
