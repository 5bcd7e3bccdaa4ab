"""The content of a report → one page that needs no other file and asks no host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import MissingExtraError, UsageError
from ganfingerprint.report.content import SCHEMA, SCHEMA_VERSION
from ganfingerprint.report.profile import profile_drawing

try:
    import jinja2
except ModuleNotFoundError as absent:
    raise MissingExtraError("jinja2", "report", "a report") from absent

_WIDTH, _HEIGHT = 640, 120  # of the drawn distribution, its own units


def report_page(content: Mapping[str, Any]) -> str:
    """The page, from the content alone; every text in it is escaped.

    Raises:
        UsageError: it is no such content, or of another version of the schema.
    """
    if (content.get("schema"), content.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise UsageError(f"this is no content of a report that this version reads (schema {SCHEMA} {SCHEMA_VERSION})")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganfingerprint.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.0f} %", "bytes": lambda n: f"{n:,}"}
    environment.filters["drawn"] = profile_drawing
    return environment.get_template("report.html").render(
        **content, distribution=_distribution(content["histogram"], content["detector"]["calibration"])
    )


def write_report(content: Mapping[str, Any], out: Path) -> Path:
    """Write the page, and its content as JSON beside it; returns the JSON's place."""
    beside_it, page = out.with_suffix(".json"), report_page(content)
    with replacing(beside_it) as beside:
        beside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with replacing(out) as beside:
        beside.write_text(page, encoding="utf-8")
    return beside_it


def _distribution(histogram: Mapping[str, Any], calibration: Mapping[str, Any]) -> dict[str, Any] | None:
    """Bars and lines of the distribution of scores, in the units of its drawing."""
    if not histogram:
        return None
    edges: list[float] = histogram["edges"]
    low, high = edges[0], edges[-1]
    highest = max(*histogram["photographs"], *histogram["fakes"])

    def place(score: float) -> float:
        return _WIDTH * min(max((score - low) / (high - low), 0.0), 1.0)

    bars = [
        {"x": place(start), "width": place(end) - place(start) - 0.5, "height": _HEIGHT * share / highest, "kind": kind}
        for kind in ("photographs", "fakes")
        for start, end, share in zip(edges, edges[1:], histogram[kind], strict=False)
    ]
    lines = {name: place(calibration[name]) for name in ("real_threshold", "fake_threshold")}
    return {"width": _WIDTH, "height": _HEIGHT, "low": low, "high": high, "bars": bars, **lines}
