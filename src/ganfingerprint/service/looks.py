"""What is made beside verdicts: heat maps and reports, by the engine's thread, and spectra."""

from __future__ import annotations

from ganfingerprint.attribution import Gallery
from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector, Prepared
from ganfingerprint.errors import UsageError
from ganfingerprint.examine import Examination, examine, failed, with_manifest
from ganfingerprint.explain.heat_map import generate_gradcam
from ganfingerprint.explain.spectrum import residual_spectrum
from ganfingerprint.report.content import PictureContent, picture_content, report_content
from ganfingerprint.report.page import report_page
from ganfingerprint.report.pictures import heat_image, spectrum_image
from ganfingerprint.service.answers import ServiceError
from ganfingerprint.service.uploads import Upload
from ganfingerprint.types import Answer, Failure, Prediction

SENT = (
    "each as it was sent to the service that examined it, with its SHA-256, size and the time at which it was read "
    "there; the service keeps nothing of them"
)


def heat_png(detector: Detector, upload: Upload, answer: Prediction) -> tuple[bytes, str]:
    """The picture under its heat as PNG, and the class that the heat speaks for.

    Raises:
        ServiceError: the engine has no heat maps.
    """
    image = decode(upload.data, name=upload.name)
    try:
        found = generate_gradcam(detector, image, prediction=answer)
    except UsageError as problem:
        raise ServiceError(501, "no_heat", str(problem)) from problem
    return heat_image(image, found), found.label.value


def spectrum_png(prepared: Prepared) -> bytes:
    """The spectrum of the fine detail in a picture's windows, as PNG of a window's size."""
    return spectrum_image(residual_spectrum(prepared.windows.pixels))


def shown(detector: Detector, found: Examination, data: bytes) -> PictureContent:
    """What a report shows of an examination and of the manifest in the file; its pixels need not be held any more."""
    return picture_content(with_manifest(found, data), detector)


def report(detector: Detector, found: list[PictureContent]) -> str:
    """The page of a report of these pictures."""
    return report_page(report_content(found, detector, command="POST /v1/report", custody=SENT))


def examined(detector: Detector, gallery: Gallery | None, upload: Upload, answer: Answer) -> Examination:
    """What a report says of one picture, but for its manifest; one that could not be judged is not decoded again."""
    if isinstance(answer, Failure):
        return failed(answer, upload.data)
    return examine(detector, upload.data, name=upload.name, trust=None, gallery=gallery)
