"""The error codes that stand in the source, read with ast: nothing is imported for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "ganfingerprint"
_CODE = re.compile(r"[a-z][a-z_]+")
_STATUSES = range(400, 600)


def error_classes(file: Path) -> list[tuple[str, str, str, str]]:
    """Name, base, code and first line of what is said of each class with a code, in the order of the file."""
    found = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for line in node.body:
            target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
            value = getattr(line, "value", None)
            if isinstance(target, ast.Name) and target.id == "code" and isinstance(value, ast.Constant):
                said = (ast.get_docstring(node) or "").partition("\n")[0]
                found.append((node.name, ast.unparse(node.bases[0]), str(value.value), said))
    return found


def all_errors() -> list[tuple[str, str, str, str]]:
    """The same of the error tree, and then of every other file but those of the service."""
    tree = SOURCE / "errors.py"
    others = [file for file in sorted(SOURCE.rglob("*.py")) if file != tree and file.parent.name != "service"]
    return [entry for file in (tree, *others) for entry in error_classes(file)]


def service_codes() -> dict[str, set[int]]:
    """The codes that the service itself answers with, each with its statuses: a status and a code side by side."""
    found: dict[str, set[int]] = {}
    for file in sorted((SOURCE / "service").glob("*.py")):
        for name, status in _statuses(ast.parse(file.read_text(encoding="utf-8"))):
            found.setdefault(name, set()).add(status)
    for _, _, name, _ in error_classes(SOURCE / "service" / "batching.py"):
        found.setdefault(name, set()).add(503)
    return found


def _statuses(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.Call):
            pairs = list(zip(node.args, node.args[1:], strict=False))
        elif isinstance(node, ast.Tuple):
            pairs = list(zip(node.elts, node.elts[1:], strict=False))
        elif isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        for first, second in pairs:
            if isinstance(first, ast.Constant) and isinstance(second, ast.Constant):
                status, name = first.value, second.value
                if isinstance(status, int) and status in _STATUSES and _CODE.fullmatch(str(name)):
                    yield str(name), status


def refusals(file: Path) -> Iterator[str]:
    """The codes that `main` itself refuses with."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "_refuse"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)
