"""Write the pages of `docs/reference/` from the code: commands, settings, columns, error codes, endpoints.

python docs/generate.py            writes them
python docs/generate.py --check    says which of them differ from the code, and writes nothing
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from generator.columns import columns_page
from generator.commands import commands_page
from generator.endpoints import endpoints_page
from generator.errors import errors_page
from generator.markdown import UnexplainedError
from generator.settings import settings_page

FOLDER = Path(__file__).resolve().parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "columns.md": columns_page,
    "errors.md": errors_page,
    "endpoints.md": endpoints_page,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which differ; 1 where one does, or has a name that nobody explained."""
    checking, wrong = "--check" in arguments, False
    for name, write in PAGES.items():
        path = FOLDER / name
        try:
            text = write()
        except UnexplainedError as problem:
            print(f"docs/reference/{name}: {problem}")
            wrong = True
            continue
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if not checking:
            path.write_text(text, encoding="utf-8")
        wrong = wrong or checking
        print(f"docs/reference/{name} {'differs from the code' if checking else 'was written'}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
