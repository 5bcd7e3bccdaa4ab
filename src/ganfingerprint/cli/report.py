"""`ganfingerprint report`: pictures or the table of a scan in, one page out that can be filed with a case."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.gallery import GalleryFile, open_gallery_if_any, unnamed_gallery
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, load_judge
from ganfingerprint.cli.predict import list_pictures
from ganfingerprint.errors import UsageError

if TYPE_CHECKING:
    from ganfingerprint.detector import Detector
    from ganfingerprint.examine import Examination

SCAN = "scan.json"  # that only the folder of a scan has
PICTURES = 20  # of a scan that are examined again

Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="INPUT", readable=False, help="Pictures and folders of them, or the folder of a scan."),
]
Where = Annotated[
    str, typer.Option(metavar="SQL", help="Of a scan: rows for which this holds, as \"verdict = 'fake'\".")
]
Top = Annotated[int, typer.Option(min=0, metavar="N", help="Of a scan: the N likeliest fakes; 0: up to 5,000.")]
Pictures = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help=f"Of a scan: how many files are examined again.  [default: {PICTURES}]"),
]
Pdf = Annotated[bool, typer.Option("--pdf", help="Write FILE.pdf too: the same text and pictures, for paper.")]
Trust = Annotated[
    Path | None, typer.Option(metavar="FILE.pem", help="Certificates of those whose C2PA manifests are trusted.")
]


def report(
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="The page; its content lies beside as JSON.")],
    pdf: Pdf = False,
    case: Annotated[str, typer.Option(help="Your identifier of the case.")] = "",
    examiner: Annotated[str, typer.Option(metavar="NAME", help="Who answers for the examination.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    where: Where = "",
    top: Top = 0,
    pictures: Pictures = None,
    trust: Trust = None,
    gallery_file: GalleryFile = None,
    detector: DetectorFolder = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Examine pictures and write a page that can be filed: verdicts in words, evidence, limits, custody.

    The page needs no other file and asks no host. What could not be read is
    in it with the reason. Of a folder that `scan` wrote it shows the rows,
    likeliest fakes first, and examines the first of them again. Which
    generator it was is in it where the detector has a gallery.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{out}: the page is HTML; name it like case.html")
    folder = _scan_among(inputs)
    if folder is None and (where or top or pictures is not None):
        raise UsageError("--where, --top and --pictures choose rows of a scan; name the folder that it wrote")
    from ganfingerprint.examine import examine
    from ganfingerprint.provenance import read_trust_list
    from ganfingerprint.report.content import report_content

    write = _writer(pdf=pdf)  # before an hour of examining: what it needs may not be there
    trusted = "" if trust is None else read_trust_list(trust)
    judge_in = functools.partial(load_judge, detector, engine=engine, device=device)
    command = shlex.join(["ganfingerprint", *sys.argv[1:], *unnamed_gallery(gallery_file, detector)])
    content_of = functools.partial(report_content, case=case, examiner=examiner, command=command, trust=trusted)
    if folder is None:
        paths = list_pictures(inputs, recursive=recursive, output_dir=out.parent / out.stem)
        judge = judge_in(precision="auto")
        look = functools.partial(examine, judge, trust=trusted, gallery=open_gallery_if_any(gallery_file, judge))
        content = content_of(_shown(map(look, paths), len(paths)), judge)
    else:
        content = _of_scan(folder, where, top, pictures, trusted, gallery_file, judge_in, content_of)
    write(content, out)
    print(out)
    return ExitCode.SOME_FAILED if content["counts"]["not read"] else ExitCode.DONE


def _scan_among(inputs: list[Path]) -> Path | None:
    """The folder of a scan, if that is what is named."""
    found = [path for path in inputs if os.path.isfile(path / SCAN)]
    if found and len(inputs) > 1:
        raise UsageError(f"{found[0]} is the folder of a scan; a report is of one scan alone, or of pictures")
    return found[0] if found else None


def _of_scan(
    folder: Path,
    where: str,
    top: int,
    pictures: int | None,
    trust: str,
    gallery_file: Path | None,
    judge_in: Callable[..., Detector],
    content_of: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    from ganfingerprint.report.scanned import CUSTODY, select

    most = PICTURES if pictures is None else pictures
    scan = select(folder, where=where, top=top)
    judge = judge_in(precision=scan.settings["precision"])
    scan.require(judge)
    known = open_gallery_if_any(gallery_file, judge)
    examined = scan.examinations(judge, most=most, trust=trust, gallery=known)
    return content_of(_shown(examined, min(most, len(scan.rows))), judge, custody=CUSTODY, scan=scan)


def _shown(examined: Iterable[Examination], total: int) -> Iterator[Examination]:
    """The same, with a bar on a terminal."""
    console = Console(stderr=True)
    yield from track(
        examined, "examining", total=total, console=console, transient=True, disable=not console.is_terminal
    )


def _writer(*, pdf: bool) -> Callable[[dict[str, Any], Path], None]:
    from ganfingerprint.report.page import report_page, write_report

    if pdf:
        from ganfingerprint.report.pdf import write_pdf

    def write(content: dict[str, Any], out: Path) -> None:
        beside = write_report(content, out)
        if pdf:
            write_pdf(report_page(content), out.with_suffix(".pdf"))
        said = ", ".join(f"{number} {name}" for name, number in content["counts"].items() if number) or "nothing"
        print(f"{said}; content: {beside}", file=sys.stderr)

    return write
