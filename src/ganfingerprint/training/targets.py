"""What a classifier learns to tell apart: photograph and fake, or each generator, or sources of photographs too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganfingerprint.catalog import Sample
from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import ConfigError

PHOTOGRAPHS, UNNAMED = "photographs", "unnamed generator"


def with_classes(config: NetworkConfig, samples: Sequence[Sample], targets: str) -> NetworkConfig:
    """The architecture with the classes of the training pictures, each kind in alphabetical order.

    Raises:
        ConfigError: it has other classes already.
    """
    filled = replace(config, classes=(), photograph_classes=1)
    if targets != "two":
        photographs = sorted({_class_of(sample, targets) for sample in samples if not sample.is_fake})
        fakes = sorted({_class_of(sample, targets) for sample in samples if sample.is_fake})
        filled = replace(config, classes=(*photographs, *fakes), photograph_classes=len(photographs))
    if config.classes and config != filled:
        raise ConfigError(["network.classes is filled in from the training pictures: leave it out, set optim.targets"])
    return filled


def class_targets(config: NetworkConfig, samples: Sequence[Sample], targets: str) -> Tensor | None:
    """The class of each training picture as int64 [n]; None where there are no classes but the two."""
    if not config.classes:
        return None
    first = config.photograph_classes
    of_photographs = {name: number for number, name in enumerate(config.classes[:first])}
    of_fakes = {name: number for number, name in enumerate(config.classes[first:], start=first)}
    return torch.tensor(
        [(of_fakes if sample.is_fake else of_photographs)[_class_of(sample, targets)] for sample in samples]
    )


def kinds_of(samples: Sequence[Sample]) -> Tensor:
    """A number for the generator of each picture, one for all photographs: int64 [n]."""
    names = [_class_of(sample, "generators") for sample in samples]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return torch.tensor([numbers[name] for name in names])


def _class_of(sample: Sample, targets: str) -> str:
    if sample.is_fake:
        return sample.generator or UNNAMED
    return (sample.source if targets == "sources" else "") or PHOTOGRAPHS
