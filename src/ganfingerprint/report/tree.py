"""A report's page as a tree of its elements, for those that lay it out anew. It reads our own pages alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"br", "img", "input", "line", "link", "meta", "rect"})
_NOT_PRINTED = frozenset({"head", "script", "style"})


@dataclass(slots=True)
class Element:
    """One element, or a run of text (`tag` is then empty)."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    @property
    def classes(self) -> list[str]:
        """The words of its class."""
        return self.attributes.get("class", "").split()

    def walk(self, *tags: str) -> Iterator[Element]:
        """All elements of these tags within it, in the order of the page."""
        for child in self.children:
            if child.tag in tags:
                yield child
            yield from child.walk(*tags)

    def words(self) -> str:
        """Its text with white space as a browser shows it."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        yield self.text
        for child in self.children:
            yield from child._texts()


def printed_tree(page: str) -> Element:
    """The elements of a page that are printed: nothing of its head, and no controls."""
    reader = _Reader()
    reader.feed(page)
    return reader.root


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self._open = [self.root]
        self._skipped: list[str] = []  # the open elements from one on that is not printed

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        if self._skipped or tag in _NOT_PRINTED or "control" in element.classes:
            if tag not in _VOID:
                self._skipped.append(tag)
            return
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        (self._skipped or self._open).pop()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._open[-1].children.append(Element("", text=data))
