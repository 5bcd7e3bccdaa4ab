"""Links between pages of the repository become links of the site, and what they lead to comes along."""

from __future__ import annotations

import outside
import pytest


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("docs/fakes.md", "fakes.md"),
        ("docs/images/page.jpg", "images/page.jpg"),
        ("README.md", "repository/README.md"),
        ("benchmarks/README.md", "repository/benchmarks/README.md"),
        ("results/rivals.csv", "repository/results/rivals.csv"),
        ("results/clip", "repository/results/clip/index.md"),
        ("samples", "repository/samples/README.md"),
        ("LICENSE", "repository/LICENSE.txt"),
    ],
)
def test_where_things_lie_on_the_site(path: str, source: str) -> None:
    assert outside.site_of(path) == source


@pytest.mark.parametrize("source", ["fakes.md", "reference/errors.md", "repository/benchmarks/README.md"])
def test_a_page_is_found_again(source: str) -> None:
    assert outside.site_of(outside.repository_of(source)) == source


@pytest.mark.parametrize(
    ("page", "text", "turned"),
    [
        ("docs/start.md", "[a](../README.md#serve)", "[a](repository/README.md#serve)"),
        ("docs/start.md", "[a](verdict.md)", "[a](verdict.md)"),
        ("docs/reference/errors.md", "[a](../service.md#limits)", "[a](../service.md#limits)"),
        ("docs/reference/errors.md", "[a](../../README.md)", "[a](../repository/README.md)"),
        ("README.md", "![a](docs/images/page.jpg)", "![a](../images/page.jpg)"),
        ("README.md", "[a](results/clip), [b](LICENSE)", "[a](results/clip/index.md), [b](LICENSE.txt)"),
        ("benchmarks/README.md", "[a](../docs/fakes.md)", "[a](../../fakes.md)"),
        ("benchmarks/README.md", "[a](https://a.org/x.md), [b](#x)", "[a](https://a.org/x.md), [b](#x)"),
        ("docs/start.md", "```\n[a](../README.md)\n```\n", "```\n[a](../README.md)\n```\n"),
        ("docs/start.md", "```\nx\n```\n[a](../README.md)", "```\nx\n```\n[a](repository/README.md)"),
    ],
)  # fmt: skip
def test_links_are_turned(page: str, text: str, turned: str) -> None:
    assert outside.turned(text, page) == turned


def test_what_is_linked_comes_along_and_what_that_links_to() -> None:
    found = outside.outside({"benchmarks/README.md": "repository/benchmarks/README.md"})
    assert {"README.md", "LICENSE", "results/rivals.csv", "results/clip", "results/clip/test.csv"} <= set(found)
    assert "benchmarks/accuracy/experiments/runs.yaml" in found
    assert [path for path in found if path.startswith(("docs/", "weights/", "src/"))] == []


def test_a_folder_is_a_list_of_its_files() -> None:
    text = outside.text_of("results/clip")
    assert text is not None
    assert text.startswith("# results/clip\n")
    assert "- [test.csv](test.csv)\n" in text


def test_a_file_that_is_no_page_has_no_text() -> None:
    assert outside.text_of("results/rivals.csv") is None


def test_the_pages_of_a_navigation() -> None:
    assert list(outside.nav_pages([{"A": "a.md"}, {"B": ["b.md", {"C": "c.md"}]}])) == ["a.md", "b.md", "c.md"]
