"""The page of the settings, from `config.py` and the presets."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from generator.markdown import WRITTEN, code, page, plain_type, prose, rows


def settings_page() -> str:
    """Every setting of a training, section by section, and what the presets change."""
    from ganfingerprint.config import TrainConfig
    from ganfingerprint.presets import PRESETS

    parts = [
        "# Settings", WRITTEN,
        "Everything that a training depends on. Later places win: a preset (`--preset`), a YAML file (`--config`), "
        "`--set section.name=value`. The defaults are those of the reference document, which is the preset `reference`."
        " All mistakes are reported together. `ganfingerprint train --help-config` prints this list.",
        "## At the top", _settings(TrainConfig, ""),
    ]  # fmt: skip
    for item in dataclasses.fields(TrainConfig):
        if dataclasses.is_dataclass(item.default_factory):
            section = typing.cast(type, item.default_factory)
            parts += [f"## {item.name}", section.__doc__ or "", _settings(section, f"{item.name}.")]
    parts.append("## Presets")
    changed = {
        name: {f"{part}.{key}": value for part, keys in preset.items() for key, value in keys.items()}
        for name, preset in PRESETS.items()
    }
    named = sorted({key for preset in changed.values() for key in preset})
    cells = ([code(key), *(_shown(preset.get(key, "")) for preset in changed.values())] for key in named)
    parts.append("What each changes of the defaults; an empty cell is the default.")
    parts.append(rows("setting", *changed, of=cells))
    return page(*parts)


def _settings(section: type, prefix: str) -> str:
    hints = typing.get_type_hints(section)
    plain = [item for item in dataclasses.fields(section) if not dataclasses.is_dataclass(item.default_factory)]
    cells = (
        (code(prefix + item.name), _shown(item.default), _allowed(hints[item.name], item.metadata),
         prose(item.metadata["help"]))
        for item in plain
    )  # fmt: skip
    return rows("setting", "default", "allowed", "meaning", of=cells)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple):
        return code(list(value)) if value else "none"
    return "none" if value is None else code(value)


def _allowed(hint: Any, rule: Mapping[str, Any]) -> str:
    if rule["choices"]:
        return ", ".join(code(choice) for choice in rule["choices"])
    several = "list of " if typing.get_origin(hint) is tuple else ""
    said = {bool: "true or false", int: "whole number", float: "number", str: "text"}[plain_type(hint)]
    low, high = rule["low"], rule["high"]
    bounds = "" if low is None else f", at least {low:g}" if high is None else f", {low:g} to {_bound(high)}"
    return several + said + bounds


def _bound(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
