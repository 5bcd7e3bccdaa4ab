"""What a row of a scan's report says of the generator goes with its verdict."""

from __future__ import annotations

import pytest

from ganfingerprint.report.scanned import _generator


@pytest.mark.parametrize(
    ("generator", "verdict", "said"),
    [
        ("sdxl", "fake", "sdxl (0.61)"),
        ("sdxl", "uncertain", "if one made it: sdxl (0.61)"),
        ("sdxl", "real", "if one made it: sdxl (0.61)"),
        ("unknown generator", "uncertain", "unknown generator (0.61)"),
        ("photograph", "real", "photograph (0.61)"),
        (None, "fake", None),
    ],
)
def test_a_name_comes_with_an_if_where_the_verdict_is_not_fake(
    generator: str | None, verdict: str, said: str | None
) -> None:
    assert _generator({"generator": generator, "generator_probability": 0.611, "verdict": verdict}) == said


def test_a_row_of_the_first_tables_has_none() -> None:
    assert _generator({"verdict": "fake"}) is None
