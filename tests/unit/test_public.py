"""What the package promises by name, and what importing it does not do."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import ganfingerprint

PROMISED = [
    "Attribution",
    "Comparison",
    "Detector",
    "Failure",
    "FingerprintNet",
    "Gallery",
    "GanFingerprintError",
    "Image",
    "InputError",
    "Label",
    "Prediction",
    "TrainConfig",
    "Verdict",
    "__version__",
    "attribute",
    "compare",
    "decode_image",
    "evaluate",
    "fingerprint_distance",
    "load_config",
    "read_gallery",
    "train",
]
NEEDS_TORCH = {"FingerprintNet", "train"}
HEAVY = ["cv2", "fastapi", "matplotlib", "onnx", "openvino", "PIL", "pyarrow", "sklearn", "torch", "transformers"]


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_the_public_names_are_these_and_sorted() -> None:
    assert ganfingerprint.__all__ == PROMISED == sorted(PROMISED)
    assert dir(ganfingerprint) == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_each_public_name_is_there_and_stays_the_same(name: str) -> None:
    if name in NEEDS_TORCH:
        pytest.importorskip("torch")
    value = getattr(ganfingerprint, name)
    assert value is getattr(ganfingerprint, name)
    assert isinstance(value, str) or callable(value)
    if callable(value) and name != "decode_image":
        assert value.__name__ == name
        assert value.__module__.startswith("ganfingerprint.")


def test_decode_image_is_the_function_and_decode_the_module() -> None:
    from ganfingerprint import decode_image
    from ganfingerprint.decode import decode

    assert decode_image is decode
    assert ganfingerprint.decode.__name__ == "ganfingerprint.decode"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Detektor'"):
        _ = ganfingerprint.Detektor  # type: ignore[attr-defined]


def test_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", ganfingerprint.__version__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = run(f"import sys, ganfingerprint; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded == "[]"


def test_judging_pictures_needs_torch_only_for_the_torch_engine() -> None:
    loaded = run(
        "import sys\n"
        "from ganfingerprint import Detector, load_config, GanFingerprintError\n"
        "from ganfingerprint.engines import fake_engine\n"
        "print([name for name in ('torch', 'pyarrow', 'matplotlib', 'cv2', 'sklearn') if name in sys.modules])"
    )
    assert loaded == "[]"


def test_importing_the_package_writes_and_prints_nothing() -> None:
    assert run("import os; before = os.listdir(); import ganfingerprint; assert os.listdir() == before") == ""
