"""What the command answers when a part of the installation is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest


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
