"""A report is one page that needs nothing else, says what its content says, and believes no name."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

from ganfingerprint.detector import Detector
from ganfingerprint.errors import UsageError
from ganfingerprint.examine import examine
from ganfingerprint.report.content import SCHEMA, report_content
from ganfingerprint.report.page import report_page, write_report

HOSTILE = "<script>alert(1)</script>.jpg"


@pytest.fixture(scope="module")
def content(
    bright_detector: Detector, draw_picture: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pictures")
    exif = PilImage.Exif()
    exif[305] = "Midjourney <b>v6</b>"
    PilImage.fromarray(draw_picture(1, height=200, width=300)).save(folder / "a.jpg", exif=exif, quality=50)
    PilImage.new("RGB", (300, 200), (250, 250, 250)).save(folder / "b.png")
    data = (folder / "a.jpg").read_bytes()
    found = [
        examine(bright_detector, folder / "a.jpg"),
        examine(bright_detector, folder / "b.png"),
        examine(bright_detector, data, name=HOSTILE),
        examine(bright_detector, b"nothing", name="broken.jpg"),
    ]
    return report_content(found, bright_detector, case="A <17>", examiner="N. N.", command="ganfingerprint report a")


class Page(HTMLParser):
    """Tags and attributes of a page, and whether all that opens is closed."""

    VOID = frozenset({"meta", "img", "input", "rect", "line", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_content_is_plain_and_complete(content: dict[str, Any]) -> None:
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert (content["schema"], content["schema_version"]) == (SCHEMA, 1)
    verdicts = [picture["verdict"] for picture in content["pictures"]]
    assert content["counts"] == {
        "pictures": 4, "not read": 1, **{name: verdicts.count(name) for name in ("real", "uncertain", "fake")}
    }  # fmt: skip
    assert verdicts[1] == "fake"  # it is bright
    first, _, named, broken = content["pictures"]
    assert named["sha256"] == first["sha256"]
    assert named["source"] == HOSTILE
    assert first["encoding"]["estimated_quality"] == 50
    assert first["metadata"]["marks"] == [{"place": "EXIF Software", "text": "Midjourney <b>v6</b>"}]
    assert len(first["stability"]["after"]) == 3
    assert broken["error"]["code"] == "unreadable_image"
    assert broken["verdict"] is None
    assert content["software"]["ganfingerprint"]


def test_pictures_are_inside_and_are_what_was_examined(content: dict[str, Any]) -> None:
    shown = content["pictures"][0]["images"]["picture"]
    assert shown.startswith("data:image/jpeg;base64,")
    assert base64.b64decode(shown.partition(",")[2])[:3] == b"\xff\xd8\xff"
    assert content["pictures"][0]["images"]["heat"] is None  # arithmetic has no places


def test_the_page_asks_no_host_and_runs_nothing_of_a_file(content: dict[str, Any]) -> None:
    text = report_page(content)
    page = Page(text)
    assert page.open == []
    assert page.scripts == 1  # its own
    assert all(link.startswith(("data:image/", "#picture-")) for link in page.links)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(", text)
    assert HOSTILE not in text
    assert HOSTILE in unescape(text)
    assert "Midjourney <b>" not in text


def test_the_numbers_of_the_page_are_those_of_the_content(content: dict[str, Any]) -> None:
    text = unescape(report_page(content))
    for picture in content["pictures"][:3]:
        assert f"{picture['probability']['prob_fake']:.3f}" in text
        assert picture["evidence"]["sentence"] in text
        assert picture["sha256"] in text
        for sentence in picture["limits"]:
            assert sentence in text
    assert "A <17>" in text
    assert "unreadable_image" in text
    assert content["detector"]["id"] in text


def test_a_page_is_made_from_the_stored_content_alone(content: dict[str, Any], tmp_path: Path) -> None:
    beside = write_report(content, tmp_path / "case.html")
    assert beside == tmp_path / "case.json"
    stored = json.loads(beside.read_text(encoding="utf-8"))
    assert report_page(stored) == (tmp_path / "case.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("change", [{"schema": "other"}, {"schema_version": 2}, {"schema_version": 0}])
def test_content_of_another_kind_is_refused(content: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no content of a report"):
        report_page(content | change)


def test_a_name_that_is_no_text_is_written_out(bright_detector: Detector, tmp_path: Path) -> None:
    examined = examine(bright_detector, b"nothing", name="caf\udce9.png")
    content = report_content([examined], bright_detector, command="ganfingerprint report 'caf\udce9.png'")
    write_report(content, tmp_path / "case.html")
    assert "caf\\udce9.png" in (tmp_path / "case.html").read_text(encoding="utf-8")
