"""The page of `serve` in a real browser: all that a person does on it, and that no other host hears of it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.service.settings import ServiceSettings

for needed in ("fastapi", "uvicorn"):
    pytest.importorskip(needed)
httpx2 = pytest.importorskip("httpx2")
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("axe_playwright_python.sync_playwright")

expect = playwright.expect
LIMITS = ServiceSettings(workers=2, max_body=60_000, max_files=3, timeout_s=60)
ONE_PLACE = ServiceSettings(workers=1, max_waiting=1, api_keys=frozenset({"open sesame"}), timeout_s=60)
File = dict[str, Any]


@pytest.fixture(scope="module")
def served(serving: Any) -> Iterator[Any]:
    with serving(LIMITS) as one:
        yield one


@pytest.fixture
def visit(visiting: Any, served: Any) -> Iterator[Any]:
    with visiting(served.url) as made:
        yield made


def png(name: str, *shades: int, size: tuple[int, int] = (200, 100)) -> File:
    """A picture of stripes of these shades, side by side."""
    stripes = np.repeat(np.array(shades, np.uint8), size[0] // len(shades))
    stream = io.BytesIO()
    PilImage.fromarray(np.broadcast_to(stripes[None, :, None], (size[1], len(stripes), 3))).save(stream, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": stream.getvalue()}


BROKEN: File = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"nothing"}
LARGE: File = {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": b"x" * 70_000}
MANY = (png("night.png", 20), png("b=1.png", 128), BROKEN, LARGE, png("=1+1.png", 250))


def asked_of(served: Any, file: File) -> dict[str, Any]:
    """What the service says to a program."""
    files = [("files", (file["name"], file["buffer"]))]
    answer: dict[str, Any] = httpx2.post(f"{served.url}/v1/predict", files=files).json()["answers"][0]
    return answer


def test_one_picture_is_answered_in_words_and_its_windows_lie_where_they_were_cut(visit: Any, served: Any) -> None:
    page, picture = visit.page, png("half.png", 40, 230)
    answer = asked_of(served, picture)
    visit.give(picture)
    expect(page.locator("#verdict")).to_have_text("cannot tell")
    assert page.locator("#meaning p").all_text_contents() == answer["meaning"]
    assert page.locator("#name").text_content() == "half.png"
    assert answer["sha256"] in page.locator("#facts").text_content()
    expect(page.get_by_role("img", name=re.compile(r"Weight of evidence \+\d\.\d\d on a scale"))).to_be_visible()
    mark, scale = page.locator("#mark").bounding_box(), page.locator("#scale").bounding_box()
    at = (mark["x"] + mark["width"] / 2 - scale["x"]) / scale["width"]
    assert at == pytest.approx(0.5 + answer["log10_lr"] / 4, abs=0.01)
    whole, boxes = page.locator("#picture").bounding_box(), page.locator("#boxes li")
    assert boxes.count() == len(answer["windows"]) == 2
    for index, window in enumerate(answer["windows"]):
        left, top, right, bottom = window["box"]
        shown = boxes.nth(index).bounding_box()
        assert shown["x"] - whole["x"] == pytest.approx(whole["width"] * left / 200, abs=2)
        assert shown["width"] == pytest.approx(whole["width"] * (right - left) / 200, abs=3)
        assert shown["height"] == pytest.approx(whole["height"] * (bottom - top) / 100, abs=3)
        chip = page.get_by_role("button", name=f"Window {index + 1}: probability {window['prob_fake']:.2f} by itself")
        chip.click()
        expect(chip).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#windows tr").nth(index)).to_have_attribute("aria-current", "true")
    assert page.locator('#windows tr[aria-current="true"]').count() == 1
    page.get_by_role("button", name="Windows", exact=True).click()
    expect(boxes.first).to_be_hidden()
    assert visit.rows()[0][1:] == ["cannot tell", f"{answer['prob_fake']:.3f}", f"+{answer['log10_lr']:.2f}", "1 of 2"]


def test_many_pictures_bad_ones_among_them_make_a_table_that_sorts_and_saves(visit: Any, served: Any) -> None:
    page = visit.page
    visit.expected.add(422)
    visit.give(*MANY)
    visit.finished()
    rows = {row[0]: row[1:] for row in visit.rows()}
    assert list(rows) == [file["name"] for file in MANY]
    assert rows["broken.jpg"] == [
        "not judged: this is not a picture in JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP [unreadable_image]"
    ]
    assert rows["large.jpg"] == ["not judged: it has 69 KB, and this service takes at most 58 KB [too_large]"]
    said = "Finished. No trace of generation found: 1; cannot tell: 1; not judged: 2; looks generated: 1."
    expect(page.locator("#status")).to_have_text(said)
    for column, order in (
        ("evidence", ["=1+1.png", "b=1.png", "night.png", "broken.jpg", "large.jpg"]),
        ("evidence", ["night.png", "b=1.png", "=1+1.png", "broken.jpg", "large.jpg"]),
        ("file", ["=1+1.png", "b=1.png", "broken.jpg", "large.jpg", "night.png"]),
    ):
        page.locator("#all thead").get_by_role("button", name=column).click()
        assert [row[0] for row in visit.rows()] == order
    assert page.locator("#all th[aria-sort]").evaluate_all("all => all.map(one => one.ariaSort)") == ["ascending"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save all as CSV").click()
    table = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert [line["file"] for line in table] == ["night.png", "b=1.png", "broken.jpg", "large.jpg", "'=1+1.png"]
    for line, file in zip(table, MANY, strict=True):
        if not line["error_code"]:
            answer = asked_of(served, file)
            assert {name: float(line[name]) for name in ("prob_fake", "log10_lr", "score")} == {
                name: answer[name] for name in ("prob_fake", "log10_lr", "score")
            }
            assert (line["sha256"], line["verdict"]) == (answer["sha256"], answer["verdict"])
    assert [line["error_code"] for line in table] == ["", "", "unreadable_image", "too_large", ""]


def test_a_report_is_saved_of_those_that_are_selected_and_refused_in_words_where_they_are_too_many(
    visit: Any,
) -> None:
    page, save = visit.page, visit.page.locator("#report")
    visit.give(*[png(f"{number}.png", 10 * number) for number in range(4)])
    visit.finished()
    expect(save).to_be_disabled()
    expect(page.locator("#report-note")).to_contain_text("at most 3 pictures and 58 KB; these are 4 with")
    for name in ("Select 1.png", "Select 3.png"):
        page.get_by_role("checkbox", name=name).check()
    expect(save).to_have_text("Save a report of 2 selected")
    with page.expect_download() as download:
        save.click()
    written = Path(download.value.path()).read_text(encoding="utf-8")
    assert [name in written for name in ("0.png", "1.png", "2.png", "3.png")] == [False, True, False, True]
    expect(page.locator("#status")).to_have_text("The report is saved.")
    page.get_by_role("button", name="Clear the list").click()
    expect(page.locator("#all")).to_be_hidden()
    expect(page.locator("#one")).to_be_hidden()


def test_pictures_are_dropped_and_pasted_and_their_names_are_no_markup(visit: Any) -> None:
    send = """([name, bytes, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        const about = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
        const make = kind === "paste" ? ClipboardEvent : DragEvent;
        for (const step of kind === "paste" ? ["paste"] : ["dragenter", "dragover", "drop"]) {
            document.body.dispatchEvent(new make(step, about));
        }
    }"""
    name = "<img src=x onerror=alert(1)>.png"
    for kind in ("paste", "drop"):
        visit.page.evaluate(send, [name, list(png(name, 240)["buffer"]), kind])
        visit.finished()
    assert [row[:2] for row in visit.rows()] == [[name, "looks generated"]] * 2
    assert visit.page.locator("#name").text_content() == name


def test_the_samples_are_examined_by_a_click(visit: Any) -> None:
    buttons = visit.page.locator("#samples button")
    for index in range(buttons.count()):
        buttons.nth(index).click()
        expect(visit.page.locator("#rows tr")).to_have_count(index + 1)
        visit.finished()
    names = [row[0] for row in visit.rows()]
    assert names == ["cat.jpg", "cat-realesrgan.jpg", "palace-span.jpg", "dahlia-taef2.jpg"]
    assert visit.page.locator("#samples img").evaluate_all("all => all.every(one => one.naturalWidth > 300)")


def test_the_heat_map_fades_in_and_the_spectrum_lies_beside(visit: Any) -> None:
    page = visit.page
    visit.give(png("half.png", 40, 255))
    page.get_by_role("button", name="Heat map").click()
    heat, slider = page.locator("#heat"), page.get_by_role("slider", name="From the picture to its heat map")
    expect(heat).to_have_attribute("alt", re.compile("where the evidence for a generator seems to lie"))
    expect(heat).to_have_js_property("naturalWidth", 200)
    expect(heat).to_have_css("opacity", "1")
    slider.press("Home")
    expect(heat).to_have_css("opacity", "0")
    slider.press("ArrowRight")
    expect(heat).to_have_css("opacity", "0.01")
    page.get_by_role("button", name="Spectrum").click()
    expect(page.get_by_role("img", name="Spectrum of the fine detail")).to_have_js_property("naturalWidth", 96)
    page.get_by_role("button", name="Heat map").click()
    expect(heat).to_be_hidden()
    visit.give(BROKEN, png("other.png", 10), png("last.png", 10))
    visit.expected.add(422)
    expect(page.locator("#name")).to_have_text("other.png")  # and what belonged to the first picture has gone
    expect(page.locator("#spectrum-figure")).to_be_hidden()


def test_a_key_is_asked_for_and_a_queue_that_is_full_is_waited_for(visiting: Any, serving: Any) -> None:
    with serving(ONE_PLACE) as guarded, visiting(guarded.url) as visit:
        page = visit.page
        visit.expected |= {401, 503}
        visit.give(*[png(f"{number}.png", 250) for number in range(3)])
        guarded.engine.go.clear()
        for key in ("wrong", "open sesame"):
            page.get_by_label("This service asks for a key").fill(key)
            page.get_by_role("button", name="Use it").click()
            expect(page.locator("#key-wrong")).to_have_text("This key was not accepted.")
        expect(page.locator("#key-form")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("The service is busy with others; waiting for a place …")
        assert page.get_by_role("progressbar", name="Pictures examined").evaluate("bar => bar.value") == 0
        guarded.engine.go.set()
        visit.finished()
        assert [row[1] for row in visit.rows()] == ["looks generated"] * 3


def test_what_waits_can_be_stopped(visit: Any, served: Any) -> None:
    served.engine.go.clear()
    visit.give(*[png(f"{number}.png", 250) for number in range(5)])
    assert [row[1] for row in visit.rows()] == ["being examined …"] * 3 + ["waiting"] * 2
    visit.page.get_by_role("button", name="Stop").click()
    served.engine.go.set()
    visit.finished()
    assert {row[1] for row in visit.rows()} == {"not judged: stopped before its turn [stopped]"}
    expect(visit.page.locator("#files")).to_be_focused()
    visit.give(png("again.png", 250))
    visit.finished()
    assert visit.rows()[-1][1] == "looks generated"


def test_a_service_that_has_gone_is_told_in_words(visit: Any) -> None:
    visit.page.context.set_offline(True)
    visit.give(png("a.png", 250))
    visit.finished()
    assert "it could not be sent: the service cannot be reached" in visit.rows()[0][1]
    visit.complaints = [said for said in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in said]


def test_a_file_that_the_browser_cannot_show_is_answered_and_shown_under_its_heat(visit: Any) -> None:
    stream = io.BytesIO()
    PilImage.fromarray(np.full((100, 190, 3), 250, np.uint8)).save(stream, "TIFF")
    visit.give({"name": "scan.tif", "mimeType": "image/tiff", "buffer": stream.getvalue()})
    expect(visit.page.locator("#verdict")).to_have_text("looks generated")
    expect(visit.page.locator("#cannot-show")).to_be_visible()
    expect(visit.page.locator("#picture")).to_be_hidden()
    visit.page.get_by_role("button", name="Heat map").click()
    expect(visit.page.locator("#picture")).to_have_js_property("naturalWidth", 190)
    expect(visit.page.locator("#boxes li").first).to_be_visible()


def focused(page: Any) -> str:
    name = "e => e.id || e.getAttribute('aria-label') || e.textContent.trim()"
    found: str = page.evaluate(f"({name})(document.activeElement)")
    return found


def walk(page: Any, goal: str) -> list[str]:
    """Press Tab until the focus is on what is called so; what it was on."""
    names = []
    for _ in range(40):
        page.keyboard.press("Tab")
        names.append(focused(page))
        if names[-1] == goal:
            return names
    raise AssertionError(f"{goal} was not among {names}")


def test_all_of_it_is_reached_by_keyboard_alone(visit: Any) -> None:
    page = visit.page
    assert walk(page, "files") == ["files"]
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([png("half.png", 40, 255), png("dark.png", 10)])
    visit.finished()
    assert walk(page, "evidence")[-6:] == [
        "Table of pictures",
        "select-all",
        "file",
        "verdict",
        "probability",
        "evidence",
    ]
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert [row[0] for row in visit.rows()] == ["dark.png", "half.png"]
    walk(page, "dark.png")
    page.keyboard.press("Enter")
    assert focused(page) == "one"
    assert page.locator("#verdict").text_content() == "no trace of generation found"
    walk(page, "show-heat")
    page.keyboard.press("Space")
    expect(page.locator("#heat")).to_be_visible()
    walk(page, "fade")
    page.keyboard.press("Home")
    expect(page.locator("#heat")).to_have_css("opacity", "0")
    assert walk(page, "Window 1: probability 0.01 by itself") == ["Window 1: probability 0.01 by itself"]
    page.keyboard.press("Enter")
    expect(page.locator("#windows tr").first).to_have_attribute("aria-current", "true")
    assert walk(page, "windows-summary") == ["Window 2: probability 0.01 by itself", "windows-summary"]
    expect(page.locator("#windows tr").nth(1)).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#windows tr").nth(1)).to_be_hidden()
    for name in page.locator("button:visible, input:visible, summary:visible, a:visible").all():
        assert name.evaluate("e => e.tabIndex") == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("light", 390), ("dark", 1280), ("dark", 390)])
def test_nothing_is_in_the_way_of_who_cannot_see_it_well(visiting: Any, served: Any, scheme: str, width: int) -> None:
    with visiting(served.url, scheme=scheme, width=width) as visit:
        page = visit.page
        assert visit.problems() == []
        visit.expected.add(422)
        visit.give(*MANY)
        visit.finished()
        page.locator("#show-heat").click()
        page.locator("#show-spectrum").click()
        page.locator("#boxes button").first.click()
        expect(page.locator("#spectrum-figure")).to_be_visible()
        expect(page.locator("#heat")).to_be_visible()
        assert visit.problems() == []
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
