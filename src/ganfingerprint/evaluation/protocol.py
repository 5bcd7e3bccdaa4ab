"""What an evaluation is: a table with one row for each picture, and the rules by which it is cut into figures.

- A file that could not be read stays in the table, with its error code and without scores.
- Fakes of one generator or family are set against *all* photographs of the split, so that figures compare.
- Proxies (photographs through the last stage of a generator) are no forgeries: the headline is without them.
- Sources of photographs have no class to be set against; their figure is the share that is called fake.
- A group of fewer than `FEW` pictures gets its counts and no figure of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import PROXY_FAMILY, Sample
from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.evaluation.metrics import Int64Array
from ganfingerprint.types import Answer, BoolArray, Failure, Float64Array, Label, Verdict

if TYPE_CHECKING:
    import pyarrow

SCHEMA_VERSION = 1
FEW = 25
GROUPINGS = ("generator", "family", "source")
WITHOUT_PROXIES, WITH_PROXIES, PROXIES_ALONE = "without proxies", "with proxies", "proxies alone"
UNKNOWN = "unknown"

TextArray = NDArray[np.str_]
Progress = Callable[[int, int], None]  # pictures done, pictures in all

_VERSION_KEY = b"ganfingerprint.scores.version"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """The scores of one split, by column; one row a picture, in the order of the catalog."""

    path: TextArray  # [n] below the data root, with forward slashes
    label: TextArray  # real or fake
    generator: TextArray  # empty for photographs and where unknown
    family: TextArray
    source: TextArray
    group: TextArray
    split: TextArray
    logit: Float64Array  # raw score, higher for *fake*; this and the next two nan where the file failed
    prob_fake: Float64Array
    log10_lr: Float64Array
    verdict: TextArray  # real, uncertain, fake; empty where the file failed
    windows: Int64Array  # 0 where the file failed
    error_code: TextArray  # empty where the picture was judged
    error: TextArray

    def __len__(self) -> int:
        return len(self.path)

    @property
    def is_fake(self) -> BoolArray:
        """Whether each picture is truly a fake."""
        return np.equal(self.label, Label.FAKE.value)

    @property
    def is_proxy(self) -> BoolArray:
        """Whether each picture is a photograph that went through the last stage of a generator."""
        return self.is_fake & np.equal(self.family, PROXY_FAMILY)

    @property
    def judged(self) -> BoolArray:
        """Whether each picture could be read."""
        return np.equal(self.error_code, "")

    def select(self, rows: BoolArray) -> ScoreTable:
        """The rows where the mask holds."""
        return ScoreTable(**{name: getattr(self, name)[rows] for name in COLUMNS})


COLUMNS = tuple(item.name for item in dataclasses.fields(ScoreTable))
_NUMBERS = ("logit", "prob_fake", "log10_lr")
_MAY_BE_NULL = (*_NUMBERS, "verdict", "error_code", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows of a table that get figures together."""

    by: str  # overall, generator, family or source
    name: str
    family: str  # of the fakes when they have one family, else empty
    rows: BoolArray  # [n] judged pictures only: the fakes in question and the photographs they are set against
    few: bool  # too few pictures for a figure of its own


def counted(answers: Iterable[Answer], total: int, progress: Progress | None) -> Iterator[Answer]:
    """The answers as they come; after each `progress` is told how many are done, and of how many."""
    for done, answer in enumerate(answers, start=1):
        yield answer
        if progress is not None:
            progress(done, total)


def score_table(samples: Sequence[Sample], answers: Iterable[Answer], root: Path) -> ScoreTable:
    """The table of the answers to `samples`, in their order.

    Raises:
        ValueError: there are more or fewer answers than samples.
    """
    rows = [_row(sample, answer, root) for sample, answer in zip(samples, answers, strict=True)]
    kinds: dict[str, Any] = {"windows": np.int64} | dict.fromkeys(_NUMBERS, np.float64)
    return ScoreTable(
        **{name: np.array([row[name] for row in rows], dtype=kinds.get(name, np.str_)) for name in COLUMNS}
    )


def _row(sample: Sample, answer: Answer, root: Path) -> dict[str, Any]:
    path = sample.path.relative_to(root) if sample.path.is_relative_to(root) else sample.path
    row: dict[str, Any] = {name: getattr(sample, name) for name in ("generator", "family", "source", "group", "split")}
    row |= {"path": path.as_posix(), "label": sample.label.value}
    if isinstance(answer, Failure):
        blank = dict.fromkeys(_NUMBERS, np.nan)
        return row | blank | {"verdict": "", "windows": 0, "error_code": answer.code, "error": answer.error}
    judged = {name: getattr(answer, name) for name in (*_NUMBERS, "windows")}
    return row | judged | {"verdict": answer.verdict.value, "error_code": "", "error": ""}


def scores_schema() -> pyarrow.Schema:
    """Columns and types of `scores.parquet`; the version is in the metadata."""
    import pyarrow

    kinds = dict.fromkeys(COLUMNS, pyarrow.string()) | dict.fromkeys(_NUMBERS, pyarrow.float64())
    kinds["windows"] = pyarrow.int32()
    fields = [pyarrow.field(name, kinds[name], nullable=name in _MAY_BE_NULL) for name in COLUMNS]
    return pyarrow.schema(fields, metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()})


def write_scores(table: ScoreTable, path: Path) -> None:
    """Write the table as Parquet, whole or not at all; what a failed file does not have is null."""
    import pyarrow
    from pyarrow import parquet

    schema = scores_schema()
    arrays = []
    for name in COLUMNS:
        values = getattr(table, name)
        if name in _NUMBERS or name == "windows":
            missing = np.isnan(values) if name in _NUMBERS else np.zeros(len(values), dtype=np.bool_)
            arrays.append(pyarrow.array(values, type=schema.field(name).type, mask=missing))
        else:
            empty = None if name in _MAY_BE_NULL else ""
            arrays.append(pyarrow.array([text or empty for text in values.tolist()], type=pyarrow.string()))
    with replacing(path) as beside:
        parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), beside)


def read_scores(path: Path) -> ScoreTable:
    """Read what `write_scores` wrote.

    Raises:
        DataError: not such a table, or one of a newer version.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        stored = parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid) as problem:
        raise DataError(f"{path}: the scores cannot be read: {problem}") from problem
    version = int((stored.schema.metadata or {}).get(_VERSION_KEY, b"0"))
    if not 1 <= version <= SCHEMA_VERSION:
        raise DataError(f"{path}: a table of scores of version 1 to {SCHEMA_VERSION} is needed, got version {version}")
    missing = [name for name in COLUMNS if name not in stored.column_names]
    if missing:
        raise DataError(f"{path}: the table has no column {', '.join(missing)}")
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        values = stored.column(name).to_pylist()
        if name in _NUMBERS:
            columns[name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        elif name == "windows":
            columns[name] = np.array(values, dtype=np.int64)
        else:
            columns[name] = np.array([value or "" for value in values], dtype=np.str_)
    return ScoreTable(**columns)


def overall_slices(table: ScoreTable) -> list[Slice]:
    """The headline first: all fakes but proxies against all photographs; with proxies, those two lines as well."""
    real, fake, proxy = table.judged & ~table.is_fake, table.judged & table.is_fake, table.judged & table.is_proxy
    wanted = {WITHOUT_PROXIES: fake & ~proxy}
    if proxy.any():
        wanted |= {WITH_PROXIES: fake, PROXIES_ALONE: proxy}
    return [
        Slice(by="overall", name=name, family=_family(table, chosen), rows=chosen | real, few=False)
        for name, chosen in wanted.items()
    ]


def slices_by(table: ScoreTable, by: str) -> list[Slice]:
    """One slice for each generator or family of fakes (with all photographs), or for each source of photographs.

    Sorted by name; pictures that could not be read are left out, and so is a group of nothing else.

    Raises:
        UsageError: an unknown grouping.
    """
    if by not in GROUPINGS:
        raise UsageError(f"figures can be grouped by {', '.join(GROUPINGS)}, not by '{by}'")
    real, fake = table.judged & ~table.is_fake, table.judged & table.is_fake
    names = np.where(getattr(table, by) == "", UNKNOWN, getattr(table, by))
    among, against = (real, np.zeros_like(real)) if by == "source" else (fake, real)
    slices = []
    for name in np.unique(names[among]).tolist():
        chosen = among & (names == name)
        few = int(chosen.sum()) < FEW
        slices.append(Slice(by=by, name=name, family=_family(table, chosen), rows=chosen | against, few=few))
    return slices


def verdict_counts(table: ScoreTable) -> Int64Array:
    """Counts `[3, 2]`: rows what was said (fake, uncertain, real), columns what is so (photograph, fake)."""
    rows = [table.verdict == verdict.value for verdict in (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.REAL)]
    return np.array([[np.sum(said & ~table.is_fake), np.sum(said & table.is_fake)] for said in rows], dtype=np.int64)


def failure_counts(table: ScoreTable) -> dict[str, int]:
    """How many files failed, by error code."""
    codes, numbers = np.unique(table.error_code[~table.judged], return_counts=True)
    return dict(zip(codes.tolist(), numbers.tolist(), strict=True))


def _family(table: ScoreTable, chosen: BoolArray) -> str:
    families = np.unique(table.family[chosen])
    return str(families[0]) if families.size == 1 else ""
