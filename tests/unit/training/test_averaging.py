from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganfingerprint.training.averaging import WeightAverage
from ganfingerprint.training.checkpoint import load_checkpoint, save_checkpoint


class Toy(nn.Module):
    """A weight that learns, a frozen layer with running statistics, and a counter."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.norm = nn.BatchNorm1d(2)
        self.frozen = nn.BatchNorm1d(2).requires_grad_(False)

    def set(self, value: float) -> None:
        with torch.no_grad():
            self.weight.fill_(value)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_two_steps_are_those_computed_by_hand() -> None:
    model = Toy(1.0)
    average = WeightAverage(model, 0.9)
    model.set(12.0)
    average.update(model)  # decay 2/11: 1 · 2/11 + 12 · 9/11 = 10
    assert average.mean["weight"].item() == pytest.approx(10.0)
    model.set(22.0)
    average.update(model)  # decay 3/12: 10 · 1/4 + 22 · 3/4 = 19
    assert average.mean["weight"].item() == pytest.approx(19.0)


def test_a_small_decay_is_its_own_limit() -> None:
    model = Toy(1.0)
    average = WeightAverage(model, 0.1)
    model.set(11.0)
    average.update(model)  # decay 0.1 < 2/11
    assert average.mean["weight"].item() == pytest.approx(10.0)


def test_late_steps_move_the_mean_by_what_the_decay_leaves() -> None:
    model = Toy(0.0)
    average = WeightAverage(model, 0.99)
    average.updates = 100_000
    model.set(1.0)
    average.update(model)
    assert average.mean["weight"].item() == pytest.approx(0.01)


def test_running_statistics_are_averaged_and_counters_and_frozen_parts_left_out() -> None:
    average = WeightAverage(Toy(), 0.9)
    assert set(average.mean) == {"weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}


def test_the_model_carries_the_mean_inside_and_its_own_weights_outside() -> None:
    model = Toy(1.0)
    average = WeightAverage(model, 0.9)
    model.set(12.0)
    model.norm.running_mean.fill_(11.0)  # type: ignore[union-attr]
    average.update(model)
    before = state(model)
    with average.applied(model):
        assert model.weight.item() == pytest.approx(10.0)
        assert model.norm.running_mean.tolist() == pytest.approx([9.0, 9.0])  # type: ignore[union-attr]
        assert model.weight.requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_own_weights_come_back_after_an_error() -> None:
    model = Toy(1.0)
    average = WeightAverage(model, 0.9)
    model.set(5.0)
    with pytest.raises(ZeroDivisionError), average.applied(model):
        _ = 1 / 0
    assert model.weight.item() == 5.0
    assert average.mean["weight"].item() == 1.0


def test_learning_goes_on_while_the_mean_stays_apart() -> None:
    model = Toy(1.0)
    average = WeightAverage(model, 0.9)
    model.set(7.0)
    assert average.mean["weight"].item() == 1.0
    assert not average.mean["weight"].requires_grad


def test_the_state_survives_a_checkpoint(tmp_path: Path) -> None:
    model = Toy(1.0)
    average = WeightAverage(model, 0.9)
    model.set(12.0)
    average.update(model)
    save_checkpoint(tmp_path / "a.pt", {"average": average.state_dict()})
    again = WeightAverage(Toy(3.0), 0.9)
    again.load_state_dict(load_checkpoint(tmp_path / "a.pt")["average"])
    for each in (average, again):
        model.set(22.0)
        each.update(model)
        assert each.mean["weight"].item() == pytest.approx(19.0)


def test_something_else_is_not_a_state() -> None:
    with pytest.raises(TypeError, match="not the state of a WeightAverage"):
        WeightAverage(Toy(), 0.9).load_state_dict({"updates": "1", "mean": {}})
