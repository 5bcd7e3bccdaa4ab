"""`ganfingerprint evaluate`: labelled pictures and a detector in, figures with intervals out."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ganfingerprint.artifact import Card, read_card, write_card
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, load_judge
from ganfingerprint.cli.tables import open_console
from ganfingerprint.config import CalibrationConfig
from ganfingerprint.errors import UsageError

if TYPE_CHECKING:
    from ganfingerprint.delivery import Delivery
    from ganfingerprint.evaluation.measure import Evaluation
    from ganfingerprint.evaluation.summary import SummaryTable

FITTING_SPLITS = ("validation", "val")
RATES = CalibrationConfig()

DataRoot = Annotated[Path, typer.Option(metavar="DIR", help="Labelled pictures.")]
OutputDir = Annotated[Path, typer.Option(metavar="OUT", help="Folder for scores, figures and summary.")]
Split = Annotated[str, typer.Option(help="Which part of the data.")]
By = Annotated[str, typer.Option(help="Figures of their own for each generator, family or source.")]
Fit = Annotated[
    bool, typer.Option("--fit", help="Fit calibration and thresholds to --split validation; writes the card.")
]
FalseAlarmRate = Annotated[
    float, typer.Option(min=0, max=0.5, help="With --fit: share of photographs that may be called fake.")
]
MissRate = Annotated[float, typer.Option(min=0, max=0.5, help="With --fit: share of fakes that may be called real.")]
Record = Annotated[bool, typer.Option("--record", help="Write the figures into the detector's card.")]
Manifest = Annotated[Path | None, typer.Option(metavar="CSV", help="List of the pictures, instead of folders.")]
Layout = Annotated[str, typer.Option(help="auto, reference, forensynths, genimage or manifest.")]
Tiers = Annotated[
    bool,
    typer.Option("--tiers", help="The same pictures as three platforms deliver them, too; --fit fits to all."),
]
Whole = Annotated[
    bool,
    typer.Option(
        "--whole-pictures", help="Tiers limit the longest side, instead of scaling in proportion as for crops."
    ),
]
Samples = Annotated[int, typer.Option(min=1, help="Bootstrap resamples behind an interval.")]
Seed = Annotated[int, typer.Option(help="Of the resamples.")]


def evaluate(
    data_root: DataRoot,
    output_dir: OutputDir,
    detector: DetectorFolder = None,
    split: Split = "test",
    by: By = "generator,family",
    fit: Fit = False,
    false_alarm_rate: FalseAlarmRate = RATES.false_alarm_rate,
    miss_rate: MissRate = RATES.miss_rate,
    record: Record = False,
    manifest: Manifest = None,
    layout: Layout = "auto",
    tiers: Tiers = False,
    whole_pictures: Whole = False,
    samples: Samples = 1000,
    seed: Seed = 42,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Measure a detector on labelled pictures, with 95 % intervals."""
    _refuse_contradictions(detector, split, fit=fit, record=record)
    names = tuple(name.strip() for name in by.split(",") if name.strip())
    found = measured(
        detector, tier_deliveries(whole_pictures) if tiers else {}, engine=engine, device=device,
        data_root=data_root, output_dir=output_dir, split=split, by=names, seed=seed, samples=samples,
        manifest=manifest, layout=layout,
    )  # fmt: skip
    card = read_card(detector) if (fit or record) and detector is not None else None
    if card is not None and fit:
        found, card = _fit(found, card, rates=(false_alarm_rate, miss_rate), by=names, places=(data_root, output_dir))
    if card is not None and detector is not None:
        _record(found, card, detector)
    print_evaluation(found, output_dir, open_console())
    return ExitCode.SOME_FAILED if some_failed(found) else ExitCode.DONE


def measured(
    detector: Path | None, deliveries: Mapping[str, Delivery], *, engine: str, device: str, **settings: Any
) -> Evaluation:
    """What `evaluation.run.evaluate` finds with these settings, its progress shown on a terminal."""
    from ganfingerprint.evaluation.run import evaluate as run_evaluation

    judge = load_judge(detector, engine=engine, device=device, precision="auto")
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("judging", total=None)

        def show(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        return run_evaluation(
            judge,
            command=shlex.join(["ganfingerprint", *sys.argv[1:]]),
            deliveries=deliveries,
            progress=functools.partial(show, "judging"),
            advance=show,
            **settings,
        )


def some_failed(found: Evaluation) -> bool:
    """Whether a picture could not be judged, as it is or after a delivery."""
    return bool(found.measurement.failures) or any(row.failed for row in found.deliveries)


def tier_deliveries(whole_pictures: bool) -> Mapping[str, Delivery]:
    """The tiers for crops, or for pictures in full size."""
    from ganfingerprint.delivery import TIERS, WHOLE_TIERS

    return WHOLE_TIERS if whole_pictures else TIERS


def _refuse_contradictions(detector: Path | None, split: str, *, fit: bool, record: bool) -> None:
    if fit and split not in FITTING_SPLITS:
        raise UsageError(
            f"--fit chooses thresholds, which only 'validation' may do: what '{split}' had chosen could no longer be "
            "measured on it. Fit on --split validation, then evaluate without --fit"
        )
    if (fit or record) and detector is None:
        raise UsageError("--fit and --record write a detector's card: name the detector with --detector")


def _fit(
    found: Evaluation, card: Card, *, rates: tuple[float, float], by: tuple[str, ...], places: tuple[Path, Path]
) -> tuple[Evaluation, Card]:
    """The evaluation under a calibration fitted to it, written out, and the card with that calibration, not yet.

    Figures that were measured under the old one go.
    """
    from ganfingerprint.evaluation.fit import delivered_tables, evaluated_under, fit_table, fitting_scores
    from ganfingerprint.evaluation.outputs import write_outputs

    false_alarms, misses = rates
    calibration = fit_table(found.table, delivered_tables(found), false_alarm_rate=false_alarms, miss_rate=misses)
    fitted = card.replaced(calibration=calibration.to_mapping(), scores=fitting_scores(found.table), figures={})
    again = evaluated_under(found, calibration, detector_id=fitted.detector_id, by=by)
    data_root, output_dir = places
    write_outputs(again, output_dir, data_root)
    return again, fitted


def _record(found: Evaluation, card: Card, folder: Path) -> None:
    """Write the card, last of all: a run that failed before has changed nothing."""
    from ganfingerprint.evaluation.measure import card_figures, delivery_figures

    figures = card_figures(found.measurement, found.facts.split)
    figures |= delivery_figures(found.deliveries, found.facts.split)
    write_card(folder, card.replaced(figures={**card.figures, **figures}))
    instead = " in place of those that were there" if figures.keys() & card.figures.keys() else ""
    print(f"The figures of '{found.facts.split}' are in {folder / 'card.json'}{instead}", file=sys.stderr)


def print_evaluation(found: Evaluation, output_dir: Path, console: Console) -> None:
    """The summary's tables, and where the rest is."""
    from ganfingerprint.evaluation.summary import headline_sentence, summary_tables

    console.print(headline_sentence(found), markup=False, soft_wrap=True)
    for part in summary_tables(found):
        print_table(part, console)
    console.print(
        f"\nWritten to {output_dir}: summary.md, metrics.json, scores.parquet, figures", soft_wrap=True, markup=False
    )


def print_table(part: SummaryTable, console: Console) -> None:
    """One table of a summary, with its title and note."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(part.columns):
        table.add_column(Text(column), justify="right" if number else "left")
    for row in part.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print()
    console.print(Text(part.title, style="bold"))
    console.print(table)
    if part.note:
        console.print(part.note, style="dim", markup=False)
