"""A folder of photographs → a folder of pairs that `train --data-root` takes as it is.

What becomes of a photograph depends on the seed and on its bytes alone: not on the order, not on the others, and not
on how often the run was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganfingerprint.decode import DecodeLimits, decode
from ganfingerprint.errors import ConfigError, InputError
from ganfingerprint.fakes import ledger
from ganfingerprint.fakes.pairs import Member, choose_recipes, make_pair
from ganfingerprint.fakes.photographs import Photograph, hash_of
from ganfingerprint.fakes.recipes import Recipe

SAVE_EVERY = 20  # photographs between two writings of the manifest
SMALLEST = DecodeLimits(min_side=64)  # pixels; of less a network at a quarter of the size has nothing to redraw

Report = Callable[[int, int], None]
"""Called with the photographs done and all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakesSettings:
    """What decides about the pixels; a folder of pairs is of one such set."""

    recipes: tuple[str, ...]
    size: int = 512  # longest side of a crop, pixels
    per_photo: int = 1  # recipes drawn for each photograph
    seed: int = 42
    split: str = "train"  # that the pairs are for
    from_split: str = ""  # that the photographs were taken from
    networks: dict[str, str] = field(default_factory=dict)  # sha256 of the networks of our own

    def __post_init__(self) -> None:
        mistakes = []
        if not self.recipes:
            mistakes.append("there is no recipe: install one (ganfingerprint fakes --list) or train a network")
        if self.size < SMALLEST.min_side:
            mistakes.append(f"size must be at least {SMALLEST.min_side} pixels, got {self.size}")
        if not 1 <= self.per_photo <= max(1, len(self.recipes)):
            mistakes.append(f"per-photo must be in 1..{len(self.recipes)} (recipes), got {self.per_photo}")
        if self.seed < 0:
            mistakes.append(f"seed must not be negative, got {self.seed}")
        if mistakes:
            raise ConfigError(mistakes)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "recipes": sorted(self.recipes),
            "size": self.size,
            "per_photo": self.per_photo,
            "seed": self.seed,
            "split": self.split,
            "from_split": self.from_split,
            "networks": dict(sorted(self.networks.items())),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run did."""

    photographs: int  # with pairs in the folder now, of those that were given
    kept: int  # of them, made by an earlier run
    repeated: int  # files that are copies of another one
    failures: tuple[ledger.Row, ...]
    members: tuple[Member, ...]  # made by this run


def make_fakes(
    photographs: Sequence[Photograph],
    out: Path,
    settings: FakesSettings,
    build: Callable[[str], Recipe],
    *,
    restart: bool = False,
    report: Report = lambda done, total: None,
) -> Made:
    """Make the pairs of all photographs below `out`; `build` gives the recipe of a name, and is asked once for each.

    A picture that cannot be read is a row of failed.csv. Stopped at any moment, the same call goes on.

    Raises:
        DataError: `out` holds something else, or pairs of other settings.
    """
    work = _Work(out, settings, build, ledger.begin(out, settings.to_mapping(), restart=restart))
    try:
        for done, photograph in enumerate(photographs):
            report(done, len(photographs))
            work.take(photograph)
            if done % SAVE_EVERY == SAVE_EVERY - 1:
                work.save()
        report(len(photographs), len(photographs))
    finally:
        work.save()
    return Made(
        photographs=len(work.seen),
        kept=work.kept,
        repeated=work.repeated,
        failures=tuple(work.failures),
        members=tuple(work.members),
    )


@dataclass(slots=True)
class _Work:
    """What is done so far."""

    out: Path
    settings: FakesSettings
    build: Callable[[str], Recipe]
    rows: dict[str, list[ledger.Row]]  # by the hash of the photograph
    failures: list[ledger.Row] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    recipes: dict[str, Recipe] = field(default_factory=dict)  # those that were asked for
    seen: set[str] = field(default_factory=set)  # hashes of photographs
    kept: int = 0
    repeated: int = 0

    def take(self, photograph: Photograph) -> None:
        """Make the pairs of one photograph, if they are not there."""
        sha = hash_of(photograph.path)
        names: tuple[str, ...] = ()
        if sha in self.seen:
            self.repeated += 1
            return
        if sha:
            names = choose_recipes(self.settings.recipes, self.settings.per_photo, seed=self.settings.seed, sha256=sha)
            if ledger.is_whole(self.rows.get(sha, ()), names, self.out):
                self.seen.add(sha)
                self.kept += 1
                return
        for name in names:
            if name not in self.recipes:
                self.recipes[name] = self.build(name)
        try:
            self._make(photograph, {name: self.recipes[name] for name in names})
        except InputError as problem:
            self.rows.pop(sha, None)
            self.failures.append({"path": str(photograph.path), "code": problem.code, "error": problem.reason})

    def _make(self, photograph: Photograph, recipes: dict[str, Recipe]) -> None:
        image = decode(photograph.path, limits=SMALLEST)
        size, seed, split = self.settings.size, self.settings.seed, self.settings.split
        made = make_pair(image, recipes, size=size, seed=seed, out=self.out)
        self.rows[image.sha256] = [
            ledger.to_row(member, photograph, sha256=image.sha256, split=split, seed=seed) for member in made
        ]
        self.members += made
        self.seen.add(image.sha256)

    def save(self) -> None:
        """Write the tables."""
        ledger.write_rows(self.out, (row for group in self.rows.values() for row in group))
        ledger.write_failures(self.out, self.failures)
