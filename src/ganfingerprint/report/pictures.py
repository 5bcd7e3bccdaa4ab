"""Pictures inside a report: small enough to file, as data that no host is asked for."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image as PilImage

from ganfingerprint.explain.heat_map import HeatMap
from ganfingerprint.explain.overlay import blend
from ganfingerprint.types import Float32Array, Image, UInt8Array

LONGEST, LONGEST_HEAT = 900, 1600  # pixels of the longer side: as shown, and of a heat map by itself
QUALITY = 82


def shown(pixels: UInt8Array, *, longest: int = LONGEST) -> str:
    """Pixels [h, w, 3] as a JPEG that is shown, never examined: `data:image/jpeg;base64,...`."""
    picture = PilImage.fromarray(pixels)
    picture.thumbnail((longest, longest), PilImage.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return _data("image/jpeg", stream.getvalue())


def heat(image: Image, heat_map: HeatMap) -> str:
    """The picture under its heat."""
    return shown(_under_heat(image, heat_map, LONGEST))


def heat_image(image: Image, heat_map: HeatMap) -> bytes:
    """The same as PNG, at most `LONGEST_HEAT` pixels long."""
    stream = io.BytesIO()
    PilImage.fromarray(_under_heat(image, heat_map, LONGEST_HEAT)).save(stream, "PNG")
    return stream.getvalue()


def _under_heat(image: Image, heat_map: HeatMap, longest: int) -> UInt8Array:
    """Reduced before it is blended, which takes many times the memory of the picture itself."""
    factor = min(1.0, longest / max(image.width, image.height))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    pixels = np.asarray(PilImage.fromarray(image.pixels).resize(size, PilImage.Resampling.BOX))
    values = np.asarray(PilImage.fromarray(heat_map.values).resize(size, PilImage.Resampling.BILINEAR))
    covered = np.asarray(PilImage.fromarray(heat_map.coverage).resize(size, PilImage.Resampling.NEAREST))
    return blend(pixels, values, covered)


def spectrum(values: Float32Array) -> str:
    """A spectrum [s, s], as data."""
    return _data("image/png", spectrum_image(values))


def spectrum_image(values: Float32Array) -> bytes:
    """A spectrum [s, s] as PNG in grey, its middle 98 % from black to white."""
    low, high = np.quantile(values, (0.01, 0.99))
    grey = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    stream = io.BytesIO()
    PilImage.fromarray(np.rint(255 * grey).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
