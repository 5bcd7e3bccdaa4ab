from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ganfingerprint.training.reproducibility import get_random_state, set_all_seeds, set_random_state


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """These tests change settings of the whole process; the next test finds them as they were."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8"))
    state, benchmark = get_random_state(), torch.backends.cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.use_deterministic_algorithms(strict, warn_only=warn_only)
    torch.backends.cudnn.benchmark = benchmark
    set_random_state(state)


def draws() -> list[float]:
    return [random.random(), random.gauss(0, 1), float(np.random.rand()), np.random.normal(), torch.rand(()).item()]


def plain(value: object) -> bool:
    """Whether it is a tensor or made of values that weights-only loading accepts."""
    if isinstance(value, dict):
        return all(map(plain, value)) and all(map(plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return isinstance(value, torch.Tensor) or type(value) in (int, float, str, bool, type(None))


def test_one_seed_gives_equal_draws_everywhere() -> None:
    set_all_seeds(7)
    first = draws()
    set_all_seeds(7)
    assert draws() == first
    set_all_seeds(8)
    assert all(one != two for one, two in zip(draws(), first, strict=True))


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_whole_range_of_seeds_is_taken(seed: int) -> None:
    set_all_seeds(seed)
    assert torch.initial_seed() == seed


def test_deterministic_algorithms_are_asked_for_and_only_warn() -> None:
    set_all_seeds(1)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    set_all_seeds(1, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_workspace_of_cublas_is_set_unless_the_user_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    set_all_seeds(1, deterministic=False)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    set_all_seeds(1)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    set_all_seeds(1)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_the_state_goes_back_to_the_very_next_draw() -> None:
    set_all_seeds(3)
    draws()  # leaves the second half of a Gaussian pair waiting
    state = get_random_state()
    expected = [draws(), draws()]
    set_all_seeds(4)
    set_random_state(state)
    assert [draws(), draws()] == expected


def test_the_state_is_made_of_tensors_and_plain_values() -> None:
    np.random.normal()
    assert plain(get_random_state())


def test_taking_the_state_changes_nothing() -> None:
    set_all_seeds(3)
    expected = draws()
    set_all_seeds(3)
    get_random_state()
    assert draws() == expected


def test_the_state_of_an_apple_gpu_is_kept_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[torch.Tensor] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.tensor([1, 2]))
    monkeypatch.setattr(torch.mps, "set_rng_state", given.append)
    set_random_state(get_random_state())
    assert [state.tolist() for state in given] == [[1, 2]]
    older = {name: value for name, value in get_random_state().items() if name != "mps"}
    set_random_state(older)
    assert len(given) == 1
