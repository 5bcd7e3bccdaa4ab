"""The error tree. Every error carries a stable `code`, which tables, reports and the API repeat.

GanFingerprintError
├── ConfigError                 config            settings that cannot be used, all of them at once
├── UsageError                  usage             a command was given inputs that make no sense together
├── MissingExtraError           missing_extra     an optional package is needed; says the pip command
├── DataError                   data              a data root that holds no usable pictures, a broken manifest
├── InputError                  (one picture; becomes a row, never a traceback)
│   ├── FileMissingError        not_found
│   ├── UnreachableError        unreachable       a store or a server does not give it
│   ├── UnreadableImageError    unreadable_image  not an image, truncated, or a format we do not read
│   ├── ImageTooLargeError      too_large         over the limit on bytes or pixels
│   ├── ImageTooSmallError      too_small         too few pixels to say anything
│   ├── DecoderCrashedError     decoder_crashed   reading it ended the process that read it
│   ├── TooSlowError            timeout           reading it took too long
│   └── UnchangedImageError     unchanged         a generator gives it back as it is: nothing to learn from
├── DetectorError
│   ├── DetectorMissingError    no_detector       there is no detector at that place
│   ├── DetectorFormatError     detector_format   the folder is not a detector, or of a newer version
│   └── DetectorDamagedError    detector_damaged  the weights do not have the hash in the card
├── GalleryError                gallery           a gallery cannot be read, changed or asked
│   └── SameFileError           same_file         a file stands on both sides of a comparison
├── ScanError                   scan              the folder of a scan cannot be written to or gone on with
├── ExportError                 export            an exported network does not answer as the original
└── TrainingError               training          training cannot start, resume or go on
"""

from __future__ import annotations

from typing import ClassVar


class GanFingerprintError(Exception):
    """Base of all errors that this package raises on purpose."""

    code: ClassVar[str] = "error"


class ConfigError(GanFingerprintError):
    """Settings that cannot be used. `mistakes` lists every one, so that all are mended in one go."""

    code = "config"

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class UsageError(GanFingerprintError):
    """A command was given inputs that make no sense together."""

    code = "usage"


class MissingExtraError(GanFingerprintError):
    """An optional package is needed and not installed. `command` is for one that no extra brings."""

    code = "missing_extra"

    def __init__(self, package: str, extra: str, purpose: str, *, command: str = "") -> None:
        remedy = command or f"pip install 'ganfingerprint[{extra}]'"
        super().__init__(f"{purpose} needs {package}: {remedy}")
        self.package, self.extra = package, extra


class ExportError(GanFingerprintError):
    """A network that was exported does not answer as the original, or cannot be exported at all."""

    code = "export"


class GalleryError(GanFingerprintError):
    """A gallery of generators cannot be read, changed or asked."""

    code = "gallery"


class SameFileError(GalleryError):
    """A file stands on both sides of a comparison."""

    code = "same_file"


class ScanError(GanFingerprintError):
    """The folder of a scan cannot be written to or gone on with, or a question to its table cannot be answered."""

    code = "scan"


EXTRA_OF = {  # what is imported → the package, and the extra that brings it
    "cv2": ("opencv-python-headless", "train"),
    "faiss": ("faiss-cpu", "attribution"),
    "fastapi": ("fastapi", "serve"),
    "fpdf": ("fpdf2", "report"),
    "fsspec": ("fsspec", "cloud"),
    "jinja2": ("jinja2", "report"),
    "matplotlib": ("matplotlib", "report"),
    "ncnn": ("ncnn", "fakes"),
    "nncf": ("nncf", "int8"),
    "onnx": ("onnx", "backbones"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "onnxscript": ("onnxscript", "onnx"),
    "prometheus_client": ("prometheus-client", "serve"),
    "tensorboard": ("tensorboard", "train"),
    "torch": ("torch", "train"),
    "transformers": ("transformers", "train"),
}


class DataError(GanFingerprintError):
    """A data root or manifest that cannot be used."""

    code = "data"


class InputError(GanFingerprintError):
    """One picture cannot be judged. `source` names it, `reason` is a sentence for a person."""

    code = "input"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = source, reason


class FileMissingError(InputError):
    """There is no such file."""

    code = "not_found"


class UnreachableError(InputError):
    """A store or a server does not give the file; another time it may."""

    code = "unreachable"


class UnreadableImageError(InputError):
    """The bytes are not an image that we can decode whole."""

    code = "unreadable_image"


class ImageTooLargeError(InputError):
    """The file or its picture is over the configured limit."""

    code = "too_large"


class ImageTooSmallError(InputError):
    """The picture has too few pixels to carry a trace."""

    code = "too_small"


class DecoderCrashedError(InputError):
    """Reading it ended the process that read it."""

    code = "decoder_crashed"


class TooSlowError(InputError):
    """Reading it took longer than is allowed."""

    code = "timeout"


class UnchangedImageError(InputError):
    """A generator gives the picture back as it is, so that a fake of it would be mislabelled."""

    code = "unchanged"


class DetectorError(GanFingerprintError):
    """A detector on disk cannot be used."""

    code = "detector"


class DetectorMissingError(DetectorError):
    """There is no detector at that place."""

    code = "no_detector"


class DetectorFormatError(DetectorError):
    """The folder is not a detector that this version reads."""

    code = "detector_format"


class DetectorDamagedError(DetectorError):
    """The files of the detector do not agree with its card."""

    code = "detector_damaged"


class TrainingError(GanFingerprintError):
    """Training cannot start, resume or go on."""

    code = "training"
