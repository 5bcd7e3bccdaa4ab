"""The `ganfingerprint` command. Nothing heavy is imported before a command runs, so that help is instant."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from ganfingerprint import __version__
from ganfingerprint.cli.attribute import attribute, compare
from ganfingerprint.cli.benchmark import benchmark
from ganfingerprint.cli.evaluate import evaluate
from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.export import export
from ganfingerprint.cli.fakes import fakes
from ganfingerprint.cli.gallery import gallery
from ganfingerprint.cli.import_checkpoint import import_checkpoint
from ganfingerprint.cli.info import info
from ganfingerprint.cli.predict import predict
from ganfingerprint.cli.report import report
from ganfingerprint.cli.results import results
from ganfingerprint.cli.scan import ScanCommand, scan
from ganfingerprint.cli.serve import serve
from ganfingerprint.cli.spectrum import spectrum
from ganfingerprint.cli.tables import printable
from ganfingerprint.cli.train import train
from ganfingerprint.errors import EXTRA_OF, ConfigError, GanFingerprintError, MissingExtraError

EPILOG = "Exit codes: 0 all was read, 2 some pictures could not be read, 1 a usage or set-up error."

app = typer.Typer(
    name="ganfingerprint",
    help="Tell photographs from images that a generator made.",
    epilog=EPILOG,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("predict")(predict)
app.command("scan", cls=ScanCommand)(scan)
app.command("results")(results)
app.command("serve")(serve)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.add_typer(benchmark, name="benchmark")
app.command("report")(report)
app.command("attribute")(attribute)
app.command("compare")(compare)
app.add_typer(gallery, name="gallery")
app.command("spectrum")(spectrum)
app.command("info")(info)
app.command("export")(export)
app.command("fakes")(fakes)
app.command("import-checkpoint")(import_checkpoint)


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> int:
    if version:
        typer.echo(f"ganfingerprint {__version__}")
        raise typer.Exit(ExitCode.DONE)
    if context.invoked_subcommand is None:
        context.get_help()  # prints it
        raise typer.Exit(ExitCode.REFUSED)
    return ExitCode.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors that we expect are one sentence on stderr."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what the terminal cannot show
    try:
        code = get_command(app).main(
            args=None if arguments is None else list(arguments), prog_name="ganfingerprint", standalone_mode=False
        )
        sys.stdout.flush()
        return int(code or 0)
    except ConfigError as problem:
        return _refuse(problem.code, problem.mistakes)
    except GanFingerprintError as problem:
        return _refuse(problem.code, [str(problem)])
    except typer.TyperException as problem:
        return _refuse("usage", [problem.format_message()])
    except BrokenPipeError:  # the reader has had enough (`| head`); Python would complain once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.REFUSED
    except ModuleNotFoundError as problem:
        name = (problem.name or "").partition(".")[0]
        if name not in EXTRA_OF:
            raise
        return _refuse(MissingExtraError.code, [str(MissingExtraError(*EXTRA_OF[name], "this command"))])
    except OSError as problem:  # a folder that cannot be written, a full disk
        return _refuse("system", [str(problem)])
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED


def _open_missing_streams() -> None:
    """Open what the caller closed of stdin, stdout and stderr, to nowhere.

    Their numbers would be those of the next files that are opened, and whoever prints would write into those.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _refuse(code: str, sentences: Sequence[str]) -> int:
    for sentence in sentences:
        shown = "\n".join(printable(line) for line in sentence.split("\n"))
        print(f"error [{code}]: {shown}", file=sys.stderr)
    return ExitCode.REFUSED


if __name__ == "__main__":
    sys.exit(main())
