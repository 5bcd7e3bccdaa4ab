"""The public surface: what `import ganfingerprint` gives, and what it does not drag in."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ganfingerprint

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "openvino", "onnxruntime", "pyarrow", "matplotlib", "cv2", "fastapi", "sklearn")

# A name added or removed here is a change that users see: it belongs in CHANGELOG.md.
PUBLIC = {
    "Detector",
    "Failure",
    "FingerprintNet",
    "GanFingerprintError",
    "Image",
    "InputError",
    "Label",
    "Prediction",
    "TrainConfig",
    "Verdict",
    "__version__",
    "decode_image",
    "evaluate",
    "load_config",
    "train",
}


def loaded_after(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_the_public_names_are_these() -> None:
    assert set(ganfingerprint.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_loads_and_says_what_it_is(name: str) -> None:
    value = getattr(ganfingerprint, name)
    assert value is getattr(ganfingerprint, name)
    if name != "__version__":
        assert value.__doc__


def test_all_names_are_listed_by_dir() -> None:
    assert set(dir(ganfingerprint)) >= PUBLIC


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Detektor'"):
        ganfingerprint.Detektor  # noqa: B018


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
    assert (Path(str(importlib.import_module("ganfingerprint").__file__)).parent / "py.typed").is_file()
