"""Generators as clusters of traces: 40 numbers that are never negative, as an embedding's after its last ReLU, and 8 of
a backbone's summary, which may be negative.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from ganfingerprint.attribution import FILE_NAME, PHOTOGRAPH, Gallery, Labelled, fit_gallery, save_gallery
from ganfingerprint.types import Float32Array, Float64Array, Prediction, Verdict

E = 40  # numbers of an embedding
K = 8  # numbers of a summary
TRAITS = 10  # directions in which generators differ, those that are not enrolled too
KNOWN = tuple(f"generator {number:02}" for number in range(12))
DETECTOR = "0123456789ab"
SCATTER = 0.6  # of pictures around their generator; generators lie about one apart


@dataclass(frozen=True)
class World:
    """Draws pictures of any generator by name; a name is a cluster, a seed is a draw."""

    known: tuple[str, ...] = KNOWN
    detector_id: str = DETECTOR
    noise: int = 0  # further numbers of a summary, in which no generator differs from another

    def traces(self, name: str, count: int, seed: int = 0) -> Float32Array:
        traits = np.random.default_rng([7, zlib.crc32(name.encode())]).normal(size=TRAITS)
        mixed = traits @ np.random.default_rng(7).normal(0, TRAITS**-0.5, (TRAITS, E + K))
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        scattered = mixed + SCATTER * rng.normal(size=(count, E + K))
        embeddings, summaries = np.maximum(1.0 + scattered[:, :E], 0) ** 2, scattered[:, E:] * np.geomspace(0.1, 10, K)
        noise = rng.normal(size=(count, self.noise))
        return np.concatenate([embeddings, summaries, noise], axis=1).astype(np.float32)

    def evidence(self, name: str, count: int, seed: int = 0) -> Float64Array:
        """What the detector says, in bans; it errs at times."""
        rng = np.random.default_rng([seed + 1, zlib.crc32(name.encode())])
        return np.clip(rng.normal(-1.2 if name == PHOTOGRAPH else 1.2, 0.8, count), -2, 2)

    def hashes(self, name: str, count: int, seed: int = 0) -> tuple[str, ...]:
        return tuple(hashlib.sha256(f"{name} {seed} {at}".encode()).hexdigest() for at in range(count))

    def labelled(self, counts: dict[str, int], seed: int = 0) -> Labelled:
        return Labelled(
            traces=np.concatenate([self.traces(name, count, seed) for name, count in counts.items()]),
            embedding=E,
            log10_lr=np.concatenate([self.evidence(name, count, seed) for name, count in counts.items()]),
            names=tuple(name for name, count in counts.items() for _ in range(count)),
            ids=tuple(f"{name} {at}.png" for name, count in counts.items() for at in range(count)),
            hashes=(hashes := tuple(digest for name, n in counts.items() for digest in self.hashes(name, n, seed))),
            groups=hashes,
        )

    def predictions(
        self, name: str, count: int, seed: int = 0, *, detector_id: str = DETECTOR, log10_lr: float | None = None
    ) -> list[Prediction]:
        """The detector's answers for pictures of a generator."""
        evidence = self.evidence(name, count, seed) if log10_lr is None else np.full(count, log10_lr)
        return [
            Prediction(
                source=f"{name} {at}.png", sha256=digest, format="PNG", size_bytes=1, width=96, height=96,
                logit=float(bans), prob_fake=float(10**bans / (1 + 10**bans)), log10_lr=float(bans),
                verdict=Verdict.FAKE if bans > 0 else Verdict.REAL, boxes=np.zeros((1, 4), np.int32),
                window_prob_fake=np.array([0.5]), embedding=trace[:E], summary=trace[E:], detector_id=detector_id,
                latency_ms=1.0,
            )
            for at, (bans, trace, digest) in enumerate(
                zip(evidence, self.traces(name, count, seed), self.hashes(name, count, seed), strict=True)
            )
        ]  # fmt: skip

    def enrol(self, gallery: Gallery, name: str, count: int, seed: int = 0) -> Gallery:
        ids = [f"{name} {at}.png" for at in range(count)]
        return gallery.enrolled(name, self.traces(name, count, seed), ids, self.hashes(name, count, seed))


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def fit(world: World) -> Callable[..., Gallery]:
    """`fit(**options)` → a gallery of 12 generators, 25 pictures of each, weighed on 15 others and 90 photographs."""

    return lambda **options: _fitted(world, **options)


def _fitted(world: World, **options: object) -> Gallery:
    learnt = world.labelled({**dict.fromkeys(world.known, 25), PHOTOGRAPH: 60}, seed=1)
    unseen = world.labelled({**dict.fromkeys(world.known, 15), PHOTOGRAPH: 90}, seed=2)
    arguments = {"detector_id": world.detector_id, "origin": "drawn clusters", **options}
    return fit_gallery(learnt, unseen, **arguments)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def gallery(fit: Callable[..., Gallery]) -> Gallery:
    return fit()


@pytest.fixture(scope="session")
def noisy() -> World:
    """Of 112 numbers, 64 are noise."""
    return World(known=KNOWN[:8], noise=64)


@pytest.fixture(scope="session")
def noisy_gallery(noisy: World) -> Gallery:
    return _fitted(noisy)


@pytest.fixture(scope="session")
def saved(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of that gallery."""
    path = tmp_path_factory.mktemp("saved") / FILE_NAME
    save_gallery(gallery, path)
    return path.read_bytes()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2026)
