from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from ganfingerprint.training.schedule import TimeBudget, get_lr_scheduler, lr_factor


class Clock:
    """A clock that is wound by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def optimizer(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def rates(warmup_steps: int, total_steps: int) -> list[float]:
    return [lr_factor(step, warmup_steps=warmup_steps, total_steps=total_steps) for step in range(total_steps)]


@pytest.mark.parametrize("warmup_steps", [0, 1, 5, 20])
def test_published_error_07_the_first_step_already_learns(warmup_steps: int) -> None:
    """In the published code the factor was 0 for the whole first epoch: nothing was learnt."""
    assert lr_factor(0, warmup_steps=warmup_steps, total_steps=100) == pytest.approx(1 / (warmup_steps + 1))


def test_warm_up_rises_in_equal_steps_to_the_peak() -> None:
    assert rates(4, 100)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("warmup_steps", [0, 10])
def test_after_warm_up_the_rate_only_falls_and_ends_near_0(warmup_steps: int) -> None:
    after = rates(warmup_steps, 200)[warmup_steps:]
    assert after[0] == 1.0
    assert all(one > two for one, two in pairwise(after))
    assert 0 < after[-1] < 1e-3
    assert after[len(after) // 2] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("step", [200, 201, 100_000])
def test_past_its_end_the_rate_is_0_and_never_rises_again(step: int) -> None:
    assert lr_factor(step, warmup_steps=10, total_steps=200) == pytest.approx(0, abs=1e-12)


def test_warm_up_takes_at_most_a_fifth_of_a_short_run() -> None:
    assert rates(10, 10) == rates(2, 10)
    assert max(rates(10, 10)) == 1.0
    assert lr_factor(0, warmup_steps=10, total_steps=1) == 1.0


def test_a_budget_that_runs_out_in_warm_up_still_ends_it() -> None:
    """Two epochs of warm-up on a slow machine would otherwise fill an hour, and the rate would never fall."""
    shares = [lr_factor(5, warmup_steps=100, total_steps=1000, share=share) for share in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert shares[:3] == pytest.approx([6 / 101, 51 / 101, 1.0])
    assert 0 < shares[3] < 1
    assert shares[4] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("share", "done"), [(0.0, 0.25), (0.1, 0.25), (0.6, 0.6), (1.0, 1.0)])
def test_the_cosine_follows_whichever_is_further_steps_or_time(share: float, done: float) -> None:
    factor = lr_factor(50, warmup_steps=0, total_steps=200, share=share)
    assert factor == pytest.approx(0.5 * (1 + math.cos(math.pi * done)))


def test_the_scheduler_moves_every_group_from_its_own_peak() -> None:
    two = optimizer(1.0, 0.1)
    scheduler = get_lr_scheduler(two, 2, 10)
    seen = []
    for _ in range(10):
        seen.append([group["lr"] for group in two.param_groups])
        two.step()
        scheduler.step()
    assert [first for first, _ in seen] == pytest.approx(rates(2, 10))
    assert all(second == pytest.approx(first / 10) for first, second in seen)


def test_a_spent_budget_ends_the_schedule_before_its_steps_do() -> None:
    clock, one = Clock(), optimizer(1.0)
    scheduler = get_lr_scheduler(one, 0, 1_000_000, budget=TimeBudget(1, clock=clock))
    seen = []
    for _ in range(61):
        one.step()
        scheduler.step()
        seen.append(one.param_groups[0]["lr"])
        clock.now += 1
    assert seen[30] == pytest.approx(0.5, abs=0.01)
    assert seen[-1] == pytest.approx(0, abs=1e-9)
    assert seen == sorted(seen, reverse=True)


def test_a_budget_counts_all_sittings() -> None:
    clock = Clock()
    budget = TimeBudget(2, clock=clock)
    assert (budget.share, budget.is_spent) == (0.0, False)
    clock.now += 60
    assert (budget.spent_s, budget.share) == (60, 0.5)
    clock.now += 1e6  # the machine slept; the run was stopped at 60 s and is resumed now
    budget.resume(60)
    assert budget.share == 0.5
    clock.now += 60
    assert budget.is_spent
    assert TimeBudget(2, spent_s=119, clock=clock).is_spent is False
    assert TimeBudget(2, spent_s=120, clock=clock).is_spent is True


def test_a_budget_never_says_more_than_all() -> None:
    clock = Clock()
    budget = TimeBudget(1, clock=clock)
    clock.now += 600
    assert budget.share == 1.0


def test_no_minutes_means_no_limit() -> None:
    clock = Clock()
    budget = TimeBudget(clock=clock)
    clock.now += 1e9
    assert (budget.share, budget.is_spent, budget.spent_s) == (0.0, False, 1e9)
