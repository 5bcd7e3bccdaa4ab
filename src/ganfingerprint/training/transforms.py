"""The order in which a training picture lives through its changes, as section 1.2 of the document lists them.

Geometry, colour, blur, noise, quantisation, compression last: an order that a real picture can have had. Then the
tensor; erasing; normalisation is inside the network. What the document lacks comes first: a picture that is sent on
was compressed before it is scaled, and is again afterwards.
"""

from __future__ import annotations

from ganfingerprint.config import AugmentConfig
from ganfingerprint.errors import ConfigError
from ganfingerprint.training.augment import (
    AddNoiseGaussian,
    CenterWindow,
    ColorJitter,
    ColorQuantization,
    Compose,
    HorizontalFlip,
    JPEGCompression,
    Maybe,
    OneOf,
    RandomAffine,
    RandomErasing,
    RandomWindow,
    Step,
    VariableBlur,
    WebPCompression,
)

PHASES = ("train", "validation", "val", "test")


def get_transforms(phase: str, *, size: int, augment: AugmentConfig | None = None) -> Step:
    """The changes of one phase: random ones for `train`, the centre window for validation and test.

    The published ranges are those of strength 0.5; strength scales them, and 0 leaves only window and flip.

    Raises:
        ConfigError: the phase is not one of PHASES.
    """
    if phase not in PHASES:
        raise ConfigError([f"phase must be one of {', '.join(PHASES)}, got '{phase}'"])
    if phase != "train":
        return CenterWindow(size)
    config = augment or AugmentConfig()
    strength = config.strength
    window = RandomWindow(size, config.resize if strength > 0 else 0.0, (config.scale_low, config.scale_high))
    if strength == 0:
        return Compose((window, Maybe(0.5, HorizontalFlip())))
    color = 0.2 * strength
    blur, noise = max(0.1, 3.0 * strength), max(0.002, 0.1 * strength)  # never below the lower end of their range
    lowest = round(95 - 70 * strength)  # 60 at strength 0.5, as published
    jpeg, webp = JPEGCompression((lowest, 98)), WebPCompression((lowest, 98))
    # Not even a Maybe of 0: it would draw, and every later draw of a seed would be another one.
    before = (Maybe(config.recompress, OneOf((jpeg, webp))),) if config.recompress > 0 else ()
    return Compose(
        (
            *before,
            window,
            Maybe(0.5, HorizontalFlip()),
            Maybe(config.affine, RandomAffine(degrees=20 * strength)),
            Maybe(config.color, ColorJitter(color, color, color, color / 2)),
            Maybe(config.blur, VariableBlur((0.1, blur))),
            Maybe(config.noise, AddNoiseGaussian((0.002, noise))),
            Maybe(config.quantize, ColorQuantization()),
            Maybe(config.jpeg, jpeg),
            Maybe(config.webp, webp),
            Maybe(config.erase, RandomErasing()),
        )
    )
