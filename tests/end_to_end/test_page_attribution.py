"""The page of `serve` where generators are known: which one it was, and whether two pictures are of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ganfingerprint.attribution import Gallery, words
from ganfingerprint.service.settings import ServiceSettings

for needed in ("fastapi", "uvicorn"):
    pytest.importorskip(needed)
httpx2 = pytest.importorskip("httpx2")
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("axe_playwright_python.sync_playwright")

expect = playwright.expect
LIMITS = ServiceSettings(workers=2, max_files=3, timeout_s=60)


@pytest.fixture(scope="module")
def served(serving: Any, tint_gallery: Callable[[str], Gallery]) -> Iterator[Any]:
    with serving(LIMITS, tint_gallery) as one:
        yield one


@pytest.fixture
def visit(visiting: Any, served: Any) -> Iterator[Any]:
    with visiting(served.url) as made:
        yield made


@pytest.fixture
def file(tinted: Callable[..., bytes]) -> Callable[..., dict[str, Any]]:
    """`file("reds", 1)`: a picture as the browser sends it."""

    def make(name: str, number: int = 0) -> dict[str, Any]:
        return {"name": f"{name}-{number}.png", "mimeType": "image/png", "buffer": tinted(name, number)}

    return make


def select(page: Any, *names: str) -> None:
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}").check()


def test_the_generator_is_asked_for_and_put_away(visit: Any, served: Any, file: Any) -> None:
    page = visit.page
    visit.give(file("reds"))
    visit.finished()
    reds = file("reds")
    files = {"file": (reds["name"], reds["buffer"])}
    (said,) = httpx2.post(f"{served.url}/v1/attribute", files=files).json()["answers"]
    button = page.get_by_role("button", name="Which generator")
    expect(button).to_have_attribute("aria-expanded", "false")
    assert [path for path in visit.asked if path.endswith("/v1/attribute")] == []
    button.click()
    expect(page.locator("#whose-sentence")).to_have_text(said["sentence"])
    assert said["sentence"].startswith("Likeliest: reds made it (probability ")
    cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    assert page.locator("#whose-rows tr").evaluate_all(cells) == [
        *[[one["name"], f"{one['probability']:.3f}", str(one["references"])] for one in said["candidates"]],
        ["a generator that is not enrolled", f"{said['prob_unknown']:.3f}", ""],
        ["none: a photograph", f"{said['prob_photograph']:.3f}", ""],
    ]
    expect(page.locator("#whose-nearest")).to_contain_text(f"{said['nearest'][0]['id']} (reds, distance ")
    expect(page.locator("#whose-worth")).to_contain_text(words.LEAD)
    expect(page.locator("#known")).to_have_text(f"3 generators are known (gallery {said['gallery_id']}).")
    expect(page.locator("#whose-reservation")).to_be_hidden()
    button.click()
    expect(page.locator("#whose")).to_be_hidden()
    button.click()
    expect(page.locator("#whose")).to_be_visible()
    assert len([path for path in visit.asked if path.endswith("/v1/attribute")]) == 1  # it is kept


def test_what_is_said_of_one_picture_goes_with_it_and_a_verdict_is_not_overruled(visit: Any, file: Any) -> None:
    page = visit.page
    visit.give(file("blues"), file("photograph"))
    visit.finished()
    page.get_by_role("button", name="Which generator").click()
    expect(page.locator("#whose-sentence")).to_contain_text("blues made it")
    page.get_by_role("button", name="photograph-0.png").click()
    expect(page.locator("#whose")).to_be_hidden()
    page.get_by_role("button", name="Which generator").click()
    expect(page.locator("#whose-reservation")).to_have_text(words.IF_GENERATED)
    expect(page.locator("#whose-sentence")).not_to_contain_text("blues")


def test_two_pictures_of_the_table_are_compared(visit: Any, file: Any) -> None:
    page = visit.page
    visit.expected.add(422)
    broken = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"nothing"}
    visit.give(file("reds"), file("reds", 1), file("photograph"), broken)
    visit.finished()
    compare, pair = page.get_by_role("button", name="Compare the two selected"), page.locator("#pair")
    expect(compare).to_be_disabled()
    select(page, "reds-0.png", "broken.jpg")
    expect(compare).to_be_disabled()  # one of them was not judged
    page.get_by_role("checkbox", name="Select broken.jpg").uncheck()
    select(page, "reds-1.png")
    compare.click()
    expect(pair).to_be_focused()
    expect(page.locator("#pair-sentence")).to_have_text(
        re.compile(
            r"The two fingerprints are about [\d.]+ times as likely if they are of one generator \(P.* bounded at"
        )
    )
    facts = page.locator("#pair-facts dt").all_text_contents()
    assert facts == ["reds-0.png", "reds-1.png", "distance"]
    assert page.locator("#pair-facts dd").first.text_content().startswith("looks generated (probability ")
    assert page.locator("#pair-reservations p").count() == 0
    expect(page.locator("#pair-note")).to_contain_text(words.COMPARED)
    select(page, "photograph-0.png")
    expect(compare).to_be_disabled()  # three
    page.get_by_role("checkbox", name="Select reds-1.png").uncheck()
    compare.click()
    expect(page.locator("#pair-reservations p")).to_have_text(
        f"Of the second side the detector says: 1 real. {words.NOT_FOR_PHOTOGRAPHS}"
    )
    page.get_by_role("button", name="Clear the list").click()
    expect(pair).to_be_hidden()


def test_two_samples_are_compared_by_keyboard_alone(visit: Any) -> None:
    page = visit.page
    for index in (1, 2):
        page.locator("#samples button").nth(index).press("Enter")
        expect(page.locator("#rows tr")).to_have_count(index)  # it was fetched, and is examined
        visit.finished()
    for box in page.locator("#rows input").all():
        box.press("Space")
    expect(page.locator("#compare")).to_be_enabled()
    page.locator("#compare").press("Enter")
    expect(page.locator("#pair")).to_be_focused()
    assert page.locator("#pair-facts dt").all_text_contents()[:2] == ["cat-realesrgan.jpg", "palace-span.jpg"]
    page.locator("#show-generator").press("Enter")
    expect(page.locator("#whose-sentence")).to_contain_text("probability ")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_nothing_of_it_is_in_the_way_of_who_cannot_see_it_well(
    visiting: Any, served: Any, file: Any, scheme: str, width: int
) -> None:
    with visiting(served.url, scheme=scheme, width=width) as visit:
        page = visit.page
        visit.give(file("reds"), file("photograph"))
        visit.finished()
        page.locator("#show-generator").click()
        expect(page.locator("#whose")).to_be_visible()
        select(page, "reds-0.png", "photograph-0.png")
        page.locator("#compare").click()
        expect(page.locator("#pair")).to_be_visible()
        assert visit.problems() == []
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_without_a_gallery_none_of_it_is_offered(visiting: Any, serving: Any, file: Any) -> None:
    with serving(LIMITS) as knows_none, visiting(knows_none.url) as visit:
        visit.give(file("reds"))
        visit.finished()
        expect(visit.page.locator("#one")).to_be_visible()
        for offered in ("#show-generator", "#compare", "#compare-note"):
            expect(visit.page.locator(offered)).to_be_hidden()
