"""The page of the commands, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from generator.markdown import WRITTEN, code, page, paragraphs, plain_type, prose, rows


def commands_page() -> str:
    """Every command with its arguments and options."""
    from typer.main import get_command

    from ganfingerprint.cli.main import app

    root = get_command(app)
    parts = [
        "# Commands", WRITTEN,
        "What `ganfingerprint --help` and `ganfingerprint COMMAND --help` print. Exit codes: [errors](errors.md).",
        rows("option", "meaning", of=[("`--version`", _version_help(root)), ("`-h`, `--help`", "Help, and stop.")]),
    ]  # fmt: skip
    for name, command in commands(root):
        parts += [f"## {name}", f"```\n{_usage(name, command)}\n```", paragraphs(command.help or "")]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden and p.name != "help"]
        if arguments:
            named = ((code(p.metavar or str(p.name).upper()), _many(p), prose(p.help or "")) for p in arguments)
            parts.append(rows("argument", "", "meaning", of=named))
        if options:
            spelled = ((_spelled(p), _value(p), _default(p), prose(p.help or "")) for p in options)
            parts.append(rows("option", "value", "default", "meaning", of=spelled))
    return page(*parts)


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each command that can be run, by the words that call it."""
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield above + name, command


def _version_help(root: Any) -> str:
    return next(p.help for p in root.params if p.name == "version") or ""


def _usage(name: str, command: Any) -> str:
    words = [
        ("{}" if p.required else "[{}]").format(p.metavar or str(p.name).upper()) + ("..." if p.nargs == -1 else "")
        for p in command.params
        if p.param_type_name == "argument"
    ]
    return " ".join(["ganfingerprint", name, "[OPTIONS]", *words])


def _spelled(option: Any) -> str:
    return ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))


def _many(parameter: Any) -> str:
    return ("one or more" if parameter.nargs == -1 else "") if parameter.required else "may be left out"


def _value(option: Any) -> str:
    kind = plain_type(option.type_descriptor.annotation)
    if getattr(option, "is_flag", False):
        return ""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(code(item.value) for item in kind)
    said = code(option.metavar) if option.metavar else {int: "whole number", float: "number"}.get(kind, "text")
    low, high = getattr(option, "min", None), getattr(option, "max", None)
    if low is not None or high is not None:
        said += f", {low if low is not None else '...'} to {high}" if high is not None else f", at least {low}"
    return said + (", may be repeated" if option.multiple else "")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if getattr(option, "is_flag", False):
        return "on" if option.default else ""
    value = option.default.value if isinstance(option.default, Enum) else option.default
    return "" if value is None or value == "" or callable(value) else code(value)
