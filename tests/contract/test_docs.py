"""The documents say what the code does: commands, verbs, links, and the table from the reference document to ours."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

from ganfingerprint.cli.main import app, main

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "MODEL_CARD.md",
    "benchmarks/README.md",
)
DOCUMENTS = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = sorted(str(command.name) for command in (*app.registered_commands, *app.registered_groups))
ENTRY = re.compile(r"`(?:ganfingerprint\.)?([a-z_][\w.]*):([A-Za-z_][\w.]*)`")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def document_table() -> list[tuple[str, str]]:
    """The rows of the Markdown table `| document | ours |` of ARCHITECTURE.md."""
    lines = iter(text("ARCHITECTURE.md").splitlines())
    for line in lines:
        if re.fullmatch(r"\|\s*document\s*\|\s*ours\s*\|\s*", line, re.IGNORECASE):
            break
    next(lines, None)  # the line of dashes
    rows = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 2:
            break
        rows.append((cells[0], cells[1]))
    return rows


def resolve(module: str, symbol: str) -> object:
    return reduce(getattr, symbol.split("."), importlib.import_module(f"ganfingerprint.{module}"))


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_a_document_names_every_command(document: str) -> None:
    words = set(re.findall(r"[\w-]+", text(document)))
    assert [name for name in COMMANDS if name not in words] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_shows_no_command_that_does_not_exist(document: Path) -> None:
    said = document.read_text(encoding="utf-8")
    shown = set(re.findall(r"(?:^\$?\s*|`)ganfingerprint ([a-z][a-z-]*)", said, re.MULTILINE))
    assert shown - set(COMMANDS) == set()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run", "docs/start.md", "docs/train.md"])
def test_every_make_verb_that_is_shown_exists(document: str) -> None:
    verbs = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text(document), re.MULTILINE))
    assert shown
    assert shown - verbs == set()


def test_ci_runs_what_readme_calls() -> None:
    assert {"make demo", "make test"} <= set(re.findall(r"make [a-z]+", text("README.md")))
    assert {"make demo", "make test", "make check"} <= set(text(".ci/run").splitlines())


def test_every_part_of_the_document_has_a_place_that_exists() -> None:
    rows = document_table()
    assert len(rows) > 20
    named = [(theirs, entries) for theirs, ours in rows if (entries := ENTRY.findall(ours))]
    assert [theirs for theirs, ours in rows if not ENTRY.findall(ours) and not ours] == []
    assert len(named) > 20
    missing = []
    for theirs, entries in named:
        for module, symbol in entries:
            try:
                resolve(module, symbol)
            except (ImportError, AttributeError) as problem:
                missing.append(f"{theirs}: {problem}")
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_the_entry_pattern_reads_both_spellings() -> None:
    line = "`training.dataset:get_transforms` and `ganfingerprint.network.fingerprint_net:FingerprintNet.forward`"
    assert ENTRY.findall(line) == [
        ("training.dataset", "get_transforms"),
        ("network.fingerprint_net", "FingerprintNet.forward"),
    ]


def test_the_model_card_is_that_of_the_shipped_detector(capsys: pytest.CaptureFixture[str]) -> None:
    """And every file of the detector is there and undamaged: the command looks at them all."""
    assert main(["info", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == text("MODEL_CARD.md")
