"""Labelled pictures on disk: which files there are, what they are, and which split and group they belong to.

Four layouts are read, found by looking (`layout="auto"`):

- reference: `<split>/<real|fake>/...`, split one of train, validation (or val), test, or any other name; without
  split folders, `<real|fake>/...`, all pictures are of the split `all`;
- forensynths (CNNDetection): `[<split>/]<generator>/[<class>/]<0_real|1_fake>/...`, where a leading folder is a split
  only if all of them are: beside `airplane` and `cat`, `train` is a class of pictures;
- genimage: `<generator>/<train|val>/<ai|nature>/...`;
- manifest: a CSV with the columns path and label, and as far as known generator, family, split, group, source.

A tree cannot tell a folder of generators from a folder of classes or from a folder above either: `root` must be the
folder that the patterns begin at, and where its folders are classes of one generator, they are taken for generators.
"""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganfingerprint.errors import DataError
from ganfingerprint.listing import find_images
from ganfingerprint.types import Label

LEARNT = ("train", "validation")  # splits that weights, checkpoints and thresholds come from
PROXY_FAMILY = "proxy"  # aligned fakes: a photograph through the last stage of a generator
# What a folder or a name may say by itself; `photos/` or `ai-lecture.jpg` say what is shown, not whether it is true.
_FAKE_WORDS = frozenset({"fake", "fakes", "1_fake", "deepfake", "deepfakes"})
_REAL_WORDS = frozenset({"real", "reals", "0_real"})
# What the label column of a manifest may say besides.
_FAKE_LABELS = _FAKE_WORDS | {"1", "ai", "generated", "synthetic"}
_REAL_LABELS = _REAL_WORDS | {"0", "nature", "photo", "authentic"}
_SPLIT_NAMES = {"train": "train", "training": "train", "validation": "validation", "val": "validation", "test": "test"}

# The folders below the root, and whether all leading ones are splits → a sample without its path.
_Place = Callable[[tuple[str, ...], bool], "Sample | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled picture."""

    path: Path
    label: Label
    generator: str = ""  # empty for photographs and where unknown
    family: str = ""  # gan, diffusion, ..., proxy; photo for photographs
    split: str = "train"
    group: str = ""  # what must stay on one side of a split, and is resampled as one
    source: str = ""  # where the picture comes from: a collection, a folder

    @property
    def is_fake(self) -> bool:
        """Whether a generator made it."""
        return self.label is Label.FAKE


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All labelled pictures below a root, in a fixed order."""

    root: Path
    layout: str
    samples: tuple[Sample, ...]

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split; `val` is `validation`.

        Raises:
            DataError: there is no such split; names those that there are.
        """
        wanted = _SPLIT_NAMES.get(name, name)
        chosen = tuple(sample for sample in self.samples if sample.split == wanted)
        if not chosen:
            found = ", ".join(sorted({sample.split for sample in self.samples}))
            raise DataError(f"{self.root}: there is no split '{name}' (there are: {found})")
        return chosen

    def without(self, patterns: Sequence[str]) -> Catalog:
        """The catalog without the training and validation pictures that `is_named` finds, nor what shares their groups.

        Raises:
            DataError: a pattern names none of them.
        """
        learnt = [sample for sample in self.samples if sample.split in LEARNT]
        for pattern in patterns:
            if not any(is_named(sample, (pattern,)) for sample in learnt):
                raise DataError(f"{self.root}: no generator, source or photograph is called '{pattern}'")
        gone = {sample.group for sample in learnt if is_named(sample, patterns)}
        left = (s for s in self.samples if s.split not in LEARNT or s.group not in gone)
        return replace(self, samples=tuple(left)) if patterns else self

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that hold pictures, in order of appearance."""
        return tuple(dict.fromkeys(sample.split for sample in self.samples))


def is_named(sample: Sample, patterns: Sequence[str]) -> bool:
    """Whether a pattern (`*`, `?`) fits a fake's generator, or a photograph's source or the name of its file."""
    names = (sample.generator,) if sample.is_fake else (sample.source, sample.path.name)
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def read_catalog(root: str | Path, *, manifest: str | Path | None = None, layout: str = "auto") -> Catalog:
    """List the labelled pictures below `root`.

    Raises:
        DataError: no such folder, no picture found, or a manifest with missing columns or unknown labels.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    if manifest is not None or layout == "manifest":
        return _from_manifest(root, Path(manifest) if manifest is not None else root / "manifest.csv")
    if layout == "auto" and (root / "manifest.csv").is_file():
        return _from_manifest(root, root / "manifest.csv")
    names = tuple(_LAYOUTS) if layout == "auto" else (layout,)
    for name in names:
        if name not in _LAYOUTS:
            raise DataError(f"layout '{name}' is not known (there are: auto, manifest, {', '.join(_LAYOUTS)})")
        samples = tuple(_walk(root, _LAYOUTS[name]))
        if samples:
            return Catalog(root=root, layout=name, samples=samples)
    raise DataError(
        f"{root}: no labelled pictures found; expected <split>/<real|fake>/, <real|fake>/, "
        "<generator>/<0_real|1_fake>/, <generator>/<train|val>/<ai|nature>/ or a manifest.csv"
    )


def true_label(path: str | Path, *, below: str | Path | None = None) -> Label | None:
    """The label that a picture's folders or name tell, or None.

    Folders count before the name, the nearest first, up to and including `below`; without it only the nearest
    counts. In a name *fake* counts before *real*, and only whole words do, so that `unreal_1.png` and
    `hyperrealistic.jpg` tell nothing and `unreal_fake_1.png` is fake. GenImage's `ai` and `nature` count directly
    below a split.
    """
    path = Path(path)
    folders = [parent.name.lower() for parent in path.parents]  # the nearest first
    counting = 1 if below is None else len(path.parent.relative_to(below).parts) + 1
    for folder, above in list(zip(folders, [*folders[1:], ""], strict=True))[:counting]:
        if folder in _FAKE_WORDS or (folder == "ai" and above in _SPLIT_NAMES):
            return Label.FAKE
        if folder in _REAL_WORDS or (folder == "nature" and above in _SPLIT_NAMES):
            return Label.REAL
    words = set(re.split(r"[^a-z]+", path.stem.lower()))
    if words & _FAKE_WORDS:
        return Label.FAKE
    return Label.REAL if words & _REAL_WORDS else None


def digest(samples: Sequence[Sample], root: Path) -> str:
    """What tells one list of samples from another: order, labels, places below `root`, and sizes of the files.

    The root may move; a file that was added, relabelled or changed in length gives another digest.
    """
    lines = [f"{os.path.relpath(s.path, root)}\t{s.label}\t{_size(s.path)}" for s in samples]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it will say why
        return -1


def dataset_stats(samples: tuple[Sample, ...]) -> dict[str, dict[str, int]]:
    """Counts by split and label, by generator of the fakes and by source of the photographs."""
    return {
        "split": dict(Counter(f"{sample.split}/{sample.label}" for sample in samples)),
        "generator": dict(Counter(sample.generator for sample in samples if sample.is_fake).most_common()),
        "source": dict(Counter(sample.source for sample in samples if not sample.is_fake).most_common()),
    }


def _walk(root: Path, place: _Place) -> Iterator[Sample]:
    """The labelled pictures below `root`; linked folders are followed, as when pictures are judged."""
    folders = {path: path.relative_to(root).parts[:-1] for path in find_images(root, recursive=True)}
    labelled = [path for path in folders if place(folders[path], True) is not None]
    leading = {folders[path][0].lower() for path in labelled}
    for path in labelled:
        found = place(folders[path], leading <= _SPLIT_NAMES.keys())
        if found is not None:
            yield Sample(
                path=path,
                label=found.label,
                generator=found.generator,
                family=found.family,
                split=found.split,
                group=path.relative_to(root).with_suffix("").as_posix(),
                source=found.source,
            )


def _folder_label(name: str, fake: str, real: str) -> Label | None:
    return {fake: Label.FAKE, real: Label.REAL}.get(name.lower())


def _sample(label: Label, *, split: str, generator: str, source: str) -> Sample:
    fake = label is Label.FAKE
    return Sample(
        path=Path(),
        label=label,
        split=split,
        generator=generator if fake else "",
        family="" if fake else "photo",
        source=source,
    )


def _place_reference(folders: tuple[str, ...], splits_lead: bool) -> Sample | None:
    if folders and _folder_label(folders[0], "fake", "real") is not None:
        folders = ("all", *folders)
    label = _folder_label(folders[1], "fake", "real") if len(folders) > 1 else None
    if label is None:
        return None
    split = _SPLIT_NAMES.get(folders[0].lower(), folders[0])
    inner = "/".join(folders[2:])
    return _sample(label, split=split, generator=inner or "unknown", source=inner or folders[1])


def _place_forensynths(folders: tuple[str, ...], splits_lead: bool) -> Sample | None:
    if not folders:
        return None
    label = _folder_label(folders[-1], "1_fake", "0_real")
    if label is None:
        return None
    above = folders[:-1]
    split = _SPLIT_NAMES.get(above[0].lower()) if above and splits_lead else None
    names = above[1:] if split else above
    return _sample(
        label, split=split or "test", generator=names[0] if names else "unknown", source="/".join(names) or "unknown"
    )


def _place_genimage(folders: tuple[str, ...], splits_lead: bool) -> Sample | None:
    if len(folders) < 2:
        return None
    label = _folder_label(folders[-1], "ai", "nature")
    split = _SPLIT_NAMES.get(folders[-2].lower())
    if label is None or split is None:
        return None
    name = folders[-3] if len(folders) > 2 else "unknown"
    return _sample(label, split=split, generator=name, source=name)


_LAYOUTS: dict[str, _Place] = {
    "reference": _place_reference,
    "forensynths": _place_forensynths,
    "genimage": _place_genimage,
}


def _from_manifest(root: Path, manifest: Path) -> Catalog:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            missing = {"path", "label"} - set(rows.fieldnames or ())
            if missing:
                raise DataError(f"{manifest}: the manifest has no column {' and no column '.join(sorted(missing))}")
            samples = tuple(_manifest_sample(root, manifest, rows.line_num, row) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{manifest}: the manifest cannot be read: {problem}") from problem
    if not samples:
        raise DataError(f"{manifest}: the manifest lists no picture")
    return Catalog(root=root, layout="manifest", samples=samples)


def _manifest_sample(root: Path, manifest: Path, line: int, row: dict[str, str | None]) -> Sample:
    def text(name: str) -> str:
        return (row.get(name) or "").strip()

    path, label = text("path"), text("label").lower()
    if not path:
        raise DataError(f"{manifest}, line {line}: the path is empty")
    if label not in _FAKE_LABELS | _REAL_LABELS:
        raise DataError(f"{manifest}, line {line}: label must be real or fake (or 0 or 1 for fake), got '{label}'")
    fake = label in _FAKE_LABELS
    split = text("split").lower() or "train"
    return Sample(
        path=root / path,
        label=Label.FAKE if fake else Label.REAL,
        generator=text("generator").strip("-") if fake else "",
        family=text("family") or ("" if fake else "photo"),
        split=_SPLIT_NAMES.get(split, split),
        group=text("group") or path,
        source=text("source"),
    )
