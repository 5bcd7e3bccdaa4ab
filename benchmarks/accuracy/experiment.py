"""Run the experiments of a YAML file under equal conditions; each is a row of one table.

A run learns from train and is judged on validation, plain and through the web tier, and in folds that leave a family
of generators, or a recipe of aligned fakes, out of training (`protocol.py`). Means over the run's seeds; the interval
is that of the first seed. A row that is there for the same settings is not computed again. Test and external are
never opened here.

    python benchmarks/accuracy/experiment.py --data-root DIR --store STORE [--extra PREFIX=DIR2 ...] [--only PATTERN]
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
import yaml
from features import Store
from probe import Probe, ProbeConfig, scaled, standardised
from protocol import Fold, family_folds, family_names, full_fold, recipe_folds

from ganfingerprint.atomic import replacing
from ganfingerprint.catalog import Sample, read_catalog
from ganfingerprint.evaluation.bootstrap import bootstrap_mean
from ganfingerprint.evaluation.metrics import auc, tpr_at_fpr

HERE = Path(__file__).parent
Scored = tuple[np.ndarray, np.ndarray, np.ndarray]  # of the judged pictures: is it fake, how fake, its group; each [n]
Expert = tuple[ProbeConfig, dict[str, torch.Tensor]]  # what decides a head, and the views that it needs
RECIPES = {  # of aligned fakes, left out together
    "taef2": ("proxy:taef2",),
    "enlarged-by-gans": ("proxy:realesr*", "proxy:realsr*"),
    "enlarged-otherwise": ("proxy:span*", "proxy:waifu2x*", "proxy:realcugan*"),
}
FIGURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": auc,
    "recall_1": functools.partial(tpr_at_fpr, fpr=0.01),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One experiment."""

    name: str
    question: str  # rows that answer the same one are compared with each other
    head: ProbeConfig
    seeds: tuple[int, ...] = (42, 43)
    weights: dict[str, float] = dataclasses.field(default_factory=dict)  # generator pattern → how often it is drawn
    extra: tuple[str, ...] = ()  # prefixes of the further pictures that are learnt from
    share: float = 1.0  # of the training pictures
    second: ProbeConfig | None = None  # a second expert, learnt by itself; a picture's score is the mean of the two

    @property
    def settings(self) -> str:
        """What decides the row, as JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def read_runs(path: Path) -> list[Run]:
    """The runs of a file: `base` holds what they share."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    base = content["base"]
    runs = []
    for entry in content["runs"]:
        heads = {
            name: ProbeConfig(**{k: _frozen(v) for k, v in {**base, **entry.pop(name, {})}.items()})
            for name in ("head", "second")
            if name == "head" or name in entry
        }
        runs.append(Run(**heads, **{k: _frozen(v) for k, v in entry.items()}))
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True, help="where features.py wrote")
    parser.add_argument("--extra", action="append", default=[], metavar="PREFIX=DIR")
    parser.add_argument("--runs", type=Path, default=HERE / "experiments" / "runs.yaml")
    parser.add_argument("--only", default="*", help="pattern of the names to run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("results/experiments"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pictures = Pictures(args.store, args.data_root, dict(item.split("=", 1) for item in args.extra))
    rows = read_rows(args.output)
    for run in read_runs(args.runs):
        if not fnmatch.fnmatch(run.name, args.only) or any(row["settings"] == run.settings for row in rows):
            continue
        rows = [row for row in rows if row["name"] != run.name]
        rows.append(row_of(run, pictures))
        write_rows(rows, args.output)
        print({key: value for key, value in rows[-1].items() if key != "settings"}, flush=True)


class Pictures:
    """All labelled pictures that any run may see, and their features."""

    def __init__(self, store: Path, root: Path, extra: dict[str, str]) -> None:
        catalogs = {"": read_catalog(root)} | {prefix: read_catalog(Path(path)) for prefix, path in extra.items()}
        self.parts: list[tuple[str, str, int]] = []  # prefix, split, pictures
        self.samples: list[Sample] = []
        self.prefix: list[str] = []
        for prefix, catalog in catalogs.items():
            for split in ("train",) if prefix else ("train", "validation"):
                chosen = [sample for sample in catalog.samples if sample.split == split]
                if chosen:
                    self.parts.append((prefix, split, len(chosen)))
                    self.samples += chosen
                    self.prefix += [prefix] * len(chosen)
        self.store = Store(store)
        self.fake = np.array([sample.is_fake for sample in self.samples])
        self.groups = np.array([sample.group for sample in self.samples])

    def features(self, run: Run, head: ProbeConfig) -> dict[str, torch.Tensor]:
        """[n, d] of each view that a head needs, standardised by the (first) judged view of train.

        What a run does not need is zeros: further pictures that it does not learn from, `web` but for validation.
        """
        train = np.array(
            [s.split == "train" and self._used(p, run) for s, p in zip(self.samples, self.prefix, strict=True)]
        )
        judged = head.judged.split(",")
        first = self._loaded(judged[0], run, head)
        mean, deviation = standardised(first, train)
        found = {judged[0]: scaled(first, mean, deviation)}
        for view in {*judged[1:], *head.views, *tiers(run)} - set(found):
            found[view] = scaled(self._loaded(view, run, head), mean, deviation)
        return found

    def _loaded(self, view: str, run: Run, head: ProbeConfig) -> torch.Tensor:
        return torch.cat([self._one_view(name, run, head) for name in view.split("+")], dim=1)

    def _one_view(self, view: str, run: Run, head: ProbeConfig) -> torch.Tensor:
        parts: list[torch.Tensor | int] = []
        for prefix, split, count in self.parts:
            part = f"{prefix}{split}-{view}"
            there, used = self.store.has(part), self._used(prefix, run)
            needed = split == ("validation" if view == "web" else "train") or view in re.split("[+,]", head.judged)
            if used and needed and not there:
                raise SystemExit(f"{part} is not in the store: features.py --views {view.partition('.')[0]} makes it")
            parts.append(self.store.load(part, head.blocks, head.statistics) if used and needed else count)
        width = next(part.shape[1] for part in parts if isinstance(part, torch.Tensor))
        empty = torch.zeros(1, width, dtype=torch.float16)
        return torch.cat([empty.expand(part, -1) if isinstance(part, int) else part for part in parts])

    @staticmethod
    def _used(prefix: str, run: Run) -> bool:
        return prefix == "" or prefix in run.extra

    def folds(self) -> list[Fold]:
        """Validation, the families, the recipes. Further pictures never judge, so that all runs are judged alike."""
        folds = [full_fold(self.samples), *family_folds(self.samples), *recipe_folds(self.samples, RECIPES)]
        own = np.array([prefix == "" for prefix in self.prefix])
        return [Fold(fold.name, fold.train, fold.judged & own) for fold in folds]

    def learnt(self, run: Run) -> np.ndarray:
        """How often each picture is drawn in a run, relative to its class and source: [n]."""
        known = np.array([self._used(prefix, run) for prefix in self.prefix], dtype=np.float64)
        for pattern, factor in run.weights.items():
            known *= [factor if fnmatch.fnmatch(sample.generator, pattern) else 1.0 for sample in self.samples]
        if run.share < 1:
            known *= [_unit(sample.group) < run.share for sample in self.samples]
        return known


def tiers(run: Run) -> tuple[str, ...]:
    """The views beside the judged one that a run is judged on: where it sees the plain window alone."""
    return ("web",) if run.head.judged == "plain" and run.second is None else ()


def row_of(run: Run, pictures: Pictures) -> dict[str, Any]:
    """Learn and judge every fold of one run."""
    begun = time.monotonic()
    often = pictures.learnt(run)
    heads = [head for head in (run.head, run.second) if head is not None]
    experts = [(head, pictures.features(run, head)) for head in heads]
    found: dict[str, list[float]] = {}
    parts: dict[str, Scored] = {}  # of the first seed
    for fold in pictures.folds():
        for seed in run.seeds:
            for tier, scored in judged_fold(run, fold, experts, pictures, seed, often).items():
                for name, figure in FIGURES.items():
                    key = "_".join([fold.name, *([tier] if tier else []), name])
                    found.setdefault(key, []).append(figure(scored[0], scored[1]))
                if not tier and seed == run.seeds[0]:
                    parts[fold.name] = scored
    means = {name: float(np.mean(values)) for name, values in found.items()}
    for name in FIGURES:
        means[f"families_{name}"] = float(np.mean([means[f"{family}_{name}"] for family in family_names()]))
    full = full_fold(pictures.samples).train & (often > 0)
    return {
        "name": run.name,
        "question": run.question,
        "validation_interval": str(bootstrap_mean([parts["validation"]], auc, seed=run.seeds[0])),
        "families_interval": str(bootstrap_mean([parts[name] for name in family_names()], auc, seed=run.seeds[0])),
        **{name: round(value, 4) for name, value in means.items()},
        "training_pictures": int(full.sum()),
        "windows_seen": sum(head.epochs * int(full.sum()) * len(head.views) for head in heads),
        "minutes": round((time.monotonic() - begun) / 60, 2),
        "settings": run.settings,
    }


def judged_fold(
    run: Run, fold: Fold, experts: Sequence[Expert], pictures: Pictures, seed: int, often: np.ndarray
) -> dict[str, Scored]:
    """Learn a fold and judge it: the scores as they are under "", and those through each tier."""
    judged = np.flatnonzero(fold.judged)
    probes = [Probe(views, pictures.samples, fold.train, head, seed=seed, often=often) for head, views in experts]
    found = {}
    for tier in ("", *(tiers(run) if fold.name == "validation" else ())):
        scores = [
            probe.pooled(views, judged, tier or head.judged, head.pooling)
            for probe, (head, views) in zip(probes, experts, strict=True)
        ]
        found[tier] = pictures.fake[judged], np.mean(scores, axis=0), pictures.groups[judged]
    return found


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of the table that are there."""
    path = folder / "experiments.parquet"
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist() if path.is_file() else []
    return rows


def write_rows(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """The table as Parquet and as CSV."""
    columns = dict.fromkeys(name for row in rows for name in row)  # Arrow would take those of the first row alone
    table = pa.Table.from_pylist([dict.fromkeys(columns) | row for row in rows])
    with replacing(folder / "experiments.parquet") as beside:
        pq.write_table(table, beside)
    with replacing(folder / "experiments.csv") as beside:
        pyarrow.csv.write_csv(table, beside)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _unit(text: str) -> float:
    """A fixed number in 0..1 of a text, the same everywhere."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


if __name__ == "__main__":
    main()
