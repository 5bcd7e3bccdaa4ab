"""The experiment runner: folds that keep what they judge out of training, a head that learns, rows that stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import experiment
import experiment_tables
import features
import numpy as np
import probe
import protocol
import pytest
import torch
import views
from PIL import Image as PilImage

from ganfingerprint.catalog import Sample
from ganfingerprint.types import Label

SIGNAL = 40  # features that tell the classes apart in the drawn store


def sample(
    name: str, label: Label, *, generator: str = "", family: str = "", split: str = "train", group: str = ""
) -> Sample:
    return Sample(
        path=Path(f"{split}/{label}/{name}-0.jpg"),
        label=label,
        generator=generator,
        family=family or ("photo" if label is Label.REAL else "gan"),
        split=split,
        group=group or name,
    )


@pytest.fixture
def samples() -> list[Sample]:
    return [
        sample("sg1", Label.FAKE, generator="stylegan2-ffhq"),
        sample("sg2", Label.FAKE, generator="stylegan2-ffhq", split="validation"),
        sample("flux1", Label.FAKE, generator="flux.1"),
        sample("edit1", Label.FAKE, generator="imagic-edit", group="scene"),
        sample("ffhq-1", Label.REAL),
        sample("ffhq-2", Label.REAL, split="validation"),
        sample("proxy-1", Label.FAKE, generator="proxy:span", family="proxy", group="ffhq-1"),
        sample("proxy-2", Label.FAKE, generator="proxy:taef2", family="proxy", split="validation"),
        sample("editsources-1", Label.REAL, group="scene"),
        sample("kodak-1", Label.REAL),
    ]


def names(samples: list[Sample], chosen: np.ndarray) -> set[str]:
    return {s.path.name.removesuffix("-0.jpg") for s, c in zip(samples, chosen, strict=True) if c}


def test_a_family_is_judged_on_all_its_pictures_and_learnt_without_them(samples: list[Sample]) -> None:
    fold = {fold.name: fold for fold in protocol.family_folds(samples)}["stylegan"]
    assert names(samples, fold.judged) == {"sg1", "sg2", "ffhq-1", "ffhq-2"}
    # the aligned fake of a judged photograph shows what is judged
    assert names(samples, fold.train) == {"flux1", "edit1", "editsources-1", "kodak-1"}


def test_ordinary_validation_leaves_aligned_fakes_out(samples: list[Sample]) -> None:
    fold = protocol.full_fold(samples)
    assert names(samples, fold.judged) == {"sg2", "ffhq-2"}
    assert {s.split for s, c in zip(samples, fold.train, strict=True) if c} == {"train"}


def test_a_recipe_is_judged_on_validation_and_not_learnt(samples: list[Sample]) -> None:
    (fold,) = protocol.recipe_folds(samples, {"both": ("proxy:taef2", "proxy:span*")})
    assert names(samples, fold.judged) == {"proxy-2", "ffhq-2"}
    assert not names(samples, fold.train) & {"proxy-1", "proxy-2"}


def test_every_fold_shares_no_group_between_learning_and_judging(samples: list[Sample]) -> None:
    for fold in [protocol.full_fold(samples), *protocol.family_folds(samples)]:
        groups = [{s.group for s, c in zip(samples, mask, strict=True) if c} for mask in (fold.train, fold.judged)]
        assert not groups[0] & groups[1], fold.name


@pytest.mark.parametrize("head", ["document", "shallow"])
def test_a_head_learns_what_tells_the_classes_apart(head: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [
        sample(f"p{i}", Label.FAKE if i % 2 else Label.REAL, generator="g" if i % 2 else "") for i in range(200)
    ]
    fake = np.array([s.is_fake for s in pictures])
    values = torch.from_numpy(rng.standard_normal((200, 64)).astype(np.float32))
    values[:, :8] += torch.from_numpy(np.where(fake, 1.0, -1.0)[:, None]).float()
    train = np.arange(200) < 100
    config = probe.ProbeConfig(head=head, epochs=30, batch_size=32)
    learnt = probe.Probe({"plain": values.bfloat16()}, pictures, train, config, seed=1, often=np.ones(200))
    scores = learnt.scores(values[100:])
    assert scores[fake[100:]].mean() > scores[~fake[100:]].mean() + 1
    again = probe.Probe({"plain": values.bfloat16()}, pictures, train, config, seed=1, often=np.ones(200))
    np.testing.assert_array_equal(scores, again.scores(values[100:]))


def test_pictures_that_are_never_drawn_change_nothing() -> None:
    rng = np.random.default_rng(0)
    pictures = [sample(f"p{i}", Label.FAKE if i % 2 else Label.REAL, generator="g" if i % 2 else "") for i in range(60)]
    values = torch.from_numpy(rng.standard_normal((60, 16)).astype(np.float32)).bfloat16()
    config, often = probe.ProbeConfig(head="shallow", epochs=2, batch_size=16), (np.arange(60) < 40).astype(float)
    first = probe.Probe({"plain": values}, pictures, np.ones(60, bool), config, seed=1, often=often)
    values[40:] = 5
    second = probe.Probe({"plain": values}, pictures, np.ones(60, bool), config, seed=1, often=often)
    np.testing.assert_array_equal(first.scores(values[:40]), second.scores(values[:40]))


def test_scaled_features_are_in_deviations_and_bounded() -> None:
    values = torch.tensor([[0.0, 10.0], [2.0, 10.0], [1000.0, 10.0]]).half()
    mean, deviation = probe.standardised(values, np.array([True, True, False]))
    found = probe.scaled(values, mean, deviation).float()
    torch.testing.assert_close(found[:2, 0], torch.tensor([-0.7071, 0.7071]), rtol=0.01, atol=0.01)
    assert float(found[2, 0]) == probe.LARGEST
    assert torch.all(found[:, 1] == 0)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A root whose pictures the runner lists; it never opens them."""
    rng, root = np.random.default_rng(1), tmp_path / "data"
    lines = ["path,label,generator,family,split,group"]
    families = {"stylegan2": "ffhq", "pix2pix": "facades", "attngan": "catsdogs", "stable-diffusion-1": "coco"}
    families |= {"sdxl": "webphotos", "flux.1": "unsplash", "imagic": "bsds", "gpt-4o": "cars"}
    for split, copies in (("train", 3), ("validation", 3)):
        for generator, photographs in families.items():
            for label, stem, kind in (("fake", generator, "gan"), ("real", photographs, "photo")):
                for copy in range(copies):
                    path = f"{split}/{label}/{stem}-{copy}.png"
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    PilImage.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(root / path)
                    lines.append(f"{path},{label},{generator if label == 'fake' else ''},{kind},{split},{path}")
        for recipe in ("taef2", "realsr", "span"):
            path = f"{split}/fake/proxy-{recipe}.png"
            PilImage.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(root / path)
            lines.append(f"{path},fake,proxy:{recipe},proxy,{split},{path}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


class DrawnFeatures:
    """Stands in for CLIP: features that know the class."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(int(pixels.astype(np.int64).sum()) % 2**32)
        return rng.standard_normal((len(pixels), len(features.BLOCKS), 3, features.WIDTH)).astype(np.float16)


@pytest.fixture
def store(tmp_path: Path, data_root: Path) -> Path:
    folder = tmp_path / "store"
    catalog = features.read_catalog(data_root)
    for split, shown in (("train", ("plain",)), ("validation", ("plain", "web"))):
        for view in shown:
            chosen = catalog.split(split)
            features.extract(folder / f"{split}-{view}", chosen, view, DrawnFeatures(), root=data_root)
            array = np.load(folder / f"{split}-{view}.npy", mmap_mode="r+")
            array[:, :, :, :SIGNAL] += np.array([1.5 if s.is_fake else -1.5 for s in chosen])[:, None, None, None]
            array.flush()
    return folder


def test_extraction_goes_on_where_it_was_and_refuses_other_pictures(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "CHUNK", 16)
    chosen = features.read_catalog(data_root).split("train")
    part, calls = tmp_path / "store" / "train-plain", []

    def counted(pixels: np.ndarray) -> np.ndarray:
        calls.append(len(pixels))
        return DrawnFeatures()(pixels)

    features.extract(part, chosen, "plain", counted, root=data_root)
    whole = np.load(part.with_suffix(".npy")).copy()
    note = part.with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"rows": 32}))
    calls.clear()
    features.extract(part, chosen, "plain", counted, root=data_root)
    assert sum(calls) == len(chosen) - 32
    np.testing.assert_array_equal(np.load(part.with_suffix(".npy")), whole)
    turned = [replace(s, label=Label.REAL) for s in chosen]
    with pytest.raises(SystemExit, match="other pictures"):
        features.extract(part, turned, "plain", counted, root=data_root)


@pytest.mark.parametrize("name", list(views.views()))
def test_every_view_is_one_window_and_the_same_each_time(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 240, 3), dtype=np.uint8)
    first, again = (views.views()[name](pixels, np.random.default_rng(5)) for _ in range(2))
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    side = (
        int(digits) if name.startswith(("side", "textured")) else 112 if name.startswith(("small", "quarter")) else 224
    )
    assert first.shape == (side, side, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)


def test_a_shuffled_window_has_the_same_patches_in_another_order() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (views.SIZE, views.SIZE, 3), dtype=np.uint8)
    found = views.Shuffled()(pixels, np.random.default_rng(1))
    assert not np.array_equal(found, pixels)

    def patches(window: np.ndarray) -> list[bytes]:
        cells = [window[y : y + 16, x : x + 16].tobytes() for y in range(0, 224, 16) for x in range(0, 224, 16)]
        return sorted(cells)

    assert patches(found) == patches(pixels)


def test_a_part_that_is_not_whole_is_not_read(store: Path) -> None:
    note = store / "train-plain.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"rows": 3}))
    with pytest.raises(FileNotFoundError, match="3 of"):
        features.Store(store).load("train-plain", (5,), ("mean",))


PICTURES = experiment.Pictures
RunExperiments = Callable[[str], list[dict[str, object]]]


@pytest.fixture
def run_experiments(store: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunExperiments:
    def run(runs: str) -> list[dict[str, object]]:
        (tmp_path / "runs.yaml").write_text(runs)
        options = {"--data-root": data_root, "--store": store, "--runs": tmp_path / "runs.yaml"}
        options |= {"--output": tmp_path / "results"}
        monkeypatch.setattr("sys.argv", ["experiment.py", *(str(x) for pair in options.items() for x in pair)])
        experiment.main()
        return experiment.read_rows(tmp_path / "results")

    return run


RUNS = """
base: {blocks: [5], statistics: [mean], views: [plain], epochs: 4, batch_size: 16, head: shallow}
runs:
  - {name: one, question: head, seeds: [1]}
"""


def test_a_run_is_a_row_and_is_not_run_twice(run_experiments: RunExperiments, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = run_experiments(RUNS)
    assert row["validation_auc"] > 0.9
    assert row["families_auc"] == pytest.approx(np.mean([row[f"{n}_auc"] for n in protocol.family_names()]), abs=1e-4)
    assert row["training_pictures"] == 51
    monkeypatch.setattr(experiment, "Probe", None)  # learning again would fail
    assert run_experiments(RUNS) == [row]


def test_two_views_side_by_side_are_judged_together(run_experiments: RunExperiments) -> None:
    (row,) = run_experiments(
        RUNS.replace("seeds: [1]", "seeds: [1], head: {views: [plain+plain], judged: plain+plain}")
    )
    assert row["validation_auc"] > 0.9
    assert "validation_web_auc" not in row


@pytest.fixture
def parted_store(store: Path) -> Path:
    """The store with a second view that knows nothing, and a part of patches of which the second knows the class."""
    rng = np.random.default_rng(3)
    for split in ("train", "validation"):
        plain = np.load(store / f"{split}-plain.npy")
        noise = rng.standard_normal((len(plain), 40)).astype(np.float16)
        patches = np.stack([rng.standard_normal((len(plain), SIGNAL)), plain[:, 4, 1, :SIGNAL]], axis=1)
        for view, array in (("noise", noise), ("patches", patches.astype(np.float16))):
            np.save(store / f"{split}-{view}.npy", array)
            (store / f"{split}-{view}.json").write_text(json.dumps({"rows": len(array), "content": ""}))
    return store


@pytest.mark.usefixtures("parted_store")
def test_windows_are_pooled_as_the_run_says(run_experiments: RunExperiments) -> None:
    several = "seeds: [1], head: {views: [patches.0, patches.1], judged: 'patches.0,patches.1', epochs: 30}"
    alone = "seeds: [1], head: {views: [patches.0, patches.1], judged: patches.0, epochs: 30}"
    (both,) = run_experiments(RUNS.replace("seeds: [1]", several))
    (one,) = run_experiments(RUNS.replace("seeds: [1]", alone))
    assert both["validation_auc"] > 0.9 > 0.75 > one["validation_auc"]
    assert "validation_web_auc" not in both


@pytest.mark.usefixtures("parted_store")
def test_a_second_expert_has_its_say(run_experiments: RunExperiments) -> None:
    first = "seeds: [1], head: {views: [noise], judged: noise}"
    (noise,) = run_experiments(RUNS.replace("seeds: [1]", first))
    (two,) = run_experiments(RUNS.replace("seeds: [1]", f"{first}, second: {{}}"))
    assert two["validation_auc"] > noise["validation_auc"] + 0.2


def test_an_aligned_fake_brings_its_photograph_into_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [sample(f"p{i}", Label.REAL) for i in range(60)]
    pictures += [sample(f"f{i}", Label.FAKE, generator="proxy:span", family="proxy", group=f"p{i}") for i in range(60)]
    drawn: list[torch.Tensor] = []

    def noted(self: probe.Probe, found: torch.Tensor, rows: torch.Tensor, smoothing: float) -> torch.Tensor:
        drawn.append(rows)
        return found.sum()

    monkeypatch.setattr(probe.Probe, "_loss", noted)
    values = {"plain": torch.zeros(120, 16, dtype=torch.bfloat16)}
    config = probe.ProbeConfig(head="shallow", epochs=4, batch_size=20, pairs=True)
    probe.Probe(values, pictures, np.ones(120, bool), config, seed=1, often=np.ones(120))
    for rows in drawn:
        fakes = {int(i) - 60 for i in rows if i >= 60}
        assert fakes
        assert fakes <= {int(i) for i in rows}


@pytest.mark.parametrize("kind", [kind for kind, _ in views.RESIDUALS.values()])
def test_a_residual_of_a_flat_picture_is_nothing(kind: str) -> None:
    assert np.abs(views.residual(np.full((64, 64, 3), 90, np.uint8), kind)).max() < 1e-3
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert views.residual(noise, kind).shape == (64, 64, 3)
    assert np.abs(views.residual(noise, kind)).mean() > 5


def test_co_occurrences_are_shares_that_tell_textures_apart() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(noise[:, ::8, ::8], 8, axis=1), 8, axis=2)
    found = features.CoOccurrences("blur")(np.concatenate([noise, smooth])).astype(np.float64)
    assert found.shape == (4, 2500)
    np.testing.assert_allclose((found**2).reshape(4, 4, 625).sum(axis=2), 1, atol=0.01)
    assert np.abs(found[0] - found[1]).sum() < np.abs(found[0] - found[2]).sum() / 3


def test_further_pictures_that_a_run_does_not_learn_from_need_no_features(
    run_experiments: RunExperiments, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = run_experiments(RUNS)
    monkeypatch.setattr(experiment, "Pictures", lambda store, root, extra: PICTURES(store, root, {"more-": data_root}))
    again = run_experiments(RUNS.replace("name: one", "name: two"))[-1]
    figures = [name for name in row if name.endswith(("_auc", "_recall_1"))]
    assert {name: again[name] for name in figures} == {name: row[name] for name in figures}
    with pytest.raises(SystemExit, match="more-train-plain is not in the store"):
        run_experiments(RUNS.replace("seeds: [1]", "seeds: [1], extra: [more-]"))


def test_rows_of_other_columns_lose_nothing(tmp_path: Path) -> None:
    rows = [{"name": "one", "a": 1.5}, {"name": "two", "b": 2.5}]
    experiment.write_rows(rows, tmp_path)
    assert experiment.read_rows(tmp_path) == [
        {"name": "one", "a": 1.5, "b": None},
        {"name": "two", "a": None, "b": 2.5},
    ]
    assert (tmp_path / "experiments.csv").read_text().splitlines()[0] == '"name","a","b"'


def test_a_run_of_other_settings_takes_the_place_of_its_row(run_experiments: RunExperiments) -> None:
    run_experiments(RUNS)
    (row,) = run_experiments(RUNS.replace("seeds: [1]", "seeds: [1], weights: {'proxy:*': 0}"))
    assert row["training_pictures"] == 48


def test_the_tables_show_every_run_with_its_intervals(run_experiments: RunExperiments) -> None:
    (row,) = run_experiments(RUNS)
    lines = experiment_tables.markdown([row]).splitlines()
    assert len(lines) == 7
    figures, families = lines[2].strip("| ").split(" | "), lines[6].strip("| ").split(" | ")
    assert figures[0] == families[0] == "`one`"
    assert figures[1] == f"{row['training_pictures']}"
    assert figures[2].startswith(f"{row['validation_auc']:.3f}".removeprefix("0") + " [")
    assert families[1:] == [f"{row[f'{name}_auc']:.3f}".removeprefix("0") for name in protocol.family_names()]
    assert all(line.count("|") == lines[0].count("|") for line in lines[:3])
    without = experiment_tables.markdown([row | {"validation_web_auc": None, "families_interval": None}])
    assert "| - / " in without
    assert f"| {row['families_auc']:.3f} |".replace("0.", ".") in without
