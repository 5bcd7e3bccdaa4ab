from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.catalog import PROXY_FAMILY, read_catalog
from ganfingerprint.decode import decode
from ganfingerprint.errors import ConfigError, DataError
from ganfingerprint.fakes import run
from ganfingerprint.fakes.photographs import Photograph, list_photographs
from ganfingerprint.fakes.recipes import Recipe
from ganfingerprint.fakes.run import FakesSettings, Made, make_fakes
from ganfingerprint.types import UInt8Array

NAMES = ("plus-1", "plus-5", "plus-9", "noise-3")


def build(name: str) -> Recipe:
    """`plus-N` is N grey levels brighter, `noise-N` up to N more or less."""
    kind, _, number = name.partition("-")

    def recipe(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        most = int(number)
        change = most if kind == "plus" else rng.integers(-most, most + 1, pixels.shape)
        return np.asarray(np.clip(pixels.astype(np.int16) + change, 0, 255), np.uint8)

    return recipe


def settings(**changes: Any) -> FakesSettings:
    return FakesSettings(**{"recipes": NAMES, "size": 96, "seed": 7, **changes})


def made(folder: Path, out: Path, **changes: Any) -> Made:
    return make_fakes(list_photographs(folder), out, settings(**changes), build)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_folder_is_a_data_root(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = made(photographs, out, per_photo=2, split="validation")
    assert (done.photographs, done.kept, done.failures) == (6, 0, ())
    assert len(done.members) == 18
    catalog = read_catalog(out)
    assert catalog.layout == "manifest"
    samples = catalog.split("validation")
    assert (len(samples), sum(sample.is_fake for sample in samples)) == (18, 12)
    for sample in samples:
        assert decode(sample.path).pixels.shape[:2] == (96, 96)
        assert sample.family == (PROXY_FAMILY if sample.is_fake else "photo")
        assert sample.generator.removeprefix("proxy:") in (NAMES if sample.is_fake else ("",))
    groups = {sample.group for sample in samples}
    assert len(groups) == 6
    assert all(sum(sample.group == group and sample.is_fake for sample in samples) == 2 for group in groups)


def test_a_row_says_where_it_comes_from(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "out")
    photograph, fake = rows(tmp_path / "out")[:2]
    assert photograph["sha256"] == fake["sha256"]
    assert photograph["group"] == fake["group"] == f"pair:{fake['sha256'][:16]}"
    assert (photograph["recipe"], photograph["psnr"], photograph["generator"]) == ("", "", "")
    assert (fake["recipe"] in NAMES, fake["seed"], fake["width"], fake["height"]) == (True, "7", "96", "96")
    assert float(fake["psnr"]) > 20
    assert fake["source"] == "photographs"


def test_a_pair_keeps_the_group_of_a_data_root(drawn_root: Path, tmp_path: Path) -> None:
    found = list_photographs(drawn_root, from_split="train")
    make_fakes(found, tmp_path / "out", settings(from_split="train"), build)
    assert {row["group"] for row in rows(tmp_path / "out")} == {photograph.group for photograph in found}


def test_order_and_neighbours_do_not_matter(photographs: Path, tmp_path: Path) -> None:
    found = list_photographs(photographs)
    make_fakes(found, tmp_path / "forth", settings(), build)
    make_fakes(found[::-1], tmp_path / "back", settings(), build)
    assert contents(tmp_path / "forth") == contents(tmp_path / "back")
    make_fakes(found[3:4], tmp_path / "alone", settings(), build)
    alone = contents(tmp_path / "alone")
    pictures = [name for name in alone if name.startswith(("real", "fake"))]
    assert len(pictures) == 2
    assert all(alone[name] == contents(tmp_path / "forth")[name] for name in pictures)


def test_another_seed_gives_other_fakes(photographs: Path, tmp_path: Path) -> None:
    for seed in (7, 8):
        made(photographs, tmp_path / str(seed), seed=seed)
    assert contents(tmp_path / "7").keys() != contents(tmp_path / "8").keys()


def test_a_run_that_was_stopped_goes_on(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SAVE_EVERY", 2)
    found = list_photographs(photographs)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_fakes(found, tmp_path / "out", settings(), build, report=stop)
    assert len(rows(tmp_path / "out")) == 6
    again = make_fakes(found, tmp_path / "out", settings(), build)
    assert (again.photographs, again.kept, len(again.members)) == (6, 3, 6)
    make_fakes(found, tmp_path / "whole", settings(), build)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_is_there_is_neither_made_nor_built_again(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "out")
    asked: list[str] = []
    again = make_fakes(
        list_photographs(photographs), tmp_path / "out", settings(), lambda name: asked.append(name) or build(name)
    )
    assert (again.kept, again.members, asked) == (6, (), [])


def test_a_file_that_is_gone_is_made_again(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(photographs, out)
    before = contents(out)
    (out / rows(out)[3]["path"]).unlink()
    again = made(photographs, out)
    assert again.kept == 5
    assert contents(out) == before


def test_more_photographs_may_come_later(photographs: Path, tmp_path: Path) -> None:
    found = list_photographs(photographs)
    make_fakes(found[:2], tmp_path / "out", settings(), build)
    make_fakes(found[2:], tmp_path / "out", settings(), build)
    make_fakes(found, tmp_path / "whole", settings(), build)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 64}, "size was 96, is 64"),
        ({"seed": 8}, "seed was 7, is 8"),
        ({"per_photo": 2}, "per_photo was 1, is 2"),
        ({"recipes": NAMES[:2]}, r"recipes was \[.*\], is \[\"plus-1\", \"plus-5\"\]"),
        ({"networks": {"a": "00"}}, "networks was {}, is "),
        ({"split": "test", "size": 80}, "size was 96, is 80; split was"),
    ],
)
def test_other_settings_are_refused_and_named(
    photographs: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    made(photographs, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(DataError, match=said):
        made(photographs, tmp_path / "out", **change)
    assert contents(tmp_path / "out") == before


def test_the_order_of_recipes_is_no_other_setting(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "out")
    assert made(photographs, tmp_path / "out", recipes=NAMES[::-1]).kept == 6


def test_a_restart_removes_what_the_manifest_lists_and_nothing_else(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(photographs, out)
    (out / "real" / "mine.png").write_bytes(b"mine")
    (out / "networks").mkdir()
    (out / "networks" / "a.json").write_text("{}")
    make_fakes(list_photographs(photographs)[:1], out, settings(size=64), build, restart=True)
    assert len(rows(out)) == 2
    assert {"real/mine.png", "networks/a.json"} < contents(out).keys()
    assert len(contents(out)) == 2 + 2 + 2  # pictures, tables, and what is not ours


def test_a_manifest_cannot_make_a_restart_remove_other_files(photographs: Path, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "precious.png"
    made(photographs, out)
    outside.write_bytes(b"precious")
    table = (out / "manifest.csv").read_text()
    (out / "manifest.csv").write_text(
        table + "../precious.png" + table.splitlines()[1][table.splitlines()[1].index(",") :] + "\n"
    )
    make_fakes(list_photographs(photographs)[:1], out, settings(), build, restart=True)
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("restart", [True, False])
def test_a_manifest_of_someone_else_is_left_alone(photographs: Path, tmp_path: Path, restart: bool) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="give another --out"):
        make_fakes(list_photographs(photographs), tmp_path, settings(), build, restart=restart)
    assert (tmp_path / "manifest.csv").read_text() == "path,label\n"


@pytest.mark.parametrize("text", ["{", "[]", '{"made_by": "another"}'])
def test_settings_of_someone_else_are_refused(photographs: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(DataError, match=r"settings\.json"):
        made(photographs, tmp_path)


def test_a_manifest_without_its_columns_is_refused(photographs: Path, tmp_path: Path) -> None:
    made(photographs, tmp_path / "out")
    (tmp_path / "out" / "manifest.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="has no column"):
        made(photographs, tmp_path / "out")


def test_a_photograph_that_is_given_twice_is_used_once(photographs: Path, tmp_path: Path) -> None:
    shutil.copy(photographs / "0.jpg", photographs / "copy.jpg")
    done = made(photographs, tmp_path / "out")
    assert (done.photographs, done.repeated) == (6, 1)
    assert len(rows(tmp_path / "out")) == 12


def test_bad_pictures_are_rows_and_the_rest_is_made(photographs: Path, tmp_path: Path) -> None:
    (photographs / "0.jpg").write_bytes((photographs / "0.jpg").read_bytes()[:300])
    (photographs / "text.jpg").write_text("hello")
    (photographs / "empty.png").write_bytes(b"")
    PilImage.new("RGB", (1, 1)).save(photographs / "point.png")
    PilImage.new("RGB", (63, 300)).save(photographs / "narrow.png")
    (photographs / "gone.png").symlink_to(photographs / "nowhere.png")
    done = made(photographs, tmp_path / "out")
    assert done.photographs == 5
    with (tmp_path / "out" / "failed.csv").open(newline="") as stream:
        failed = {Path(row["path"]).name: (row["code"], row["error"]) for row in csv.DictReader(stream)}
    assert {name: code for name, (code, _) in failed.items()} == {
        "0.jpg": "unreadable_image",
        "text.jpg": "unreadable_image",
        "empty.png": "unreadable_image",
        "point.png": "too_small",
        "narrow.png": "too_small",
        "gone.png": "not_found",
    }
    assert "at least 64" in failed["narrow.png"][1]


def test_failures_that_are_mended_are_gone(photographs: Path, tmp_path: Path) -> None:
    whole = (photographs / "0.jpg").read_bytes()
    (photographs / "0.jpg").write_bytes(whole[:300])
    made(photographs, tmp_path / "out")
    (photographs / "0.jpg").write_bytes(whole)
    assert made(photographs, tmp_path / "out").kept == 5
    assert not (tmp_path / "out" / "failed.csv").exists()


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "LA", "1"])
def test_pictures_of_every_mode_make_pairs(tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    name = "a.jpg" if mode == "CMYK" else "a.png"
    PilImage.fromarray(noise).convert(mode).save(folder / name)
    assert made(folder, tmp_path / "out").failures == ()
    first, second = (decode(tmp_path / "out" / row["path"]) for row in rows(tmp_path / "out"))
    assert first.facts.encoding == second.facts.encoding
    assert first.facts.mode == ("L" if mode in ("L", "LA", "1") else "RGB")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipes": ()}, "there is no recipe"),
        ({"size": 63}, "size must be at least 64 pixels, got 63"),
        ({"per_photo": 0}, r"per-photo must be in 1\.\.4 \(recipes\), got 0"),
        ({"per_photo": 5}, r"per-photo must be in 1\.\.4"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(**change)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(size=1, seed=-1)
    assert len(caught.value.mistakes) == 2


def test_progress_is_reported(photographs: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found: list[Photograph] = list_photographs(photographs)
    make_fakes(found, tmp_path / "out", settings(), build, report=lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(7)]
