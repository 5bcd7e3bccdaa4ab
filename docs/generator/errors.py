"""The page of the error codes, from `errors.py`, the service and the command line."""

from __future__ import annotations

from generator import codes, meanings
from generator.markdown import WRITTEN, code, meaning, page, rows


def errors_page() -> str:
    """Every code of an error, where it is met, and every exit code."""
    from ganfingerprint.cli.exit_codes import ExitCode

    tree = codes.all_errors()
    pictures = [entry for entry in tree if entry[1] == "InputError"]
    others = [entry for entry in tree if entry[1] not in ("InputError", "Exception") and entry[0] != "InputError"]
    command_only = sorted(set(codes.refusals(codes.SOURCE / "cli" / "main.py")))
    service = codes.service_codes()
    parts = [
        "# Errors", WRITTEN, "Codes do not change; sentences may. Switch on the code.",
        "## Of one picture", "The picture becomes a row with `error_code` and `error`; all others are judged, and the "
        "command ends with 2. Of a request for this picture alone it is the answer.",
        rows("code", "meaning", "status of the service", of=(
            (code(name), said, str(_status(name))) for _, _, name, said in pictures)),
        "## Of a command", "`error [CODE]: sentence` on stderr, and the command ends with 1.",
        rows("code", "meaning", of=((code(name), said) for _, _, name, said in others)),
        rows("code, of the command line itself", "meaning", of=(
            (code(name), meaning(meanings.COMMAND_CODES, name, table="commands")) for name in command_only)),
        "## Of the service", 'One shape: `{"error": {"code", "message", "request_id"}}`. Codes of pictures, above, are '
        "met too.", rows("code", "status", "meaning", of=(
            (code(name), ", ".join(map(str, sorted(found))), meaning(meanings.SERVICE_CODES, name, table="service"))
            for name, found in sorted(service.items()))),
        "## Exit codes", rows("code", "meaning", of=(
            (str(item.value), meaning(meanings.EXIT_CODES, item.name, table="exit codes")) for item in ExitCode)),
    ]  # fmt: skip
    return page(*parts)


def _status(name: str) -> int:
    from ganfingerprint.service.answers import STATUS_OF

    return STATUS_OF.get(name, 422)
