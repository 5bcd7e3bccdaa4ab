"""Archives and lists that nobody should have to read, each with the rows a scan has to make of it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hostile_pictures import JUDGED, LARGE, UNREADABLE, drawn, stored

MISSING = "not_found"
Rows = dict[str, str]  # name behind the archive's own → outcome
Archive = tuple[str, bytes, Rows]
WHOLE = ""  # the name of what is wrong with the archive as such
NAMES = ("a.png", "../../up.png", "/absolute.png", "C:\\windows.png", "dir.jpg/in.png", "new\nline.png", "\x1b[2J.png")
KILO_OF_NOTHING = bytes(1024)


def archives(rng: np.random.Generator) -> Iterator[Archive]:
    """All of them: file name, content, rows."""
    for group in (zips, damaged_zips, tars, damaged_tars):
        yield from group(rng)


def zips(rng: np.random.Generator) -> Iterator[Archive]:
    """With members of all kinds."""
    whole = {name: stored(drawn(rng), "PNG") for name in NAMES}
    yield "good.zip", zipped(whole), dict.fromkeys(NAMES, JUDGED)
    yield "empty.zip", zipped({}), {}
    bad = {"empty.png": b"", "text.jpg": b"text", "inner.zip.png": zipped(whole), "folder.jpg/": b""}
    said = {"empty.png": UNREADABLE, "text.jpg": UNREADABLE, "inner.zip.png": UNREADABLE}
    yield "members.zip", zipped({**bad, "inner.zip": zipped(whole), ".hidden.png": b"", "notes.txt": b""}), said
    bomb = zipped({"bomb.png": bytes(110 * 2**20), "a.png": whole["a.png"]})
    yield "bomb.zip", bomb, {"bomb.png": LARGE, "a.png": JUDGED}
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        warnings.simplefilter("ignore")  # of the equal names
        for _ in range(3):
            archive.writestr("same.png", stored(drawn(rng), "PNG"))
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    names = ("same.png", "same.png#2", "same.png#3")
    yield "same-names.zip", stream.getvalue(), dict.fromkeys(names, JUDGED) | {"link.jpg": UNREADABLE}


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def damaged_zips(rng: np.random.Generator) -> Iterator[Archive]:
    """With directories or members that are not what they say."""
    good = zipped({name: stored(drawn(rng), "PNG") for name in ("a.png", "b.png")})
    directory = good.index(b"PK\x01\x02")
    for tenth in range(10):
        yield f"cut-{tenth}.zip", good[: len(good) * tenth // 10], {WHOLE: UNREADABLE}
    fields = {"encrypted": (8, b"\1\0"), "method": (10, b"\x63\0"), "checksum": (16, b"\1\2\3\4")}
    fields |= {"offset": (42, b"\xff\xff\xff\x7f"), "overlapping": (42, b"\x05\0\0\0")}
    for name, (place, value) in fields.items():
        content = bytearray(good)
        content[directory + place : directory + place + len(value)] = value
        yield f"{name}.zip", bytes(content), {"a.png": UNREADABLE, "b.png": JUDGED}
    declared = bytearray(good)
    declared[directory + 24 : directory + 28] = b"\xff\xff\xff\x7f"
    yield "declared.zip", bytes(declared), {"a.png": LARGE, "b.png": JUDGED}
    yield "noise.zip", b"PK\x03\x04" + rng.bytes(5000), {WHOLE: UNREADABLE}
    yield "really-a-tar.zip", tarred([(tarfile.TarInfo("a.png"), b"")]), {WHOLE: UNREADABLE}
    yield "before-it.zip", rng.bytes(1000) + good, {"a.png": JUDGED, "b.png": JUDGED}


def tars(rng: np.random.Generator) -> Iterator[Archive]:
    """With members of all kinds, plain and compressed."""
    members = [(tarfile.TarInfo(name), stored(drawn(rng), "PNG")) for name in NAMES]
    rows = dict.fromkeys(NAMES, JUDGED)
    kinds = {"symlink": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "zero": tarfile.CHRTYPE}
    for name, kind in kinds.items():
        info = tarfile.TarInfo(f"{name}.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        members.append((info, b""))
        rows[info.name] = UNREADABLE
    folder = tarfile.TarInfo("folder.jpg")
    folder.type = tarfile.DIRTYPE
    members += [(folder, b""), (tarfile.TarInfo("empty.png"), b""), (tarfile.TarInfo(".hidden.png"), b"")]
    rows["empty.png"] = UNREADABLE
    plain = tarred(members)
    packed = {"tar": plain, "tar.gz": gzip.compress(plain, mtime=0), "tgz": gzip.compress(plain, mtime=0)}
    packed |= {"tar.bz2": bz2.compress(plain), "tar.xz": lzma.compress(plain)}
    for ending, content in packed.items():
        yield f"good.{ending}", content, rows
    yield "really-gzip.tar", packed["tgz"], rows
    yield "empty.tar", KILO_OF_NOTHING * 10, {}
    yield "after-the-end.tar", plain + rng.bytes(5000), rows


def tarred(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def damaged_tars(rng: np.random.Generator) -> Iterator[Archive]:
    """That end early, never end, or state what cannot be."""
    picture = stored(drawn(rng), "PNG")
    good = header("a.png", size=len(picture)) + picture + bytes(-len(picture) % 512)
    start: Rows = {"a.png": JUDGED}
    broken = start | {WHOLE: UNREADABLE}
    for tenth in range(1, 10):
        cut = (good * 2)[: 2 * len(good) * tenth // 10]
        found = {"a.png": UNREADABLE if tenth < 5 else JUDGED} | ({"a.png#2": UNREADABLE} if tenth > 5 else {})
        yield f"cut-{tenth}.tar", cut, found | ({WHOLE: UNREADABLE} if tenth != 5 else {})
        packed = gzip.compress(cut, mtime=0)[:-10]
        yield f"cut-{tenth}.tar.gz", packed, broken if tenth >= 5 else {WHOLE: UNREADABLE}
    long_name = tarfile.GNUTYPE_LONGNAME
    ends = {
        "round-in-circles": header("again.png", size=-512),
        "back": header("again.png", size=-1),
        "name-of-gigabytes": header("x", size=2**33, kind=long_name) + KILO_OF_NOTHING,
        "names-of-names": (header("x", size=6, kind=long_name) + b"b.png\0" + bytes(506)) * 3000,
        "digits": header("x", size=200_000, kind=tarfile.XHDTYPE) + b"1" * 200_192,
        "record": header("x", size=512, kind=tarfile.XHDTYPE) + b"0 a=b\n" + bytes(506),
        "noise": rng.bytes(2048),
    }
    for name, end in ends.items():
        yield f"{name}.tar", good + end + header("late.png"), broken
        yield f"{name}.tgz", gzip.compress(good + end + header("late.png"), mtime=0), broken
    yield "exabytes.tar", good + header("exabytes.png", size=2**62), start | {"exabytes.png": LARGE, WHOLE: UNREADABLE}
    nothing = gzip.compress(bytes(2**26), mtime=0)
    bomb = gzip.compress(good + header("nothing.bin", size=2**40), mtime=0) + nothing * 30
    yield "bomb.tar.gz", bomb, broken
    yield "noise.tar.xz", b"\xfd7zXZ\0" + rng.bytes(500), {WHOLE: UNREADABLE}
    yield "noise.tar.bz2", b"BZh9" + rng.bytes(500), {WHOLE: UNREADABLE}


def header(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header of a tar archive that says what it is told to."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def lists(folder: Path, picture: str) -> Iterator[tuple[str, Rows]]:
    """Lists, written to `folder`, with the rows by their paths; `picture` is a good one, seen from there."""
    there = os.path.join(folder, picture)
    (folder / "mixed.txt").write_bytes(
        b"\xef\xbb\xbf" + os.fsencode(picture) + b"\r\n\n   \nabsent.png\r\n.\nnul\0.png\n\xff\xfe.png\n"
    )
    found = {"absent.png": MISSING, ".": UNREADABLE, "nul\0.png": UNREADABLE, "\udcff\udcfe.png": MISSING}
    yield "mixed.txt", {there: JUDGED} | {str(folder / name): outcome for name, outcome in found.items()}
    for name, content in {
        "line.txt": b"a" * 2**20,
        "no-path.csv": b"id,name\n1,a.png\n",
        "line.csv": b"path\n" + b"a" * 2**20,
        "field.csv": b'path\n"' + b"a\n" * 10**6,
        "latin.csv": b"path\n\xff.png\n",
        "noise.parquet": b"PAR1" + bytes(1000) + b"PAR1",
    }.items():
        (folder / name).write_bytes(content)
        yield name, {str(folder / name): UNREADABLE}
    (folder / "short.csv").write_text("id,path\n1\n")
    yield "short.csv", {f"{folder / 'short.csv'}#1": UNREADABLE}
    pq.write_table(pa.table({"path": [1, 2]}), folder / "numbers.parquet")
    yield "numbers.parquet", {f"{folder / 'numbers.parquet'}#{number}": UNREADABLE for number in (1, 2)}
