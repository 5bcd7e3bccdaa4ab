"""A report's page → the same as PDF: its text and pictures laid out for paper, and nothing that the page does not say.

The page is read as HTML and laid out by fpdf2, which pip alone installs everywhere; engines that print HTML as it is
need libraries of the system or a browser. Letters that the fonts lack are written as their code points.
"""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import MissingExtraError
from ganfingerprint.report.tree import Element, printed_tree

try:
    import uharfbuzz  # noqa: F401  # fpdf2 takes it where letters run right to left
    from fpdf import FPDF
    from fpdf.enums import XPos, YPos
    from fpdf.fonts import FontFace, TTFFont
    from fpdf.image_parsing import preload_image
except ModuleNotFoundError as absent:
    raise MissingExtraError("fpdf2 with uharfbuzz", "report", "a PDF") from absent

Colour = tuple[int, int, int]
INK, QUIET, LINE, PANEL = (26, 29, 33), (86, 92, 100), (213, 217, 222), (245, 246, 248)
COLOURS: dict[str, Colour] = {
    "fake": (162, 63, 0), "real": (11, 92, 148), "uncertain": (107, 83, 0), "quiet": QUIET,
    "photographs": (116, 163, 196), "fakes": (206, 152, 117),
}  # fmt: skip
SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"
_FONTS = ((SANS, "", "DejaVuSans"), (SANS, "B", "DejaVuSans-Bold"), (MONO, "", "DejaVuSansMono"))
BODY, SMALL, HEADS = 9.0, 7.5, {"h1": 16.0, "h2": 12.5, "h3": 10.0}  # points
TEXT = 8.0  # of tables
LEADING, POINT = 1.45, 0.3528  # height of a line; millimetres
TEXT_LINE = TEXT * LEADING * POINT
TERM = 38.0  # millimetres of the terms before what they are
MOST_IN_CELL = 1200  # characters; fpdf2 refuses a row that is higher than a page
HIGHEST = 75.0  # millimetres of a picture
PIXEL = 0.2646  # millimetres, of a drawing
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


@dataclass(frozen=True, slots=True)
class _Run:
    """Text of one look within a paragraph."""

    text: str
    bold: bool = False
    mono: bool = False
    colour: Colour = INK
    link: int | None = None


def page_pdf(page: str) -> bytes:
    """The PDF of a page that `report_page` made; pictures as they are in it."""
    tree = printed_tree(page)
    book = _Book(tree)
    try:
        book.lay(tree)
        return bytes(book.pdf.output())
    finally:
        book.close()


def write_pdf(page: str, out: Path) -> None:
    """The same as a file."""
    with replacing(out) as beside:
        beside.write_bytes(page_pdf(page))


class _Paper(FPDF):
    """A4 with the title and the number of the page below."""

    note = ""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font(SANS, size=SMALL)
        self.set_text_color(*QUIET)
        self.cell(0, 5, f"{self.note} · page {self.page_no()} of {{nb}}", align="C")


class _Book:
    """Lays out the elements of a page, one below the other."""

    def __init__(self, tree: Element) -> None:
        self.pdf = _Paper(format="A4")
        self.pdf.set_margins(15, 15)
        self.pdf.set_auto_page_break(True, margin=18)
        fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
        for family, style, file in _FONTS:
            self.pdf.add_font(family, style, fonts / f"{file}.ttf")
        self._known, self._typed = (
            frozenset(self.pdf.fonts[family.lower()].cmap)  # type: ignore[union-attr]
            for family in (SANS, MONO)
        )
        if any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in tree.words()):
            self.pdf.set_text_shaping(True, features={"liga": False})
        title = next((head.words() for head in tree.walk("h1")), "")
        self.pdf.set_title(title)
        self.pdf.set_lang("en")
        self.pdf.note = self._legible(title)
        self.pdf.add_page()
        self._links = {section.attributes["id"]: self._link() for section in tree.walk("section")}

    def close(self) -> None:
        """Let go of the files of the fonts, which fpdf2 keeps open."""
        for font in self.pdf.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()

    def _link(self) -> int:
        """To a place that is not known yet: the first page until then."""
        link = self.pdf.add_link()
        self.pdf.set_link(link, page=1)
        return link

    def lay(self, element: Element) -> None:
        """Everything within an element."""
        by_tag: dict[str, Callable[[Element], None]] = {
            "h1": self._head, "h2": self._head, "h3": self._head, "p": self._paragraph, "figcaption": self._caption,
            "table": self._table, "dl": self._pairs, "ul": self._list, "ol": self._list, "svg": self._drawing,
            "section": self._section,
        }  # fmt: skip
        for child in element.children:
            if child.tag in by_tag:
                by_tag[child.tag](child)
            elif "pictures" in child.classes:
                self._pictures(child)
            else:
                self.lay(child)

    def _section(self, section: Element) -> None:
        if "picture" in section.classes:
            self.pdf.add_page()
        self.pdf.set_link(self._links[section.attributes["id"]], y=self.pdf.get_y(), page=self.pdf.page)
        self.lay(section)

    def _head(self, head: Element) -> None:
        size = HEADS[head.tag]
        self._room(4 * size * LEADING * POINT)  # not at the foot of a page
        self.pdf.ln(0.2 * size)
        if head.tag == "h2":
            self.pdf.start_section(self._legible(head.words())[:200])
        self._flow([_Run(head.words(), bold=True)], size)
        self.pdf.ln(0.5)

    def _paragraph(self, paragraph: Element) -> None:
        boxed = [name for name in paragraph.classes if name in ("banner", "notice")]
        if boxed:
            self._box(paragraph, large="banner" in boxed)
        else:
            self._flow(list(self._runs(paragraph)), BODY)
        self.pdf.ln(1.2)

    def _caption(self, caption: Element) -> None:
        self._flow([_Run(caption.words(), colour=QUIET)], SMALL)
        self.pdf.ln(1)

    def _box(self, paragraph: Element, *, large: bool) -> None:
        """On grey; of a verdict with a bar in its colour before it."""
        colour = _colour(paragraph, INK)
        size = 13.0 if large else BODY
        self._room(3 * size * LEADING * POINT)
        top, page = self.pdf.get_y(), self.pdf.page
        self.pdf.set_font(SANS, "B" if large else "", size)
        self.pdf.set_text_color(*colour)
        self.pdf.set_fill_color(*PANEL)
        text = self._legible(paragraph.words())
        self.pdf.multi_cell(
            0, size * LEADING * POINT, text, align="L", fill=True, padding=(2, 3), new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
        if large and self.pdf.page == page:
            self.pdf.set_fill_color(*colour)
            self.pdf.rect(self.pdf.l_margin, top, 1.6, self.pdf.get_y() - top, style="F")

    def _flow(self, runs: list[_Run], size: float) -> None:
        """Runs of text one after the other, from margin to margin."""
        for run in runs:
            family = self._family(run.text, run.mono)
            self.pdf.set_font(family, "B" if run.bold and family == SANS else "", size)
            self.pdf.set_text_color(*run.colour)
            self.pdf.write(size * LEADING * POINT, self._legible(run.text), link=run.link or "")
        self.pdf.ln(size * LEADING * POINT)

    def _runs(self, element: Element, look: _Run | None = None) -> Iterator[_Run]:
        """The text within an element, white space as a browser shows it within a line."""
        look = look or _Run("", colour=_colour(element, INK))
        for child in element.children:
            if not child.tag:
                text = " ".join(f"[{child.text}]".split())[1:-1]
                yield _Run(text, look.bold, look.mono, look.colour, look.link)
                continue
            yield from self._runs(
                child,
                _Run(
                    "",
                    look.bold or child.tag == "strong" or "verdict" in child.classes,
                    look.mono or child.tag == "code",
                    _colour(child, look.colour),
                    self._links.get(child.attributes.get("href", "")[1:], look.link),
                ),
            )

    def _list(self, items: Element) -> None:
        ordered = items.tag == "ol"
        for number, item in enumerate(items.walk("li"), 1):
            self._flow([_Run(f"{number}. " if ordered else "• "), *self._runs(item)], BODY)
        self.pdf.ln(1)

    def _pairs(self, pairs: Element) -> None:
        """Terms and what they are, side by side."""
        for term, said in zip(pairs.walk("dt"), pairs.walk("dd"), strict=True):
            self._room(2 * TEXT_LINE)
            top, page, left = self.pdf.get_y(), self.pdf.page, self.pdf.l_margin + TERM
            self._column([_Run(term.words(), colour=QUIET)], self.pdf.l_margin, top, TERM - 2)
            below = self.pdf.get_y()
            self._column(list(self._runs(said)), left, top, self.pdf.epw - TERM)
            if self.pdf.page == page:
                self.pdf.set_y(max(below, self.pdf.get_y()))
        self.pdf.ln(1.5)

    def _column(self, runs: list[_Run], left: float, top: float, width: float) -> None:
        """Runs between two bounds; those of one look, as there is no more of them in a pair."""
        if not runs:
            return
        mono = all(run.mono or not run.text.strip() for run in runs)
        text = self._legible(" ".join("".join(run.text for run in runs).split()))
        self.pdf.set_font(self._family(text, mono), size=TEXT)
        self.pdf.set_text_color(*runs[0].colour)
        self.pdf.set_xy(left, top)
        self.pdf.multi_cell(width, TEXT_LINE, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(self, table: Element) -> None:
        rows = [tuple(row.walk("td", "th")) for row in table.walk("tr")]
        widths = [_width([row[at] for row in rows]) for at in range(len(rows[0]))]
        self.pdf.set_font(SANS, size=TEXT)
        self.pdf.set_text_color(*INK)
        self.pdf.set_draw_color(*LINE)
        self.pdf.set_fill_color(255)
        with self.pdf.table(
            borders_layout="HORIZONTAL_LINES", col_widths=widths, text_align="LEFT", v_align="TOP",
            line_height=TEXT_LINE, padding=(0.6, 1), headings_style=FontFace(emphasis="BOLD"),
        ) as laid:  # fmt: skip
            for cells in rows:
                looks = [self._cell(cell) for cell in cells]
                for start in range(0, max(len(look.get("text", "-")) for look in looks), MOST_IN_CELL):
                    row = laid.row()
                    for look in looks:
                        row.cell(**_part(look, start))
        self.pdf.ln(1.5)

    def _cell(self, cell: Element) -> dict[str, Any]:
        image = next(cell.walk("img"), None)
        if image is not None:
            return {"img": _picture(image)}
        link = next((self._links.get(place.attributes["href"][1:]) for place in cell.walk("a")), None)
        codes = "".join(code.words() for code in cell.walk("code"))
        mono = bool(codes) and codes == cell.words()
        face = FontFace(
            family=MONO if mono and self._family(codes, mono) == MONO else None,
            emphasis="BOLD" if "verdict" in cell.classes else None,
            color=_colour(cell, INK),
        )
        align = "RIGHT" if "number" in cell.classes else "LEFT"
        text = self._legible(cell.words())
        return {"text": text, "align": align, "link": link} | ({} if cell.tag == "th" else {"style": face})

    def _pictures(self, figures: Element) -> None:
        """Pictures side by side, each above its caption."""
        held = list(figures.walk("figure"))
        gap, left = 4.0, self.pdf.l_margin
        width = (self.pdf.epw - gap * 2) / 3
        images = [_picture(next(figure.walk("img"))) for figure in held]
        sizes = [self._size(image, width) for image in images]
        self._room(max(height for _, height in sizes) + 25)
        top = bottom = self.pdf.get_y() + 1
        for at, (figure, image, (wide, high)) in enumerate(zip(held, images, sizes, strict=True)):
            self.pdf.image(image, left + at * (width + gap), top, wide, high)
            self.pdf.set_xy(left + at * (width + gap), top + high + 1)
            self.pdf.set_font(SANS, size=SMALL)
            self.pdf.set_text_color(*QUIET)
            caption = self._legible(next(figure.walk("figcaption")).words())
            self.pdf.multi_cell(width, SMALL * LEADING * POINT, caption, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            bottom = max(bottom, self.pdf.get_y())
        self.pdf.set_xy(left, bottom + 1)

    def _size(self, image: io.BytesIO, width: float) -> tuple[float, float]:
        pixels = preload_image(self.pdf.image_cache, image)[2]
        factor = min(width / pixels.width, HIGHEST / pixels.height)
        return pixels.width * factor, pixels.height * factor

    def _drawing(self, drawing: Element) -> None:
        """Bars, lines and words, in the units of the page."""
        left, top, width, height = map(float, drawing.attributes["viewbox"].split())
        factor = min(PIXEL, self.pdf.epw / width)
        self._room(height * factor + 4)
        x, y = self.pdf.l_margin - left * factor, self.pdf.get_y() - top * factor
        for shape in drawing.walk("rect", "line", "text"):
            at = {name: factor * float(value) for name, value in shape.attributes.items() if name in _PLACES}
            if shape.tag == "rect":
                self.pdf.set_fill_color(*_colour(shape, QUIET))
                with self.pdf.local_context(fill_opacity=0.75):
                    self.pdf.rect(x + at["x"], y + at["y"], at["width"], at["height"], style="F")
            elif shape.tag == "line":
                self.pdf.set_draw_color(*(INK if "mark" in shape.classes else QUIET))
                self.pdf.set_dash_pattern(*((0, 0) if "mark" in shape.classes else (1, 0.8)))
                self.pdf.line(x + at["x1"], y + at["y1"], x + at["x2"], y + at["y2"])
                self.pdf.set_dash_pattern()
            else:
                self._label(shape, x + at["x"], y + at["y"])
        self.pdf.set_xy(self.pdf.l_margin, y + (top + height) * factor)

    def _label(self, shape: Element, x: float, y: float) -> None:
        self.pdf.set_font(SANS, size=SMALL)
        self.pdf.set_text_color(*QUIET)
        text = self._legible(shape.words())
        wide = self.pdf.get_string_width(text)
        before = {"end": wide, "middle": wide / 2}.get(shape.attributes.get("text-anchor", ""), 0.0)
        self.pdf.text(min(max(x - before, self.pdf.l_margin), self.pdf.w - self.pdf.r_margin - wide), y, text)

    def _room(self, height: float) -> None:
        """On a new page, if this one has less left."""
        if self.pdf.will_page_break(height):
            self.pdf.add_page()

    def _family(self, text: str, mono: bool) -> str:
        """The font of code, where it has all of these signs (it has no Hebrew), else that of all other text."""
        return MONO if mono and all(ord(sign) in self._typed or ord(sign) not in self._known for sign in text) else SANS

    def _legible(self, text: str) -> str:
        """With the code points of what the fonts lack."""
        return "".join(sign if ord(sign) in self._known else f"\\u{{{ord(sign):x}}}" for sign in text)


def _part(look: dict[str, Any], start: int) -> dict[str, Any]:
    """What of a cell stands in its row, and in those below it where it is longer than a page."""
    if "img" in look:
        return {} if start else look
    return look | {"text": look["text"][start : start + MOST_IN_CELL]}


def _width(cells: list[Element]) -> float:
    """How wide a column is beside others: its longest text within bounds, but no word broken if it can be helped."""
    texts = [cell.words() for cell in cells]
    longest_word = max((len(word) for text in texts for word in text.split()), default=0)
    return float(max(8, min(max(map(len, texts)), 40), min(longest_word + 3, 72)))


_PLACES = frozenset({"x", "y", "x1", "x2", "y1", "y2", "width", "height"})


def _colour(element: Element, otherwise: Colour) -> Colour:
    return next((COLOURS[name] for name in element.classes if name in COLOURS), otherwise)


def _picture(image: Element) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(image.attributes["src"].partition(",")[2]))
