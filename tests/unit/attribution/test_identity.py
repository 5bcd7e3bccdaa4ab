"""The identity of a gallery says what it holds: all that answers depend on, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import Gallery, Weighing


def changes(gallery: Gallery) -> dict[str, Gallery]:
    """The gallery with each of its parts another one, by a little."""
    basis, background = gallery.basis, gallery.background
    fewer, scatter = basis.axes.copy(), background.scatter
    fewer[0, 0] -= 1
    bases = {
        **{
            name: replace(basis, **{name: getattr(basis, name) * 1.001}) for name in ("mean", "scale", "steps", "grain")
        },
        "axes": replace(basis, axes=fewer),
        "embedding": replace(basis, embedding=basis.embedding - 1),
    }
    backgrounds = {
        "background.names": replace(background, names=background.names[1:]),
        "origins": replace(background, origins=background.origins[::-1]),
        "middles": replace(background, middles=background.middles * 1.001),
        "background.counts": replace(background, counts=background.counts + 1),
        "scatter": replace(background, scatter=replace(scatter, covariance=scatter.covariance * 1.001)),
        "pictures": replace(background, scatter=replace(scatter, pictures=scatter.pictures + 1)),
        "spread": replace(background, spread=background.spread * (1 + 1e-12)),
    }
    return {
        **{name: replace(gallery, basis=changed) for name, changed in bases.items()},
        **{name: replace(gallery, background=changed) for name, changed in backgrounds.items()},
        "photographs": replace(gallery, seen_photographs=gallery.seen_photographs[::-1]),
        "weighing": replace(gallery, weighing=Weighing(weights=gallery.weighing.weights + 0.01)),
        "pairs": replace(gallery, pairs=replace(gallery.pairs, slope=gallery.pairs.slope + 1e-9)),
        "bound of pairs": replace(gallery, pairs=replace(gallery.pairs, log10_lr_bound=1.0)),
        "claims": replace(gallery, claims=replace(gallery.claims, slope=gallery.claims.slope + 1e-9)),
        "bound of claims": replace(gallery, claims=replace(gallery.claims, log10_lr_bound=1.0)),
        "both": replace(gallery, pairs=gallery.claims, claims=gallery.pairs),
        "detector": replace(gallery, detector_id="another"),
        "codes": replace(gallery, codes=np.flip(gallery.codes, axis=1)),
        "names": replace(gallery, names=(gallery.names[-1], *gallery.names[1:])),
        "hashes": replace(gallery, hashes=("0" * 64, *gallery.hashes[1:])),
    }


def test_the_identity_changes_with_every_part(gallery: Gallery) -> None:
    found = {name: changed.gallery_id for name, changed in changes(gallery).items()}
    assert len({gallery.gallery_id, *found.values()}) == 1 + len(found) == 25
    words = replace(gallery, origin="another", ids=("another", *gallery.ids[1:]))  # what people call them
    assert words.gallery_id == gallery.gallery_id
    assert all(len(other) == 12 and int(other, 16) >= 0 for other in found.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ("a",)}, r"1 pictures needs codes \(1, 48\)"),
        ({"ids": ("a",)}, "as many ids"),
        ({"hashes": ()}, "as many ids"),
        ({"codes": np.zeros((300, 3), np.int8)}, r"needs codes \(300, 48\)"),
        ({"codes": np.zeros((299, 48), np.int8)}, r"needs codes \(300, 48\)"),
        ({"codes": np.zeros((300, 48), np.int16)}, "8 bits"),
        ({"seen_photographs": np.zeros((90, 48), np.float32)}, "8 bits"),
        ({"seen_photographs": np.zeros((90, 47), np.int8)}, "of its 48 features"),
        ({"seen_photographs": np.zeros((1, 48), np.int8)}, "needs photographs"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(gallery: Gallery, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(gallery, **change)
