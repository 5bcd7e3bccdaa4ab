"""Attribution measured: known generators, unknown ones, generators enrolled from a few pictures, comparisons.

Everything is asked of pictures of `test` and `external`, as they are and after the web tier; the gallery was learnt
from `train` and weighed on `validation`. Aligned fakes are left out. 95 % bootstrap by group; of figures over draws of
reference pictures the mean over draws, and the lowest and highest draw.

    python benchmarks/accuracy/attribution.py --data-root DIR [--gallery FILE] [--output results/attribution]
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from attribution_plots import plot_confusion, plot_map, plot_open_set
from numpy.typing import NDArray

from ganfingerprint.atomic import replacing
from ganfingerprint.attribution import (
    FILE_NAME,
    PHOTOGRAPH,
    UNKNOWN,
    Gallery,
    Labelled,
    chances_of,
    compared,
    read_gallery,
    save_gallery,
)
from ganfingerprint.catalog import PROXY_FAMILY, Catalog, Sample, read_catalog
from ganfingerprint.delivery import TIERS
from ganfingerprint.detector import Detector
from ganfingerprint.evaluation.attribution import see
from ganfingerprint.evaluation.bootstrap import bootstrap_intervals
from ganfingerprint.evaluation.canvas import save_figure
from ganfingerprint.evaluation.metrics import auc, cllr

Floats = NDArray[np.float64]
Row = tuple[str, str, str, float, float, float, int]
LARGE = 100  # training pictures of the generators of the closed set
FEW = {10: 20, 25: 40, 50: 60}  # pictures enrolled → those that a generator must have
DRAWS, PAIRS = 10, 4000


@dataclass(frozen=True)
class Asked:
    """Pictures of one split, delivered in one way, without aligned fakes."""

    what: str
    seen: Labelled
    names: NDArray[np.str_]  # as the gallery calls them
    groups: NDArray[np.str_]

    def fingerprints(self, gallery: Gallery) -> Floats:
        return gallery.fingerprints_of(self.seen.traces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--gallery", type=Path, default=Path("weights") / FILE_NAME)
    parser.add_argument("--merge", action="append", default=["stylegan2-edit=stylegan2-ffhq"], metavar="NAME=OTHER")
    parser.add_argument("--output", type=Path, default=Path("results/attribution"))
    parser.add_argument("--record", action="store_true", help="write the figures into the gallery, for the model card")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    catalog, gallery, detector = read_catalog(args.data_root), read_gallery(args.gallery), Detector.from_pretrained()
    renamed = dict(text.split("=") for text in args.merge)
    asked = {
        (split, way): look(detector, catalog, split, way, renamed) for split in ("test", "external") for way in WAYS
    }
    counts = Counter(renamed.get(s.generator, s.generator) for s in catalog.split("train") if s.is_fake)
    large = [name for name in gallery.generators if counts[name] >= LARGE and not name.startswith(f"{PROXY_FAMILY}:")]
    rows = list(measured(gallery, asked, large, args.seed))
    with replacing(args.output / "attribution.csv") as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("question", "pictures", "figure", "value", "low", "high", "n"))
        for row in rows:
            writer.writerow((*row[:3], *(f"{value:.4f}" for value in row[3:6]), row[6]))
    if args.record:
        save_gallery(replace(gallery, figures=recorded(rows)), args.gallery)
    test, external = asked["test", "as it is"], asked["external", "as it is"]
    save_figure(plot_confusion(*confusion(gallery, test)), args.output / "confusion.png")
    save_figure(plot_open_set(open_set(gallery, asked)), args.output / "open_set.png")
    places = [split.fingerprints(gallery) for split in (test, external)]
    save_figure(plot_map(places[0], test.names, places[1], external.names, args.seed), args.output / "map.png")


def recorded(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The rows as a gallery keeps them; without intervals where there are none."""
    found = {}
    for question, pictures, figure, value, low, high, n in rows:
        interval = {} if np.isnan(low) else {"low": round(low, 4), "high": round(high, 4)}
        found[f"{question}: {figure} ({pictures})"] = {"value": round(value, 4), **interval, "n": n}
    return found


WAYS = {"as it is": None, "web": TIERS["web"]}


def look(detector: Detector, catalog: Catalog, split: str, way: str, renamed: dict[str, str]) -> Asked:
    samples = [sample for sample in catalog.split(split) if sample.family != PROXY_FAMILY]
    print(split, way, len(samples), flush=True)
    seen = see(detector, samples, delivery=WAYS[way], renamed=renamed)
    if len(seen) != len(samples):
        raise SystemExit(f"{split}: {len(samples) - len(seen)} pictures cannot be read")
    return Asked(f"{split}, {way}", seen, np.array(seen.names), np.array([group(sample) for sample in samples]))


def group(sample: Sample) -> str:
    return sample.group or sample.path.name


def measured(gallery: Gallery, asked: dict[tuple[str, str], Asked], large: Sequence[str], seed: int) -> Iterator[Row]:
    for way in WAYS:
        test, external = asked["test", way], asked["external", way]
        yield closed_set(gallery, test, large, "closed set, generators with 100 training pictures", seed)
        yield closed_set(gallery, test, named(gallery), "closed set, all enrolled generators", seed)
        yield from answers(gallery, test, seed)
        yield from refused(gallery, test, external, seed)
        yield from strangers(gallery, external, seed)
        yield left_out(gallery, test, seed)
        yield claims(gallery, test, external, seed)
        for count, need in FEW.items():
            yield few_shot(gallery, external, count, need, seed)
        yield few_shot(gallery, external, 25, 40, seed, beside_known=True)
        yield few_shot(gallery, external, 25, 40, seed, beside_known=True, full=True)
        yield from price(gallery, test, external, seed)
        for split in (test, external):
            for sides in ((1, 1), (5, 1), (5, 5)):
                yield from comparisons(gallery, split, *sides, seed)


def named(gallery: Gallery) -> list[str]:
    return [name for name in gallery.generators if not name.startswith(f"{PROXY_FAMILY}:")]


def accuracy(question: str, what: str, right: NDArray[np.bool_], groups: NDArray[np.str_], seed: int) -> Row:
    ones = np.ones(len(right), bool)
    (found,) = bootstrap_intervals(
        ones, right.astype(float), groups, {"mean": lambda _, hits: float(hits.mean())}, seed=seed
    ).values()
    return question, what, "accuracy", found.value, found.low, found.high, len(right)


def closed_set(gallery: Gallery, asked: Asked, names: Sequence[str], question: str, seed: int) -> Row:
    """The likeliest of these generators, for pictures of these."""
    at, rows = [gallery.generators.index(name) for name in names], np.isin(asked.names, names)
    _, chances = chances_of(asked.fingerprints(gallery)[rows], asked.seen.log10_lr[rows], gallery)
    guessed = np.array(names)[chances[:, at].argmax(axis=1)]
    return accuracy(question, asked.what, guessed == asked.names[rows], asked.groups[rows], seed)


def answered(gallery: Gallery, asked: Asked) -> tuple[NDArray[np.str_], Floats]:
    """The full answer to each picture, as `attribute` gives it, and the probability of its best candidate."""
    _, chances = chances_of(asked.fingerprints(gallery), asked.seen.log10_lr, gallery)
    made = np.array([*gallery.generators, UNKNOWN])[chances[:, :-1].argmax(axis=1)]
    return np.where(chances[:, -1] > 0.5, PHOTOGRAPH, made), chances[:, :-2].max(axis=1)


def answers(gallery: Gallery, asked: Asked, seed: int) -> Iterator[Row]:
    """Answers as users get them, with "unknown" and "photograph" among them."""
    given, _ = answered(gallery, asked)
    known, photographs = np.isin(asked.names, gallery.generators), asked.names == PHOTOGRAPH
    for rows, truth in ((known, "known generators"), (photographs, "photographs")):
        right = given[rows] == asked.names[rows]
        yield accuracy(f"full answer, {truth}", asked.what, right, asked.groups[rows], seed)
    is_name = ~np.isin(given, [UNKNOWN, PHOTOGRAPH])
    question = "photographs to which a generator is named"
    yield accuracy(question, asked.what, is_name[photographs], asked.groups[photographs], seed)
    rows, right = known & is_name, given == asked.names
    yield accuracy("a generator is named, and it is the one", asked.what, right[rows], asked.groups[rows], seed)


def strangers(gallery: Gallery, asked: Asked, seed: int) -> Iterator[Row]:
    """What generators that training never saw are answered."""
    given, _ = answered(gallery, asked)
    rows = asked.names != PHOTOGRAPH
    kinds = {
        "a known name": ~np.isin(given, [UNKNOWN, PHOTOGRAPH]),
        UNKNOWN: given == UNKNOWN,
        PHOTOGRAPH: given == PHOTOGRAPH,
    }
    for kind, found in kinds.items():
        question, *rest = accuracy(
            f"external generators that are answered: {kind}", asked.what, found[rows], asked.groups[rows], seed
        )
        yield question, rest[0], "share", *rest[2:]


def refused(gallery: Gallery, test: Asked, external: Asked, seed: int) -> Iterator[Row]:
    """Known generators against photographs, and against unknown generators, by the best candidate's probability."""
    (_, of_test), (_, of_external) = answered(gallery, test), answered(gallery, external)
    known = np.isin(test.names, gallery.generators)
    strange, photographs = external.names != PHOTOGRAPH, [~known, external.names == PHOTOGRAPH]
    against = {
        "known or not: photographs": ([of_test[photographs[0]], of_external[photographs[1]]],
                                      [test.groups[photographs[0]], external.groups[photographs[1]]]),
        "known or not: external generators": ([of_external[strange]], [external.groups[strange]]),
    }  # fmt: skip
    for question, (scores, groups) in against.items():
        others = np.concatenate(scores)
        truth = np.repeat([True, False], [int(known.sum()), len(others)])
        (found,) = bootstrap_intervals(
            truth, np.concatenate([of_test[known], others]), np.concatenate([test.groups[known], *groups]),
            {"auc": auc}, seed=seed,
        ).values()  # fmt: skip
        yield question, f"{test.what} and external", "auroc", found.value, found.low, found.high, len(truth)


def left_out(gallery: Gallery, asked: Asked, seed: int) -> Row:
    """Each known generator against itself when it is not enrolled and the space was made without it; the network has
    learnt from it all the same, and the scatter of its pictures is in the background.
    """
    _, best = answered(gallery, asked)
    known = np.isin(asked.names, gallery.generators)
    unknown = np.zeros(len(known))
    for name in set(asked.names[known]):
        rows = asked.names == name
        rest = gallery.without(str(name))
        rest = replace(rest, background=rest.background.without(str(name)))
        _, chances = chances_of(asked.fingerprints(rest)[rows], asked.seen.log10_lr[rows], rest)
        unknown[rows] = chances[:, :-2].max(axis=1)
    truth = np.repeat([True, False], int(known.sum()))
    scores, groups = np.concatenate([best[known], unknown[known]]), np.tile(asked.groups[known], 2)
    (found,) = bootstrap_intervals(truth, scores, groups, {"auc": auc}, seed=seed).values()
    return "known or not (left out of the gallery)", asked.what, "auroc", found.value, found.low, found.high, len(truth)


def claims(gallery: Gallery, test: Asked, external: Asked, seed: int) -> Row:
    """What the evidence of a candidate is worth: known pictures and their own generator, strangers and any one."""
    rng, evidence = np.random.default_rng(seed), []
    for asked, rows in ((test, np.isin(test.names, named(gallery))), (external, external.names != PHOTOGRAPH)):
        ratios, _ = chances_of(asked.fingerprints(gallery)[rows], asked.seen.log10_lr[rows], gallery)
        held = [
            gallery.generators.index(str(name)) if asked is test else rng.integers(len(gallery.generators))
            for name in asked.names[rows]
        ]
        evidence.append(np.array([gallery.claims.log10_lr(ratio[at]) for ratio, at in zip(ratios, held, strict=True)]))
    truth = np.repeat([True, False], [len(part) for part in evidence])
    question, what = "evidence for a candidate: its own pictures, strangers", f"{test.what} and external"
    return question, what, "cllr", cllr(truth, np.concatenate(evidence)), float("nan"), float("nan"), len(truth)


def strange(gallery: Gallery, asked: Asked, need: int) -> list[str]:
    """Generators with as many pictures that are not enrolled."""
    found = Counter(asked.names[asked.names != PHOTOGRAPH].tolist())
    return sorted(name for name, number in found.items() if number >= need and name not in gallery.generators)


def enrolled(
    gallery: Gallery, asked: Asked, names: Sequence[str], count: int, rng: np.random.Generator
) -> tuple[Gallery, NDArray[np.bool_]]:
    """The gallery with these generators enrolled from `count` pictures each, and which are their other pictures."""
    rest = np.zeros(len(asked.names), bool)
    for name in names:
        order = rng.permutation(np.flatnonzero(asked.names == name))
        hashes = [asked.seen.hashes[at] for at in order[:count]]
        gallery = gallery.enrolled(name, asked.seen.traces[order[:count]], hashes, hashes)
        rest[order[count:]] = True
    return gallery, rest


def price(gallery: Gallery, test: Asked, external: Asked, seed: int) -> Iterator[Row]:
    """What enrolments change for all others: full answers once the new generators are enrolled from 25 pictures."""
    names = strange(gallery, external, 40)
    own, rest = enrolled(gallery, external, names, 25, np.random.default_rng((seed, 0)))
    given, _ = answered(own, test)
    known, photographs = np.isin(test.names, gallery.generators), test.names == PHOTOGRAPH
    for rows, truth in ((known, "known generators"), (photographs, "photographs")):
        right = given[rows] == test.names[rows]
        yield accuracy(
            f"full answer once {len(names)} are enrolled, {truth}", test.what, right, test.groups[rows], seed
        )
    given, _ = answered(own, external)
    rows = rest & ~np.isin(given, [UNKNOWN, PHOTOGRAPH])
    right = given[rows] == external.names[rows]
    yield accuracy("a new generator is named, and it is the one", external.what, right, external.groups[rows], seed)


def few_shot(
    gallery: Gallery, asked: Asked, count: int, need: int, seed: int, *, beside_known: bool = False, full: bool = False
) -> Row:
    """Unknown generators enrolled from `count` pictures, judged on the rest; alone, or beside all known ones.

    `full` counts "unknown" and "photograph" as the wrong answers that they are.
    """
    names = strange(gallery, asked, need)
    rates, judged = [], 0
    for draw in range(DRAWS):
        own = gallery
        for name in gallery.generators if not beside_known else ():
            own = own.without(name)
        own, rest = enrolled(own, asked, names, count, np.random.default_rng((seed, draw)))
        _, chances = chances_of(asked.fingerprints(own)[rest], asked.seen.log10_lr[rest], own)
        guessed = np.array(own.generators)[chances[:, :-2].argmax(axis=1)]
        if full:
            guessed = np.where((chances[:, -1] > 0.5) | (chances[:, -2] > chances[:, :-2].max(axis=1)), "", guessed)
        rates.append(float((guessed == asked.names[rest]).mean()))
        judged = int(rest.sum())
    beside = (", beside all known" if beside_known else "") + (", full answers" if full else "")
    question = f"{len(names)} new generators from {count} pictures each{beside}"
    return question, asked.what, "accuracy", float(np.mean(rates)), min(rates), max(rates), judged


def comparisons(gallery: Gallery, asked: Asked, first: int, second: int, seed: int) -> Iterator[Row]:
    """Two sets of generated pictures, half of the pairs of one generator; each generator as often as another.

    Resampled by generator: pairs of one share its pictures.
    """
    fingerprints = gallery.common.project(gallery.basis.features(asked.seen.traces))
    rng = np.random.default_rng((seed, first, second))
    counts = Counter(asked.names[asked.names != PHOTOGRAPH].tolist())
    places = {name: np.flatnonzero(asked.names == name) for name, n in sorted(counts.items()) if n >= first + second}
    names = list(places)
    evidence, same, of = np.zeros(PAIRS), np.arange(PAIRS) % 2 == 0, [""] * PAIRS
    for pair in range(PAIRS):
        of[pair] = a = names[rng.integers(len(names))]
        b = a if same[pair] else names[rng.choice([at for at, name in enumerate(names) if name != a])]
        drawn = rng.permutation(places[a])
        left = drawn[:first]
        right = drawn[first : first + second] if same[pair] else rng.permutation(places[b])[:second]
        evidence[pair] = compared(fingerprints[left], fingerprints[right], gallery).log10_lr
    (found,) = bootstrap_intervals(same, evidence, of, {"auc": auc}, seed=seed).values()
    question = f"one generator or two, {first} against {second}"
    yield question, asked.what, "auc", found.value, found.low, found.high, PAIRS
    yield question, asked.what, "cllr", cllr(same, evidence), float("nan"), float("nan"), PAIRS


def confusion(gallery: Gallery, asked: Asked) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """True origins, answers, and how often each was given to each."""
    given, _ = answered(gallery, asked)
    counts = Counter(asked.names.tolist())
    truths = [*(name for name in sorted(counts) if name in gallery.generators and counts[name] >= 4), PHOTOGRAPH]
    said = [*truths[:-1], "another known", UNKNOWN, PHOTOGRAPH]
    column = {name: at for at, name in enumerate(said)}
    table = np.zeros((len(truths), len(said)), np.int64)
    for truth, answer in zip(asked.names, given, strict=True):
        if truth in truths:
            table[truths.index(truth), column.get(answer, column["another known"])] += 1
    return truths, said, table


def open_set(gallery: Gallery, asked: dict[tuple[str, str], Asked]) -> dict[str, tuple[Floats, Floats]]:
    """By delivery: shares of others that are given a known name, and of the known that are given theirs, by limit."""
    curves = {}
    for way in WAYS:
        test, external = asked["test", way], asked["external", way]
        given, best = answered_known(gallery, test)
        _, others = answered_known(gallery, external)
        known = np.isin(test.names, gallery.generators)
        others = np.concatenate([others, best[~known]])
        right = (given == test.names)[known]
        limits = np.quantile(np.concatenate([best, others]), np.linspace(0, 1, 201))
        wrongly = np.array([(others >= limit).mean() for limit in limits])
        rightly = np.array([(right & (best[known] >= limit)).mean() for limit in limits])
        curves[way] = (wrongly, rightly)
    return curves


def answered_known(gallery: Gallery, asked: Asked) -> tuple[NDArray[np.str_], Floats]:
    """The best enrolled candidate, whatever else is likely, and its probability."""
    _, chances = chances_of(asked.fingerprints(gallery), asked.seen.log10_lr, gallery)
    return np.array(gallery.generators)[chances[:, :-2].argmax(axis=1)], chances[:, :-2].max(axis=1)


if __name__ == "__main__":
    main()
