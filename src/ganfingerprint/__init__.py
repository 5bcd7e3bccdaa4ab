"""Tells a photograph from a picture that a generator made, from pixels alone.

    >>> from ganfingerprint import Detector
    >>> Detector.from_pretrained().predict("a.jpg").verdict  # doctest: +SKIP
    <Verdict.FAKE: 'fake'>

Names below are loaded on first use: importing the package imports no torch and does nothing else either.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    "Attribution": "ganfingerprint.types",
    "Comparison": "ganfingerprint.types",
    "Detector": "ganfingerprint.detector",
    "Failure": "ganfingerprint.types",
    "FingerprintNet": "ganfingerprint.network.fingerprint_net",
    "Gallery": "ganfingerprint.attribution",
    "GanFingerprintError": "ganfingerprint.errors",
    "Image": "ganfingerprint.types",
    "InputError": "ganfingerprint.errors",
    "Label": "ganfingerprint.types",
    "Prediction": "ganfingerprint.types",
    "TrainConfig": "ganfingerprint.config",
    "Verdict": "ganfingerprint.types",
    "attribute": "ganfingerprint.attribution",
    "compare": "ganfingerprint.attribution",
    "decode_image": "ganfingerprint.decode:decode",  # `decode` alone is the module's name
    "evaluate": "ganfingerprint.evaluation.run",
    "fingerprint_distance": "ganfingerprint.attribution",
    "load_config": "ganfingerprint.config",
    "read_gallery": "ganfingerprint.attribution",
    "train": "ganfingerprint.training.run",
}

if TYPE_CHECKING:
    from ganfingerprint.attribution import Gallery, attribute, compare, fingerprint_distance, read_gallery
    from ganfingerprint.config import TrainConfig, load_config
    from ganfingerprint.decode import decode as decode_image
    from ganfingerprint.detector import Detector
    from ganfingerprint.errors import GanFingerprintError, InputError
    from ganfingerprint.evaluation.run import evaluate
    from ganfingerprint.network.fingerprint_net import FingerprintNet
    from ganfingerprint.training.run import train
    from ganfingerprint.types import Attribution, Comparison, Failure, Image, Label, Prediction, Verdict
else:  # hidden from the type checker, to which it would allow any name

    def __getattr__(name: str) -> object:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'ganfingerprint' has no attribute '{name}'")
        module, _, original = _PUBLIC[name].partition(":")
        value = getattr(importlib.import_module(module), original or name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "Attribution",
    "Comparison",
    "Detector",
    "Failure",
    "FingerprintNet",
    "Gallery",
    "GanFingerprintError",
    "Image",
    "InputError",
    "Label",
    "Prediction",
    "TrainConfig",
    "Verdict",
    "__version__",
    "attribute",
    "compare",
    "decode_image",
    "evaluate",
    "fingerprint_distance",
    "load_config",
    "read_gallery",
    "train",
]
