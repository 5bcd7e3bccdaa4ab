"""How much detail a picture has at each frequency, beside photographs and the likeliest generator."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ganfingerprint.attribution import PHOTOGRAPH
from ganfingerprint.examine import Examination
from ganfingerprint.explain.spectrum import INNERMOST_RING, levelled_profile

_WIDTH, _HEIGHT = 640, 150  # of the drawing, its own units
_STEP = 0.1  # cycles per pixel between two ticks


def profile_content(examination: Examination) -> dict[str, Any] | None:
    """Decibels above the mean of each ring, of the picture and of the gallery's; None where there are none of those.

    The step between rings is 1 / s cycles per pixel in a spectrum [s, s]; the first rings are left out.
    """
    if examination.spectrum is None or not examination.profiles:
        return None
    own = levelled_profile(examination.spectrum)
    return {
        "first_ring": INNERMOST_RING,
        "step": 1 / len(examination.spectrum),
        "picture": [round(float(level), 2) for level in own[INNERMOST_RING:]],
        "bands": [
            {
                "name": "photographs" if name == PHOTOGRAPH else name,
                "of": "photographs" if name == PHOTOGRAPH else "fakes",
                **{
                    part: [round(float(level), 2) for level in levels[INNERMOST_RING:]]
                    for part, levels in zip(("low", "middle", "high"), profile, strict=True)
                },
            }
            for name, profile in examination.profiles.items()
        ],
    }


def profile_drawing(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Bars from the tenth to nine tenths of each band, and the picture's own line, in the units of the drawing."""
    own, bands = profile["picture"], profile["bands"]
    levels = [*own, *(level for band in bands for part in ("low", "high") for level in band[part])]
    bottom, top = float(min(levels)), float(max(levels))
    width = _WIDTH / len(own)

    def height(level: float) -> float:
        return _HEIGHT * (top - level) / max(top - bottom, 1e-6)

    bars = [
        {
            "x": at * width,
            "y": height(high),
            "width": width - 0.3,
            "height": height(low) - height(high),
            "of": band["of"],
        }
        for band in bands
        for at, (low, high) in enumerate(zip(band["low"], band["high"], strict=True))
    ]
    lines = [
        {"x1": (at + 0.5) * width, "y1": height(first), "x2": (at + 1.5) * width, "y2": height(second)}
        for at, (first, second) in enumerate(itertools.pairwise(own))
    ]
    first, step = profile["first_ring"], profile["step"]
    ticks = [
        {"x": (number * _STEP / step - first + 0.5) * width, "text": f"{number * _STEP:.1f}"}
        for number in range(1, int(0.5 / _STEP) + 1)
        if 0 <= number * _STEP / step - first <= len(own)
    ]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "bars": bars,
        "lines": lines,
        "ticks": ticks,
        "top": top,
        "bottom": bottom,
    }
