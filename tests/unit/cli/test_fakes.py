from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from rich.console import Console

from ganfingerprint.cli.fakes import print_made, print_recipes
from ganfingerprint.cli.main import main
from ganfingerprint.errors import MissingExtraError
from ganfingerprint.fakes import recipes, train
from ganfingerprint.fakes.pairs import Member
from ganfingerprint.fakes.recipes import RECIPES, WRAPPERS, Recipe, RecipeRow
from ganfingerprint.fakes.run import Made
from ganfingerprint.types import UInt8Array


def build_plus(name: str) -> Recipe:
    """A recipe of a table row: 5 grey levels brighter."""

    def plus(pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        return np.asarray(np.clip(pixels.astype(np.int16) + 5, 0, 255), np.uint8)

    return plus


@pytest.fixture(autouse=True)
def _only_one_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of one recipe that needs nothing, and one that cannot be had."""
    monkeypatch.setattr("ganfingerprint.fakes.blends.build_plus", build_plus, raising=False)
    place = "ganfingerprint.fakes.blends:build_plus"
    plus = RecipeRow(kind="test", builder=place, modules=("numpy",), package="", about="brighter")
    gone = RecipeRow(kind="test", builder=place, modules=("gone_away",), package="gone-away==1", about="not here")
    for name in tuple(RECIPES):
        monkeypatch.delitem(recipes.RECIPES, name)
    monkeypatch.setitem(RECIPES, "plus", plus)
    monkeypatch.setitem(RECIPES, "gone", gone)


@pytest.fixture
def photographs(tmp_path: Path, draw_picture: Callable[..., UInt8Array]) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(4):
        PilImage.fromarray(draw_picture(number, height=140, width=150)).save(folder / f"{number}.jpg", quality=90)
    return folder


def run(*arguments: object) -> int:
    return main(["fakes", *map(str, arguments)])


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_becomes_pairs(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(photographs, "--out", out, "--size", 96) == 0
    assert [row["recipe"] for row in rows(out)] == ["", "plus"] * 4
    assert {path.name for path in out.iterdir()} == {"real", "fake", "manifest.csv", "settings.json", "pairs.png"}
    said = capsys.readouterr()
    assert "4 fakes; 4 photographs with pairs" in said.out
    assert "34.2" in said.out  # dB of 5 grey levels
    assert str(out) in said.err


def test_a_second_call_goes_on(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert run(photographs, "--out", tmp_path / "out", "--size", 96) == 0
    assert "0 fakes; 4 photographs with pairs, 4 of them from before" in capsys.readouterr().out


def test_other_settings_are_refused_unless_begun_anew(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(photographs, "--out", out, "--size", 96)
    assert run(photographs, "--out", out, "--size", 80) == 1
    assert "error [data]" in (said := capsys.readouterr().err)
    assert "size was 96, is 80" in said
    assert run(photographs, "--out", out, "--size", 80, "--restart") == 0
    assert {row["width"] for row in rows(out)} == {"80"}


def test_bad_pictures_are_told_and_the_exit_code_says_so(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photographs / "text.jpg").write_text("hello")
    (photographs / "cut.jpg").write_bytes((photographs / "0.jpg").read_bytes()[:400])
    assert run(photographs, "--out", tmp_path / "out", "--size", 96) == 2
    said = capsys.readouterr().out
    assert "text.jpg: this is not a picture in" in said
    assert "[unreadable_image]" in said
    assert "2 not read (failed.csv)" in said
    assert len(rows(tmp_path / "out")) == 8


def test_all_bad_pictures_leave_an_empty_manifest_and_no_sheet(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "text.jpg").write_text("hello")
    assert run(folder, "--out", tmp_path / "out") == 2
    assert rows(tmp_path / "out") == []
    assert not (tmp_path / "out" / "pairs.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "fakes needs DIR"),
        (["nowhere", "--out", "out"], "nowhere: there is no such folder"),
        (["photographs"], "fakes needs DIR"),
        (["photographs", "--out", "out", "--recipe", "pluss"], "did you mean 'plus'?"),
        (["photographs", "--out", "out", "--recipe", "gone"], "needs gone-away: pip install --no-deps gone-away==1"),
        (["photographs", "--out", "out", "--recipe", "plus", "--per-photo", "2"], "per-photo must be in 1..1"),
        (["photographs", "--out", "out", "--size", "3"], "size must be at least 64"),
        (["photographs", "--out", "out", "--train", "1", "--minutes", "0"], "minutes must be above 0"),
        (["photographs", "--out", "out", "--limit", "0"], "--limit"),
        (["photographs", "--out", "out", "--recipe", "decoder:mine"], "recipe 'decoder:mine' is not known"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    photographs: Path,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photographs.parent)
    assert run(*arguments) == 1
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


def test_all_unknown_recipes_are_told_at_once(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photographs, "--out", tmp_path / "out", "--recipe", "a1", "--recipe", "b2") == 1
    assert capsys.readouterr().err.count("error [config]") == 2
    assert not (tmp_path / "out").exists()


def test_networks_are_trained_first_and_take_part(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "BATCH", 1)
    monkeypatch.setattr(train, "SIDES", (16,))
    out = tmp_path / "out"
    command = (photographs, "--out", out, "--size", 64, "--per-photo", 2, "--train", 1, "--minutes", 0.002)
    assert run(*command) == 0
    (network,) = (out / "networks").glob("*.json")
    assert {row["recipe"] for row in rows(out)} == {"", "plus", f"decoder:{network.stem}"}
    said = capsys.readouterr().err
    assert f"{network.stem}: " in said
    assert "poor: below 22 dB" in said
    told = json.loads((out / "settings.json").read_text())
    assert told["networks"] == {network.stem: json.loads(network.read_text())["sha256"]}
    other = tmp_path / "other"
    wrapped = f"mix:decoder:{network.stem}"
    assert run(photographs, "--out", other, "--size", 64, "--recipe", wrapped, "--networks", out / "networks") == 0
    assert {row["generator"] for row in rows(other)} == {"", f"proxy:{wrapped}"}


def test_pairs_may_lie_within_the_folder_of_photographs(photographs: Path) -> None:
    for _ in range(2):
        assert run(photographs, "--out", photographs / "pairs", "--size", 96) == 0
    assert len(rows(photographs / "pairs")) == 8


def test_a_limit_takes_some(photographs: Path, tmp_path: Path) -> None:
    assert run(photographs, "--out", tmp_path / "out", "--size", 96, "--limit", 3) == 0
    assert len(rows(tmp_path / "out")) == 6


def test_recipes_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "unet8-nearest-3.json").write_text("{}")
    (tmp_path / "unet8-nearest-3.safetensors").write_bytes(b"")
    assert run("--list", "--networks", tmp_path) == 0
    lines = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:] if line.strip()}
    assert (lines["plus"], lines["gone"], lines["decoder:unet8-nearest-3"]) == ("yes", "no", "yes")
    assert {f"{name}:RECIPE" for name in WRAPPERS} <= lines.keys()


def test_a_list_is_as_wide_as_it_is_shown(tmp_path: Path) -> None:
    stream = io.StringIO()
    print_recipes(tmp_path, Console(file=stream, width=60))
    assert max(map(len, stream.getvalue().splitlines())) <= 60


def test_the_table_tells_means_and_the_lowest() -> None:
    def member(recipe: str, ratio: float | None, seconds: float) -> Member:
        return Member(path="a", recipe=recipe, width=1, height=1, format="PNG", psnr=ratio, seconds=seconds)

    members = (member("", None, 0), member("plus", 20, 1), member("plus", 30, 2))
    stream = io.StringIO()
    print_made(Made(photographs=2, kept=0, repeated=1, failures=(), members=members), Console(file=stream, width=80))
    said = stream.getvalue()
    assert said.splitlines()[1].split() == ["plus", "2", "25.0", "20.0", "1.50"]
    assert "2 fakes; 2 photographs with pairs, 1 given twice" in said


def test_a_missing_package_has_a_command() -> None:
    problem = MissingExtraError("a", "fakes", "x", command="pip install --no-deps a==1")
    assert str(problem) == "x needs a: pip install --no-deps a==1"
    assert str(MissingExtraError("a", "fakes", "x")) == "x needs a: pip install 'ganfingerprint[fakes]'"
