"""`gallery`, `attribute` and `compare` as their users call them, on drawn generators."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.attribution import read_gallery
from ganfingerprint.cli.main import main

FAKE = ("--engine", "fake")

# The arithmetic engine sees mean colours; a generator of these tests gives its pictures a tint.
TINTS = {"reds": (200, 90, 90), "greens": (90, 200, 90), "blues": (90, 90, 200)}
OTHERS = {"yellows": (190, 190, 60)}
PHOTOS = (90, 90, 90)


def save(folder: Path, tint: tuple[int, int, int], numbers: range) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        rng = np.random.default_rng([*tint, number])
        pixels = np.asarray(tint) + rng.normal(0, 8, 3) + rng.normal(0, 3, (100, 100, 3))
        PilImage.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, detector: Path) -> tuple[Path, Path]:
    """A data root of three generators with a gallery fitted on it, and the folder of its detector."""
    root = tmp_path_factory.mktemp("world")
    for split, first in (("train", 0), ("validation", 20)):
        for name, tint in TINTS.items():
            save(root / "data" / split / "fake" / name, tint, range(first, first + 12))
        save(root / "data" / split / "real" / "photos", PHOTOS, range(first, first + 12))
    for name, tint in {**TINTS, **OTHERS, "photos": PHOTOS}.items():
        save(root / "new" / name, tint, range(60, 72))
    out = ["--out", str(root / "gallery.safetensors")]
    assert main(["gallery", "fit", "--data-root", str(root / "data"), "--detector", str(detector), *FAKE, *out]) == 0
    return root, detector


def asked(world: tuple[Path, Path], *arguments: str, gallery: str = "gallery.safetensors") -> list[str]:
    root, detector = world
    engine = () if arguments[:2] in (("gallery", "list"), ("gallery", "info"), ("gallery", "remove")) else FAKE
    return [*arguments, "--gallery", str(root / gallery), "--detector", str(detector), *engine]


def answers(world: tuple[Path, Path], folder: str, capsys: pytest.CaptureFixture[str], gallery: str) -> list[str]:
    capsys.readouterr()
    assert main(asked(world, "attribute", str(world[0] / "new" / folder), "--format", "csv", gallery=gallery)) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert all(0 <= float(row["probability"]) <= 1 for row in rows)
    return [row["answer"] for row in rows]


def test_a_gallery_has_profiles_of_what_it_was_fitted_with(world: tuple[Path, Path]) -> None:
    profiles = read_gallery(world[0] / "gallery.safetensors").profiles
    assert set(profiles) == {*TINTS, "photograph"}
    for profile in profiles.values():
        assert profile.shape == (3, 48)
        assert (np.diff(profile, axis=0) >= 0).all()  # a tenth, a half, nine tenths
        np.testing.assert_allclose(profile[1, 4:].mean(), 0, atol=0.5)  # the noise of these pictures is white


def test_known_generators_are_named(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for name in TINTS:
        found = answers(world, name, capsys, "gallery.safetensors")
        assert found.count(name) >= 10, found


def test_a_generator_is_enrolled_from_ten_pictures_and_forgotten_again(
    world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = world
    assert "yellows" not in answers(world, "yellows", capsys, "gallery.safetensors")
    own = root / "own.safetensors"
    own.write_bytes((root / "gallery.safetensors").read_bytes())
    first = [str(root / "new" / "yellows" / f"{number}.png") for number in range(60, 70)]
    assert main(asked(world, "gallery", "enroll", *first, "--name", "yellows", gallery=own.name)) == 0
    assert "yellows: 10 added, 10 in all" in capsys.readouterr().out
    assert answers(world, "yellows", capsys, own.name)[-2:] == ["yellows", "yellows"]  # those that were not enrolled
    assert main(asked(world, "gallery", "enroll", *first[:4], "--name", "yellows", gallery=own.name)) == 0
    assert "yellows: 0 added, 10 in all" in capsys.readouterr().out
    assert main(asked(world, "gallery", "list", gallery=own.name)) == 0
    assert "yellows" in capsys.readouterr().out
    assert main(asked(world, "gallery", "remove", "--name", "yellows", gallery=own.name)) == 0
    assert main(asked(world, "gallery", "info", gallery=own.name)) == 0
    assert "generators" in (shown := capsys.readouterr().out)
    assert " 3\n" in shown


def test_two_folders_of_one_generator_and_of_two(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = world
    evidence = {}
    for other in ("reds", "greens"):
        sides = (str(root / "data" / "validation" / "fake" / "reds"), str(root / "new" / other))
        capsys.readouterr()
        assert main(asked(world, "compare", *sides, "--many", "--format", "json")) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["counts"] == [12, 12]
        evidence[other] = found["log10_lr"]
    assert evidence["reds"] > 0.5
    assert evidence["greens"] < -0.5


def test_a_picture_that_cannot_be_read_is_a_row(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = world
    broken = root / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no")
    good = str(root / "new" / "reds" / "60.png")
    assert main(asked(world, "attribute", good, str(broken), "--format", "json")) == 2
    first, second = json.loads(capsys.readouterr().out)["pictures"]
    assert first["answer"] == "reds"
    assert first["nearest"][0]["name"] == "reds"
    assert sum(c["probability"] for c in first["candidates"]) + first["prob_unknown"] + first["prob_photograph"] == (
        pytest.approx(1.0)
    )
    assert second["error"]["code"] == "unreadable_image"
    assert main(asked(world, "attribute", good)) == 0
    assert "A lead and no proof" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "{new}/reds", "{new}/greens"], "is a folder: --many"),
        (["compare", "{new}/reds/60.png", "{new}/greens/60.png", "--many"], "is a file: --many"),
        (["gallery", "enroll", "{new}/yellows/60.png", "--name", "yellows"], "at least 3 are needed"),
        (["gallery", "enroll", "{new}/yellows", "--name", "photograph"], "cannot be called 'photograph'"),
        (["gallery", "remove", "--name", "nobody"], "'nobody' is not enrolled (there are: blues, greens, reds)"),
    ],
)
def test_refusals(
    world: tuple[Path, Path], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(new=world[0] / "new") for argument in arguments]
    assert main(asked(world, *filled)) == 1
    assert said in capsys.readouterr().err


def test_a_gallery_of_another_detector_is_refused(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = world
    good = str(root / "new" / "reds" / "60.png")
    assert (
        main(["attribute", good, "--gallery", str(root / "gallery.safetensors"), *FAKE]) == 1
    )  # by the shipped detector
    assert "fingerprints of two detectors cannot be compared" in capsys.readouterr().err


def test_a_table_for_programs_has_the_likeliest_candidates_whatever_the_answer_is(
    world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("reds", "yellows", "photos"):
        pictures = str(world[0] / "new" / folder)
        told = {}
        for layout in ("csv", "json"):
            capsys.readouterr()
            assert main(asked(world, "attribute", pictures, "--format", layout)) == 0
            told[layout] = capsys.readouterr().out
        rows = csv.DictReader(io.StringIO(told["csv"]))
        for row, expected in zip(rows, json.loads(told["json"])["pictures"], strict=True):
            likeliest, second = expected["candidates"][:2]
            assert (row["candidate"], row["second"]) == (likeliest["name"], second["name"])
            assert float(row["candidate_probability"]) == pytest.approx(likeliest["probability"])


def test_enrolling_tells_what_the_detector_says_of_the_pictures(
    world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = world
    own = root / "photos-too.safetensors"
    own.write_bytes((root / "gallery.safetensors").read_bytes())
    assert (
        main(asked(world, "gallery", "enroll", str(root / "new" / "photos"), "--name", "dark", gallery=own.name)) == 0
    )
    said = capsys.readouterr().out
    assert "dark: 12 added, 12 in all" in said
    assert "Of these pictures the detector says: 5 uncertain, 7 real. Enrol none that a generator did not make." in said


def test_where_nothing_can_be_read_it_is_said_and_no_more(
    world: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no")
    broken, good = str(tmp_path / "broken.png"), str(world[0] / "new" / "reds" / "60.png")
    for command in (("compare", broken, good), ("gallery", "enroll", broken, "--name", "x")):
        capsys.readouterr()
        assert main(asked(world, *command)) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert "broken.png: " in told.err
        assert "error [gallery]" not in told.err
