"""`ganfingerprint predict`: pictures and folders in, verdicts out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import true_label
from ganfingerprint.cli.accuracy import Accuracy, measure, print_accuracy
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, PrecisionName, load_judge
from ganfingerprint.cli.tables import (
    Format,
    Row,
    count_verdicts,
    open_console,
    print_counts,
    print_table,
    to_row,
    write_csv,
    write_json,
)
from ganfingerprint.decode import decode
from ganfingerprint.errors import InputError, UsageError
from ganfingerprint.listing import find_images
from ganfingerprint.types import Answer, Label, Prediction

if TYPE_CHECKING:
    from ganfingerprint.detector import Detector
    from ganfingerprint.stability import Stability

DEFAULT_OUTPUT = Path("ganfingerprint-output")

Inputs = Annotated[
    list[Path], typer.Argument(metavar="INPUT", readable=False, help="Pictures, and folders of pictures.")
]
Stable = Annotated[
    bool, typer.Option("--stability", help="Judge again after mild re-encodings; what flips is uncertain.")
]


def predict(
    inputs: Inputs,
    detector: DetectorFolder = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    gradcam: Annotated[bool, typer.Option("--gradcam", help="Draw where in each picture the evidence lies.")] = False,
    stability: Stable = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write predictions.csv, summary.json and a picture for each input."),
    ] = None,
    layout: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.TABLE,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Windows that are judged at once.")] = 16,
) -> int:
    """Judge pictures: fake, real or uncertain, with a calibrated probability.

    A picture named twice is judged once, and what lies in OUT never by
    searching a folder. A file that cannot be read becomes a row with the
    reason. Where folders or names tell the truth (real, fake), the accuracy
    is shown too.
    """
    paths = list_pictures(inputs, recursive=recursive, output_dir=output_dir or DEFAULT_OUTPUT)
    if gradcam and output_dir is None:
        output_dir = DEFAULT_OUTPUT
    judge = load_judge(detector, engine=engine, device=device, precision=precision)
    if output_dir is not None:
        _open(output_dir)
    rows: list[Row] = []
    try:
        truths = [_truth(path, inputs) for path in paths]
        answers = judge.predict_many(paths, batch_size=batch_size)
        checked = _checked(judge, paths, answers) if stability else ((answer, None) for answer in answers)
        _judge(judge, paths, truths, checked, rows, output_dir=output_dir, gradcam=gradcam)
    except BaseException:  # Ctrl-C too: hours of answers are not thrown away with what stopped the rest
        if rows:
            _save_partial(rows, len(paths), judge, layout, output_dir)
        raise
    accuracy = measure(rows)
    _print(rows, accuracy, judge, layout)
    if output_dir is not None:
        _write(rows, accuracy, judge, output_dir, listed=len(paths))
        print(f"Written to {output_dir}: predictions.csv, summary.json and the pictures", file=sys.stderr)
    return ExitCode.SOME_FAILED if any(row.error_code for row in rows) else ExitCode.DONE


def _open(output_dir: Path) -> None:
    """Make the folder; what is missing to draw into it is said now, not after an hour of judging."""
    import ganfingerprint.explain.overlay  # noqa: F401

    output_dir.mkdir(parents=True, exist_ok=True)


def list_pictures(inputs: list[Path], *, recursive: bool, output_dir: Path) -> list[Path]:
    """Every picture that the inputs name, in their order, each once; a file that is not there is kept.

    In folders, the pictures that lie in `output_dir` itself are left out: they are what a run before this one drew.

    Raises:
        UsageError: a folder holds no pictures, or no others.
    """
    found: dict[str, Path] = {}
    for path in inputs:
        pictures = _search(path, output_dir, recursive=recursive) if os.path.isdir(path) else [path]
        for picture in pictures:
            found.setdefault(os.path.abspath(picture), picture)
    return list(found.values())


def _search(folder: Path, output_dir: Path, *, recursive: bool) -> list[Path]:
    pictures = find_images(folder, recursive=recursive)
    drawn_in = os.path.realpath(output_dir)
    inputs = [picture for picture in pictures if os.path.realpath(picture.parent) != drawn_in]
    if inputs:
        return inputs
    if pictures:
        raise UsageError(f"{folder}: its pictures lie in the output folder, which is never searched; choose another")
    hint = "" if recursive else "; folders within it are searched with --recursive"
    raise UsageError(f"{folder}: there are no pictures in this folder{hint}")


def _truth(path: Path, inputs: list[Path]) -> Label | None:
    """What the folders below the input, or the name, say that a picture is."""
    return true_label(path, below=next((folder for folder in inputs if folder in path.parents), None))


def _judge(
    judge: Detector,
    paths: list[Path],
    truths: list[Label | None],
    answers: Iterator[tuple[Answer, Stability | None]],
    rows: list[Row],
    *,
    output_dir: Path | None,
    gradcam: bool,
) -> None:
    """Add a row for each path as soon as it is known."""
    taken: set[str] = set()
    with _progress(len(paths)) as progress:
        for path, truth, (answer, stability) in zip(paths, truths, answers, strict=True):
            rows.append(to_row(str(path), answer, truth, stability))
            if output_dir is not None and isinstance(answer, Prediction):
                _draw(judge, path, answer, truth, output_dir, gradcam=gradcam, taken=taken)
            progress.advance(progress.task_ids[0])


def _checked(
    judge: Detector, paths: list[Path], answers: Iterator[Answer]
) -> Iterator[tuple[Answer, Stability | None]]:
    """Each answer as it stands after mild re-encodings, and what they said."""
    from ganfingerprint.stability import check_stability, settled

    for path, answer in zip(paths, answers, strict=True):
        stability = None
        if isinstance(answer, Prediction):
            with contextlib.suppress(InputError):  # too small when scaled; or it was there a moment ago
                stability = check_stability(judge, decode(path), answer)
                answer = settled(answer, stability)
        yield answer, stability


def _draw(
    judge: Detector,
    path: Path,
    answer: Prediction,
    truth: Label | None,
    output_dir: Path,
    *,
    gradcam: bool,
    taken: set[str],
) -> None:
    from ganfingerprint.explain.overlay import result_name, save_result, visualize_result

    heat = None
    with contextlib.suppress(InputError):  # it was there a moment ago; its row stands
        image = decode(path)
        if gradcam:
            from ganfingerprint.explain.heat_map import generate_gradcam

            heat = generate_gradcam(judge, image, prediction=answer)
        figure = visualize_result(image, answer, heat=heat, true_label=truth)
        save_result(output_dir / result_name(str(path), taken), figure)


def _save_partial(rows: list[Row], listed: int, judge: Detector, layout: Format, output_dir: Path | None) -> None:
    """The rows of a run that was stopped, where those of a whole run would have been."""
    if output_dir is None:
        _print(rows, None, judge, layout)
        place = "above"
    else:
        _write(rows, None, judge, output_dir, listed=listed)
        place = f"in {output_dir / 'predictions.csv'}"
    print(f"Stopped: {len(rows)} of {listed} pictures were judged; their rows are {place}", file=sys.stderr)


def _print(rows: list[Row], accuracy: Accuracy | None, judge: Detector, layout: Format) -> None:
    """The answers on stdout; beside JSON and CSV, the words for people go to stderr."""
    if layout is Format.JSON:
        write_json(_contents(rows, judge), sys.stdout)
    elif layout is Format.CSV:
        write_csv(rows, sys.stdout)
    console = open_console(stderr=layout is not Format.TABLE)
    if layout is Format.TABLE:
        print_table(rows, console)
        console.print()
    print_counts([row.verdict for row in rows], console)
    if accuracy is not None:
        print_accuracy(accuracy, console)


def _contents(rows: list[Row], judge: Detector) -> dict[str, Any]:
    return {"detector": _identity(judge), "answers": [dataclasses.asdict(row) for row in rows]}


def _identity(judge: Detector) -> dict[str, str]:
    return {
        "id": judge.card.detector_id,
        "name": judge.card.name,
        "engine": judge.engine.name,
        "precision": judge.engine.precision,
    }


def _write(rows: list[Row], accuracy: Accuracy | None, judge: Detector, output_dir: Path, *, listed: int) -> None:

    with (
        replacing(output_dir / "predictions.csv") as beside,
        beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        write_csv(rows, stream)
    with replacing(output_dir / "summary.json") as beside, beside.open("w", encoding="utf-8") as stream:
        summary = {
            "detector": _identity(judge),
            "listed": listed,  # more than `pictures` when the run was stopped
            "pictures": len(rows),
            "verdicts": count_verdicts([row.verdict for row in rows]),
            "accuracy": accuracy.to_mapping() if accuracy else None,
        }
        write_json(summary, stream)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Progress]:
    """A bar on stderr, gone when it is done; nothing where nobody looks."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task("judging", total=total)
        yield progress
