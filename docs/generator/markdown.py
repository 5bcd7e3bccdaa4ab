"""What the pages are written with: tables, code, and what names mean."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

WRITTEN = "<!-- Written by docs/generate.py from the code: change that, and run it again. -->"


class UnexplainedError(Exception):
    """The code has a name that nobody has explained in `meanings.py`."""


def meaning(known: Mapping[str, str], name: str, *, table: str) -> str:
    """What a name means.

    Raises:
        UnexplainedError: `meanings.py` does not say.
    """
    found = known.get(f"{table}:{name}", known.get(name))
    if found is None:
        raise UnexplainedError(f"docs/generator/meanings.py does not say what '{name}' is (in {table})")
    return found


def rows(*header: str, of: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; what would end a cell is escaped, outside of code."""
    lines = [header, ["---"] * len(header), *of]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def prose(text: str) -> str:
    """Text of the code, with the signs that Markdown would take for its own."""
    return re.sub(r"([*<])", r"\\\1", text)


def code(text: object) -> str:
    """As code; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def paragraphs(text: str) -> str:
    """Each paragraph on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def plain_type(annotation: Any) -> Any:
    """The type in `X | None` and `list[X]`."""
    inner = [arm for arm in typing.get_args(annotation) if arm is not type(None)]
    return plain_type(inner[0]) if inner else annotation


def page(*parts: str) -> str:
    """The parts of a page below each other, those that are empty left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
