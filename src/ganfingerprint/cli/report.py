"""`ganfingerprint report`: pictures in, one page out that can be filed with a case."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, load_judge
from ganfingerprint.cli.predict import Inputs, list_pictures
from ganfingerprint.errors import UsageError

if TYPE_CHECKING:
    from ganfingerprint.detector import Detector
    from ganfingerprint.examine import Examination


def report(
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="The page; its content lies beside as JSON.")],
    case: Annotated[str, typer.Option(help="Your identifier of the case.")] = "",
    examiner: Annotated[str, typer.Option(metavar="NAME", help="Who answers for the examination.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE.pem", help="Certificates of those whose C2PA manifests are trusted."),
    ] = None,
    detector: DetectorFolder = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
) -> int:
    """Examine pictures and write a page that can be filed: verdicts in words, evidence, limits, custody.

    The page needs no other file and asks no host. What could not be read is
    in it with the reason.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{out}: the page is HTML; name it like case.html")
    paths = list_pictures(inputs, recursive=recursive, output_dir=out.parent / out.stem)
    from ganfingerprint.provenance import read_trust_list
    from ganfingerprint.report.content import report_content
    from ganfingerprint.report.page import write_report

    trusted = "" if trust is None else read_trust_list(trust)
    judge = load_judge(detector, engine=engine, device=device, precision="auto")
    command = shlex.join(["ganfingerprint", *sys.argv[1:]])
    content = report_content(_examined(judge, paths, trusted), judge, case=case, examiner=examiner, command=command)
    beside = write_report(content, out)
    counts = ", ".join(f"{number} {name}" for name, number in content["counts"].items() if number)
    print(f"{counts}; content: {beside}", file=sys.stderr)
    print(out)
    return ExitCode.SOME_FAILED if content["counts"]["not read"] else ExitCode.DONE


def _examined(judge: Detector, paths: list[Path], trust: str) -> Iterator[Examination]:
    from ganfingerprint.examine import examine

    console = Console(stderr=True)
    for path in track(paths, "examining", console=console, transient=True, disable=not console.is_terminal):
        yield examine(judge, path, trust=trust)
