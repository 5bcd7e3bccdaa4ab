"""How large the next step is, and how much of the budget is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class TimeBudget:
    """Minutes that a run may take, counted over all its sittings. 0 minutes: no limit, never spent."""

    def __init__(
        self, minutes: float = 0.0, *, spent_s: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_s, self._before_s, self._clock = 60 * minutes, spent_s, clock
        self._start = clock()

    def resume(self, spent_s: float) -> None:
        """Count from now, on top of what earlier sittings spent."""
        self._before_s, self._start = spent_s, self._clock()

    @property
    def spent_s(self) -> float:
        """Seconds spent so far, earlier sittings included."""
        return self._before_s + self._clock() - self._start

    @property
    def share(self) -> float:
        """Spent share, 0..1; 0 without a limit."""
        return min(1.0, self.spent_s / self._limit_s) if self._limit_s > 0 else 0.0

    @property
    def is_spent(self) -> bool:
        """Whether the run must end."""
        return self.share >= 1.0


def lr_factor(step: int, *, warmup_steps: int, total_steps: int, share: float = 0.0) -> float:
    """The share of the peak rate for step `step` (from 0): linear warm-up from above 0, then half a cosine.

    `share` is the spent share of a time budget; both parts follow whichever is further, steps or time. The warm-up
    takes at most a fifth of the run, so that a short run learns at its full rate too.
    """
    at = max(float(step), share * total_steps)
    warmup = min(warmup_steps, total_steps // 5)
    if at < warmup:
        return (at + 1) / (warmup + 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (at - warmup) / max(1, total_steps - warmup))))


def get_lr_scheduler(
    optimizer: Optimizer, warmup_steps: int, total_steps: int, *, budget: TimeBudget | None = None
) -> LambdaLR:
    """The scheduler of the document, stepped once a *step*; call `.step()` after each optimiser step."""

    def factor(step: int) -> float:
        return lr_factor(
            step, warmup_steps=warmup_steps, total_steps=total_steps, share=budget.share if budget is not None else 0.0
        )

    return LambdaLR(optimizer, factor)
