"""Which generators are left out together, and with which photographs: the folds of leave-one-out.

A detector that is judged on generators of its training is rewarded for memory. Each fold learns without some of
them, and without the photographs of some sources, and is judged on exactly those.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ganfingerprint.catalog import LEARNT, PROXY_FAMILY, Catalog, Sample, is_named
from ganfingerprint.errors import DataError, UsageError

BY = ("family", "generator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What is left out together; patterns as `catalog.is_named` reads them."""

    name: str
    generators: tuple[str, ...]
    photographs: tuple[str, ...] = ()  # sources or names of files; none: judged against those of validation

    @property
    def left_out(self) -> tuple[str, ...]:
        """All patterns, as the setting `data.leave_out` takes them."""
        return self.generators + self.photographs

    def names(self, sample: Sample) -> bool:
        """Whether a pattern names it; aligned fakes are no verdict's matter."""
        patterns = self.generators if sample.is_fake else self.photographs
        return sample.family != PROXY_FAMILY and is_named(sample, patterns)

    def judged(self, catalog: Catalog) -> tuple[Sample, ...]:
        """The pictures of train and validation that judge this fold; aligned fakes are no verdict's matter.

        Raises:
            DataError: a class is missing.
        """
        learnt = _own(catalog)
        fakes = [s for s in learnt if s.is_fake and self.names(s)]
        photographs = [
            s for s in learnt if not s.is_fake and (self.names(s) if self.photographs else s.split == "validation")
        ]
        if not fakes or not photographs:
            missing = "photographs" if fakes else "fakes"
            raise DataError(f"{catalog.root}: the fold '{self.name}' leaves out no {missing}")
        return (*fakes, *photographs)


def read_folds(path: Path) -> tuple[Fold, ...]:
    """The folds of a YAML file: name → generators and photographs, each a list of patterns.

    Raises:
        DataError: it cannot be read, or is not arranged like that.
    """
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise DataError(f"{path}: the folds cannot be read: {problem}") from problem
    if not isinstance(stored, dict) or not stored:
        raise DataError(f"{path}: expected a mapping from names of folds to generators and photographs")
    return tuple(_fold(path, str(name), parts) for name, parts in stored.items())


def _fold(path: Path, name: str, parts: object) -> Fold:
    known = {"generators", "photographs"}
    if not isinstance(parts, dict) or not parts.get("generators") or parts.keys() - known:
        raise DataError(f"{path}: fold '{name}' must name generators, may name photographs, and nothing else")
    lists = {key: value if isinstance(value, list) else [value] for key, value in parts.items() if value}
    return Fold(name=name, **{key: tuple(str(pattern) for pattern in value) for key, value in lists.items()})


def folds_by(catalog: Catalog, by: str) -> tuple[Fold, ...]:
    """A fold for each family or generator of the fakes that are learnt from; the sources of photographs are dealt out.

    Where there are fewer sources than folds, all are judged against the photographs of validation: not learnt from,
    but they had a part in the choice of checkpoint and thresholds.

    Raises:
        UsageError: an unknown grouping.
        DataError: fewer than two folds, or fakes of a family that name no generator and so cannot be left out.
    """
    if by not in BY:
        raise UsageError(f"folds can be made by {' or '.join(BY)}, not by '{by}'")
    learnt = _own(catalog)
    members: dict[str, set[str]] = {}
    for sample in learnt:
        if sample.is_fake:
            members.setdefault(getattr(sample, by), set()).add(sample.generator)
    if unnamed := [name for name, generators in members.items() if "" in generators or not name]:
        raise DataError(
            f"{catalog.root}: fakes of '{unnamed[0]}' name no {by} or generator, so they cannot be left out"
        )
    if len(members) < 2:
        raise DataError(f"{catalog.root}: leaving one {by} out needs at least two, there are {len(members)}")
    sources = _dealt([s.source for s in learnt if not s.is_fake], len(members))
    return tuple(
        Fold(name=name, generators=_exact(generators), photographs=_exact(photographs))
        for (name, generators), photographs in zip(sorted(members.items()), sources, strict=True)
    )


def _own(catalog: Catalog) -> list[Sample]:
    """What is learnt from, without aligned fakes; copies of photographs elsewhere (pairs) do not count twice."""
    return [
        sample
        for sample in catalog.samples
        if sample.split in LEARNT and sample.family != PROXY_FAMILY and sample.path.is_relative_to(catalog.root)
    ]


def _dealt(sources: Sequence[str], hands: int) -> list[set[str]]:
    """Sources of photographs in so many hands of about as many pictures, the largest source first."""
    dealt: list[set[str]] = [set() for _ in range(hands)]
    sizes = {source: sources.count(source) for source in sorted(set(sources) - {""})}
    if len(sizes) < hands:
        return dealt
    held = [0] * hands
    for source in sorted(sizes, key=lambda name: -sizes[name]):
        hand = held.index(min(held))
        dealt[hand].add(source)
        held[hand] += sizes[source]
    return dealt


def _exact(names: set[str]) -> tuple[str, ...]:
    """Patterns that fit these names and nothing else."""
    return tuple(sorted(glob.escape(name) for name in names))
