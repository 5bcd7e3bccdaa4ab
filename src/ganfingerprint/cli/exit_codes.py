"""What a command tells the shell."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0  # all was read and done
    REFUSED = 1  # a usage or set-up error; nothing was judged
    SOME_FAILED = 2  # done, but some pictures could not be judged
    INTERRUPTED = 130  # Ctrl-C
