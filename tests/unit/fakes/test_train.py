from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage

from ganfingerprint.errors import ConfigError, DataError
from ganfingerprint.fakes import train
from ganfingerprint.fakes.decoders import Copier, DecoderSpec, build
from ganfingerprint.fakes.storage import read_facts
from ganfingerprint.fakes.train import (
    ALONE,
    RATE,
    SIDES,
    Budget,
    copying_loss,
    discriminator,
    draw_crops,
    fit,
    judge,
    rate,
    read_photographs,
    train_networks,
)
from ganfingerprint.types import UInt8Array

TINY = DecoderSpec(
    kind="autoencoder",
    latent="plain",
    depth=2,
    latent_channels=16,
    width=16,
    kernel=3,
    up="shuffle",
    norm="none",
    activation="silu",
    output="linear",
    skips=False,
    adversarial=False,
    seed=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw_picture: Callable[..., UInt8Array]) -> Path:
    """Nine drawn photographs, large enough to learn from."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(9):
        PilImage.fromarray(draw_picture(number, height=140, width=150)).save(root / f"{number}.png")
    return root


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that cost nothing."""
    monkeypatch.setattr(train, "BATCH", 2)
    monkeypatch.setattr(train, "SIDES", (16, 32))


@pytest.fixture
def tiny_specs(monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    monkeypatch.setattr(train, "draw_spec", lambda seed: dataclasses.replace(TINY, width=8, seed=seed))


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def crops(folder: Path) -> list[UInt8Array]:
    return read_photographs(paths(folder))[0]


def test_a_network_learns_to_copy(folder: Path, small: None) -> None:
    torch.manual_seed(0)
    network = build(TINY)
    learnt, held_out = read_photographs(paths(folder))
    before = judge(network, TINY, held_out)
    taken = fit(network, TINY, draw_crops(learnt, np.random.default_rng(0)), Budget(60, steps=250))
    assert taken == 250
    assert not network.training
    assert judge(network, TINY, held_out) > before + 5


@pytest.mark.parametrize("kind", ["resnet", "unet"])
def test_a_discriminator_has_its_say(folder: Path, small: None, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same start on the same crops, two trainings part when the discriminator begins, and not before."""
    spec = dataclasses.replace(TINY, kind=kind, width=8, depth=2 if kind == "resnet" else 3, adversarial=True)

    def weights(adversarial: bool, steps: int, alone: float) -> torch.Tensor:
        monkeypatch.setattr(train, "ALONE", alone)
        torch.manual_seed(3)
        network = build(spec)
        pictures = draw_crops(crops(folder), np.random.default_rng(0))
        fit(network, dataclasses.replace(spec, adversarial=adversarial), pictures, Budget(60, steps=steps))
        return torch.cat([weight.detach().flatten() for weight in network.parameters()])

    assert torch.equal(weights(True, 3, 1.0), weights(False, 3, 1.0))
    assert not torch.equal(weights(True, 3, 0.0), weights(False, 3, 0.0))
    assert 0 < ALONE < 1


def test_networks_are_trained_stored_and_judged(folder: Path, tmp_path: Path, tiny_specs: None) -> None:
    told: list[tuple[float, float]] = []
    found = train_networks(
        paths(folder),
        tmp_path,
        count=2,
        minutes=1,
        seed=5,
        steps=2,
        report=lambda done, total: told.append((done, total)),
    )
    assert [facts.spec.seed for facts in found.values()] == [5, 6]
    for name, facts in found.items():
        assert read_facts(tmp_path, name) == facts
        assert facts.steps == 2
        assert 3 < facts.psnr < 60
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_is_trained_is_kept_and_the_next_one_follows(folder: Path, tmp_path: Path, tiny_specs: None) -> None:
    first = train_networks(paths(folder), tmp_path, count=1, minutes=1, seed=5, steps=2)
    both = train_networks(paths(folder), tmp_path, count=2, minutes=1, seed=5, steps=2)
    assert list(both)[:1] == list(first)
    assert first.items() <= both.items()
    alone = train_networks(paths(folder), tmp_path / "alone", count=1, minutes=1, seed=6, steps=2)
    assert alone.items() <= both.items()  # weights too: the facts hold their hash


def test_networks_that_are_there_need_no_photographs(folder: Path, tmp_path: Path, tiny_specs: None) -> None:
    train_networks(paths(folder), tmp_path, count=1, minutes=1, seed=5, steps=2)
    assert len(train_networks([], tmp_path, count=1, minutes=1, seed=5)) == 1


def test_training_leaves_the_random_state_alone(folder: Path, tmp_path: Path, tiny_specs: None) -> None:
    state = torch.get_rng_state()
    train_networks(paths(folder), tmp_path, count=1, minutes=1, seed=5, steps=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_budget_of_time_ends() -> None:
    shares = list(islice(Budget(0.02).shares(), 10_000_000))
    assert shares
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] < 1


def test_a_budget_of_steps_ends_whatever_the_clock_says() -> None:
    assert list(Budget(1e-9, steps=4).shares()) == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_no_time_is_refused(minutes: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="minutes must be above 0"):
        train_networks([], tmp_path, count=1, minutes=minutes, seed=0)


def test_one_in_eight_is_held_out(folder: Path) -> None:
    learnt, held_out = read_photographs(paths(folder))
    assert (len(learnt), len(held_out)) == (8, 1)
    assert not any(np.array_equal(held_out[0], pixels) for pixels in learnt)
    again = read_photographs(paths(folder))
    assert np.array_equal(again[1][0], held_out[0])


def test_what_cannot_be_read_is_passed_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    PilImage.new("RGB", (100, 400)).save(tmp_path / "narrow.png")
    PilImage.fromarray(np.zeros((600, 700, 3), np.uint8)).save(tmp_path / "large.png")
    learnt, held_out = read_photographs([*paths(folder)[:2], *sorted(tmp_path.glob("*.png"))])
    shapes = sorted(pixels.shape[:2] for pixels in [*learnt, *held_out])
    assert shapes == [(140, 150), (140, 150), (512, 512)]


def test_a_single_photograph_is_too_few(folder: Path) -> None:
    with pytest.raises(DataError, match="at least 2 photographs of 128 x 128 pixels or more, found 1"):
        read_photographs(paths(folder)[:1])


def test_crops_are_parts_of_photographs_between_minus_1_and_1(folder: Path) -> None:
    pictures = crops(folder)
    batches = list(islice(draw_crops(pictures, np.random.default_rng(2)), 12))
    assert {batch.shape[2] for batch in batches} == set(SIDES)
    assert all(batch.shape[:2] == (train.BATCH, 3) and batch.dtype == torch.float32 for batch in batches)
    low, high = min(float(batch.min()) for batch in batches), max(float(batch.max()) for batch in batches)
    assert -1 <= low < -0.3
    assert 0.3 < high <= 1
    again = next(draw_crops(pictures, np.random.default_rng(2)))
    assert torch.equal(again, batches[0])


def test_the_loss_is_0_for_a_copy_and_counts_edges() -> None:
    x = torch.zeros(1, 3, 8, 8)
    assert float(copying_loss(x, x)) == 0
    flat = copying_loss(x + 0.5, x)
    assert float(flat) == pytest.approx(0.5)
    striped = x + 0.5 * (1 - 2 * (torch.arange(8) % 2))
    assert float(copying_loss(striped, x)) == pytest.approx(0.5 + 0.5 * 1.0)


def test_the_rate_warms_up_and_falls() -> None:
    assert rate(0.0, 1) == pytest.approx(RATE / 20)
    assert rate(0.0, 20) == pytest.approx(RATE)
    assert rate(0.5, 100) == pytest.approx(RATE * 0.51)
    assert rate(1.0, 100) == pytest.approx(RATE * 0.02)


def test_a_discriminator_judges_patches() -> None:
    assert discriminator()(torch.zeros(2, 3, 64, 80)).shape == (2, 1, 16, 20)


def test_judging_is_done_on_the_middle() -> None:
    class OnlyMiddle(Copier):
        def learn(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.zeros_like(x), x.new_zeros(())

    grey = np.full((200, 300, 3), 255, np.uint8)
    grey[36:164, 86:214] = 128
    assert judge(OnlyMiddle(), TINY, [grey]) == float("inf")
    dark = np.zeros_like(grey)
    assert judge(OnlyMiddle(), TINY, [dark]) == pytest.approx(6, abs=0.1)  # 128 for 0
