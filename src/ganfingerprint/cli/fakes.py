"""`ganfingerprint fakes`: photographs in, pairs of a photograph and its aligned fake out."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.stopping import told_when_stopped
from ganfingerprint.cli.tables import open_console
from ganfingerprint.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ganfingerprint.fakes.run import FakesSettings, Made

Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="Photographs: any folder, or a data root.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR2", help="Folder of the pairs; a data root itself.")]
Recipes = Annotated[
    list[str] | None, typer.Option("--recipe", metavar="NAME", help="Repeatable; all that can be had when left out.")
]
Size = Annotated[int, typer.Option(help="Longest side of a crop, pixels.")]
PerPhoto = Annotated[int, typer.Option(help="Recipes drawn for each photograph.")]
Seed = Annotated[int, typer.Option(help="Of every random choice.")]
Split = Annotated[str, typer.Option(help="That the pairs are for.")]
FromSplit = Annotated[str, typer.Option(help="Of a data root: the split whose photographs are taken.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many photographs, drawn by the seed.")]
Train = Annotated[int, typer.Option(metavar="N", min=0, help="Train N networks of our own on the photographs first.")]
Minutes = Annotated[float, typer.Option(help="With --train: time for each network.")]
Networks = Annotated[Path | None, typer.Option(metavar="DIR", help="Networks trained before; else DIR2/networks.")]
Restart = Annotated[bool, typer.Option("--restart", help="Remove the pairs that are there and begin anew.")]
List = Annotated[bool, typer.Option("--list", help="List the recipes and stop.")]


def fakes(
    folder: Folder = None,
    out: Out = None,
    recipe: Recipes = None,
    size: Size = 512,
    per_photo: PerPhoto = 1,
    seed: Seed = 42,
    split: Split = "train",
    from_split: FromSplit = "",
    limit: Limit = None,
    train: Train = 0,
    minutes: Minutes = 2.0,
    networks: Networks = None,
    restart: Restart = False,
    list_recipes: List = False,
) -> int:
    """Make aligned fakes: photographs through the last stage of a generator.

    A pair has one content, format, quality and size; only the trace differs.
    A run that was stopped goes on when it is called again.
    """
    own = networks or (out / "networks" if out is not None else Path("networks"))
    if list_recipes:
        print_recipes(own, open_console())
        return ExitCode.DONE
    if folder is None or out is None:
        raise UsageError("fakes needs DIR, a folder of photographs, and --out DIR2 (or --list)")
    _refuse_absent(networks if not train else None)
    from ganfingerprint.fakes.photographs import draw, list_photographs
    from ganfingerprint.fakes.recipes import build_recipe
    from ganfingerprint.fakes.run import make_fakes

    photographs = draw(list_photographs(folder, from_split=from_split, below=out), limit, seed=seed)
    if train:
        _train([photograph.path for photograph in photographs], own, count=train, minutes=minutes, seed=seed)
    settings = _settings(recipe, own, size=size, per_photo=per_photo, seed=seed, split=split, from_split=from_split)
    stopped = f"Stopped: the pairs so far are in {out}, and the same command goes on from there"
    with told_when_stopped(stopped), progress_bar("photographs") as report:
        made = make_fakes(
            photographs, out, settings, lambda name: build_recipe(name, own), restart=restart, report=report
        )
    _draw_sheet(out)
    print_made(made, open_console())
    print(f"Pairs: {out}", file=sys.stderr)
    return ExitCode.SOME_FAILED if made.failures else ExitCode.DONE


def _refuse_absent(networks: Path | None) -> None:
    if networks is not None and not networks.is_dir():
        raise UsageError(f"{networks}: there is no such folder of networks (--train makes some)")


def print_recipes(networks: Path, console: Console) -> None:
    """Every recipe, whether it can be had here, and what it is."""
    from ganfingerprint.fakes.recipes import DECODER, RECIPES, WRAPPERS, default_recipes, installed

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("recipe", no_wrap=True)
    table.add_column("installed", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for name, row in RECIPES.items():
        table.add_row(name, Text("yes") if installed(name) else Text("no", style="red"), f"{row.kind}: {row.about}")
    for name in default_recipes(networks):
        if name.startswith(DECODER):
            table.add_row(name, "yes", f"network of our own, in {networks}")
    for name, wrapper in WRAPPERS.items():
        table.add_row(f"{name}:RECIPE", "yes", wrapper.about)
    console.print(table)


def print_made(made: Made, console: Console) -> None:
    """What a run made: a line for each recipe, then the failures, then one line in all."""
    fakes = [member for member in made.members if member.recipe]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("recipe", overflow="fold")
    for name in ("fakes", "PSNR, dB", "lowest", "s a picture"):
        table.add_column(name, justify="right", no_wrap=True)
    for recipe in sorted({member.recipe for member in fakes}):
        alike = [member for member in fakes if member.recipe == recipe]
        ratios = [member.psnr for member in alike if member.psnr is not None]
        seconds = statistics.fmean(member.seconds for member in alike)
        numbers = (f"{statistics.fmean(ratios):.1f}", f"{min(ratios):.1f}", f"{seconds:.2f}")
        table.add_row(recipe, str(len(alike)), *numbers)
    if fakes:
        console.print(table)
    for failure in made.failures:
        said = f"{failure['path']}: {failure['error']} [{failure['code']}]"
        console.print(said, style="red", markup=False, soft_wrap=True)
    counts = [f"{made.photographs} photographs with pairs"]
    counts += [f"{made.kept} of them from before"] if made.kept else []
    counts += [f"{made.repeated} given twice"] if made.repeated else []
    counts += [f"{len(made.failures)} not read (failed.csv)"] if made.failures else []
    console.print(f"{len(fakes)} fakes; {', '.join(counts)}", markup=False, soft_wrap=True)


def _settings(
    recipes: Sequence[str] | None,
    networks: Path,
    *,
    size: int,
    per_photo: int,
    seed: int,
    split: str,
    from_split: str,
) -> FakesSettings:
    from ganfingerprint.fakes.recipes import DECODER, check_name, default_recipes, split_name
    from ganfingerprint.fakes.run import FakesSettings

    mistakes = []
    for name in recipes or ():
        try:
            check_name(name, networks)
        except ConfigError as problem:
            mistakes += problem.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    names = tuple(dict.fromkeys(recipes or default_recipes(networks)))
    own = {inside.removeprefix(DECODER) for name in names if (inside := split_name(name)[1]).startswith(DECODER)}
    hashes = {}
    if own:
        from ganfingerprint.fakes.storage import read_facts

        hashes = {name: read_facts(networks, name).sha256 for name in sorted(own)}
    return FakesSettings(
        recipes=names,
        size=size,
        per_photo=per_photo,
        seed=seed,
        split=split,
        from_split=from_split,
        networks=hashes,
    )


def _train(paths: list[Path], networks: Path, *, count: int, minutes: float, seed: int) -> None:
    from ganfingerprint.fakes.storage import GOOD_PSNR
    from ganfingerprint.fakes.train import train_networks

    with progress_bar("training, networks") as report:
        trained = train_networks(paths, networks, count=count, minutes=minutes, seed=seed, report=report)
    for name, facts in trained.items():
        poor = "" if facts.is_good else f" (poor: below {GOOD_PSNR:.0f} dB, usable all the same)"
        print(f"{name}: {facts.psnr:.1f} dB after {facts.steps} steps{poor}", file=sys.stderr)


def _draw_sheet(out: Path) -> None:
    from ganfingerprint.fakes.picture import draw_pairs

    draw_pairs(out)


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[float, float], None]]:
    """A function that shows how many of how many are done; silent without a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
