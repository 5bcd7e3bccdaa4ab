from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ganfingerprint.cli.train import as_overrides, print_settings
from ganfingerprint.config import describe, load_config


def test_options_that_were_not_given_change_nothing() -> None:
    assert as_overrides({"optim.epochs": None, "seed": None}) == []


@pytest.mark.parametrize("name", ["data", "2024", "a: b", "[x]", "with = sign", "on", "ä ö", "~"])
def test_a_path_of_any_kind_reaches_the_configuration(name: str) -> None:
    assert load_config(overrides=as_overrides({"data.root": Path(name)})).data.root == name


def test_numbers_arrive_as_numbers() -> None:
    config = load_config(
        overrides=as_overrides({"optim.lr": 1e-05, "optim.epochs": 3, "optim.max_minutes": 2.5, "seed": 0})
    )
    assert (config.optim.lr, config.optim.epochs, config.optim.max_minutes, config.seed) == (1e-05, 3, 2.5, 0)


def test_every_setting_is_listed_with_its_help() -> None:
    console = Console(file=io.StringIO(), width=200)
    print_settings(console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for name, _, meaning in describe():
        assert name in shown
        assert meaning in shown
