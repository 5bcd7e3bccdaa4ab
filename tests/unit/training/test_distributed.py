"""Two processes against one that takes twice the batch: the same pictures, losses, weights and figures."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganfingerprint.artifact import read_card
from ganfingerprint.config import load_config
from ganfingerprint.errors import ConfigError, TrainingError
from ganfingerprint.training.checkpoint import load_checkpoint
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.training.run import resumed_config, train

HERE = Path(__file__).parent
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
# Two steps an epoch, one picture left over; the first blocks of the backbone alone, for speed.
COMMON = ("optim.epochs=2", "optim.epoch_samples=9", "optim.ema_decay=0.9", "network.taps=[1,2,3]")
SURE = ("network.dropout=0", "network.fingerprint_block=false")  # every process draws its own dropout
FROZEN = ("network.train_backbone=false", "network.frequency=false")
RUNS = {
    "live": (*COMMON, *SURE),
    "cached": (*COMMON, *SURE, *FROZEN, "optim.cache_views=3", "optim.targets=generators"),
    "unbroken": (*COMMON, *FROZEN, "optim.cache_views=1"),
    "broken": (*COMMON, *FROZEN, "optim.cache_views=1"),
}


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine."""
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    command = [sys.executable, *launch, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def root(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pictures with seven for validation, one of which cannot be read."""
    root = tmp_path_factory.mktemp("seven") / "data"
    shutil.copytree(drawn_root, root)
    (root / "validation" / "fake" / "00.png").unlink()
    (root / "validation" / "real" / "03.png").write_bytes(b"not a picture")
    return root


def settings(name: str, root: Path, folder: Path, batch: int) -> list[str]:
    return [f"data.root={root}", f"output.run={folder / name}", f"optim.batch_size={batch}", *RUNS[name]]


@pytest.fixture(scope="module")
def alone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    torch.set_default_dtype(torch.float64)
    try:
        for name in ("live", "cached"):
            train(load_config(file=HERE / "tiny.yaml", overrides=settings(name, root, folder, 4)))
    finally:
        torch.set_default_dtype(torch.float32)
    return folder


@pytest.fixture(scope="module")
def together(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the runs of two processes, and what they said."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "runs.json").write_text(json.dumps({name: settings(name, root, folder, 2) for name in RUNS}))
    done = torchrun(HERE / "together.py", folder / "runs.json")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def last(run: Path) -> dict[str, Any]:
    return load_checkpoint(run / "checkpoints" / "last.pt")


def curves(run: Path) -> dict[str, list[float]]:
    """The columns of the table of epochs, without what the clock says."""
    with (run / "epochs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [float(row[name]) for row in rows] for name in rows[0] if name != "minutes"}


@pytest.mark.parametrize("name", ["live", "cached"])
def test_two_processes_learn_what_one_learns_with_twice_the_batch(
    alone: Path, together: tuple[Path, str], name: str
) -> None:
    one, two = last(alone / name), last(together[0] / name)
    assert one["model"].keys() == two["model"].keys()
    # Losses are summed up in single precision, whatever the network's is.
    torch.testing.assert_close(one["model"], two["model"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(one["average"]["mean"], two["average"]["mean"], rtol=1e-6, atol=1e-6)
    assert one["progress"]["pictures_seen"] == two["progress"]["pictures_seen"] == 16


@pytest.mark.parametrize("name", ["live", "cached"])
def test_losses_and_figures_of_every_epoch_are_those_of_one_process(
    alone: Path, together: tuple[Path, str], name: str
) -> None:
    one, two = curves(alone / name), curves(together[0] / name)
    assert len(one["train_loss"]) == 2
    assert {column: pytest.approx(values, abs=1e-6) for column, values in one.items()} == two


def test_the_first_process_alone_writes_and_tells(alone: Path, together: tuple[Path, str]) -> None:
    folder, said = together
    files = [sorted(str(path.relative_to(base)) for path in base.rglob("*")) for base in (alone, folder)]
    assert [name for name in files[1] if name.startswith(("live", "cached"))] == files[0]
    assert re.findall(r"(\d) after", (folder / "live" / "log.txt").read_text()) == ["1", "2"]
    assert said.count("Detector:") == len(RUNS) - 1  # one run was not started by a command
    card = read_card(folder / "live" / "detector")
    assert (card.training["processes"], card.training["pictures_seen"]) == (2, 16)
    assert read_card(alone / "live" / "detector").training["processes"] == 1


def test_pictures_that_another_process_could_not_read_are_named(together: tuple[Path, str]) -> None:
    results = json.loads((together[0] / "live" / "results.json").read_text())
    assert results["unreadable"] == ["validation/real/03.png"]  # in the second half, which is the second's


def test_a_wish_to_stop_is_heard_by_all_and_the_resumed_run_equals_an_unbroken_one(together: tuple[Path, str]) -> None:
    one, two = (last(together[0] / name) for name in ("unbroken", "broken"))
    assert [name for name in one["model"] if not torch.equal(one["model"][name], two["model"][name])] == []
    assert "asked to stop" in (together[0] / "broken" / "log.txt").read_text()
    for states in (one, two):
        (other,) = states["other_random_states"]
        assert not torch.equal(states["random_state"]["torch"], other["torch"])  # dropout is not that of the first
    assert torch.equal(one["other_random_states"][0]["torch"], two["other_random_states"][0]["torch"])


def test_a_run_of_two_processes_is_not_resumed_by_one(together: tuple[Path, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(together[0] / "unbroken", run)
    with pytest.raises(TrainingError, match=r"the run began with 2 processes, .* here are 1"):
        train(resumed_config(run), resume=run)


def test_an_error_of_one_process_ends_all_and_is_said_in_a_sentence(root: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    where = ("--data-root", root, "--output", tmp_path / "taken")  # the first finds it, the second waits for the first
    done = torchrun("-m", "ganfingerprint", "train", "--config", HERE / "tiny.yaml", *where)
    assert done.returncode == 1
    assert "something lies there already" in done.stderr
    ours = done.stderr[: done.stderr.index("torch/distributed/elastic")]  # torchrun's own report comes last
    assert "Traceback" not in ours


def test_a_process_by_itself_needs_nobody() -> None:
    assert (ALONE.rank, ALONE.size, ALONE.is_first) == (0, 1, True)
    assert ALONE.gather("x") == ALONE.collect("x") == ["x"]
    assert ALONE.share(7) == range(7)
    assert ALONE.learning(torch.nn.Linear(1, 1), torch.sum) is torch.sum
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    ALONE.share_norms(model)
    assert type(model[0]) is torch.nn.BatchNorm1d
    before = ALONE.clock()
    assert ALONE.clock() >= before
    with ALONE.joined("nonsense"):
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("count", "size"), [(8, 2), (7, 2), (2, 3), (0, 4), (100, 7)])
def test_shares_hold_everything_once_in_order_and_are_nearly_alike(count: int, size: int) -> None:
    shares = [Group(rank, size).share(count) for rank in range(size)]
    assert [place for share in shares for place in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("said", "expected"),
    [(("1", "4", "0"), (1, 4)), (("0", "1", "0"), (0, 1)), ((None, None, None), (0, 1)), ((None, "4", None), (0, 1))],
)
def test_torchrun_says_which_process_this_is(
    monkeypatch: pytest.MonkeyPatch, said: tuple[str | None, ...], expected: tuple[int, int]
) -> None:
    for name, value in zip(VARIABLES, said, strict=True):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    group = Group.from_environment()
    assert (group.rank, group.size) == expected


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has the device")
def test_several_processes_want_a_device_that_is_there() -> None:
    with pytest.raises(ConfigError, match=r"optim\.device 'mps' is not available here"), Group(0, 2).joined("mps"):
        pass
