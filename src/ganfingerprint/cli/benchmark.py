"""`ganfingerprint benchmark`: the harder questions to a detector, or to a way of training one."""

from __future__ import annotations

from typing import Annotated

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
    tier_deliveries,
)
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName
from ganfingerprint.cli.tables import open_console
from ganfingerprint.errors import UsageError

benchmark = typer.Typer(no_args_is_help=True, help="Measure what is left after deliveries, or of unknown generators.")

Deliveries = Annotated[
    str | None, typer.Option(metavar="NAME,...", help="Which; all three tiers and 15 single steps when left out.")
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
    return ExitCode.SOME_FAILED if found.measurement.failures else ExitCode.DONE
