"""The public surface as it is shipped: documented, light to import, of one version (names: unit/test_public.py)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ganfingerprint

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "openvino", "onnxruntime", "pyarrow", "matplotlib", "cv2", "fastapi", "sklearn")


def loaded_after(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize("name", sorted(set(ganfingerprint.__all__) - {"__version__"}))
def test_every_public_name_says_what_it_is(name: str) -> None:
    assert getattr(ganfingerprint, name).__doc__


@pytest.mark.parametrize(
    "statement",
    [
        "import ganfingerprint",
        "from ganfingerprint import Detector, Verdict, decode_image, load_config",
        "import ganfingerprint.cli.main",
        "import ganfingerprint.evaluation.metrics",
        "from ganfingerprint.engines import load_engine",
    ],
)
def test_a_light_import_loads_no_heavy_package(statement: str) -> None:
    assert loaded_after(statement) == set()


def test_the_check_sees_a_heavy_import() -> None:
    assert "torch" in loaded_after("import torch")


def test_the_version_is_the_newest_of_the_changelog() -> None:
    versions = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == ganfingerprint.__version__


def test_types_are_shipped() -> None:
    assert (Path(str(ganfingerprint.__file__)).parent / "py.typed").is_file()
