"""One photograph → its crop and the fakes of the crop, stored after the same history.

The photograph's own file is what both members are encoded like. The crop begins at a multiple of 16 pixels, so that
the blocks of a JPEG fall where they were: the photograph then is what one JPEG of it is, and so is the fake.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.encoding import SUFFIXES, encode, estimate_webp_quality, stored_format
from ganfingerprint.errors import DataError, UnchangedImageError
from ganfingerprint.fakes.likeness import LUMA, psnr
from ganfingerprint.fakes.recipes import Recipe
from ganfingerprint.types import Image, UInt8Array

GRID = 16  # pixels: blocks of 4:2:0
CANDIDATES = 6  # places of which the most textured is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One stored picture of a pair."""

    path: str  # below the folder of all pairs
    recipe: str  # "" for the photograph
    width: int
    height: int
    format: str
    psnr: float | None  # against the photograph's crop, dB, before either is stored; None for the photograph
    seconds: float  # that the recipe took


def pair_id(sha256: str) -> str:
    """The name of a photograph's pair, from the hash of its file."""
    return sha256[:16]


def photograph_rng(seed: int, sha256: str, what: str) -> np.random.Generator:
    """The generator of one decision about one photograph; whatever else is done does not move it."""
    return np.random.default_rng([seed, int(sha256[:16], 16), zlib.crc32(what.encode())])


def choose_recipes(names: Sequence[str], count: int, *, seed: int, sha256: str) -> tuple[str, ...]:
    """The `count` recipes of a photograph, in the order of their names; all where there are no more."""
    known = sorted(names)
    rng = photograph_rng(seed, sha256, "recipes")
    chosen = rng.choice(len(known), size=min(count, len(known)), replace=False)
    return tuple(known[i] for i in sorted(chosen))


def choose_crop(pixels: UInt8Array, size: int, rng: np.random.Generator) -> UInt8Array:
    """A crop of at most `size` pixels a side: of some random places the one with most texture.

    A side that is shorter than `size` is taken whole.
    """
    height, width = pixels.shape[:2]
    tall, wide = min(size, height), min(size, width)
    rows, columns = ((side - cut) // GRID + 1 for side, cut in ((height, tall), (width, wide)))
    places = [(GRID * int(rng.integers(rows)), GRID * int(rng.integers(columns))) for _ in range(CANDIDATES)]
    crops = [pixels[top : top + tall, left : left + wide] for top, left in dict.fromkeys(places)]
    return np.ascontiguousarray(crops[int(np.argmax([texture(crop) for crop in crops]))])


def texture(pixels: UInt8Array) -> float:
    """Mean difference of neighbouring pixels' luma, grey levels."""
    luma = pixels.astype(np.float32) @ LUMA
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())


def make_pair(image: Image, recipes: dict[str, Recipe], *, size: int, seed: int, out: Path) -> list[Member]:
    """Store the photograph's crop and its fake by each of the recipes below `out`; the photograph is the first.

    Raises:
        UnchangedImageError: a fake would be the same file as the photograph; nothing is stored then.
        DataError: a recipe gives a picture of another size or kind.
    """
    sha, encoding = image.sha256, image.facts.encoding
    crop = choose_crop(image.pixels, size, photograph_rng(seed, sha, "crop"))
    quality = 0
    if encoding.format == "WEBP" and not encoding.lossless:
        quality = estimate_webp_quality(image.pixels, image.facts.size_bytes)
    kind = stored_format(encoding)
    photograph = encode(crop, encoding, webp_quality=quality)
    contents = {f"real/{pair_id(sha)}{SUFFIXES[kind]}": photograph}
    members = [_member(next(iter(contents)), "", crop, kind)]
    for name, recipe in recipes.items():
        started = time.perf_counter()
        fake = recipe(crop, photograph_rng(seed, sha, name))
        seconds = time.perf_counter() - started
        if fake.shape != crop.shape or fake.dtype != np.uint8:
            raise DataError(f"recipe '{name}' gave {fake.dtype} {fake.shape} for a crop of {crop.shape}")
        place = f"fake/{pair_id(sha)}-{name.replace(':', '_')}{SUFFIXES[kind]}"
        contents[place] = encode(fake, encoding, webp_quality=quality)
        if contents[place] == photograph:
            raise UnchangedImageError(
                image.source, f"recipe '{name}' gives it back unchanged: it shows nothing to redraw"
            )
        members.append(_member(place, name, fake, kind, ratio=psnr(crop, fake), seconds=seconds))
    for place, content in contents.items():
        with replacing(out / place) as beside:
            beside.write_bytes(content)
    return members


def _member(
    place: str, recipe: str, pixels: UInt8Array, kind: str, *, ratio: float | None = None, seconds: float = 0.0
) -> Member:
    height, width = pixels.shape[:2]
    return Member(path=place, recipe=recipe, width=width, height=height, format=kind, psnr=ratio, seconds=seconds)
