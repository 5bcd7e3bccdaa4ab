"""The import levels of ARCHITECTURE.md, read from the source with ast: nothing is imported here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src"
PACKAGE = "ganfingerprint"

# A module imports only from a lower level or from its own folder. The name is the first one below the package.
LEVELS: dict[str, float] = {
    "errors": 0.0,
    "atomic": 0.0,
    "presets": 0.0,
    "types": 0.0,
    "config": 1.0,
    "colour": 2.0,
    "encoding": 2.0,
    "windows": 2.0,
    "calibrate": 2.0,
    "decode": 2.1,  # what colour makes sRGB
    "listing": 2.15,  # by the suffixes that decode reads
    "metadata": 2.2,  # headers are opened by decode
    "provenance": 2.3,  # cleans texts as metadata does
    "delivery": 2.2,  # pictures arrive as files that are decoded
    "catalog": 2.2,  # lists the suffixes that decode reads
    "artifact": 2.2,  # a card holds a calibration
    "network": 3.0,
    "engines": 3.1,  # the torch engine runs a network
    "detector": 4.0,
    "stability": 4.1,  # judges again
    "attribution": 4.0,
    "explain": 5.0,
    "examine": 5.01,  # all that explains an answer
    "evaluation": 5.05,  # shows where the network looks
    "fakes": 5.08,  # training may draw from it
    "training": 5.1,  # a run ends with an evaluation
    "export": 5.1,
    "scan": 5.1,
    "report": 6.0,
    "service": 6.1,  # hands out reports
    "cli": 7.0,
    "__main__": 7.1,
}

# Packages that only some places may import: a module below the package, or a folder.
ALLOWED: dict[str, frozenset[str]] = {
    "torch": frozenset({"network", "training", "fakes", "explain", "export", "engines.torch_engine"}),
    "transformers": frozenset({"network", "export"}),
    "pyarrow": frozenset({"scan", "evaluation", "report"}),
    "openvino": frozenset({"engines.openvino_engine", "export"}),
    "onnxruntime": frozenset({"engines.onnx_engine", "export"}),
    "onnx": frozenset({"network", "export"}),
    "cv2": frozenset({"training", "fakes"}),
    "ncnn": frozenset({"fakes.super_resolution"}),
    "matplotlib": frozenset({"evaluation", "explain", "report"}),
    "fastapi": frozenset({"service"}),
    "starlette": frozenset({"service"}),
    "uvicorn": frozenset({"cli.serve", "service.connections"}),
    "typer": frozenset({"cli"}),
    "rich": frozenset({"cli"}),
    "ray": frozenset({"scan.cluster"}),
    "c2pa": frozenset({"provenance"}),
    "faiss": frozenset({"attribution.search"}),
    "fpdf": frozenset({"report.pdf"}),
}
# Pillow opens files in decode.py only; elsewhere it converts and resizes pixels, and writes pictures.
HANDLES_PIXELS = frozenset(
    {
        "decode",
        "colour",
        "delivery",
        "metadata",
        "encoding",
        "windows",
        "training",
        "fakes",
        "explain",
        "evaluation",
        "report",
    }
)


def modules() -> list[tuple[str, ast.Module]]:
    """Dotted name below the package, and the parsed file."""
    found = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found.append((name, ast.parse(path.read_text(encoding="utf-8"), str(path))))
    return found


def imported(name: str, tree: ast.Module) -> set[str]:
    """Every dotted name that a module imports, inside functions and for type checking too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute, line {node.lineno}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def place(name: str) -> str:
    return name.split(".")[0]


def within(name: str, allowed: frozenset[str]) -> bool:
    return any(name == spot or name.startswith(spot + ".") for spot in allowed)


MODULES = modules()
INTERNAL = [
    (name, target.removeprefix(PACKAGE + "."))
    for name, tree in MODULES
    for target in sorted(imported(name, tree))
    if name and target.startswith(PACKAGE + ".") and not target.removeprefix(PACKAGE + ".").startswith("__")
]


def test_every_module_has_a_level() -> None:
    assert {place(name) for name, _ in MODULES if name} - set(LEVELS) == set()


def test_imports_point_to_lower_levels_or_stay_in_their_folder() -> None:
    wrong = [
        f"{source} -> {target}"
        for source, target in INTERNAL
        if place(source) != place(target) and LEVELS[place(target)] >= LEVELS[place(source)]
    ]
    assert wrong == []


def test_the_package_itself_imports_nothing_at_import() -> None:
    """`import ganfingerprint` is a table of names; each is loaded when it is first asked for."""
    tree = dict(MODULES)[""]
    at_import = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [name for name in at_import if name and name.startswith(PACKAGE)] == []
    assert {str(name).split(".")[0] for name in at_import} <= {"__future__", "importlib", "typing"}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_heavy_package_stays_in_its_places(package: str) -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in MODULES
        for target in imported(name, tree)
        if place(target) == package and not within(name, ALLOWED[package])
    ]
    assert wrong == []


def test_pictures_are_read_in_decode_only() -> None:
    handlers = [
        (name, tree) for name, tree in MODULES if any(place(target) == "PIL" for target in imported(name, tree))
    ]
    assert [name for name, _ in handlers if not within(name, HANDLES_PIXELS)] == []
    openers = [
        f"{name}, line {node.lineno}"
        for name, tree in handlers
        for node in ast.walk(tree)
        if name != "decode" and isinstance(node, ast.Call) and is_pillow_open(node, tree)
    ]
    assert openers == []


def is_pillow_open(call: ast.Call, tree: ast.Module) -> bool:
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "PIL"
        for alias in node.names
        if alias.name == "Image"
    }
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func) in {f"{name}.open" for name in names}


def test_the_check_would_find_a_wrong_import() -> None:
    """The rule itself, on a module that breaks it."""
    tree = ast.parse("def f():\n    from ganfingerprint.detector import Detector\n    import torch.nn\n")
    assert imported("windows", tree) == {"ganfingerprint.detector.Detector", "torch.nn"}
    assert LEVELS["detector"] >= LEVELS["windows"]
    assert not within("windows", ALLOWED["torch"])
    assert not within("engines.torch_engine_two", ALLOWED["torch"])
    opens = ast.parse("from PIL import Image as Pil\nPil.open(path)\n")
    assert [is_pillow_open(node, opens) for node in ast.walk(opens) if isinstance(node, ast.Call)] == [True]


@pytest.mark.parametrize("name", [name for name, _ in MODULES if name])
def test_no_module_draws_with_global_state(name: str) -> None:
    """pyplot keeps every figure alive and picks a window system; the object API does neither."""
    assert not any(target.startswith("matplotlib.pyplot") for target in imported(name, dict(MODULES)[name]))
