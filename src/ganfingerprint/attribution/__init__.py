"""Whose fingerprint? Traces → features → fingerprints → evidence for a generator, with "unknown" as an answer.

basis      what a network says of a picture (its trace) in few numbers (features)
space      features → a space in which pictures of one generator lie together; likelihood ratios there
weighing   evidence → probabilities of: each enrolled generator, an unknown one, a photograph
gallery    what is enrolled (a value), storage: its file
decide     the two questions: `attribute`, `compare`
search     the nearest of many fingerprints
words      what both answers are in words
fit        a gallery from labelled pictures
"""

from ganfingerprint.attribution.basis import Basis, fit_basis, traces_of
from ganfingerprint.attribution.decide import attribute, chances_of, compare, compared, fingerprint_distance
from ganfingerprint.attribution.fit import Labelled, fit_gallery
from ganfingerprint.attribution.gallery import FEWEST_ENROLLED, PHOTOGRAPH, UNKNOWN, Background, Gallery, Photographs
from ganfingerprint.attribution.space import FingerprintSpace, Scatter, fit_space, scatter_of
from ganfingerprint.attribution.storage import FILE_NAME, changing, read_gallery, save_gallery, shipped_gallery
from ganfingerprint.attribution.weighing import Weighing

__all__ = [
    "FEWEST_ENROLLED",
    "FILE_NAME",
    "PHOTOGRAPH",
    "UNKNOWN",
    "Background",
    "Basis",
    "FingerprintSpace",
    "Gallery",
    "Labelled",
    "Photographs",
    "Scatter",
    "Weighing",
    "attribute",
    "chances_of",
    "changing",
    "compare",
    "compared",
    "fingerprint_distance",
    "fit_basis",
    "fit_gallery",
    "fit_space",
    "read_gallery",
    "save_gallery",
    "scatter_of",
    "shipped_gallery",
    "traces_of",
]
