from __future__ import annotations

from pathlib import Path

import pytest

from ganfingerprint.catalog import Catalog, Sample, dataset_stats, read_catalog, true_label
from ganfingerprint.errors import DataError
from ganfingerprint.types import Label


def tree(root: Path, *names: str) -> Path:
    """A folder of empty files: a catalog lists pictures and never opens them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def manifest(root: Path, text: str) -> Path:
    (root / "manifest.csv").write_text(text, encoding="utf-8")
    return root


def names(samples: tuple[Sample, ...], root: Path) -> list[str]:
    return [sample.path.relative_to(root).as_posix() for sample in samples]


def facts(catalog: Catalog) -> list[tuple[str, str, str, str]]:
    return [(sample.split, str(sample.label), sample.generator, sample.source) for sample in catalog.samples]


def test_the_reference_layout_gives_split_label_generator_and_source(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "train/real/a.jpg",
        "train/fake/stylegan/b.PNG",
        "validation/real/ffhq/c.webp",
        "val/fake/d.jpg",
        "odd/real/e.jpg",
    )
    catalog = read_catalog(root)
    assert catalog.layout == "reference"
    assert facts(catalog) == [
        ("odd", "real", "", "real"),
        ("train", "fake", "stylegan", "stylegan"),
        ("train", "real", "", "real"),
        ("validation", "fake", "unknown", "fake"),
        ("validation", "real", "", "ffhq"),
    ]
    assert [sample.family for sample in catalog.samples] == ["photo", "", "photo", "", "photo"]


def test_without_split_folders_all_pictures_are_of_one_split(tmp_path: Path) -> None:
    catalog = read_catalog(tree(tmp_path, "real/a.jpg", "Fake/gan/b.jpg"))
    assert facts(catalog) == [("all", "fake", "gan", "gan"), ("all", "real", "", "real")]
    with pytest.raises(DataError, match=r"there is no split 'test' \(there are: all\)"):
        catalog.split("test")


def test_only_visible_pictures_are_listed_in_order_each_once(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        "train/fake/b.JPG",
        "train/fake/a.jpg",
        "train/fake/notes.txt",
        "train/fake/.a.jpg",
        "train/.cache/fake/x.jpg",
        "train/other/y.jpg",
        "loose.jpg",
    )
    (root / "train/fake/folder.jpg").mkdir()
    assert names(read_catalog(root).samples, root) == ["train/fake/a.jpg", "train/fake/b.JPG"]


def test_val_is_validation(tmp_path: Path) -> None:
    catalog = read_catalog(tree(tmp_path, "val/real/a.jpg", "Training/fake/b.jpg"))
    assert catalog.split("val") == catalog.split("validation")
    assert len(catalog.split("val")) == 1
    assert catalog.splits == ("train", "validation")


def test_a_missing_split_names_those_that_are_there(tmp_path: Path) -> None:
    catalog = read_catalog(tree(tmp_path, "train/real/a.jpg", "extra/fake/b.jpg"))
    with pytest.raises(DataError, match=r"there is no split 'test' \(there are: extra, train\)"):
        catalog.split("test")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("biggan/0_real/a.png", ("test", "real", "", "biggan")),
        ("biggan/1_fake/a.png", ("test", "fake", "biggan", "biggan")),
        ("cyclegan/horse/1_fake/a.png", ("test", "fake", "cyclegan", "cyclegan/horse")),
        ("train/progan/airplane/1_fake/a.png", ("train", "fake", "progan", "progan/airplane")),
        ("val/progan/airplane/0_real/a.png", ("validation", "real", "", "progan/airplane")),
        ("test/biggan/1_fake/a.png", ("test", "fake", "biggan", "biggan")),
        ("1_fake/a.png", ("test", "fake", "unknown", "unknown")),
    ],
)
def test_forensynths_at_both_depths_with_and_without_splits(
    tmp_path: Path, name: str, expected: tuple[str, str, str, str]
) -> None:
    catalog = read_catalog(tree(tmp_path, name))
    assert catalog.layout == "forensynths"
    assert facts(catalog) == [expected]


def test_genimage_has_its_generator_above_the_split(tmp_path: Path) -> None:
    catalog = read_catalog(
        tree(
            tmp_path,
            "imagenet_midjourney/train/ai/a.png",
            "imagenet_midjourney/train/nature/b.JPEG",
            "sd_v15/imagenet_ai/val/ai/c.png",
        )
    )
    assert catalog.layout == "genimage"
    assert facts(catalog) == [
        ("train", "fake", "imagenet_midjourney", "imagenet_midjourney"),
        ("train", "real", "", "imagenet_midjourney"),
        ("validation", "fake", "imagenet_ai", "imagenet_ai"),
    ]


def test_a_layout_that_is_asked_for_is_the_only_one_tried(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/real/a.jpg")
    with pytest.raises(DataError, match=r"no labelled pictures found; expected <split>/<real\|fake>/"):
        read_catalog(root, layout="genimage")
    with pytest.raises(DataError, match=r"layout 'coco' is not known \(there are: auto, manifest, reference"):
        read_catalog(root, layout="coco")


def test_a_folder_that_is_not_there_or_holds_no_labels_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        read_catalog(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no labelled pictures found"):
        read_catalog(tree(tmp_path, "holiday/a.jpg"))


def test_a_group_is_a_picture_of_one_name_whatever_its_format(tmp_path: Path) -> None:
    groups = [s.group for s in read_catalog(tree(tmp_path, "train/real/a.jpg", "train/real/a.png")).samples]
    assert groups == ["train/real/a", "train/real/a"]


def test_a_manifest_is_read_before_the_folders_are_looked_at(tmp_path: Path) -> None:
    root = manifest(
        tree(tmp_path, "train/real/ignored.jpg"),
        "path,label,generator,family,split,group,source,extra\n"
        "x/a.jpg,fake,stylegan2,gan,val,g1,web,1\n"
        "x/b.jpg,REAL,-,,train,,coco,2\n"
        "x/c.jpg,1,,proxy,,,,3\n"
        "x/d.jpg,0,,,test,,,4\n",
    )
    catalog = read_catalog(root)
    assert catalog.layout == "manifest"
    assert catalog.samples == (
        Sample(
            path=root / "x/a.jpg",
            label=Label.FAKE,
            generator="stylegan2",
            family="gan",
            split="validation",
            group="g1",
            source="web",
        ),
        Sample(path=root / "x/b.jpg", label=Label.REAL, family="photo", group="x/b.jpg", source="coco"),
        Sample(path=root / "x/c.jpg", label=Label.FAKE, family="proxy", group="x/c.jpg"),
        Sample(path=root / "x/d.jpg", label=Label.REAL, family="photo", split="test", group="x/d.jpg"),
    )


def test_a_manifest_may_lie_elsewhere_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    elsewhere = tmp_path / "lists" / "mine.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_text("path,label\na.jpg,fake\n", encoding="utf-8-sig")
    (sample,) = read_catalog(tmp_path, manifest=elsewhere).samples
    assert sample.path == tmp_path / "a.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\na.jpg,fake\n", r"manifest\.csv: the manifest has no column label"),
        ("file,class\na.jpg,fake\n", "has no column label and no column path"),
        ("", "has no column label and no column path"),
        ("path,label\n", "lists no picture"),
        ("path,label\na.jpg,fake\nb.jpg,maybe\n", "line 3: label must be real or fake .* got 'maybe'"),
        ("path,label\na.jpg,fake\n\n\nb.jpg,maybe\n", "line 5: label must be"),
        ('path,label,source\na.jpg,fake,"two\nlines"\nb.jpg,maybe,\n', "line 4: label must be"),
        ("path,label\na.jpg\n", "line 2: label must be real or fake .* got ''"),
        ("path,label\n,fake\n", "line 2: the path is empty"),
    ],
    ids=["label", "both", "empty", "no rows", "label", "blank lines", "quoted line end", "short row", "no path"],
)
def test_a_broken_manifest_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_catalog(manifest(tmp_path, text))


def test_a_manifest_that_cannot_be_read_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the manifest cannot be read"):
        read_catalog(tmp_path, layout="manifest")
    (tmp_path / "manifest.csv").write_bytes(b"path,label\n\xff\xfe,fake\n")
    with pytest.raises(DataError, match="the manifest cannot be read"):
        read_catalog(tmp_path)


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("unreal_fake_1.png", Label.FAKE),
        ("surreal.jpg", None),
        ("hyperrealistic.jpg", None),
        ("unreal_1.png", None),
        ("real_fake.png", Label.FAKE),
        ("fake12.jpg", Label.FAKE),
        ("a_real_one.png", Label.REAL),
        ("REAL-07.JPG", Label.REAL),
        ("IMG_2041.jpg", None),
        ("mail_0001.png", None),  # 'ai' inside a word
        ("ai_0001.png", None),  # of AI, or by AI?
        ("my_photo_1.jpg", None),
        ("deepfake-3.jpg", Label.FAKE),
        ("fake/real_1.png", Label.FAKE),  # the folder counts before the name
        ("real/fake_1.png", Label.REAL),
        ("0_real/1.png", Label.REAL),
        ("1_fake/1.png", Label.FAKE),
        ("nature/1.png", None),
        ("photos/1.png", None),
        ("train/nature/1.png", Label.REAL),  # GenImage
        ("val/ai/1.png", Label.FAKE),
        ("Fakes/1.png", Label.FAKE),
        ("fake/holiday/1.png", None),  # the nearest folder only, when nobody says where the search began
        ("surreal/1.png", None),
    ],
)
def test_published_error_13_fake_is_looked_for_before_real_and_only_whole_words_count(
    path: str, label: Label | None
) -> None:
    """In the published code `real` was looked for first and inside words: `unreal_fake_1.png` became real."""
    assert true_label(path) is label
    assert true_label(Path("/data") / path) is label


@pytest.mark.parametrize(
    ("path", "below", "label"),
    [
        ("set/fake/sd/1.png", "set", Label.FAKE),
        ("set/fake/sd/1.png", "set/fake", Label.FAKE),
        ("set/fake/sd/1.png", "set/fake/sd", None),  # the search began below
        ("set/fake/real/1.png", "set", Label.REAL),  # the nearest counts
        ("set/train/nature/bird/1.png", "set", Label.REAL),
        ("fake/sd/1.png", ".", Label.FAKE),
        ("set/odd/a_real_one.png", "set", Label.REAL),
    ],
)
def test_all_folders_below_the_input_may_tell_the_label(path: str, below: str, label: Label | None) -> None:
    assert true_label(path, below=below) is label


def test_linked_folders_are_followed_as_when_pictures_are_judged(tmp_path: Path) -> None:
    elsewhere = tree(tmp_path / "elsewhere", "b/2.jpg")
    root = tree(tmp_path / "root", "test/real/1.jpg")
    (root / "test" / "fake").symlink_to(elsewhere)
    assert names(read_catalog(root).samples, root) == ["test/fake/b/2.jpg", "test/real/1.jpg"]


def test_beside_other_classes_a_folder_called_train_is_a_class(tmp_path: Path) -> None:
    root = tree(tmp_path, "airplane/1_fake/a.png", "train/1_fake/b.png", "train/0_real/c.png")
    assert [fact[:3] for fact in facts(read_catalog(root))] == [
        ("test", "fake", "airplane"),
        ("test", "real", ""),
        ("test", "fake", "train"),
    ]


def test_stats_count_labels_generators_of_fakes_and_sources_of_photographs(tmp_path: Path) -> None:
    catalog = read_catalog(
        tree(
            tmp_path,
            *(f"train/fake/gan/{i}.jpg" for i in range(3)),
            "train/fake/sd/0.jpg",
            "train/real/coco/0.jpg",
            "test/real/coco/1.jpg",
        )
    )
    assert dataset_stats(catalog.samples) == {
        "split": {"test/real": 1, "train/fake": 4, "train/real": 1},
        "generator": {"gan": 3, "sd": 1},
        "source": {"coco": 2},
    }


def test_the_drawn_root_is_a_reference_layout(drawn_root: Path) -> None:
    catalog = read_catalog(drawn_root)
    assert catalog.layout == "reference"
    assert catalog.splits == ("test", "train", "validation")
    for split in catalog.splits:
        fakes = sum(sample.is_fake for sample in catalog.split(split))
        assert fakes * 2 == len(catalog.split(split)) > 0
