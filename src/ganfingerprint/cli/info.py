"""`ganfingerprint info`: what a detector is, how it decides, and what it was measured on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ganfingerprint.artifact import Card, graph_engines, read_card, read_file, shipped_detector
from ganfingerprint.artifact.card import plain
from ganfingerprint.calibrate import Calibration
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.model_card import Facts, calibration_facts, model_card, window_facts
from ganfingerprint.cli.tables import open_console, write_json


class CardFormat(StrEnum):
    """How a card is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def info(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="Folder of a detector; without it the shipped one.")
    ] = None,
    layout: Annotated[CardFormat, typer.Option("--format", help="What is printed.")] = CardFormat.TEXT,
) -> int:
    """Show what a detector is: architecture, windows, calibration, thresholds, training and measured figures."""
    folder = shipped_detector() if path is None else path
    card = read_card(folder)
    for item in (*card.weights, *card.graphs):
        read_file(folder, item)  # a card of weights that are damaged describes nothing
    calibration = Calibration.from_mapping(card.calibration)
    if layout is CardFormat.JSON:
        write_json({"detector": {"id": card.detector_id, "folder": str(folder), **plain(card)}}, sys.stdout)
        return ExitCode.DONE
    if layout is CardFormat.MARKDOWN:
        from ganfingerprint.attribution import FILE_NAME, read_gallery

        beside = folder / FILE_NAME
        print(model_card(card, read_gallery(beside) if beside.is_file() else None), end="")
        return ExitCode.DONE
    console = open_console()
    _section(console, "Detector", _identity(card, folder))
    _section(console, "Architecture", _flat(card.architecture))
    _section(console, "Windows", window_facts(card))
    _section(console, "Calibration", calibration_facts(calibration))
    _section(console, "Training", training_facts(card))
    _figures(console, card.figures)
    return ExitCode.DONE


def training_facts(card: Card) -> Facts:
    """How it was trained; the settings, dozens of them, are told by `--format json`."""
    facts = _flat({name: value for name, value in card.training.items() if name != "config"})
    return [*facts, ("settings", "see --format json")] if "config" in card.training else facts


def _identity(card: Card, folder: Path) -> Facts:
    size = sum(item.bytes for item in card.weights) / 1e6
    return [
        ("name", card.name),
        ("id", card.detector_id),
        ("folder", str(folder)),
        ("made", f"{card.created or 'unknown'}, with version {card.package_version or 'unknown'}"),
        ("weights", f"{size:.1f} MB in {len(card.weights)} file{'' if len(card.weights) == 1 else 's'}"),
        ("engines", ", ".join([*([] if card.exported else ["torch"]), *graph_engines(card)])),
        ("first weights", card.origin or "not stated"),
        ("licence", card.licence or "not stated"),
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Facts:
    facts: Facts = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            facts += _flat(value, f"{prefix}{name}.")
        else:
            facts.append((prefix + name, _words(value)))
    return facts


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _section(console: Console, title: str, facts: Facts) -> None:
    console.print(Text(title, style="bold"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts or [("", "not stated")]:
        table.add_row(Text(name), Text(value))
    console.print(table)
    console.print()


def _figures(console: Console, figures: Mapping[str, Any]) -> None:
    """Each split's figures, with their interval where they have one."""
    if not figures:
        _section(console, "Figures", [("", "not measured")])
    for split, values in figures.items():
        named = values if isinstance(values, Mapping) else {"": values}
        _section(
            console,
            f"Figures on {split}",
            [fact for name, value in named.items() for fact in figure_facts(name, value)],
        )


def figure_facts(name: str, value: Any) -> Facts:
    """One figure with its interval and the number of pictures behind it, where they are known."""
    if not isinstance(value, Mapping):
        return [(name, _words(value))]
    if "value" not in value:
        return _flat(value, f"{name}.")
    low, high, number = value.get("low"), value.get("high"), value.get("n")
    text = _words(value["value"])
    text += "" if low is None or high is None else f" [{_words(low)}, {_words(high)}]"
    return [(name, text if number is None else f"{text}, n = {number}")]
