"""`ganfingerprint serve`: judging over HTTP."""

from __future__ import annotations

import logging
import re
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ganfingerprint.cli.exit_codes import ExitCode
from ganfingerprint.cli.gallery import GalleryFile, open_gallery_if_any
from ganfingerprint.cli.options import DetectorFolder, DeviceName, EngineName, PrecisionName, load_judge
from ganfingerprint.errors import MissingExtraError, UsageError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
MOST_HEADERS = 32 * 2**10  # bytes of a request's head
MOST_CONNECTIONS = 512
FINISH_S = 30  # in which requests under way are finished when the service ends


def serve(
    detector: DetectorFolder = None,
    host: Annotated[str, typer.Option(help="Where it listens; 0.0.0.0 for other machines, with keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keys that may ask, one a line; without it everybody may.")
    ] = None,
    max_body: Annotated[str, typer.Option(metavar="BYTES", help="Largest request, such as 20M.")] = "20M",
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 2,
    patience: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="For a request's head, and for each pause within its body.")
    ] = 15,
    gallery_file: GalleryFile = None,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
) -> int:
    """Judge over HTTP, until Ctrl-C: POST /v1/predict, and what /docs tells.

    Nothing of a request is kept. Pictures are decoded in processes that may
    die; requests of many clients share the engine.
    """
    keys = _keys(api_key_file)
    size = _bytes(max_body)
    if find_spec("uvicorn") is None:
        raise MissingExtraError("uvicorn", "serve", "a service")
    from ganfingerprint.service.app import create_app
    from ganfingerprint.service.settings import ServiceSettings

    judge = load_judge(detector, engine=engine, device=device, precision=precision)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it tells what is in bodies
    settings = ServiceSettings(api_keys=keys, max_body=size, workers=workers, body_wait_s=patience)
    _listen(create_app(judge, settings, open_gallery_if_any(gallery_file, judge)), host, port, patience)
    return ExitCode.DONE


def _listen(app: Any, host: str, port: int, patience: int) -> None:
    import uvicorn

    from ganfingerprint.service.connections import Connection

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, http=Connection, ws="none",
        h11_max_incomplete_event_size=MOST_HEADERS, timeout_graceful_shutdown=FINISH_S, timeout_keep_alive=patience,
        limit_concurrency=MOST_CONNECTIONS,
    )  # fmt: skip
    with socket.create_server((host, port), backlog=256) as listening:
        at = listening.getsockname()[1]
        print(f"Listening on http://{host}:{at}, page at /, API at /docs; Ctrl-C ends it", file=sys.stderr)
        uvicorn.Server(config).run(sockets=[listening])


def _keys(file: Path | None) -> frozenset[str]:
    """The keys of a file; blank lines and those that begin with # are none.

    Raises:
        UsageError: there is no such file, or no key in it: that would let everybody in.
    """
    if file is None:
        return frozenset()
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{file}: the keys cannot be read: {problem}") from problem
    keys = frozenset(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise UsageError(f"{file}: there is no key in it")
    return keys


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]?)B?", text.strip().upper())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"--max-body must be a number of bytes, such as 20M, got '{text}'")
    return int(found[1]) * _UNITS[found[2]]
