"""Which pictures a fold leaves out, and which judge it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ganfingerprint.catalog import Catalog, Sample, is_named
from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.evaluation.folds import Fold, folds_by, read_folds
from ganfingerprint.types import Label


def photo(name: str, source: str, *, split: str = "train", group: str = "") -> Sample:
    return Sample(
        path=Path("root", name), label=Label.REAL, family="photo", source=source, split=split, group=group or name
    )


def fake(
    name: str, generator: str, *, family: str = "gan", split: str = "train", group: str = "", source: str = ""
) -> Sample:
    return Sample(
        path=Path("root", name), label=Label.FAKE, generator=generator, family=family, split=split, group=group or name,
        source=source,
    )  # fmt: skip


SAMPLES = (
    photo("coco-1.jpg", "coco/images"),
    photo("coco-2.jpg", "coco/images", split="validation"),
    photo("ffhq-1.jpg", "faces", group="one"),
    photo("ffhq-2.jpg", "faces", split="test"),
    fake("s2.png", "stylegan2"),
    fake("s3.png", "stylegan3", split="validation"),
    fake("edit.png", "stylegan2", group="one"),
    fake("sd.png", "sd[1.5]", family="diffusion", source="coco/images"),
    fake("aligned.png", "stylegan2-like", family="proxy"),
    fake("outside.png", "stylegan2", split="external"),
)


def catalog(samples: Sequence[Sample] = SAMPLES) -> Catalog:
    return Catalog(root=Path("root"), layout="manifest", samples=tuple(samples))


def names(samples: Sequence[Sample]) -> list[str]:
    return [sample.path.name for sample in samples]


def test_a_pattern_fits_generators_of_fakes_and_sources_or_files_of_photographs() -> None:
    def fitting(*patterns: str) -> list[str]:
        return names([sample for sample in SAMPLES if is_named(sample, patterns)])

    assert fitting("stylegan*") == ["s2.png", "s3.png", "edit.png", "aligned.png", "outside.png"]
    assert fitting("coco/*") == ["coco-1.jpg", "coco-2.jpg"]  # the fake of that source is no photograph
    assert fitting("ffhq-?.jpg", "sd*") == ["ffhq-1.jpg", "ffhq-2.jpg", "sd.png"]
    assert fitting("StyleGAN*", "coco", "") == []


def test_what_is_left_out_goes_with_its_groups_and_only_from_what_is_learnt() -> None:
    assert catalog().without(()) == catalog()
    left = catalog().without(("stylegan2", "coco/*"))
    assert names(left.samples) == ["ffhq-2.jpg", "s3.png", "sd.png", "aligned.png", "outside.png"]
    with pytest.raises(DataError, match="called 'stylgan\\*'"):
        catalog().without(("stylegan2", "stylgan*"))


def test_a_fold_is_judged_on_what_it_left_out_and_on_no_aligned_fake() -> None:
    fold = Fold(name="s", generators=("stylegan*",), photographs=("ffhq-*",))
    assert fold.left_out == ("stylegan*", "ffhq-*")
    assert names(fold.judged(catalog())) == ["s2.png", "s3.png", "edit.png", "ffhq-1.jpg"]
    assert names(Fold(name="s", generators=("sd*",)).judged(catalog())) == ["sd.png", "coco-2.jpg"]
    with pytest.raises(DataError, match="'s' leaves out no photographs"):
        Fold(name="s", generators=("sd*",), photographs=("nowhere",)).judged(catalog())
    with pytest.raises(DataError, match="'s' leaves out no fakes"):
        Fold(name="s", generators=("vqgan",)).judged(catalog())


def test_folds_by_generator_or_family_share_the_sources_of_photographs_out() -> None:
    samples = [*SAMPLES, *(photo(f"more-{n}.jpg", f"source-{n % 3}") for n in range(9))]
    by_family = folds_by(catalog(samples), "family")
    assert [fold.name for fold in by_family] == ["diffusion", "gan"]
    assert by_family[1].generators == ("stylegan2", "stylegan3")
    dealt = [set(fold.photographs) for fold in by_family]
    assert dealt[0] | dealt[1] == {"coco/images", "faces", "source-0", "source-1", "source-2"}
    assert not dealt[0] & dealt[1]
    by_generator = folds_by(catalog(samples), "generator")
    assert [fold.name for fold in by_generator] == ["sd[1.5]", "stylegan2", "stylegan3"]
    assert names(by_generator[0].judged(catalog(samples)))[:1] == ["sd.png"]  # its brackets are no pattern


def test_with_too_few_sources_all_are_judged_against_validation() -> None:
    assert [fold.photographs for fold in folds_by(catalog(), "generator")] == [(), (), ()]


def test_folds_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(UsageError, match="family or generator, not by 'source'"):
        folds_by(catalog(), "source")
    with pytest.raises(DataError, match="at least two, there are 1"):
        folds_by(catalog([s for s in SAMPLES if s.family != "diffusion"]), "family")
    with pytest.raises(DataError, match="they cannot be left out"):
        folds_by(catalog([*SAMPLES, fake("x.png", "", family="diffusion")]), "family")


def test_folds_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "folds.yaml"
    file.write_text("a:\n  generators: [stylegan*, vqgan]\n  photographs: ffhq-*\nb: {generators: [sd*]}\n")
    assert read_folds(file) == (
        Fold(name="a", generators=("stylegan*", "vqgan"), photographs=("ffhq-*",)),
        Fold(name="b", generators=("sd*",)),
    )


@pytest.mark.parametrize(
    "text",
    ["", "[a, b]", "a: stylegan", "a: {photographs: [x]}", "a: {generators: [x], photos: [y]}", "a: {generators: [x"],
)
def test_a_file_that_is_not_folds_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "folds.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=r"folds\.yaml"):
        read_folds(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_folds(tmp_path / "nowhere.yaml")
