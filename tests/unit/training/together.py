"""What each process does that test_distributed.py has torchrun start: the runs of a JSON file, one after the other.

In double precision, where one process and two differ by little more than the order of their sums.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from ganfingerprint.cli.main import main
from ganfingerprint.config import load_config
from ganfingerprint.training.distributed import Group
from ganfingerprint.training.run import resumed_config, train

TINY = Path(__file__).with_name("tiny.yaml")


def interrupt(at: str, done: int, total: int, loss: float, rate: float) -> None:
    if (at, done) == ("epoch 2", 1):
        os.kill(os.getpid(), signal.SIGINT)  # in the first process alone: the others do not report


def broken_and_resumed(settings: list[str]) -> None:
    stopped = train(load_config(file=TINY, overrides=settings), report=interrupt)
    assert stopped.detector is None
    assert stopped.pictures_seen == 12
    assert train(resumed_config(stopped.run), resume=stopped.run).detector is not None


def agree_on_the_time(group: Group) -> None:
    group.gather(None)
    times = [time for time in group.gather(group.clock()) if time > 0]
    assert len(times) == 2
    assert len(set(times)) == 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    together = Group.from_environment()
    with together.joined("cpu"):
        agree_on_the_time(together)
        for name, settings in json.loads(Path(sys.argv[1]).read_text()).items():
            if name == "broken":
                broken_and_resumed(settings)
            else:
                assert main(["train", "--config", str(TINY), *(f"--set={each}" for each in settings)]) == 0
