"""Does a scan survive a hostile folder? One row for everything, the right code, no hang, nothing written elsewhere.

Makes the folder of `hostile_folder.py` below WORK, scans it by the command, and compares. Exit code 1 where anything
is not as it has to be. `--engine fake` checks all but the detector, in a fraction of the time.

    python benchmarks/speed/hostile_check.py WORK [--engine fake] [--output results/hostile_check.csv]
"""

from __future__ import annotations

import argparse
import csv
import os
import stat
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hostile_folder import Hostile, build

from ganfingerprint.atomic import replacing
from ganfingerprint.scan.query import ask

SOME_FAILED = 2  # what the command answers


@dataclass(slots=True)
class Outcome:
    """What came of a scan."""

    seconds: float = 0.0
    rows: list[tuple[str, str, str]] = field(default_factory=list)  # path, expected, found
    wrong: list[str] = field(default_factory=list)  # sentences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder to make; must not exist")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--workers", default="2")
    parser.add_argument("--within", type=float, default=600.0, help="seconds that the scan may take")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="CSV to write, a row a file")
    args = parser.parse_args()
    made = build(args.work / "hostile", args.seed)
    outcome = check(args.work, made, ["--engine", args.engine, "--workers", args.workers], within_s=args.within)
    print(f"{len(made.expected)} rows expected, {len(outcome.rows)} found or missing, {outcome.seconds:.0f} s")
    print(*(sentence[:300] for sentence in outcome.wrong or ["nothing is wrong"]), sep="\n")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        below = str(args.work)
        with replacing(args.output) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
            rows = [(ascii(path.replace(below, "WORK"))[1:-1], *rest) for path, *rest in outcome.rows]
            csv.writer(stream).writerows([("path", "expected", "found"), *rows])
    return 1 if outcome.wrong else 0


def check(work: Path, made: Hostile, options: list[str], *, within_s: float) -> Outcome:
    """Scan what was made below `work`, by the command, into `work/out`."""
    for name in ("cwd", "tmp"):
        (work / name).mkdir()
    out, outcome = work / "out", Outcome()
    before, start = snapshot(work), time.monotonic()
    command = [sys.executable, "-m", "ganfingerprint.cli.main", "scan", *made.inputs, "--recursive", "--out", str(out)]
    environment = {**os.environ, "TMPDIR": str(work / "tmp"), "PYTHONWARNINGS": "error"}
    try:
        done = subprocess.run(
            [*command, "--log-json", *options],
            cwd=work / "cwd",
            env=environment,
            capture_output=True,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        outcome.wrong.append(f"it was not done after {within_s:g} s")
    else:
        said = done.stderr.decode(errors="backslashreplace")
        if done.returncode != SOME_FAILED:
            outcome.wrong.append(f"exit code {done.returncode}: {said[-2000:]}")
        allowed = ('{"event": ', "The engine 'fake'")
        outcome.wrong += [f"stderr: {line}" for line in said.splitlines() if not line.startswith(allowed)]
    outcome.seconds = time.monotonic() - start
    after = snapshot(work)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    outcome.wrong += [f"written outside: {path!r}" for path in sorted(changed) if out not in (path, *path.parents)]
    compare(out, made, outcome)
    return outcome


def compare(out: Path, made: Hostile, outcome: Outcome) -> None:
    """The table against what was expected."""
    rows = ask(out).select(["path", "error_code"]).to_pylist()
    found = {row["path"]: row["error_code"] or "judged" for row in rows}
    outcome.wrong += [
        f"{number} rows: {path!r}" for path, number in Counter(row["path"] for row in rows).items() if number > 1
    ]
    for path in sorted(made.expected.keys() | found.keys()):
        expected, is_found = made.expected.get(path, "no row"), found.get(path, "no row")
        outcome.rows.append((path, expected, is_found))
        if is_found not in expected.split("|"):
            outcome.wrong.append(f"{is_found} instead of {expected}: {path!r}")


def snapshot(root: Path) -> dict[Path, tuple[int, ...]]:
    """Everything below a folder, links not followed: kind and mode, size, time of the last change."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            try:
                status = path.lstat()
            except OSError:  # too deep for a path
                continue
            times = () if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns,)
            found[path] = (status.st_mode, status.st_size, *times)
    return found


if __name__ == "__main__":
    sys.exit(main())
