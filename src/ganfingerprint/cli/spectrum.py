"""`ganfingerprint spectrum`: what pictures of one origin have in common that single ones hide."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder
from ganfingerprint.cli.tables import open_console, printable, write_json
from ganfingerprint.errors import InputError, UsageError

if TYPE_CHECKING:
    from ganfingerprint.config import WindowConfig
    from ganfingerprint.explain.spectrum import MeanSpectrum
    from ganfingerprint.types import Float32Array


def spectrum(
    inputs: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders of one origin each; or files.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.png", help="The figure; its numbers lie beside as JSON.")],
    pictures: Annotated[int, typer.Option(min=1, metavar="N", help="Of each folder, the first N.")] = 500,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    detector: DetectorFolder = None,
) -> int:
    """Draw the mean spectrum of the fine detail of pictures, folder beside folder, with its peaks.

    Up-sampling leaves a grid of peaks that is equal in all pictures of one
    generator; on eighths of a cycle the blocks of JPEG may leave peaks too.
    Windows are those of the detector, at the pictures' own resolution.
    """
    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: the figure is a PNG; name it like spectrum.png")
    from ganfingerprint.artifact import read_card, shipped_detector
    from ganfingerprint.atomic import replacing
    from ganfingerprint.evaluation.canvas import require_matplotlib, save_figure
    from ganfingerprint.evaluation.spectrum_plots import plot_spectra, spectra_as_dict

    require_matplotlib()  # before the work, not after it
    policy = read_card(shipped_detector() if detector is None else detector).window_config
    failed: list[InputError] = []
    spectra = {name: _of_folder(path, policy, pictures, recursive, failed) for name, path in _names(inputs).items()}
    save_figure(plot_spectra(spectra), out)
    numbers = spectra_as_dict(spectra)
    beside = out.with_suffix(".json")
    with replacing(beside) as file, file.open("w", encoding="utf-8") as stream:
        write_json({"spectra": numbers}, stream)
    _print(spectra)
    print(f"{out} and {beside}")
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE


def _names(inputs: list[Path]) -> dict[str, Path]:
    """What each input is called: the last part of its path, or all of it where that does not tell them apart."""
    short = [path.resolve().name for path in inputs]
    unique = len(set(short)) == len(short)
    return {name if unique else str(path): path for name, path in zip(short, inputs, strict=True)}


def _of_folder(
    path: Path, policy: WindowConfig, pictures: int, recursive: bool, failed: list[InputError]
) -> MeanSpectrum:
    from ganfingerprint.explain.spectrum import mean_spectrum
    from ganfingerprint.listing import find_images

    paths = find_images(path, recursive=recursive)
    spectra = iter(_spectra(paths, policy, failed))
    first = next(spectra, None)
    if first is None:
        hint = "" if recursive else "; --recursive searches folders within folders"
        raise UsageError(f"{path}: no picture of it can be read{hint}")
    return mean_spectrum(itertools.islice(itertools.chain([first], spectra), pictures))


def _spectra(paths: list[Path], policy: WindowConfig, failed: list[InputError]) -> Iterator[Float32Array]:
    from ganfingerprint.decode import decode
    from ganfingerprint.explain.spectrum import residual_spectrum
    from ganfingerprint.windows import cut_windows

    for path in paths:
        try:
            image = decode(path)
        except InputError as problem:
            failed.append(problem)
            print(printable(f"{problem} [{problem.code}]"), file=sys.stderr)
        else:
            yield residual_spectrum(cut_windows(image, policy).pixels)


def _print(spectra: dict[str, MeanSpectrum]) -> None:
    from ganfingerprint.explain.spectrum import find_peaks

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("folder", overflow="fold")
    for name in ("pictures", "across", "down", "period, px", "dB above what is around"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for name, found in spectra.items():
        peaks = find_peaks(found.values)
        if not peaks:
            table.add_row(Text(printable(name)), str(found.pictures), "", "", "", "", "no peak")
        for number, peak in enumerate(peaks):
            shown = (Text(printable(name)), str(found.pictures)) if number == 0 else (Text(""), "")
            said = "where JPEG leaves peaks too" if peak.of_jpeg else ""
            numbers = (f"{peak.across:+.3f}", f"{peak.down:.3f}", f"{peak.period:.2f}", f"{peak.decibels:.1f}")
            table.add_row(*shown, *numbers, said)
    open_console().print(table)
