"""The batch norm of several processes, in a group of one: there it is torch's own. Two are in test_distributed.py."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganfingerprint.training.shared_norm import SharedBatchNorm, share_norms


@pytest.fixture(autouse=True)
def _group_of_one(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def shared(norm: nn.Module) -> nn.Module:
    model = nn.Sequential(copy.deepcopy(norm))
    share_norms(model)
    return model[0]


def learnt(norm: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What a norm gives, asks for and remembers, of a loss that weighs its cells unlike."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    assert x.grad is not None
    gradients = {f"d {name}": value.grad for name, value in norm.named_parameters() if value.grad is not None}
    return {"y": y.detach(), "dx": x.grad, **gradients, **dict(norm.named_buffers())}


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm2d(3), (4, 3, 5, 6)),
        (nn.BatchNorm2d(3, eps=1e-3, momentum=0.01), (2, 3, 1, 1)),
        (nn.BatchNorm1d(3), (8, 3)),
        (nn.BatchNorm1d(3, affine=False), (8, 3)),
        (nn.BatchNorm1d(3, momentum=None), (8, 3)),
        (nn.BatchNorm1d(3, track_running_stats=False), (8, 3)),
    ],
    ids=["map", "smallest map", "vector", "no weights", "cumulative", "nothing remembered"],
)
def test_alone_it_learns_and_remembers_what_torch_does(norm: nn.Module, shape: tuple[int, ...]) -> None:
    norm = norm.double()
    ours = shared(norm)
    assert isinstance(ours, SharedBatchNorm)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        x = 100 + 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(learnt(ours, x), learnt(norm, x))
    if norm.track_running_stats:
        torch.testing.assert_close(ours.eval()(x), norm.eval()(x))


def test_half_precision_is_averaged_in_single_and_stays_half() -> None:
    x = (1000 + torch.arange(64.0)).view(32, 2).to(torch.bfloat16)  # a bfloat16 sum of these is off by ten
    norm = nn.BatchNorm1d(2)
    y = shared(norm)(x)
    assert y.dtype is torch.bfloat16
    torch.testing.assert_close(y.float(), norm(x.float()), rtol=1e-2, atol=1e-2)


def test_only_batch_norms_are_changed_and_their_state_keeps_its_names() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)), nn.LayerNorm(4))
    names, parameters = list(model.state_dict()), list(model.parameters())
    share_norms(model)
    assert list(model.state_dict()) == names
    assert all(one is two for one, two in zip(model.parameters(), parameters, strict=True))
    kinds = [type(module) for module in model.modules() if not isinstance(module, nn.Sequential)]
    assert kinds == [nn.Conv2d, SharedBatchNorm, nn.LayerNorm]
