"""Labelled pictures as a gallery sees them, and a gallery for a detector from the pictures that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ganfingerprint.attribution import PHOTOGRAPH, Gallery, Labelled, fit_gallery, traces_of
from ganfingerprint.catalog import PROXY_FAMILY, Catalog, Sample
from ganfingerprint.config import WindowConfig
from ganfingerprint.decode import decode
from ganfingerprint.delivery import TIERS, Delivery
from ganfingerprint.detector import Detector
from ganfingerprint.errors import DataError, InputError
from ganfingerprint.evaluation.robustness import AS_IT_IS, delivered
from ganfingerprint.explain.spectrum import levelled_profile, residual_spectrum
from ganfingerprint.types import Failure, Float32Array, Float64Array, Prediction
from ganfingerprint.windows import cut_windows

Progress = Callable[[str, int, int], None]  # what is under way, pictures done, of how many
MOST_PROFILED, FEWEST_PROFILED = 60, 5  # pictures of an origin, of which profiles are made
AS_DELIVERED: Mapping[str, Delivery] = {AS_IT_IS: Delivery(), **TIERS}


def fit_on_catalog(
    detector: Detector,
    catalog: Catalog,
    *,
    renamed: Mapping[str, str],
    seed: int,
    progress: Progress | None = None,
) -> Gallery:
    """A gallery of the training split's generators, weighed on validation as it is and through three deliveries.

    Args:
        detector: whose fingerprints they are.
        catalog: with the splits `train` and `validation`.
        renamed: generators that cannot be told apart, and what they are called instead.
        seed: of the deliveries and of what is drawn.
        progress: told how far it is.

    Raises:
        DataError: a split is missing, or holds too few generators or pictures.
    """
    train, validation = catalog.split("train"), catalog.split("validation")
    unknown = sorted(set(renamed) - {sample.generator for sample in train})
    if unknown:
        raise DataError(f"{catalog.root}: no generator of the split train is called '{unknown[0]}'")
    learnt = see(detector, train, renamed=renamed, seed=seed, progress=progress)
    seen = [
        see(detector, validation, delivery=delivery, name=name, renamed=renamed, seed=seed, progress=progress)
        for name, delivery in AS_DELIVERED.items()
    ]
    aside = {renamed.get(s.generator, s.generator) for s in train if s.family == PROXY_FAMILY}
    photographs = learnt.names.count(PHOTOGRAPH)
    origin = (
        f"{len(learnt)} pictures of the split train ({photographs} photographs), weighed on {len(seen[0])} of "
        f"validation as they are and through {', '.join(TIERS)}"
        + "".join(f"; {name} is enrolled as {other}" for name, other in sorted(renamed.items()))
    )
    gallery = fit_gallery(
        learnt, joined(seen), detector_id=detector.detector_id, aside=sorted(aside), origin=origin, seed=seed
    )
    drawn = profiles_of(train, detector.window, renamed=renamed, seed=seed, progress=progress)
    kept = {name: profile for name, profile in drawn.items() if name in (PHOTOGRAPH, *gallery.generators)}
    return replace(gallery, profiles=kept)


def profiles_of(
    samples: Sequence[Sample],
    policy: WindowConfig,
    *,
    renamed: Mapping[str, str] | None = None,
    seed: int = 42,
    progress: Progress | None = None,
) -> dict[str, Float32Array]:
    """A tenth, a half and nine tenths of the levelled profiles of some pictures of each origin: [3, s / 2], decibels.

    Origins of fewer than `FEWEST_PROFILED` pictures that can be read have none.
    """
    drawn = _drawn(samples, renamed or {}, np.random.default_rng(seed))
    found: dict[str, list[Float64Array]] = {}
    for done, (name, sample) in enumerate(drawn, start=1):
        try:
            windows = cut_windows(decode(sample.path), policy)
        except InputError:
            continue
        found.setdefault(name, []).append(levelled_profile(residual_spectrum(windows.pixels)))
        if progress is not None:
            progress("spectra", done, len(drawn))
    return {
        name: np.percentile(np.stack(profiles), (10, 50, 90), axis=0).astype(np.float32)
        for name, profiles in found.items()
        if len(profiles) >= FEWEST_PROFILED
    }


def _drawn(samples: Sequence[Sample], renamed: Mapping[str, str], rng: np.random.Generator) -> list[tuple[str, Sample]]:
    """At most `MOST_PROFILED` of each origin, with its name."""
    own: dict[str, list[Sample]] = {}
    for sample in samples:
        name = renamed.get(sample.generator, sample.generator) if sample.is_fake else PHOTOGRAPH
        own.setdefault(name, []).append(sample)
    return [
        (name, own[name][at]) for name in sorted(own) for at in sorted(rng.permutation(len(own[name]))[:MOST_PROFILED])
    ]


def see(
    detector: Detector,
    samples: Sequence[Sample],
    *,
    delivery: Delivery | None = None,
    name: str = "",
    renamed: Mapping[str, str] | None = None,
    seed: int = 42,
    progress: Progress | None = None,
) -> Labelled:
    """What a gallery needs to know of labelled pictures, as they are or as they are delivered.

    A file that cannot be read is left out: nothing can be learnt from it.
    """
    arriving: Iterable[object] = (
        (sample.path for sample in samples) if delivery is None else delivered(samples, delivery, seed=seed)
    )
    kept: list[tuple[Sample, Prediction]] = []
    answers = detector.predict_many(arriving)  # type: ignore[arg-type]  # paths and images
    for done, (sample, answer) in enumerate(zip(samples, answers, strict=True), start=1):
        if not isinstance(answer, Failure):
            kept.append((sample, answer))
        if progress is not None:
            progress(f"{samples[0].split} {name}".strip(), done, len(samples))
    if not kept:
        raise DataError("none of these pictures can be read")
    other = renamed or {}
    return Labelled(
        traces=traces_of([answer for _, answer in kept]),
        embedding=len(kept[0][1].embedding),
        log10_lr=np.array([answer.log10_lr for _, answer in kept]),
        names=tuple(other.get(s.generator, s.generator) if s.is_fake else PHOTOGRAPH for s, _ in kept),
        ids=tuple(sample.path.name for sample, _ in kept),
        hashes=tuple(answer.sha256 for _, answer in kept),
        groups=tuple(sample.group or answer.sha256 for sample, answer in kept),
    )


def joined(parts: Sequence[Labelled]) -> Labelled:
    """All pictures of all parts."""
    return Labelled(
        traces=np.concatenate([part.traces for part in parts]),
        embedding=parts[0].embedding,
        log10_lr=np.concatenate([part.log10_lr for part in parts]),
        names=tuple(name for part in parts for name in part.names),
        ids=tuple(text for part in parts for text in part.ids),
        hashes=tuple(digest for part in parts for digest in part.hashes),
        groups=tuple(group for part in parts for group in part.groups),
    )
