"""The writer of the reference pages: cells, values and codes; what nobody explained is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import generate
import pytest
import typer
from generator import codes, commands, markdown, meanings, settings
from typer.main import get_command

from ganfingerprint.cli.exit_codes import ExitCode

app = typer.Typer()


@app.command("judge")
def judge(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Pictures.")],
    size: Annotated[int, typer.Option(min=1, max=9, help="A side | of *one*.")] = 3,
    code: Annotated[ExitCode, typer.Option(help="Which.")] = ExitCode.DONE,
    deep: Annotated[bool, typer.Option("--deep/--flat", help="How.")] = True,
    secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    names: Annotated[list[str] | None, typer.Option("--name", help="Repeatable.")] = None,
) -> None:
    """Judge
    pictures.

    Each once.
    """


@app.command("rest", hidden=True)
def rest() -> None:
    """Never shown."""


def parameters() -> dict[str, object]:
    ((name, command),) = commands.commands(get_command(app))
    assert name == "judge"
    return {str(parameter.name): parameter for parameter in command.params}


@pytest.mark.parametrize(
    ("name", "value", "default"),
    [
        ("size", "whole number, 1 to 9", "`3`"),
        ("code", "`0`, `1`, `2`, `130`", "`0`"),
        ("deep", "", "on"),
        ("names", "text, may be repeated", ""),
    ],
)
def test_what_an_option_takes(name: str, value: str, default: str) -> None:
    option = parameters()[name]
    assert commands._value(option) == value
    assert commands._default(option) == default


def test_hidden_commands_are_not_shown() -> None:
    assert [name for name, _ in commands.commands(get_command(app))] == ["judge"]


def test_paragraphs_are_lines() -> None:
    assert markdown.paragraphs("Judge\npictures.\n\nEach once.\n") == "Judge pictures.\n\nEach once."


def test_signs_of_markdown_are_escaped_in_cells() -> None:
    table = markdown.rows("a", "b", of=[("x | y", markdown.prose("n**power <b>"))])
    assert table.splitlines() == ["| a | b |", "| --- | --- |", r"| x \| y | n\*\*power \<b> |"]


def test_a_name_that_nobody_explained_is_refused() -> None:
    with pytest.raises(markdown.UnexplainedError, match=r"meanings.py does not say what 'colour' is \(in scan\)"):
        markdown.meaning(meanings.COLUMNS, "colour", table="scan")


def test_a_name_means_what_its_table_says() -> None:
    assert markdown.meaning(meanings.COLUMNS, "sha256", table="scan") == "SHA-256 of the file's bytes"
    assert markdown.meaning(meanings.COLUMNS, "sha256", table="pairs") == "SHA-256 of the photograph's file"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "`true`"), (0.5, "`0.5`"), ((), "none"), ((5, 7), "`[5, 7]`"), (None, "none"), ("", ""), (0, "`0`")],
)
def test_defaults_are_shown_as_yaml_has_them(value: object, shown: str) -> None:
    assert settings._shown(value) == shown


def test_codes_are_read_from_classes(tmp_path: Path) -> None:
    file = tmp_path / "errors.py"
    file.write_text(
        'class A(Exception):\n    """First.\n\n    More."""\n\n    code: str = "a"\n\n\n'
        'class B(A):\n    """Second."""\n\n    code = "b"\n\n\nclass C(A):\n    """No code."""\n',
        encoding="utf-8",
    )
    assert codes.error_classes(file) == [("A", "Exception", "a", "First."), ("B", "A", "b", "Second.")]


def test_every_error_of_the_package_is_found_once_and_none_of_the_service() -> None:
    names = [name for name, *_ in codes.all_errors()]
    assert names[0] == "GanFingerprintError"
    assert {"ScanError", "TooSlowError", "DetectorDamagedError"} <= set(names)
    assert len(names) == len(set(names))
    assert "BusyError" not in names


def test_codes_of_the_service_are_found_beside_their_status() -> None:
    found = codes.service_codes()
    assert found["no_heat"] == {501}  # a call
    assert found["unauthorized"] == {401}  # a tuple
    assert found["no_such_path"] == {404}  # a mapping
    assert found["busy"] == {503}  # a class, and a call
    assert found.keys() <= meanings.SERVICE_CODES.keys()


def test_check_finds_a_page_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main([]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(generate.PAGES)
    assert generate.main(["--check"]) == 0
    (tmp_path / "errors.md").write_text("old", encoding="utf-8")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/reference/errors.md differs from the code\n"
    assert (tmp_path / "errors.md").read_text(encoding="utf-8") == "old"


def test_a_page_with_an_unexplained_name_is_named_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.delitem(meanings.SERVICE_CODES, "no_heat")
    assert generate.main([]) == 1
    said = "docs/reference/errors.md: docs/generator/meanings.py does not say what 'no_heat' is (in service)"
    assert said in capsys.readouterr().out.splitlines()
    assert {path.name for path in tmp_path.iterdir()} == set(generate.PAGES) - {"errors.md"}
