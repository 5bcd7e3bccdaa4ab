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
    """Write the pages, or with `--check` say which differ; 1 where one does."""
    stale = []
    for name, write in PAGES.items():
        path, text = FOLDER / name, write()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name} {'differs from the code' if '--check' in arguments else 'was written'}")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
