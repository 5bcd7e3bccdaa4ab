"""Sizes and names that keep the house readable."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BESIDE = sorted(path for room in ("benchmarks", "docs") for path in (ROOT / room).rglob("*.py"))

FILE_LINES = 400
FUNCTION_LINES = 40
ROOMS_WITHOUT_A_PURPOSE = {"utils", "util", "common", "helpers", "helper", "misc"}


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the signature to the end, without the docstring."""
    body = function.body[0]
    told = isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant) and isinstance(body.value.value, str)
    docstring = (body.end_lineno or 0) - body.lineno + 1 if told else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_there_is_something_to_measure() -> None:
    assert len(SOURCES) > 20
    assert len(TESTS) > 10


def test_no_file_is_longer_than_its_budget() -> None:
    assert [f"{path.relative_to(ROOT)}: {lines(path)}" for path in SOURCES + TESTS if lines(path) > FILE_LINES] == []


def test_no_function_is_longer_than_its_budget() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {length(function)}"
        for path in SOURCES + BESIDE
        for function in functions(path)
        if length(function) > FUNCTION_LINES
    ]
    assert long == []


def test_the_median_file_is_short() -> None:
    sizes = sorted(lines(path) for path in SOURCES)
    assert sizes[len(sizes) // 2] <= 150


def test_there_are_as_many_lines_of_tests_as_of_code() -> None:
    assert sum(map(lines, TESTS)) >= sum(map(lines, SOURCES))


def test_every_room_has_a_purpose_in_its_name() -> None:
    names = {part for path in SOURCES + TESTS for part in (*path.relative_to(ROOT).parts[:-1], path.stem)}
    assert names & ROOMS_WITHOUT_A_PURPOSE == set()


def test_every_function_is_annotated() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in SOURCES
        for function in functions(path)
        if function.returns is None
    ]
    assert bare == []


def test_nothing_is_unpickled() -> None:
    """A file of weights must not be able to run code."""
    unsafe = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            call, place = ast.unparse(node.func), f"{path.relative_to(ROOT)}:{node.lineno}"
            if call.split(".")[0] in {"pickle", "joblib", "dill", "cloudpickle"}:
                unsafe.append(f"{place} calls {call}")
            if call == "torch.load":
                safe = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}.get("weights_only")
                unsafe += [f"{place} torch.load without weights_only=True"] * (safe != "True")
    assert unsafe == []
