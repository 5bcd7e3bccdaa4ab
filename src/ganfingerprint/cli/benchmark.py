"""`ganfingerprint benchmark`: the harder questions to a detector, or to a way of training one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganfingerprint.cli.evaluate import (
    DataRoot,
    Layout,
    Manifest,
    OutputDir,
    Samples,
    Seed,
    Split,
    Whole,
    measured,
    print_evaluation,
    print_table,
    some_failed,
    tier_deliveries,
)
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName
from ganfingerprint.cli.tables import open_console
from ganfingerprint.cli.train import ConfigFile, Epochs, Minutes, Preset, Settings, as_overrides, training_progress
from ganfingerprint.cli.train import Seed as TrainingSeed
from ganfingerprint.config import load_config
from ganfingerprint.errors import UsageError

if TYPE_CHECKING:
    from ganfingerprint.training.leave_one_out import LeaveOneOut

benchmark = typer.Typer(no_args_is_help=True, help="Measure what is left after deliveries, or of unknown generators.")

Deliveries = Annotated[
    str | None, typer.Option(metavar="NAME,...", help="Which; all three tiers and 15 single steps when left out.")
]

By = Annotated[str, typer.Option(help="family or generator: a fold for each, photographs dealt out by source.")]
Families = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Folds of your own (YAML: name, generators, photographs).")
]


@benchmark.command("robustness")
def robustness(
    data_root: DataRoot,
    output_dir: OutputDir,
    detector: DetectorFolder = None,
    split: Split = "test",
    deliveries: Deliveries = None,
    whole_pictures: Whole = False,
    manifest: Manifest = None,
    layout: Layout = "auto",
    samples: Samples = 1000,
    seed: Seed = 42,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Judge the same pictures compressed, scaled, blurred, made noisy, and as platforms deliver them."""
    from ganfingerprint.delivery import SINGLE_STEPS

    known = {**tier_deliveries(whole_pictures), **SINGLE_STEPS}
    wanted = list(known) if deliveries is None else [name.strip() for name in deliveries.split(",") if name.strip()]
    if not wanted or (unknown := [name for name in wanted if name not in known]):
        said = f"no delivery '{unknown[0]}'" if wanted else "no delivery is named"
        raise UsageError(f"{said} (there are: {', '.join(known)})")
    found = measured(
        detector, {name: known[name] for name in wanted}, engine=engine, device=device,
        data_root=data_root, output_dir=output_dir, split=split, by=(), seed=seed, samples=samples,
        manifest=manifest, layout=layout,
    )  # fmt: skip
    print_evaluation(found, output_dir, open_console())
    return ExitCode.SOME_FAILED if some_failed(found) else ExitCode.DONE


@benchmark.command("leave-one-out")
def leave_one_out(
    data_root: DataRoot,
    output_dir: OutputDir,
    by: By = "family",
    families: Families = None,
    preset: Preset = None,
    config: ConfigFile = None,
    epochs: Epochs = None,
    max_minutes: Minutes = None,
    seed: TrainingSeed = None,
    settings: Settings = None,
    samples: Samples = 1000,
) -> int:
    """Train once without each family or generator, and judge it: what a detector is worth on unknown ones.

    A training for each fold; the same command goes on where it was stopped.
    """
    options = {"data.root": data_root, "optim.epochs": epochs, "optim.max_minutes": max_minutes, "seed": seed}
    resolved = load_config(preset=preset, file=config, overrides=[*(settings or ()), *as_overrides(options)])
    from ganfingerprint.evaluation.folds import folds_by, read_folds
    from ganfingerprint.training.dataset import get_catalog
    from ganfingerprint.training.leave_one_out import leave_one_out as run

    catalog = get_catalog(resolved.data)
    folds = read_folds(families) if families is not None else folds_by(catalog, by)
    with training_progress() as report:
        found = run(resolved, catalog, folds, output_dir, samples=samples, report=report)
    _tell(found, output_dir, len(folds))
    return ExitCode.DONE if found.finished else ExitCode.INTERRUPTED


def _tell(found: LeaveOneOut, output_dir: Path, folds: int) -> None:
    from ganfingerprint.evaluation.summary import slices_table

    console = open_console()
    print_table(slices_table("What was left out", found.folds), console)
    if found.mean_auc is None:
        print(f"Stopped with {len(found.folds)} of {folds} folds; the same command goes on", file=sys.stderr)
    else:
        console.print(f"\nMean AUC of {folds} folds: {found.mean_auc}", markup=False)
        console.print(f"Written to {output_dir}: leave-one-out.csv, .json, .png", soft_wrap=True, markup=False)
