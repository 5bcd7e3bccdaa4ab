"""`ganfingerprint train`: labelled pictures in, a detector out."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.tables import open_console
from ganfingerprint.config import describe, load_config
from ganfingerprint.errors import UsageError
from ganfingerprint.presets import PRESETS

if TYPE_CHECKING:
    from ganfingerprint.training.run import TrainResult

QUIET_S = 30.0  # without a terminal, a line at most this often


DataRoot = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Labelled pictures: split folders, or a manifest.csv.")
]
ConfigFile = Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file of settings, on top of the preset.")]
Preset = Annotated[str | None, typer.Option(help=f"{', '.join(PRESETS)}; reference when left out.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training set.")]
BatchSize = Annotated[int | None, typer.Option(help="Windows a step, in each process.")]
Rate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16.")]
Resume = Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with the run of this folder.")]
Output = Annotated[Path | None, typer.Option(metavar="RUN", help="Folder of this run; else a new one in runs/.")]
Minutes = Annotated[float | None, typer.Option(help="Time budget; the schedule ends with it.")]
Workers = Annotated[int | None, typer.Option(help="Processes that read pictures.")]
Seed = Annotated[int | None, typer.Option(help="Of every random choice.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Any other setting; repeatable.")
]
HelpConfig = Annotated[bool, typer.Option("--help-config", help="List every setting and stop.")]


def train(
    data_root: DataRoot = None,
    config: ConfigFile = None,
    preset: Preset = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: Rate = None,
    device: Device = None,
    precision: Precision = None,
    resume: Resume = None,
    output: Output = None,
    max_minutes: Minutes = None,
    workers: Workers = None,
    seed: Seed = None,
    settings: Settings = None,
    help_config: HelpConfig = False,
) -> int:
    """Train a detector on a folder of labelled pictures.

    It is written into the run's folder, calibrated on validation.
    Ctrl-C stops after saving; --resume goes on from there.
    """
    if help_config:
        print_settings(open_console())
        return ExitCode.DONE
    options = {
        "data.root": data_root,
        "optim.epochs": epochs,
        "optim.batch_size": batch_size,
        "optim.lr": lr,
        "optim.device": device,
        "optim.precision": precision,
        "output.run": output,
        "optim.max_minutes": max_minutes,
        "data.workers": workers,
        "seed": seed,
    }
    overrides = [*(settings or ()), *as_overrides(options)]
    _refuse_contradictions(overrides, config=config, preset=preset, resume=resume)
    return _run(overrides, config=config, preset=preset, resume=resume)


def as_overrides(options: dict[str, Any]) -> list[str]:
    """The options that were given, as `section.name=value`."""
    return [f"{name}={value}" for name, value in options.items() if value is not None]


def print_settings(console: Console) -> None:
    """Every setting with its default and meaning."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True)
    table.add_column("default")
    table.add_column("meaning", overflow="fold")
    for name, default, meaning in describe():
        table.add_row(name, Text(json.dumps(default)), meaning)
    console.print(table)


def _refuse_contradictions(
    overrides: list[str], *, config: Path | None, preset: str | None, resume: Path | None
) -> None:
    if resume is not None and (config is not None or preset is not None):
        raise UsageError("--resume goes on with the run's own settings: leave out --config and --preset")
    if resume is None and config is None and not any(text.startswith("data.root=") for text in overrides):
        raise UsageError("train needs --data-root DIR, a folder of labelled pictures (or --resume RUN)")


def _run(overrides: list[str], *, config: Path | None, preset: str | None, resume: Path | None) -> int:
    if resume is None:
        resolved = load_config(preset=preset, file=config, overrides=overrides)
    from ganfingerprint.training.distributed import Group
    from ganfingerprint.training.run import resumed_config
    from ganfingerprint.training.run import train as run_training

    if resume is not None:
        resolved = resumed_config(resume, overrides)
    group = Group.from_environment()
    with training_progress() if group.is_first else nullcontext() as report:
        command = shlex.join(["ganfingerprint", *sys.argv[1:]])
        result = run_training(resolved, resume=resume, report=report, command=command)
    if group.is_first:
        _tell(result, "ganfingerprint" if group.size == 1 else "torchrun ... -m ganfingerprint")
    return ExitCode.INTERRUPTED if result.detector is None else ExitCode.DONE


def _tell(result: TrainResult, program: str) -> None:
    print(f"{result.pictures_seen} pictures in {result.minutes:.1f} minutes; run: {result.run}")
    if result.detector is None:
        print(f"Stopped and saved. Go on with: {program} train --resume {result.run}", file=sys.stderr)
        return
    print(f"Best epoch {result.best_epoch}, score {result.best_score:.4f}")
    print(f"Detector: {result.detector}")


class _Bar:
    """The stage under way as a bar with loss and pictures a second."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("set-up", total=None, note="")

    def __call__(self, stage: str, done: int, total: int, loss: float, rate: float) -> None:
        self.progress.update(self.task, description=stage, completed=done, total=total, note=_note(loss, rate))


class _Lines:
    """The same as lines of text, few of them."""

    def __init__(self) -> None:
        self.stage, self.said_at = "", -math.inf

    def __call__(self, stage: str, done: int, total: int, loss: float, rate: float) -> None:
        if stage == self.stage and time.monotonic() - self.said_at < QUIET_S:
            return
        self.stage, self.said_at = stage, time.monotonic()
        print(f"{stage}: {done} of {total} {_note(loss, rate)}".rstrip(), file=sys.stderr, flush=True)


def _note(loss: float, rate: float) -> str:
    parts = [f"loss {loss:.4f}"] if math.isfinite(loss) else []
    return ", ".join([*parts, *([f"{rate:.1f} pictures/s"] if rate > 0 else [])])


@contextmanager
def training_progress() -> Iterator[_Bar | _Lines]:
    """How a training tells how far it is: a bar on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress)
