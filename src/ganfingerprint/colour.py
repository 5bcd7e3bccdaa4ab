"""Samples of a Pillow picture → RGB in sRGB, 8 bits, on white. A part of `decode`, and used by nothing else."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PilImage
from PIL import ImageCms, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_TIFF_PHOTOMETRIC = 262


def raw_mode(picture: ImageFile.ImageFile) -> str:
    """How the samples lie in the file, such as I;12 or RGB;16B; known only until the pixels are loaded."""
    args = picture.tile[0].args if picture.tile else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def to_rgb(picture: ImageFile.ImageFile, layout: str) -> tuple[PilImage.Image, bool, bool]:
    """The loaded picture in sRGB on white, whether transparency was used, and whether a profile was converted."""
    colour, alpha = _split_alpha(picture, layout)
    profile = picture.info.get("icc_profile")
    converted = _apply_profile(colour, profile) if profile else None
    if converted is None and colour.mode == "LAB":
        converted = _transform(colour, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
        profile = None
    rgb = colour.convert("RGB") if converted is None else converted
    if alpha is None or alpha.getextrema() == (255, 255):
        return rgb, False, bool(profile) and converted is not None
    on_white = PilImage.new("RGB", rgb.size, (255, 255, 255))
    on_white.paste(rgb, mask=alpha)
    return on_white, True, bool(profile) and converted is not None


def _split_alpha(picture: ImageFile.ImageFile, layout: str) -> tuple[PilImage.Image, PilImage.Image | None]:
    """Colour in L, RGB, CMYK or LAB, and the transparency in L where the file can have one."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return _narrow(picture, layout)
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        key = picture.info.get("transparency")
        if layout in ("L;2", "L;4") and isinstance(key, int):  # Pillow spreads the samples to 0..255, not the key
            picture.info["transparency"] = key * (85 if layout == "L;2" else 17)
        elif layout == "RGB;16B" and isinstance(key, tuple):
            picture.info["transparency"] = tuple(value >> 8 for value in key)
        whole = picture.convert("RGBA")
        return whole.convert("RGB").convert("L" if grey else "RGB"), whole.getchannel("A")
    if grey:
        return picture.convert("L"), None
    return (picture if picture.mode in _PROFILE_SPACES else picture.convert("RGB")), None


def _narrow(picture: ImageFile.ImageFile, layout: str) -> tuple[PilImage.Image, PilImage.Image | None]:
    """Grey of 12, 16 or 32 bits or floating point → 8 bits, scaled so that nothing bright is clipped.

    32 bits and floating point state no full scale: it is the first of 1, 255, 65535 that holds every sample, else
    the largest sample. What is negative or not finite becomes black.
    """
    values = np.array(picture)  # [height, width] int or float
    alpha = None
    if picture.mode.startswith("I;"):
        key = picture.info.get("transparency")
        alpha = None if key is None else PilImage.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
        grey = (values >> (4 if layout.startswith("I;12") else 8)).astype(np.uint8)
    else:
        finite = np.where(np.isfinite(values), values, 0).clip(min=0).astype(np.float64)
        top = float(finite.max())
        full = next((scale for scale in (1.0, 255.0, 65535.0) if top <= scale), top)
        grey = np.rint(finite * (255 / full)).astype(np.uint8)
    if isinstance(picture, TiffImageFile) and picture.tag_v2.get(_TIFF_PHOTOMETRIC) == 0:  # white is zero
        grey = 255 - grey
    return PilImage.fromarray(grey), alpha


def _apply_profile(colour: PilImage.Image, profile: bytes) -> PilImage.Image | None:
    """The picture in sRGB; None where the profile is broken, of another kind of picture, or sRGB already."""
    try:
        read = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = read.profile.xcolor_space.strip()
        if colour.mode == "L" and space == "RGB":
            colour = colour.convert("RGB")
        if _PROFILE_SPACES.get(colour.mode) != space or _is_srgb(read, colour.mode):
            return None
        return _transform(colour, read)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
        return None


def _transform(colour: PilImage.Image, profile: ImageCms.ImageCmsProfile) -> PilImage.Image:
    srgb = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.PERCEPTUAL
    made = ImageCms.profileToProfile(colour, profile, srgb, renderingIntent=intent, outputMode="RGB")
    return colour.convert("RGB") if made is None else made


def _is_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether the profile moves no colour by more than rounding: then the file's own pixels are kept, bit for bit."""
    if mode not in ("L", "RGB"):
        return False
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)  # 9 x 9 x 9 colours
    before = PilImage.fromarray(lattice if mode == "RGB" else np.arange(256, dtype=np.uint8)[None])
    moved = np.asarray(_transform(before, profile), np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return int(np.abs(moved).max()) <= 3
