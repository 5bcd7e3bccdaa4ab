"""`ganfingerprint attribute` and `compare`: whose fingerprint, and are two of one generator?"""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.gallery import GalleryFile, judged, open_gallery, say_failures
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, load_judge
from ganfingerprint.cli.predict import Inputs, list_pictures
from ganfingerprint.cli.tables import COLORS, Format, open_console, printable, write_json
from ganfingerprint.errors import UsageError
from ganfingerprint.types import Answer, Attribution, Comparison, Failure, Prediction, Verdict

if TYPE_CHECKING:
    from ganfingerprint.attribution import Gallery
    from ganfingerprint.config import WindowConfig

COLUMNS = (
    "path", "sha256", "verdict", "answer", "probability", "prob_photograph", "prob_unknown",
    "candidate", "candidate_probability", "second", "second_probability", "nearest", "nearest_of",
    "gallery_id", "error_code", "error",
)  # fmt: skip


def attribute(
    inputs: Inputs,
    gallery_file: GalleryFile = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    layout: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.TABLE,
    detector: DetectorFolder = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Name the generator of pictures: an enrolled one, an unknown one, or none as it is a photograph.

    The answer has a probability that was fitted on pictures that the network
    has not seen. It is a lead and no proof.
    """
    from ganfingerprint.attribution import attribute as ask
    from ganfingerprint.attribution.words import LEAD

    paths = list_pictures(inputs, recursive=recursive, output_dir=Path("-"))
    judge = load_judge(detector, engine=engine, device=device, precision="auto")
    known = open_gallery(gallery_file, judge)
    answers = list(judged(judge, paths))
    found = iter(ask([item for item in answers if isinstance(item, Prediction)], known))
    pairs = [(item, None if isinstance(item, Failure) else next(found)) for item in answers]
    if layout is Format.JSON:
        write_json(
            {"gallery_id": known.gallery_id, "note": LEAD, "pictures": [_json(*pair) for pair in pairs]}, sys.stdout
        )
    elif layout is Format.CSV:
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(*pair) for pair in pairs)
    else:
        _print(pairs, known)
    return ExitCode.SOME_FAILED if any(found is None for _, found in pairs) else ExitCode.DONE


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", readable=False, help="A picture; with --many a folder.")],
    second: Annotated[Path, typer.Argument(metavar="B", readable=False, help="Another one.")],
    many: Annotated[bool, typer.Option("--many", help="A and B are folders of one origin each.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the mean spectra of both sides, and their peaks.")
    ] = None,
    gallery_file: GalleryFile = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    layout: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
    detector: DetectorFolder = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Say whether generated pictures of two origins are of one generator, which need not be known.

    Of photographs the answer means nothing: their verdicts are shown, too.
    """
    from ganfingerprint.attribution import compare as ask

    if layout is Format.CSV:
        raise UsageError("a comparison is one answer: --format table or json")
    _check_sides((first, second), many)
    if out is not None:
        from ganfingerprint.evaluation.canvas import require_matplotlib

        require_matplotlib()  # before the work, not after it
    judge = load_judge(detector, engine=engine, device=device, precision="auto")
    known = open_gallery(gallery_file, judge)
    paths = [list_pictures([side], recursive=recursive, output_dir=Path("-")) for side in (first, second)]
    answers = [list(judged(judge, side)) for side in paths]
    sides = [[item for item in side if isinstance(item, Prediction)] for side in answers]
    failed = say_failures([*answers[0], *answers[1]])
    if not all(sides):
        return ExitCode.SOME_FAILED  # why has been said of each
    found = ask(sides[0], sides[1], known)
    _say(found, sides, known, layout)
    if out is not None:
        _draw((first, second), sides, judge.window, out)
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


def _check_sides(sides: tuple[Path, Path], many: bool) -> None:
    for side in sides:
        if side.is_dir() and not many:
            raise UsageError(f"{side} is a folder: --many compares two folders")
        if many and side.exists() and not side.is_dir():
            raise UsageError(f"{side} is a file: --many compares two folders")


def _json(answer: Answer, found: Attribution | None) -> dict[str, Any]:
    if isinstance(answer, Failure):
        return {"path": answer.source, "error": {"code": answer.code, "message": answer.error}}
    assert found is not None  # whatever was judged is attributed
    facts = dataclasses.asdict(found)
    del facts["source"], facts["gallery_id"]
    return {"path": answer.source, "sha256": answer.sha256, "verdict": answer.verdict.value, "error": None, **facts}


def _row(answer: Answer, found: Attribution | None) -> dict[str, Any]:
    if isinstance(answer, Failure):
        return {"path": answer.source, "error_code": answer.code, "error": answer.error}
    assert found is not None
    likeliest, second = (found.candidates[at] if len(found.candidates) > at else None for at in (0, 1))
    near = found.nearest[0] if found.nearest else None
    return {
        "path": answer.source,
        "sha256": answer.sha256,
        "verdict": answer.verdict.value,
        "answer": found.answer,
        "probability": found.probability,
        "prob_photograph": found.prob_photograph,
        "prob_unknown": found.prob_unknown,
        "candidate": likeliest and likeliest.name,  # whatever the answer is
        "candidate_probability": likeliest and likeliest.probability,
        "second": second and second.name,
        "second_probability": second and second.probability,
        "nearest": near and near.id,
        "nearest_of": near and near.name,
        "gallery_id": found.gallery_id,
    }


def _print(pairs: list[tuple[Answer, Attribution | None]], known: Gallery) -> None:
    from ganfingerprint.attribution.words import IF_GENERATED, LEAD, RULE

    console = open_console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("generator", overflow="fold")
    for name in ("P(answer)", "P(photograph)", "P(unknown)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("next candidates", overflow="fold")
    for answer, found in pairs:
        if found is not None and isinstance(answer, Prediction):
            others = [c for c in found.candidates if c.name != found.answer and c.probability >= 0.01][:2]
            table.add_row(
                Text(printable(answer.source)),
                Text(answer.verdict.value, style=COLORS[answer.verdict]),
                Text(printable(found.answer)),
                *(f"{value:.2f}" for value in (found.probability, found.prob_photograph, found.prob_unknown)),
                Text(printable(", ".join(f"{c.name} {c.probability:.2f}" for c in others))),
            )
    console.print(table)
    say_failures([answer for answer, _ in pairs])
    if any(found is not None and found.probability < found.prob_photograph for _, found in pairs):
        console.print(RULE, markup=False)
    if any(isinstance(answer, Prediction) and answer.verdict is not Verdict.FAKE for answer, _ in pairs):
        console.print(f"Where the verdict is not fake: {IF_GENERATED}", markup=False)
    console.print(f"{len(known.generators)} generators are known (gallery {known.gallery_id}). {LEAD}", markup=False)


def _say(found: Comparison, sides: list[list[Prediction]], known: Gallery, layout: Format) -> None:
    from ganfingerprint.attribution.words import COMPARED, comparison_sentence, side_reservation

    verdicts = [[item.verdict.value for item in side] for side in sides]
    if layout is Format.JSON:
        facts = {**dataclasses.asdict(found), "gallery_id": known.gallery_id, "note": COMPARED}
        write_json(
            {**facts, "verdicts": [{v: side.count(v) for v in sorted(set(side))} for side in verdicts]}, sys.stdout
        )
        return
    for name, side in zip(("first", "second"), sides, strict=True):
        if said := side_reservation(name, side):
            print(said)
    print(comparison_sentence(found, known.pairs.log10_lr_bound))
    print(f"Compared by the gallery {known.gallery_id}. {COMPARED}")


def _draw(names: tuple[Path, Path], sides: list[list[Prediction]], policy: WindowConfig, out: Path) -> None:
    from ganfingerprint.decode import decode
    from ganfingerprint.evaluation.canvas import save_figure
    from ganfingerprint.evaluation.spectrum_plots import plot_spectra
    from ganfingerprint.explain.spectrum import mean_spectrum, residual_spectrum
    from ganfingerprint.windows import cut_windows

    spectra = {
        f"{place}: {name.name}": mean_spectrum(
            residual_spectrum(cut_windows(decode(item.source), policy).pixels) for item in side
        )
        for place, name, side in zip("AB", names, sides, strict=True)
    }
    save_figure(plot_spectra(spectra), out)
