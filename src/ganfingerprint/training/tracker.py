"""A folder that tells the whole story of a run to a person without this program: JSON, CSV and a log."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import MissingExtraError, TrainingError


class ExperimentTracker:
    """Writes `config.json`, `config.yaml`, `log.txt`, `epochs.csv`, `results.json` and TensorBoard events to a folder.

    Raises:
        MissingExtraError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._board: Any = _open_board(folder / "tensorboard") if tensorboard else None
        self._log = (folder / "log.txt").open("a", encoding="utf-8", buffering=1)

    @classmethod
    def begin(cls, folder: Path, *, tensorboard: bool = False) -> ExperimentTracker:
        """A run in `folder` itself.

        Raises:
            TrainingError: something lies there already, maybe a run.
        """
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise TrainingError(
                f"{folder}: something lies there already; choose another folder, or go on with the run by --resume"
            )
        return cls(folder, tensorboard=tensorboard)

    @classmethod
    def create(cls, base: Path, name: str, *, tensorboard: bool = False) -> ExperimentTracker:
        """A new folder `base/name_<time>`; a number is added when two runs start within one second."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        for attempt in range(1000):
            folder = base / (f"{name}_{stamp}" + (f"-{attempt}" if attempt else ""))
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(folder, tensorboard=tensorboard)
        raise FileExistsError(f"{base}: too many runs named {name}_{stamp}")

    def __enter__(self) -> ExperimentTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved configuration, as JSON for programs and YAML to run again."""
        self._write("config.json", json.dumps(config, indent=2))
        self._write("config.yaml", yaml.safe_dump(dict(config), sort_keys=False))

    def log(self, message: str) -> None:
        """One line with a time stamp, in the log file at once."""
        self._log.write(f"{datetime.now().isoformat(timespec='seconds')} {message}\n")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of one step for TensorBoard."""
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def save_epochs(self, rows: list[dict[str, float]]) -> None:
        """Write the table of epochs anew, one row each."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        path = self.folder / "epochs.csv"
        with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)

    def save_results(self, results: Mapping[str, Any]) -> None:
        """Write the summary of the run."""
        self._write("results.json", json.dumps(results, indent=2))

    def close(self) -> None:
        """Flush and close all files."""
        self._log.close()
        if self._board is not None:
            self._board.close()

    def _write(self, name: str, text: str) -> None:
        with replacing(self.folder / name) as beside:
            beside.write_text(text + "\n", encoding="utf-8")


class Onlooker(ExperimentTracker):
    """What the other processes of a run have in its place: it writes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def log(self, message: str) -> None:
        """Nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def save_epochs(self, rows: list[dict[str, float]]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, name: str, text: str) -> None:
        pass


def _open_board(folder: Path) -> Any:
    try:
        board = importlib.import_module("torch.utils.tensorboard")  # takes seconds, so only when asked for
    except ImportError as problem:
        raise MissingExtraError("tensorboard", "train", "output.tensorboard") from problem
    return board.SummaryWriter(str(folder))
