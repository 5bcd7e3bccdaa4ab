"""What the command answers when a part of the installation is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ganfingerprint.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "missing", "advice"),
    [
        (["train", "--data-root", "x"], "torch", "this command needs torch: pip install 'ganfingerprint[train]'"),
        (["train", "--data-root", "x"], "cv2", "needs opencv-python-headless: pip install 'ganfingerprint[train]'"),
        (["import-checkpoint", "a.pth", "out"], "torch", "needs torch: pip install 'ganfingerprint[train]'"),
        (
            ["predict", __file__, "--engine", "torch"],
            "torch",
            "the torch engine needs torch: pip install 'ganfingerprint[train]'",
        ),
    ],
)
def test_a_missing_package_is_one_sentence_with_its_pip_command(
    arguments: list[str], missing: str, advice: str
) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from ganfingerprint.cli.main import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error [missing_extra]: ")
    assert advice in done.stderr


def test_an_error_shows_a_name_that_would_act_on_the_terminal_written_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "\x1b[2J").mkdir()
    assert main(["predict", str(tmp_path / "\x1b[2J")]) == 1
    assert capsys.readouterr().err.startswith(f"error [usage]: {tmp_path}/\\x1b[2J: there are no pictures")
