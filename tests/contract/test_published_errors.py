"""Each of the 21 known errors of the published code has a test that would find its return, and says so in its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
ERRORS = {
    1: "initialisation overwrites the pretrained backbone",
    2: "squeeze() breaks a batch of one",
    3: "evaluate.py never evaluates",
    4: "Grad-CAM: wrong layer, always the logit for real, 256 x 256 only",
    5: "a calibration that jumps at one half and is fitted on nothing",
    6: "the weighted score counts the recall of photographs",
    7: "a warm-up from a factor of 0",
    8: "options that change nothing",
    9: "fingerprint_distance and visualize_attention_maps cannot run",
    10: "the spectrum is shrunk by point sampling",
    11: "two distributions share a batch norm",
    12: "np.trapz is gone from numpy 2",
    13: "real is looked for before fake",
    14: "two globs count a file twice",
    15: "one corrupt file stops a batch",
    16: "pictures of one stem overwrite one another",
    17: "two precisions give two scores",
    18: "weights_only=False",
    19: "resuming forgets best score and random state",
    20: "orientation, alpha, palette and 16 bits are ignored",
    21: "pictures are resized before traces are looked for",
}
NAME = re.compile(r"test_published_error_(\d\d)_[a-z0-9_]+")


def functions(text: str) -> Iterator[str]:
    """The names of all test functions, those within classes too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


def numbers(names: list[str]) -> set[int]:
    return {int(found[1]) for name in names if (found := NAME.fullmatch(name))}


NAMES = [name for path in sorted(TESTS.rglob("test_*.py")) for name in functions(path.read_text(encoding="utf-8"))]


def test_every_error_has_a_test_of_its_number() -> None:
    missing = [f"{number}: {error}" for number, error in ERRORS.items() if number not in numbers(NAMES)]
    assert missing == []
    assert numbers(NAMES) == set(ERRORS) == set(range(1, 22))


def test_all_such_names_are_of_one_scheme() -> None:
    odd = re.compile(r"published_(?:error|fault)|^test_error_\d|^test_\d+_\d+_|_error_\d+$")
    assert [name for name in NAMES if odd.search(name) and not NAME.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def test_published_error_07_x(): ...", {7}),
        ("class A:\n    async def test_published_error_12_a_b(self): ...", {12}),
        (
            "def test_published_error_7_x(): ...\ndef published_error_08_x(): ...\n# def test_published_error_09_x",
            set(),
        ),
    ],
)
def test_the_check_reads_names_and_nothing_else(text: str, expected: set[int]) -> None:
    assert numbers(list(functions(text))) == expected
