"""The processes of a command that was started as a session of its own, as /proc shows them. Linux only."""

from __future__ import annotations

import os
from pathlib import Path


def alive(session: int) -> list[int]:
    """Those that are left; dead ones that nobody has asked about are not."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, *fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == session and state != "Z":
            found.append(int(folder.name))
    return found


def is_decoder(pid: int) -> bool:
    """Whether this is one of the processes that a scan decodes in."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def resident_bytes(pid: int) -> int:
    """Memory that a process holds now, what it shares with others included; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
