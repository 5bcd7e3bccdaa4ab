"""`ganfingerprint gallery`: which generators are known, and by which pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track
from rich.table import Table
from rich.text import Text

from ganfingerprint.cli.evaluate import DataRoot, Layout, Manifest
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, load_judge
from ganfingerprint.cli.predict import list_pictures
from ganfingerprint.cli.tables import open_console, printable
from ganfingerprint.errors import GalleryError, UsageError
from ganfingerprint.types import Answer, Failure, Prediction

if TYPE_CHECKING:
    from ganfingerprint.attribution import Gallery
    from ganfingerprint.detector import Detector

gallery = typer.Typer(no_args_is_help=True, help="Enrol generators by their pictures, and see which are known.")

VARIABLE = "GANFINGERPRINT_GALLERY"
GalleryFile = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        metavar="FILE",
        help=f"A gallery's file; without it ${VARIABLE}, else your own one where there is one, else the shipped one.",
    ),
]


@gallery.command("enroll")
def enroll(
    inputs: Annotated[list[Path], typer.Argument(metavar="DIR", readable=False, help="Its pictures.")],
    name: Annotated[str, typer.Option(help="What the generator is called in answers.")],
    gallery_file: GalleryFile = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    detector: DetectorFolder = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Add pictures of a generator, new or known; no training follows.

    25 or more are of use; how well it works depends on the generator, so try
    it on pictures that you did not enrol.

    A gallery that is not there yet begins as a copy of the shipped one. A
    file that is enrolled already counts once.
    """
    from ganfingerprint.attribution import changing, save_gallery, traces_of
    from ganfingerprint.attribution.words import not_all_fake

    judge = load_judge(detector, engine=engine, device=device, precision="auto")
    target = _target(gallery_file, judge.detector_id)
    paths = list_pictures(inputs, recursive=recursive, output_dir=target.parent / "-")
    _as_seen_by(_before(target, judge.folder), [judge.trial()])  # before the work, not after it
    answers = list(judged(judge, paths))
    kept = [item for item in answers if isinstance(item, Prediction)]
    say_failures(answers)
    if not kept:
        return ExitCode.SOME_FAILED  # why has been said of each
    with changing(target):  # read again: another enrolment may have ended meanwhile
        before = _as_seen_by(_before(target, judge.folder), kept[:1])
        after = before.enrolled(name, traces_of(kept), [Path(p.source).name for p in kept], [p.sha256 for p in kept])
        save_gallery(after, target)
    added, count = len(after.names) - len(before.names), after.names.count(name)
    print(f"{printable(name)}: {added} added, {count} in all; {target}")
    if said := not_all_fake(kept):
        print(f"Of these pictures the detector says: {said}. Enrol none that a generator did not make.")
    return ExitCode.DONE if len(kept) == len(answers) else ExitCode.SOME_FAILED


@gallery.command("remove")
def remove(
    name: Annotated[str, typer.Option(help="The generator that is forgotten.")],
    gallery_file: GalleryFile = None,
    detector: DetectorFolder = None,
) -> int:
    """Forget a generator."""
    from ganfingerprint.artifact import read_card, shipped_detector
    from ganfingerprint.attribution import changing, read_gallery, save_gallery

    target = _target(gallery_file, read_card(detector or shipped_detector()).detector_id)
    with changing(target):
        after = read_gallery(_before(target, detector)).without(name)
        save_gallery(after, target)
    print(f"{printable(name)}: removed; {len(after.generators)} generators are left; {target}")
    return ExitCode.DONE


@gallery.command("list")
def show_list(gallery_file: GalleryFile = None, detector: DetectorFolder = None) -> int:
    """List the generators that are known."""
    from ganfingerprint.attribution import read_gallery

    known = read_gallery(find_gallery(gallery_file, detector))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("generator", overflow="fold")
    table.add_column("pictures", justify="right")
    for generator, count in zip(known.generators, known.counts, strict=True):
        table.add_row(Text(printable(generator)), str(count))
    open_console().print(table)
    return ExitCode.DONE


@gallery.command("info")
def show_info(gallery_file: GalleryFile = None, detector: DetectorFolder = None) -> int:
    """Say what a gallery is: of which detector, learnt from what, how large."""
    from ganfingerprint.attribution import read_gallery

    path = find_gallery(gallery_file, detector)
    known = read_gallery(path)
    facts = {
        "file": str(path),
        "gallery": known.gallery_id,
        "of detector": known.detector_id,
        "generators": str(len(known.generators)),
        "pictures": str(len(known.names)),
        "numbers of a fingerprint": f"{known.space.size}, from {known.basis.size} that are kept of each picture",
        "evidence is bounded at": f"{known.pairs.log10_lr_bound:.2f} (log10 of a likelihood ratio)",
        "learnt from": known.origin or "not said",
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {printable(value)}")
    return ExitCode.DONE


@gallery.command("fit")
def fit(
    data_root: DataRoot,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the gallery is written.")],
    merge: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=OTHER", help="Generators that cannot be told apart: NAME is enrolled as OTHER."),
    ] = None,
    manifest: Manifest = None,
    layout: Layout = "auto",
    detector: DetectorFolder = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    seed: Annotated[int, typer.Option(help="Decides what is drawn.")] = 42,
) -> int:
    """Make a gallery for a detector of your own from the pictures that it was trained and chosen on.

    The generators of the split `train` are enrolled; what evidence is worth
    is fitted on `validation`, as it is and through three deliveries.
    """
    from ganfingerprint.attribution import save_gallery
    from ganfingerprint.catalog import read_catalog
    from ganfingerprint.evaluation.attribution import fit_on_catalog

    renamed = dict(_pair(text) for text in merge or ())
    judge = load_judge(detector, engine=engine, device=device, precision="auto")
    catalog = read_catalog(data_root, manifest=manifest, layout=layout)
    console = open_console(stderr=True)
    known = fit_on_catalog(
        judge,
        catalog,
        renamed=renamed,
        seed=seed,
        progress=lambda stage, done, total: (
            console.print(f"{stage}: {done} of {total}", markup=False) if done % 500 == 0 or done == total else None
        ),
    )
    save_gallery(known, out)
    print(f"{len(known.generators)} generators by {len(known.names)} pictures; gallery {known.gallery_id}; {out}")
    return ExitCode.DONE


def _pair(text: str) -> tuple[str, str]:
    name, sign, other = text.partition("=")
    if not (name and sign and other):
        raise UsageError(f"--merge {text}: say NAME=OTHER")
    return name, other


def own_gallery(detector_id: str) -> Path:
    """Where a person's own gallery for a detector lies, whether it is there or not."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_DATA_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "share") / "ganfingerprint"
    return folder / f"gallery-{detector_id}.safetensors"


def find_gallery(named: Path | None, detector: Path | None = None) -> Path:
    """The file of the gallery that is asked: the one named, one's own, or the one beside the detector.

    Raises:
        DetectorError: there is no such detector.
        GalleryError: there is none of these galleries.
    """
    from ganfingerprint.artifact import read_card, shipped_detector

    if named is not None:
        return named
    folder = shipped_detector() if detector is None else detector
    own, beside = _unnamed(read_card(folder).detector_id, folder)
    return own if own.is_file() or os.environ.get(VARIABLE) else _there(beside)


def unnamed_gallery(named: Path | None, detector: Path | None) -> list[str]:
    """The option that names the gallery which is asked without it; none where everybody has it with the detector."""
    from ganfingerprint.artifact import shipped_detector
    from ganfingerprint.attribution import FILE_NAME

    if named is not None:
        return []
    try:
        found = find_gallery(None, detector)
    except GalleryError:
        return []
    return [] if found == (detector or shipped_detector()) / FILE_NAME else ["--gallery", str(found)]


def open_gallery(named: Path | None, judge: Detector) -> Gallery:
    """The gallery that is asked, which must be of this detector.

    Raises:
        GalleryError: there is none, or it is of another detector.
    """
    return _as_seen_by(find_gallery(named, judge.folder), [judge.trial()])


def open_gallery_if_any(named: Path | None, judge: Detector) -> Gallery | None:
    """The gallery that is asked; None where none was named and the detector has none, or its engine says too little.

    Raises:
        GalleryError: the one that was named is not there, or is of another detector; or one that is there is damaged.
    """
    if named is None and not os.environ.get(VARIABLE):
        places = _unnamed(judge.detector_id, judge.folder)
        path = next((path for path in places if path.is_file()), None)
        if path is None:
            return None
        from ganfingerprint.attribution import read_gallery

        known = read_gallery(path)
        if known.detector_id != judge.detector_id:
            return None
        try:
            known.require_as_seen_by([judge.trial()])
        except GalleryError as problem:  # nobody asked for it: the rest is told
            print(printable(f"no generators are named: {problem}"), file=sys.stderr)
            return None
        return known
    return open_gallery(named, judge)


def _unnamed(detector_id: str, folder: Path | None) -> list[Path]:
    """Where a detector's gallery may lie when nobody names one: one's own, then the one that it came with."""
    from ganfingerprint.attribution import FILE_NAME

    return [own_gallery(detector_id), *([] if folder is None else [folder / FILE_NAME])]


def _target(named: Path | None, detector_id: str) -> Path:
    return named or own_gallery(detector_id)


def _before(target: Path, folder: Path | None) -> Path:
    """What is read before `target` is written: itself, or the gallery that the detector came with."""
    from ganfingerprint.artifact import shipped_detector
    from ganfingerprint.attribution import FILE_NAME

    return target if target.is_file() else _there((folder or shipped_detector()) / FILE_NAME)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise GalleryError(f"{path}: there is no gallery; `ganfingerprint gallery fit` makes one for a detector")
    return path


def _as_seen_by(path: Path, predictions: list[Prediction]) -> Gallery:
    from ganfingerprint.attribution import read_gallery

    known = read_gallery(path)
    known.require_as_seen_by(predictions)
    return known


def judged(judge: Detector, paths: list[Path]) -> Iterable[Answer]:
    """Answers for the pictures, one by one, with a bar where somebody looks."""
    console = open_console(stderr=True)
    answers = judge.predict_many(paths)
    return track(answers, "judging", len(paths), console=console, transient=True, disable=not console.is_terminal)


def say_failures(answers: list[Answer]) -> int:
    """Say on stderr which pictures could not be judged, and how many they are."""
    failed = [item for item in answers if isinstance(item, Failure)]
    for item in failed:
        print(printable(f"{item.source}: {item.error} [{item.code}]"), file=sys.stderr)
    return len(failed)
