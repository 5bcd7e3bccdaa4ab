"""Several processes that train one model, as `torchrun` starts them; a process by itself is a group of one.

Each sees its share of every batch; gradients and the statistics of batch norms are those of the whole batch. What
has to be alike everywhere (the clock, the wish to stop) is agreed on, and only the first process writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ganfingerprint.errors import ConfigError, TrainingError
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.shared_norm import share_norms

T = TypeVar("T")


class Group:
    """The processes of a run, seen by one of them: number `rank` of `size`, number `local_rank` on its machine.

    Where a method says that all must call it, they must do so equally often and in the same order.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self._local_rank = rank, size, local_rank
        self._now = 0.0

    @classmethod
    def from_environment(cls) -> Group:
        """What torchrun says in RANK, WORLD_SIZE and LOCAL_RANK; a group of one where it says nothing."""
        said = [os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
        return cls(*(int(value) for value in said if value)) if all(said) else cls()

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Within it the processes reach each other, and `cuda` is the GPU of this one. `device` as in the settings.

        torchrun's processes can meet but once: who trains several times in them joins around all of it.

        Raises:
            ConfigError: this machine has no such device, or no GPU for each of its processes.
            TrainingError: the processes do not find each other, or one of them ended.
        """
        if self.size == 1 or dist.is_initialized():
            yield
            return
        try:
            self._join(Compute.choose(device).device.type)
            yield
        except RuntimeError as problem:
            if not isinstance(problem, dist.DistError) and "gloo" not in str(problem):  # gloo's have no class
                raise
            raise TrainingError(f"process {self.rank} of {self.size} lost the others: {problem}") from problem
        # Not after an error: the others may be in the middle of a sum, and torchrun ends them.
        dist.destroy_process_group()

    def _join(self, device: str) -> None:
        if device == "mps":
            raise ConfigError(["optim.device: several processes train on cuda or cpu, not on mps"])
        if device == "cuda":
            there = torch.cuda.device_count()
            if self._local_rank >= there:
                raise ConfigError([f"process {self._local_rank} of this machine has no GPU, there are {there}"])
            torch.cuda.set_device(self._local_rank)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")

    def share(self, count: int) -> range:
        """The positions, of `count` in order, that are this process's: the shares follow each other, nearly alike."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank. All must call it, and none goes on before the last has."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, (time.monotonic(), value))
        self._now = found[0][0]
        return [value for _, value in found]

    def collect(self, value: T) -> list[T]:
        """The values of all processes, by rank, for the first one; nothing for the others. All must call it."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size if self.is_first else []
        dist.gather_object(value, found if self.is_first else None)
        return found

    def clock(self) -> float:
        """Seconds: now, or what the first process's clock said when all last gathered. All read the same."""
        return time.monotonic() if self.size == 1 else self._now

    def learning(self, model: nn.Module, function: Callable[..., T]) -> Callable[..., T]:
        """`function`, computed with `model`, such that gradients become the mean of those of all processes.

        All must call both this and what it returns. The model's weights become those of the first process.
        """
        if self.size == 1:
            return function
        return DistributedDataParallel(_Called(model, function))

    def share_norms(self, model: nn.Module) -> None:
        """Let the batch norms of `model` take their statistics from the windows of all processes."""
        if self.size > 1:
            share_norms(model)


ALONE = Group()


class _Called(nn.Module):
    """DDP looks on in `forward` alone; a network that is used by other methods needs one."""

    def __init__(self, model: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, *arguments: Any) -> Any:
        """What the function says."""
        return self.function(*arguments)
