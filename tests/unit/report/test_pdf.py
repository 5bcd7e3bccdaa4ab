"""The PDF says what the page says, whatever the names of the files are."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdf
import pytest
from PIL import Image as PilImage

from ganfingerprint.detector import Detector
from ganfingerprint.examine import examine
from ganfingerprint.report.content import report_content
from ganfingerprint.report.page import report_page
from ganfingerprint.report.pdf import MOST_IN_CELL, page_pdf, write_pdf
from ganfingerprint.report.tree import printed_tree

BLOCKS = ("h1", "h2", "h3", "p", "td", "th", "dt", "dd", "li", "figcaption", "text")
FOOTER = re.compile(r"Examinationof\d+picture.{0,40}?page\d+of\d+")


@pytest.fixture(scope="module")
def detector(bright_detector: Detector) -> Detector:
    """With scores that a distribution is drawn of."""
    card = bright_detector.card.replaced(scores={"photographs": [-3.0, -2.0, -1.0], "fakes": [0.8, 1.2, 4.0]})
    return Detector(engine=bright_detector.engine, card=card)


@pytest.fixture(scope="module")
def page(detector: Detector, signer: Any, draw_picture: Callable[..., Any]) -> str:
    exif = PilImage.Exif()
    exif[305] = "Midjourney v6"
    marked = io.BytesIO()
    PilImage.fromarray(draw_picture(1, height=200, width=300)).save(marked, "JPEG", exif=exif, quality=40)
    found = [
        examine(detector, signer.sign(draw_picture(2, height=300, width=200)), name="signed & <sent>.jpg"),
        examine(detector, marked.getvalue(), name="marked.jpg"),
        examine(detector, b"nothing", name="broken.jpg"),
    ]
    content = report_content(found, detector, case="A 17", examiner="N. N.", command="ganfingerprint report a b c")
    looks = [picture["images"] for picture in content["pictures"][:2]]
    looks[0] |= {"heat": looks[1]["picture"], "heat_speaks_for": "fake"}  # arithmetic has none
    return report_page(content)


def squeezed(text: str) -> str:
    return "".join(text.split())


def text_of(pdf: bytes) -> str:
    """Without white space, which a line's end may be, and without what stands below each page."""
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    return FOOTER.sub("", squeezed("".join(pages)))


def test_every_sentence_and_number_of_the_page_is_in_it(page: str) -> None:
    said, tree = text_of(page_pdf(page)), printed_tree(page)
    blocks = [squeezed(block.words()) for block in tree.walk(*BLOCKS)]
    assert len(blocks) > 100
    assert [block for block in blocks if block not in said] == []
    assert squeezed(tree.words()).count("Measured") == said.count("Measured")
    missing = Counter(squeezed(tree.words())) - Counter(said)
    assert missing == Counter()  # nothing outside of those blocks either, and as often as on the page


def test_its_pictures_are_those_of_the_page(page: str) -> None:
    reader = pypdf.PdfReader(io.BytesIO(page_pdf(page)))
    shown = sum(len(paper.images) for paper in reader.pages)
    assert shown == page.count("<img ") == 7  # two of the table; three and two of the pictures
    assert reader.metadata is not None
    assert reader.metadata.title == "Examination of 3 pictures for traces of a generator"
    assert [entry["/Title"] for entry in reader.outline] == [
        "Summary", "signed & <sent>.jpg", "marked.jpg", "broken.jpg", "Record"
    ]  # fmt: skip


def test_controls_and_scripts_are_not_printed(page: str) -> None:
    words = printed_tree(page).words()
    assert "Name contains" not in words
    assert "use strict" not in words
    assert "default-src" not in words
    assert "Examination of 3 pictures" in words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("猫の写真.jpg", r"\u{732b}\u{306e}\u{5199}\u{771f}.jpg"),
        ("🙈\U0010ffff.jpg", r"\u{10ffff}.jpg"),
        ("a\x1b[31m\nb.jpg", r"a\u{1b}[31mb.jpg"),
        ("naïve-Ωμέγα-файл.jpg", "naïve-Ωμέγα-файл.jpg"),
        ("caf\udce9.jpg", r"caf\udce9.jpg"),
    ],
)
def test_letters_that_the_fonts_lack_are_written_as_their_code_points(
    detector: Detector, name: str, shown: str
) -> None:
    content = report_content([examine(detector, b"nothing", name=name)], detector)
    assert shown in text_of(page_pdf(report_page(content)))


@pytest.mark.parametrize("name", ["تصویر ۱۲.jpg", "תמונה (2).jpg", "abc‮gpj.exe.jpg"])
def test_names_that_run_right_to_left_are_laid_out(detector: Detector, name: str) -> None:
    content = report_content([examine(detector, b"nothing", name=name)], detector, case=name)
    said = text_of(page_pdf(report_page(content)))
    assert "jpg" in said
    assert "notstated" in said


def test_very_long_names_and_commands_find_room(detector: Detector) -> None:
    names = ["x" * 4000 + ".jpg", "/".join(["folder"] * 500)]
    found = [examine(detector, b"nothing", name=name) for name in names]
    command = " ".join(f"pictures/{number:06}.jpg" for number in range(3000))
    content = report_content(found, detector, command=command)
    said = text_of(page_pdf(report_page(content)))
    assert squeezed(command) in said
    assert "x" * MOST_IN_CELL in said
    assert said.count("x") >= 2 * 4000  # in the table and above its section


def test_many_rows_go_on_over_pages(detector: Detector, page: str, tmp_path: Path) -> None:
    failed = examine(detector, b"nothing", name="broken")
    found = [replace(failed, source=f"name-{number:03}.jpg") for number in range(120)]
    content = report_content(found, detector)
    content["pictures"] = []
    content["rows"] = [row | {"picture": None} for row in content["rows"]]
    write_pdf(report_page(content), tmp_path / "case.pdf")
    reader = pypdf.PdfReader(tmp_path / "case.pdf")
    assert len(reader.pages) > 2
    assert "probability" in reader.pages[1].extract_text()  # the heads again
    said = text_of((tmp_path / "case.pdf").read_bytes())
    assert all(f"name-{number:03}.jpg" in said for number in range(120))


def test_code_in_letters_that_the_font_of_code_lacks_is_kept() -> None:
    page = "<main><h1>a</h1><p>again: <code>report שלום.jpg</code></p><dl><dt>b</dt><dd></dd></dl></main>"
    letters = set(text_of(page_pdf(page)))
    assert set("שלום") <= letters  # and a pair without a value is no error
