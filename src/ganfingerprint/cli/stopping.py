"""What is said when Ctrl-C ends a command whose work so far is kept."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def told_when_stopped(said: str) -> Iterator[None]:
    """Say it on stderr where Ctrl-C ends what is done within; the interruption goes on its way."""
    try:
        yield
    except KeyboardInterrupt:
        print(said, file=sys.stderr)
        raise
