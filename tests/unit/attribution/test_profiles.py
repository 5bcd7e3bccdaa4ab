"""Profiles in a gallery: kept, damaged, of another generator; no answer depends on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from ganfingerprint.attribution import PHOTOGRAPH, Gallery, read_gallery, save_gallery
from ganfingerprint.errors import GalleryError


@pytest.fixture
def profiled(gallery: Gallery) -> Gallery:
    levels = np.arange(24, dtype=np.float32).reshape(3, 8)
    return replace(gallery, profiles={PHOTOGRAPH: levels, gallery.generators[0]: levels + 1})


def test_they_are_read_as_they_were_saved_and_change_no_identity(
    gallery: Gallery, profiled: Gallery, tmp_path: Path
) -> None:
    assert profiled.gallery_id == gallery.gallery_id
    save_gallery(profiled, tmp_path / "a")
    again = read_gallery(tmp_path / "a")
    assert [*again.profiles] == [PHOTOGRAPH, gallery.generators[0]]
    for name, profile in profiled.profiles.items():
        np.testing.assert_array_equal(again.profiles[name], profile)
    save_gallery(gallery, tmp_path / "b")
    assert read_gallery(tmp_path / "b").profiles == {}


def test_a_generator_takes_its_profile_with_it(profiled: Gallery) -> None:
    first, second, *_ = profiled.generators
    assert [*profiled.without(first).profiles] == [PHOTOGRAPH]
    assert [*profiled.without(second).profiles] == [PHOTOGRAPH, first]


def test_those_that_were_changed_are_refused(profiled: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_gallery(profiled, path)
    saved = path.read_bytes()
    header = json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])["__metadata__"]
    arrays = safetensors.numpy.load(saved)
    other = {**arrays, "profiles": arrays["profiles"] + np.float32(1)}
    absent = {name: array for name, array in arrays.items() if name != "profiles"}
    for changed in (other, absent):
        path.write_bytes(safetensors.numpy.save(changed, metadata=header))
        with pytest.raises(GalleryError, match="not a gallery, or a damaged one"):
            read_gallery(path)


@pytest.mark.parametrize("shapes", [((3, 8), (3, 9)), ((2, 8),), ((24,),)])
def test_profiles_of_other_shapes_are_refused(gallery: Gallery, shapes: tuple[tuple[int, ...], ...]) -> None:
    profiles = {str(at): np.zeros(shape, np.float32) for at, shape in enumerate(shapes)}
    with pytest.raises(ValueError, match=r"profiles must all be \[3, r\]"):
        replace(gallery, profiles=profiles)
