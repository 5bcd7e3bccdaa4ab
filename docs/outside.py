"""A hook of the site's builder: what the pages link to outside of `docs/` comes along, and its links are turned.

On the repository a page of `docs/` links to `../results/rivals.csv`; on the site that file lies at
`repository/results/rivals.csv`, as everything outside of `docs/` that a page, or such a file, links to. A folder
becomes a page that lists its files. `repository_of` and `site_of` are each other's inverse.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS, BESIDE = "docs", "repository"
_FENCE = re.compile(r"^(```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=(?:#[^)\s]*)?\))")  # without what names a scheme: another host


def site_of(path: str) -> str:
    """Where a file or folder of the repository lies on the site, as the builder sees its sources."""
    place = ROOT / path
    if place.is_dir():
        path = f"{path}/README.md" if (place / "README.md").is_file() else f"{path}/index.md"
    elif not posixpath.splitext(path)[1]:
        path += ".txt"  # LICENSE: to be shown, not saved
    return path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else f"{BESIDE}/{path}"


def repository_of(source: str) -> str:
    """The page of the repository that a source of the site is."""
    return source.removeprefix(f"{BESIDE}/") if source.startswith(f"{BESIDE}/") else f"{DOCS}/{source}"


def links(text: str, page: str) -> Iterator[str]:
    """What a page of the repository links to in it; anchors are left out."""
    for part in _FENCE.split(text)[::2]:
        for link in _LINK.findall(part):
            yield _resolved(link, page)


def turned(text: str, page: str) -> str:
    """The text of a page of the repository with its links as they are on the site."""
    here = posixpath.dirname(site_of(page))
    parts = _FENCE.split(text)
    parts[::2] = [_LINK.sub(lambda found: _from(here, _resolved(found[1], page)), part) for part in parts[::2]]
    return "".join(parts)


def text_of(path: str) -> str | None:
    """The text of a page of the repository, the list of a folder's files, or None for any other file."""
    place = ROOT / path
    if place.is_dir():
        names = sorted(entry.name for entry in place.iterdir() if not entry.name.startswith((".", "__")))
        return f"# {path}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    return place.read_text(encoding="utf-8") if place.suffix == ".md" else None


def outside(named: Mapping[str, str]) -> list[str]:
    """All that comes along: what the pages of `docs/` and `named` reach, page by page, in the repository's paths."""
    found = dict.fromkeys(named)
    waiting = [*found, *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / DOCS).rglob("*.md")))]
    while waiting:
        path = waiting.pop()
        home = f"{path}/index.md" if (ROOT / path).is_dir() else path
        for link in links(text_of(path) or "", home):
            link = _readme(link)
            if link not in found and not link.startswith(f"{DOCS}/") and (ROOT / link).exists():
                found[link] = None
                waiting.append(link)
    return sorted(found)


def nav_pages(nav: Any) -> Iterator[str]:
    """The sources that a navigation names."""
    if isinstance(nav, str):
        yield nav
    for entry in nav.values() if isinstance(nav, Mapping) else nav if isinstance(nav, list) else ():
        yield from nav_pages(entry)


def on_files(files: Any, config: Any) -> Any:
    """Add what lies outside to the sources of the site."""
    from mkdocs.structure.files import File, InclusionLevel

    named = {repository_of(page): page for page in nav_pages(config["nav"]) if page.startswith(f"{BESIDE}/")}
    for path in outside(named):
        text, shown = text_of(path), InclusionLevel.INCLUDED if path in named else InclusionLevel.NOT_IN_NAV
        if text is None:
            file = File.generated(config, site_of(path), abs_src_path=str(ROOT / path), inclusion=shown)
        else:
            file = File.generated(config, site_of(path), content=text, inclusion=shown)
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page."""
    return turned(markdown, repository_of(page.file.src_uri))


def _resolved(link: str, page: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _readme(path: str) -> str:
    return f"{path}/README.md" if (ROOT / path / "README.md").is_file() else path


def _from(here: str, path: str) -> str:
    return posixpath.relpath(site_of(path), here or ".")
