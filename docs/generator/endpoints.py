"""The page of the endpoints, from what the service tells of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from generator import meanings
from generator.markdown import WRITTEN, code, meaning, page, paragraphs, rows


def endpoints_page() -> str:
    """Every endpoint of the service, and its limits."""
    from ganfingerprint.service.limits import OPEN_PATHS
    from ganfingerprint.service.pages import PATHS
    from ganfingerprint.service.settings import ServiceSettings

    parts = [
        "# Endpoints", WRITTEN, "What a running service tells itself at `/docs` and `/openapi.json`; how to ask, with "
        "examples: [the service](../service.md). Codes: [errors](errors.md#of-the-service).",
    ]  # fmt: skip
    for path, method, about in endpoints():
        key = "" if path in OPEN_PATHS else " Needs a key where the service has keys."
        said = f"{about['summary']}. {paragraphs(about.get('description', ''))}".strip()
        parts += [f"## {method.upper()} {path}", said + key, _asked(about)]
    pages = ", ".join(code(path) for path in (*sorted(PATHS), "/openapi.json"))
    cells = ((code(f.name), _limit(f.default), meaning(meanings.LIMITS, f.name, table="limits"))
             for f in dataclasses.fields(ServiceSettings))  # fmt: skip
    parts += ["## For people", f"{pages}: the page, its files, and the description of all of this. No key.",
              "## Limits", rows("limit", "default", "meaning", of=cells)]  # fmt: skip
    return page(*parts)


def endpoints() -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each endpoint, as the service tells."""
    from ganfingerprint.artifact import Card
    from ganfingerprint.calibrate import Calibration
    from ganfingerprint.config import WindowConfig, to_mapping
    from ganfingerprint.detector import Detector
    from ganfingerprint.engines.fake_engine import FakeEngine
    from ganfingerprint.service.app import create_app

    calibration = Calibration.unfitted().to_mapping()
    card = Card(name="any", architecture={}, window=to_mapping(WindowConfig()), calibration=calibration)
    paths = create_app(Detector(engine=FakeEngine(), card=card)).app.openapi()["paths"]
    return [(path, method, about) for path, methods in paths.items() for method, about in methods.items()]


def _asked(about: Mapping[str, Any]) -> str:
    contents = about.get("requestBody", {}).get("content", {})
    lines = []
    for kind, content in contents.items():
        fields = ", ".join(code(name) for name in content["schema"].get("properties", {}))
        lines.append(f"- asks for: {code(kind)}, {fields}" if fields else f"- asks for: {code(kind)}")
    for parameter in about.get("parameters", ()):
        lines.append(f"- {parameter['in']}: {code(parameter['name'])} {parameter.get('description', '')}".rstrip())
    gives = [code(kind) for answer in ("200",) for kind in about["responses"].get(answer, {}).get("content", {})]
    return "\n".join([*lines, *([f"- gives: {', '.join(gives)}"] if gives else [])])


def _limit(value: object) -> str:
    if isinstance(value, frozenset):
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
