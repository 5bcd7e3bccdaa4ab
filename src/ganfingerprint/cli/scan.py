"""`ganfingerprint scan`: millions of files to a table."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.gallery import GalleryFile, open_gallery
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, PrecisionName, load_judge
from ganfingerprint.cli.stopping import told_when_stopped
from ganfingerprint.errors import UsageError

if TYPE_CHECKING:
    from ganfingerprint.scan.run import Progress

EVERY_S = 2.0  # between two lines of progress
CLUSTER = re.compile(r"local|auto|(ray://)?[\w.-]+:\d+")  # what may follow --ray

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Files, folders, globs, lists (.txt, .csv, .parquet), zip and tar files."),
]
Attribute = Annotated[
    bool, typer.Option("--attribute", help="Say which generator it was, too; --gallery FILE does so by itself.")
]
OnRay = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Judge on a Ray cluster: auto, HOST:PORT, or without an address one that is started here.",
    ),
]


class ScanCommand(TyperCommand):
    """Reads `--ray` without an address too, which no option of typer can be."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command's, where `--ray` stands for `--ray local` if an input or an option follows."""
        spelled_out = []
        for word, following in itertools.zip_longest(args, args[1:], fillvalue=""):
            spelled_out.append(word)
            if word == "--ray" and not CLUSTER.fullmatch(following):
                spelled_out.append("local")
        return super().parse_args(ctx, spelled_out)


def scan(
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the table.")],
    detector: DetectorFolder = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode, of each machine; 0: none.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows that are judged at once.")] = 16,
    shard_size: Annotated[int, typer.Option(min=1, help="Rows a file of the table.")] = 1000,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    dedup: Annotated[bool, typer.Option("--dedup/--no-dedup", help="Judge equal bytes once.")] = True,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what an earlier run found.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Judge again what failed before.")] = False,
    attribute: Attribute = False,
    gallery_file: GalleryFile = None,
    ray: OnRay = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Progress as lines of JSON on stderr.")] = False,
) -> int:
    """Judge everything that the inputs name, a row each, into a table.

    The same command goes on where it stopped, killed or not. A file that
    cannot be read is a row with its error. `ganfingerprint results DIR`
    answers questions to the table, while it grows too.
    """
    from ganfingerprint.scan.cluster import Cluster
    from ganfingerprint.scan.run import scan as run
    from ganfingerprint.scan.settings import ScanSettings

    judge = load_judge(detector, engine=engine, device=device, precision=precision)
    known = open_gallery(gallery_file, judge) if attribute or gallery_file is not None else None
    settings = ScanSettings(
        recursive=recursive, workers=workers, batch_size=batch_size, shard_size=shard_size, dedup=dedup,
        restart=restart, retry_failed=retry_failed,
    )  # fmt: skip
    console = Console(stderr=True, highlight=False)
    reporter = _reporter(console, log_json=log_json)
    _refuse_no_text(inputs, ray)
    with (
        told_when_stopped(_stopped(out, log_json=log_json)),
        contextlib.nullcontext() if ray is None else Cluster(ray, engine=engine, device=device) as cluster,
    ):
        progress = run(judge, inputs, out, settings, gallery=known, cluster=cluster, report=reporter)
    _conclude(console, progress, log_json=log_json)
    print(out)
    return ExitCode.SOME_FAILED if progress.failed + progress.earlier_failed else ExitCode.DONE


def _refuse_no_text(inputs: list[str], ray: str | None) -> None:
    if ray is not None and any(not text.isascii() and max(text) >= "\udc80" for text in inputs):
        raise UsageError("Ray takes no command with names that are not UTF-8: name their folder, or a list of them")


def _stopped(out: Path, *, log_json: bool) -> str:
    if log_json:
        return json.dumps({"event": "stopped"})
    return f"\nStopped: what was judged so far is in {out}, and the same command goes on from there"


def _reporter(console: Console, *, log_json: bool) -> Callable[[Progress], None]:
    """Shows how far the scan is, every few seconds: lines of JSON, or on a terminal one line that changes."""
    last = time.monotonic() - EVERY_S

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY_S:
            return
        last = time.monotonic()
        if log_json:
            _write(_event("progress", progress))
        elif console.is_terminal:
            _show(console, _line(progress)[: console.width - 1], end="\r")

    return report


def _conclude(console: Console, progress: Progress, *, log_json: bool) -> None:
    if log_json:
        _write(_event("done", progress))
        return
    _show(console, _line(progress), end="\n")
    if not progress.listed:
        _write("Nothing was found in these inputs; folders within folders are searched with --recursive\n")


def _show(console: Console, line: str, *, end: str) -> None:
    """On a terminal, over a longer line before it."""
    width = console.width - 1 if console.is_terminal else 0
    _write(line.ljust(width) + end)


def _write(text: str) -> None:
    """To stderr; a scan does not end because nobody reads how far it is."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:  # what is still to be written, at the end of the process too, goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _event(name: str, progress: Progress) -> str:
    facts = ("earlier", "earlier_failed", "listed", "total", "done", "failed", "fakes", "rate", "seconds_left")
    return json.dumps({"event": name, **{fact: getattr(progress, fact) for fact in facts}, "time": time.time()}) + "\n"


def _line(progress: Progress) -> str:
    before = f" ({progress.earlier} were there before)" if progress.earlier else ""
    left = ""
    if progress.seconds_left:
        left = f", {progress.listed} of {progress.total} listed, {timedelta(seconds=round(progress.seconds_left))} left"
    return (
        f"{progress.done} files{before}, {progress.fakes} called fake, {progress.failed} failed, "
        f"{progress.rate:.1f} files/s{left}"
    )
