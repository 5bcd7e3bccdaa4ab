"""Trains networks of our own to copy photographs, each within a budget of time, one after the other.

A network that is finished stays: a stopped training goes on with the next one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.decode import DecodeLimits, decode
from ganfingerprint.errors import ConfigError, DataError, InputError
from ganfingerprint.fakes.decoders import Copier, DecoderSpec, build, draw_spec
from ganfingerprint.fakes.likeness import psnr
from ganfingerprint.fakes.storage import Copied, NetworkFacts, read_facts, save
from ganfingerprint.types import UInt8Array

SIDES = (64, 80, 96)  # of the crops that are learnt from, pixels; multiples of every stride
BATCH = 6
MOST_PHOTOGRAPHS = 256  # kept in memory, each at most LARGEST pixels a side
LARGEST = 512
JUDGED = 128  # side of the crops that a network is judged by, pixels
FIRST = 40  # batches that a network begins with
RATE = 2e-3
ADVERSARIAL = 0.03  # weight of the discriminator's opinion
ALONE = 1 / 3  # of its time a network learns without a discriminator

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop: after seconds, or after steps where they are given."""

    seconds: float
    steps: int | None = None

    def shares(self) -> Iterator[float]:
        """The share of the budget that is used up, 0..1, once for each step."""
        started, step = time.monotonic(), 0
        while True:
            share = (time.monotonic() - started) / self.seconds if self.steps is None else step / self.steps
            if share >= 1:
                return
            yield share
            step += 1


def train_networks(
    paths: Sequence[Path],
    folder: Path,
    *,
    count: int,
    minutes: float,
    seed: int,
    steps: int | None = None,
    report: Callable[[float, float], None] = lambda done, total: None,
) -> dict[str, NetworkFacts]:
    """Train the networks of the seeds `seed`, `seed` + 1, ... on crops of photographs; those in `folder` are kept.

    Args:
        paths: photographs; one in eight is held out, and judges.
        folder: where the networks are and go.
        count: how many networks.
        minutes: time for each.
        seed: of the variants, their first weights and their crops. Time decides how far a network comes, so two
            trainings of one seed give two networks, unless `steps` says how many steps each takes.
        steps: steps for each network, instead of minutes.
        report: called with the networks done, in fractions, and all of them.

    Raises:
        ConfigError: no time to train in.
        DataError: fewer than two photographs can be read.
    """
    if not 0 < minutes < math.inf:
        raise ConfigError([f"minutes must be above 0, got {minutes}"])
    specs = [draw_spec(seed + i) for i in range(count)]
    found: dict[str, NetworkFacts] = {}
    photographs: tuple[list[UInt8Array], list[UInt8Array]] | None = None
    for i, spec in enumerate(specs):
        if (folder / f"{spec.name}.json").is_file():
            found[spec.name] = read_facts(folder, spec.name)
            continue
        photographs = photographs or read_photographs(paths)
        report(i, count)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            network = build(spec)
            crops = draw_crops(photographs[0], np.random.default_rng([spec.seed, 1]))
            taken = fit(network, spec, crops, Budget(60 * minutes, steps), lambda s, i=i: report(i + s, count))  # type: ignore[misc]
        found[spec.name] = save(folder, network, spec=spec, steps=taken, psnr=judge(network, spec, photographs[1]))
    report(count, count)
    return found


def read_photographs(paths: Sequence[Path]) -> tuple[list[UInt8Array], list[UInt8Array]]:
    """Middles of photographs to learn from, and of one in eight, at least one, to be judged by.

    Raises:
        DataError: fewer than two can be read.
    """
    rng = np.random.default_rng(8)  # the same for every seed, so that networks are judged by the same photographs
    pictures = []
    for i in rng.permutation(len(paths)):
        try:
            pixels = decode(paths[i], limits=DecodeLimits(min_side=max(JUDGED, *SIDES))).pixels
        except InputError as problem:
            _log.info("not learnt from: %s", problem)
            continue
        top, left = (max(0, (side - LARGEST) // 2) for side in pixels.shape[:2])
        pictures.append(pixels[top : top + LARGEST, left : left + LARGEST].copy())
        if len(pictures) == MOST_PHOTOGRAPHS:
            break
    if len(pictures) < 2:
        raise DataError(
            f"training needs at least 2 photographs of {JUDGED} x {JUDGED} pixels or more, found {len(pictures)}"
        )
    held_out = max(1, len(pictures) // 8)
    return pictures[held_out:], pictures[:held_out]


def draw_crops(photographs: Sequence[UInt8Array], rng: np.random.Generator) -> Iterator[Tensor]:
    """Batches of random crops, flipped at random, pixels in -1..1 [BATCH, 3, s, s]; without end."""
    while True:
        side = int(rng.choice(SIDES))
        crops = []
        for _ in range(BATCH):
            pixels = photographs[int(rng.integers(len(photographs)))]
            top, left = (int(rng.integers(length - side + 1)) for length in pixels.shape[:2])
            crop = pixels[top : top + side, left : left + side]
            crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        batch = torch.from_numpy(np.stack(crops)).movedim(3, 1)  # [BATCH, 3, s, s]
        yield batch.float() / 127.5 - 1


def fit(
    network: Copier,
    spec: DecoderSpec,
    crops: Iterator[Tensor],
    budget: Budget,
    report: Callable[[float], None] = lambda share: None,
) -> int:
    """Train until the budget is used up; the steps taken.

    The loss is L1 of the pixels and of their differences to neighbours; from a third of the time on, where the spec
    asks for it, what a patch discriminator thinks of the copy (hinge loss).
    """
    network.begin(list(islice(crops, FIRST)))
    network.train()
    critic = discriminator() if spec.adversarial else None
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE, betas=(0.9, 0.99))
    critics = None if critic is None else torch.optim.Adam(critic.parameters(), lr=RATE / 4, betas=(0.5, 0.99))
    step = 0
    for share in budget.shares():
        report(share)
        step += 1
        optimiser.param_groups[0]["lr"] = rate(share, step)
        x = next(crops)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            copy, penalty = network.learn(x)
        copy = copy.float()
        loss = copying_loss(copy, x) + penalty.float()
        if critic is not None and critics is not None and share > ALONE:
            _step(critics, critic, _critic_loss(critic, x, copy.detach()))
            loss = loss - ADVERSARIAL * critic(copy).mean()
        _step(optimiser, network, loss)
    network.eval()
    return step


def rate(share: float, step: int) -> float:
    """The learning rate: 20 steps of warm-up, then half a cosine over the budget, down to a fiftieth."""
    return RATE * min(1.0, step / 20) * (0.02 + 0.98 * math.cos(math.pi / 2 * share) ** 2)


def copying_loss(copy: Tensor, x: Tensor) -> Tensor:
    """L1 of pixels in -1..1 [B, 3, h, w], and of their differences to the neighbours below and beside."""
    error = copy - x
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return error.abs().mean() + 0.5 * edges


def discriminator(width: int = 24) -> nn.Module:
    """Judges patches of about 30 pixels (as pix2pix, Isola et al., 2017): [B, 3, h, w] → [B, 1, h / 4, w / 4]."""
    return nn.Sequential(
        nn.Conv2d(3, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.InstanceNorm2d(2 * width, affine=True),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 3, padding=1),
    )


def judge(network: nn.Module, spec: DecoderSpec, photographs: Sequence[UInt8Array]) -> float:
    """Mean PSNR of copies of the middles of photographs, dB, as the recipe would make them."""
    recipe = Copied(network, spec.stride)
    ratios = []
    for pixels in photographs:
        top, left = ((side - JUDGED) // 2 for side in pixels.shape[:2])
        crop = np.ascontiguousarray(pixels[top : top + JUDGED, left : left + JUDGED])
        ratios.append(psnr(recipe(crop, np.random.default_rng(0)), crop))
    return float(np.mean(ratios))


def _critic_loss(critic: nn.Module, x: Tensor, copy: Tensor) -> Tensor:
    return functional.relu(1 - critic(x)).mean() + functional.relu(1 + critic(copy)).mean()


def _step(optimiser: torch.optim.Optimizer, network: nn.Module, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
