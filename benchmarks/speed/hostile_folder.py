"""Makes a folder of files that a scan must survive, and says what it has to find.

More than 400 files, archives and lists, the same for each seed: cut short, damaged, bombs, links in circles, pipes,
sparse files of gigabytes, names that are no text. Printed is JSON: the inputs for the scan, and for each row's path
its outcome, `judged` or an error code (where libraries may differ, several with a bar between).

    python benchmarks/speed/hostile_folder.py OUT [--seed 42]
"""

from __future__ import annotations

import argparse
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hostile_archives import MISSING, WHOLE, archives, lists
from hostile_pictures import JUDGED, LARGE, UNREADABLE, drawn, pictures, stored

from ganfingerprint.scan.schema import shown

GIGABYTE = 2**30
LONGEST_PATH = 4096  # bytes of one that Linux opens, with the zero at its end
NAMES = (
    *("new\nline.png", "\x1b[31mred.png", "bell\a.png", "return\rback.png", "tab\t.png", "turned\u202egnp.png"),
    *("--help.png", "-rf.png", "~.png", "$(touch stolen).png", "`touch stolen`.png", "a;touch stolen;.png", "%s%n.png"),
    *("'; DROP TABLE results; --.png", '"quoted".png', "[bold]marked[-].png", "*.png", "[a].png", "?.png", "a!b.png"),
    *(" .png", "a .png", "a.png.png", "LOUD.PNG", "é.png", "e\u0301.png", "猫.png", "😀.png", "x" * 251 + ".png"),
    *("\udcff\udcfe.png", "\\udcff\\udcfe.png", "\\\\udcff\\udcfe.png", "caf\udce9.png", "zero\u200bwidth.png"),
)  # fmt: skip
LEFT_OUT = (".hidden.png", ".png", "notes.md", "a.png.exe", "png", "Thumbs.db", "a.png~")


@dataclass(slots=True)
class Hostile:
    """What was made."""

    inputs: list[str] = field(default_factory=list)  # of the scan, which has to be recursive
    expected: dict[str, str] = field(default_factory=dict)  # path of the row → outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to make; must not exist")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    made = build(args.out, args.seed)
    print(json.dumps({"inputs": made.inputs, "expected": made.expected}, indent=1))


def build(root: Path, seed: int) -> Hostile:
    """The folder `root`, which must not exist."""
    rng = np.random.default_rng(seed)
    made = Hostile()
    files, containers = root / "files", root / "archives"
    for folder in (files, containers, root / "lists", root / "elsewhere"):
        folder.mkdir(parents=True)
    found = [*add_pictures(files, rng), *add_names(files / "names", rng), *add_special(files / "special", rng)]
    found += [*add_links(files / "links", root / "elsewhere", rng), add_depth(files / "deep", rng)]
    found += [*add_archives(containers, rng), *add_lists(root / "lists", rng)]
    absent = [str(root / "absent.png"), f"{root}/absent*.png", str(root / ("n" * 300))]
    found += [(name, MISSING) for name in absent]
    made.inputs = [str(files), f"{containers}/*", f"{root / 'lists'}/*", *absent, str(files / "names" / "*.png")]
    made.expected = {shown(str(path)): outcome for path, outcome in found}
    assert len(made.expected) == len(found)
    return made


Found = Iterator[tuple[Path | str, str]]


def add_pictures(folder: Path, rng: np.random.Generator) -> Found:
    for name, content, outcome in pictures(rng):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        yield folder / name, outcome


def add_names(folder: Path, rng: np.random.Generator) -> Found:
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(stored(drawn(rng), "PNG"))
        yield folder / name, JUDGED
    for name in LEFT_OUT:
        (folder / name).write_bytes(stored(drawn(rng), "PNG"))


def add_special(folder: Path, rng: np.random.Generator) -> Found:
    """What is no file, or no file that may be read."""
    folder.mkdir()
    for name, kind in (("pipe.jpg", stat.S_IFIFO), ("socket.png", stat.S_IFSOCK)):
        os.mknod(folder / name, 0o600 | kind)
        yield folder / name, UNREADABLE
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg" / "inside.png").write_bytes(stored(drawn(rng), "PNG"))
    (folder / "empty-folder.png").mkdir()
    yield folder / "folder.jpg" / "inside.png", JUDGED
    for name, start in (("sparse.png", stored(drawn(rng), "PNG")), ("zeros.jpg", b"")):
        (folder / name).write_bytes(start)
        os.truncate(folder / name, 64 * GIGABYTE)
        yield folder / name, LARGE
    (folder / "forbidden.png").write_bytes(stored(drawn(rng), "PNG"))
    (folder / "forbidden.png").chmod(0)
    allowed = os.access(folder / "forbidden.png", os.R_OK)  # root reads everything
    yield folder / "forbidden.png", JUDGED if allowed else UNREADABLE


def add_links(folder: Path, elsewhere: Path, rng: np.random.Generator) -> Found:
    """Links to files, folders, devices, nowhere and themselves; each folder is listed once."""
    (folder / "within").mkdir(parents=True)
    (folder / "within" / "a.png").write_bytes(stored(drawn(rng), "PNG"))
    (elsewhere / "b.png").write_bytes(stored(drawn(rng), "PNG"))
    yield folder / "within" / "a.png", JUDGED
    targets = {
        "file.png": ("within/a.png", JUDGED),
        "dangling.png": ("nowhere.png", MISSING),
        "*.jpg": ("nowhere.jpg", MISSING),
        "itself.png": ("itself.png", UNREADABLE),
        "there.png": ("back.png", UNREADABLE),
        "back.png": ("there.png", UNREADABLE),
        "zero.jpg": ("/dev/zero", UNREADABLE),
        "random.png": ("/dev/urandom", UNREADABLE),
        "terminal.png": ("/dev/tty", UNREADABLE),
        "memory.png": ("/proc/self/mem", UNREADABLE),
        "events.png": ("/proc/self/environ", UNREADABLE),
        "input.jpg": ("../special/pipe.jpg", UNREADABLE),
    }
    for name, (target, outcome) in targets.items():
        (folder / name).symlink_to(target)
        yield folder / name, outcome
    for name, target in {"up": "..", "self": ".", "twice": "within", "loop": "loop", "outside": elsewhere}.items():
        (folder / name).symlink_to(target)
    (folder / "within" / "root").symlink_to(folder.parent)
    yield folder / "outside" / "b.png", JUDGED


def add_depth(folder: Path, rng: np.random.Generator) -> tuple[Path | str, str]:
    """Folders in folders, to where no path leads any more: the first that cannot be opened."""
    folder.mkdir()
    handle, path = os.open(folder, os.O_RDONLY), str(folder)
    while len(os.fsencode(path)) < LONGEST_PATH:
        os.mkdir("d" * 200, dir_fd=handle)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle, path = below, f"{path}/{'d' * 200}"
    with os.fdopen(os.open("a.png", os.O_WRONLY | os.O_CREAT, dir_fd=handle), "wb") as stream:
        stream.write(stored(drawn(rng), "PNG"))
    os.close(handle)
    return path, UNREADABLE


def add_archives(folder: Path, rng: np.random.Generator) -> Found:
    for name, content, rows in archives(rng):
        (folder / name).write_bytes(content)
        for member, outcome in rows.items():
            yield folder / name if member == WHOLE else f"{folder / name}!{member}", outcome
    for suffix in ("zip", "tar"):
        os.mknod(folder / f"pipe.{suffix}", 0o600 | stat.S_IFIFO)
        (folder / f"endless.{suffix}").symlink_to("/dev/zero")
        (folder / f"sparse.{suffix}").touch()
        os.truncate(folder / f"sparse.{suffix}", 64 * GIGABYTE)
        (folder / f"dangling.{suffix}").symlink_to("nowhere")
        yield folder / f"pipe.{suffix}", UNREADABLE
        yield folder / f"endless.{suffix}", UNREADABLE
        yield folder / f"dangling.{suffix}", MISSING
    yield folder / "sparse.zip", UNREADABLE  # a tar of zeros is an empty one


def add_lists(folder: Path, rng: np.random.Generator) -> Found:
    (folder / "good.png").write_bytes(stored(drawn(rng), "PNG"))
    for _, rows in lists(folder, "good.png"):
        yield from rows.items()
    (folder / "folder.txt").mkdir()
    (folder / "folder.txt" / "inside.png").write_bytes(stored(drawn(rng), "PNG"))
    yield folder / "folder.txt" / "inside.png", JUDGED
    os.mknod(folder / "pipe.txt", 0o600 | stat.S_IFIFO)
    (folder / "endless.csv").symlink_to("/dev/zero")
    for name in ("sparse.txt", "sparse.csv", "sparse.parquet"):
        (folder / name).touch()
        os.truncate(folder / name, 64 * GIGABYTE)
    for name in ("pipe.txt", "endless.csv", "sparse.txt", "sparse.csv", "sparse.parquet"):
        yield folder / name, UNREADABLE


if __name__ == "__main__":
    main()
