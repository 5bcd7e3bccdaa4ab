"""The documentation site: its pages say what the code does, every link leads somewhere, and no figure is made up."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("fastapi", reason="the service's part needs the extra 'serve'")

import generate
import outside
from generator import commands, endpoints
from typer.main import get_command

from ganfingerprint import config, errors
from ganfingerprint.artifact import read_card, shipped_detector
from ganfingerprint.attribution import Gallery, attribute, read_gallery, shipped_gallery, words
from ganfingerprint.cli.main import app
from ganfingerprint.cli.tables import COLUMNS
from ganfingerprint.detector import Detector
from ganfingerprint.scan.schema import SCHEMA
from ganfingerprint.service.answers import answer_content
from ganfingerprint.service.attributed import attributed_content
from ganfingerprint.types import Failure

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BY_HAND = sorted(DOCS.glob("*.md"))
TABLES = sorted((ROOT / "results" / "clip").glob("*.csv"))  # of the shipped detector
MEASURED = ("README.md", "MODEL_CARD.md", "benchmarks/README.md", "docs/what-generalises.md")
FIGURE = re.compile(r"([\d.]+)(?: %)? (?:\[([\d.]+), ([\d.]+)\]|\(([\d.]+) to ([\d.]+)\))")
REWRITE = "run `python docs/generate.py` (or `make reference`) and commit what it writes"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def site() -> dict[str, object]:
    found = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def slug(heading: str) -> str:
    """The anchor of a heading, as the repository's host and the site's builder make it."""
    plain = re.sub(r"\]\([^)]*\)", "", heading).lower()
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", plain).strip())


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)}


def figures(text: str) -> Iterator[tuple[float, float, float]]:
    for value, *ends in FIGURE.findall(text):
        low, high = (end for end in ends if end)
        yield float(value), float(low), float(high)


def measured() -> set[tuple[float, float, float]]:
    """What the shipped detector's tables hold, as it is quoted: three digits, or per cent with one digit or none."""
    found = {found for name in MEASURED for found in figures((ROOT / name).read_text(encoding="utf-8"))}
    for path in TABLES:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row.get("low"):
                    exact = [float(row[name]) for name in ("value", "low", "high")]
                    for factor, digits in ((1, 3), (100, 1), (100, 0)):
                        value, low, high = (round(factor * number, digits) for number in exact)
                        found.add((value, low, high))
    return found


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_written_page_is_what_the_code_says(name: str) -> None:
    assert page(f"reference/{name}") == generate.PAGES[name](), REWRITE


def test_no_other_page_lies_among_those_that_are_written() -> None:
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(generate.PAGES)


def test_every_command_and_option_is_documented_with_its_meaning() -> None:
    text = page("reference/commands.md")
    found = list(commands.commands(get_command(app)))
    assert {"predict", "benchmark robustness"} <= {name for name, _ in found}
    for name, command in found:
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert command.help, name
        for parameter in command.params:
            if parameter.name == "help" or parameter.hidden:
                continue
            shown = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
            rows = [line for line in section.splitlines() if f"`{shown}`" in line.partition(" | ")[0]]
            assert rows, f"{name}: {shown}"
            assert all(row.split(" | ")[-1].strip("| ") for row in rows), f"{name}: {shown} has no help"


def test_every_setting_is_documented() -> None:
    text = page("reference/settings.md")
    assert [name for name, _, _ in config.describe() if f"| `{name}` |" not in text] == []


def test_every_column_is_documented() -> None:
    text = page("reference/columns.md")
    parts = {title: text.partition(f"## {title}")[2].partition("\n## ")[0] for title in ("predict:", "scan:")}
    assert [name for name in COLUMNS if f"| `{name}` |" not in parts["predict:"]] == []
    assert [name for name in SCHEMA.names if f"| `{name}` |" not in parts["scan:"]] == []


def test_every_code_is_documented() -> None:
    text = page("reference/errors.md")
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")]
    general = (errors.GanFingerprintError, errors.InputError)  # never met as such
    assert [kind.code for kind in classes if kind not in general and f"| `{kind.code}` |" not in text] == []


def test_every_endpoint_is_documented() -> None:
    found = endpoints.endpoints()
    assert ("/v1/predict", "post") in {(path, method) for path, method, _ in found}
    text = page("reference/endpoints.md")
    assert [path for path, method, _ in found if f"\n## {method.upper()} {path}\n" not in text] == []


def test_the_navigation_names_every_page_once_and_no_other() -> None:
    named = list(outside.nav_pages(site()["nav"]))
    own = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(named) == len(set(named))
    assert {name for name in named if not name.startswith("repository/")} == own
    assert [name for name in named if not (ROOT / outside.repository_of(name)).is_file()] == []


def test_every_link_and_anchor_of_the_site_leads_somewhere() -> None:
    named = {outside.repository_of(name): name for name in outside.nav_pages(site()["nav"])}
    pages = [*(f"docs/{path.relative_to(DOCS).as_posix()}" for path in DOCS.rglob("*.md")), *outside.outside(named)]
    broken = []
    for here in pages:
        text = outside.text_of(here)
        if text is None or (ROOT / here).is_dir():
            continue
        for link, anchor in re.findall(r"\]\(([^)#\s:]*)(?:#([^)\s]*))?\)", text):
            target = (ROOT / here).parent / link if link else ROOT / here
            target = target / "README.md" if anchor and target.is_dir() else target
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                broken.append(f"{here}: {link}#{anchor}")
    assert broken == []


def test_every_figure_of_a_page_stands_where_it_was_measured() -> None:
    """So that a new detector, whose figures go into README and model card, leaves no old one on the site."""
    known = measured()
    assert (0.978, 0.968, 0.986) in known
    wrong = [f"{path.name}: {found}" for path in BY_HAND for found in figures(page(path.name)) if found not in known]
    assert wrong == []


def test_the_pages_speak_of_the_detector_that_ships() -> None:
    """A new one has other figures: then read these pages again."""
    shipped = read_card(shipped_detector()).detector_id
    named = {name: set(re.findall(r"`([0-9a-f]{12})`", page(name))) for name in ("faq.md", "limits.md", "verdict.md")}
    assert named == {name: {shipped} for name in named}


def test_the_service_answers_as_its_page_shows(
    bright_detector: Detector, tint_gallery: Callable[[str], Gallery]
) -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page("service.md"), re.DOTALL)]
    answers, attributed, error = blocks
    pixels = (ROOT / "samples" / "real" / "cat.jpg").read_bytes()
    judged, failed = answers["answers"]
    shown = answer_content(bright_detector.predict(pixels), bright_detector.calibration)
    assert list(judged) == list(shown)
    assert list(judged["windows"][0]) == list(shown["windows"][0])
    assert list(failed) == list(answer_content(Failure(source="a", code="b", error="c"), bright_detector.calibration))
    answer = bright_detector.predict(pixels)
    (found,) = attribute([answer], tint_gallery(bright_detector.detector_id))
    told = attributed_content(answer, found)
    assert list(attributed) == list(told)
    for parts in ("candidates", "nearest"):
        assert list(attributed[parts][0]) == list(told[parts][0])
    known = shipped_gallery()
    assert known is not None
    assert attributed["gallery_id"] == read_gallery(known).gallery_id
    assert (attributed["priors"], attributed["note"]) == (words.PRIORS, words.LEAD)
    assert list(error["error"]) == ["code", "message", "request_id"]


def test_nothing_of_the_site_is_asked_of_another_host() -> None:
    theme = site()["theme"]
    assert isinstance(theme, dict)
    assert theme["font"] is False
    assert [str(name) for name in site()["extra_css"] if "//" in str(name)] == []  # type: ignore[attr-defined]
    assert "default-src 'self'" in (DOCS / "theme" / "main.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_site_builds_and_asks_no_other_host(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("material", reason="the site needs the extra 'docs'")
    import subprocess

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0, capfd.readouterr().err
    asked = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//", re.IGNORECASE)
    styles = re.compile(r"(?:url\(|@import )[\"']?(?:https?:)?//")
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) > len(BY_HAND)
    assert [path.name for path in built if asked.search(path.read_text(encoding="utf-8"))] == []
    assert [path.name for path in (tmp_path / "site").rglob("*.css") if styles.search(path.read_text("utf-8"))] == []
