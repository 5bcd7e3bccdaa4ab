"""The gallery that ships belongs to the detector that ships, and answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganfingerprint import Detector, attribute, compare, fingerprint_distance
from ganfingerprint.artifact import read_card, shipped_detector
from ganfingerprint.attribution import FILE_NAME, PHOTOGRAPH, read_gallery

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def test_it_is_of_the_shipped_detector_and_knows_its_generators() -> None:
    card = read_card(shipped_detector())
    gallery = read_gallery(shipped_detector() / FILE_NAME)
    assert gallery.detector_id == card.detector_id
    learnt = set(card.architecture["classes"]) - {"photographs"}
    assert set(gallery.generators) <= learnt
    assert learnt - set(gallery.generators) == {"stylegan2-edit"}  # the same network as stylegan2-ffhq
    assert int(gallery.counts.min()) >= 10
    assert gallery.origin.endswith("stylegan2-edit is enrolled as stylegan2-ffhq")


def test_it_holds_no_picture() -> None:
    """Numbers, names of files and hashes of the fakes alone."""
    gallery = read_gallery(shipped_detector() / FILE_NAME)
    assert PHOTOGRAPH not in gallery.names
    assert all("/" not in name for name in gallery.ids)
    assert gallery.codes.shape == (len(gallery.names), 256)


def test_it_answers_about_samples() -> None:
    detector = Detector.from_pretrained()
    gallery = read_gallery(shipped_detector() / FILE_NAME)
    cat, span = (detector.predict(SAMPLES / name) for name in ("real/cat.jpg", "fake/palace-span.jpg"))
    of_cat, of_span = attribute([cat, span], gallery)
    assert of_cat.answer == PHOTOGRAPH
    assert of_span.candidates[0].name.startswith("proxy:")  # an enlarging network; which of them is close
    assert of_span.prob_photograph < 0.2
    assert np.isclose(
        sum(c.probability for c in of_span.candidates) + of_span.prob_unknown + of_span.prob_photograph, 1
    )
    other = detector.predict(SAMPLES / "fake/astronaut-realesrgan.jpg")
    same = compare([span], [other], gallery)
    assert abs(same.log10_lr) <= gallery.pairs.log10_lr_bound
    assert 0 < same.distance < 2
    assert 0 < fingerprint_distance(cat, span) < 2
