"""The notebook as a reader runs it: top to bottom, in a kernel of its own, on a few drawn pictures."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image as PilImage

import ganfingerprint
from ganfingerprint import Detector, Verdict
from ganfingerprint.catalog import read_catalog

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "GANFingerprint.ipynb"
FIGURES = {"pictures", "zoom", "windows", "curves", "figures", "gradcam", "attention", "batch-gradcam", "counts"}
BATCH = 8  # pictures that the notebook judges in one go
# Like the reader's, but quick to import and to run.
SETTINGS = "optim.epochs=2 network.embedding_dim=16 network.backbone=efficientnet-lite0 window.count=2"


class Done(NamedTuple):
    cells: dict[str, Any]  # by id, executed
    output: Path


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def code_cells() -> dict[str, str]:
    """The Python of each code cell by its id, without lines for the notebook program."""
    cells = {cell.id: cell.source for cell in read().cells if cell.cell_type == "code"}
    return {name: "\n".join(line for line in text.splitlines() if line[:1] != "%") for name, text in cells.items()}


def imports() -> list[tuple[str, str | None]]:
    """Every (module, name in it) that the notebook imports."""
    found: list[tuple[str, str | None]] = []
    for source in code_cells().values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found += [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(str(node.module), alias.name) for alias in node.names]
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, drawn_root: Path) -> Done:
    """The notebook after a run with the settings that its first cell reads."""
    output, private = tmp_path_factory.mktemp("notebook"), tmp_path_factory.mktemp("ipython")
    environment = os.environ | {
        "GANFINGERPRINT_DATA": str(drawn_root),
        "GANFINGERPRINT_OUTPUT": str(output),
        "GANFINGERPRINT_PRESET": "tiny",
        "GANFINGERPRINT_SETTINGS": SETTINGS,
        "IPYTHONDIR": str(private),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(ganfingerprint.__file__).parents[1]),
    }
    notebook = read()
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    nbclient.NotebookClient(notebook, timeout=300, allow_errors=True, resources=place).execute(env=environment)
    return Done({cell.id: cell for cell in notebook.cells}, output)


def outputs(done: Done, kind: str) -> list[tuple[str, Any]]:
    """The outputs of a kind of all cells, each with its cell's id."""
    found = [(name, output) for name, cell in done.cells.items() for output in cell.get("outputs", ())]
    return [(name, output) for name, output in found if output.output_type == kind]


def test_no_cell_fails(done: Done) -> None:
    assert [(name, output.ename, output.evalue) for name, output in outputs(done, "error")] == []
    assert [name for name in code_cells() if done.cells[name].execution_count is None] == []


def test_the_training_leaves_a_detector_that_judges(done: Done, drawn_root: Path) -> None:
    (run,) = (done.output / "runs").iterdir()
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert (config["data"]["root"], config["optim"]["epochs"]) == (str(drawn_root), 2)
    detector = Detector.from_pretrained(run / "detector")
    assert detector.card.network_config.embedding_dim == 16
    assert (detector.calibration.n_real, detector.calibration.n_fake) == (4, 4)
    assert detector.predict(drawn_root / "test" / "real" / "00.png").verdict in set(Verdict)


def test_the_evaluation_leaves_its_files(done: Done) -> None:
    folder = done.output / "evaluation"
    assert {"summary.md", "metrics.json", "scores.parquet"} <= {path.name for path in folder.iterdir()}
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    shown = [output.data["text/markdown"] for name, output in outputs(done, "display_data") if name == "evaluate"]
    assert "4 fakes against 4 photographs" in summary
    assert "4 fakes against 4 photographs" in shown[0]


def test_the_heat_maps_are_written(done: Done) -> None:
    drawn = [done.output / "gradcam.png", *sorted((done.output / "batch").iterdir())]
    assert len(drawn) == 1 + BATCH
    for path in drawn:
        with PilImage.open(path) as picture:
            assert min(picture.size) > 300


def test_every_figure_shows_something(done: Done) -> None:
    """A figure whose axes stayed empty has a handful of greys."""
    colours: dict[str, int] = {}
    for name, output in [*outputs(done, "display_data"), *outputs(done, "execute_result")]:
        if "image/png" in output.data:
            with PilImage.open(io.BytesIO(b64decode(output.data["image/png"]))) as picture:
                seen = len(np.unique(np.asarray(picture.convert("RGB"), dtype=np.int32) @ (1, 256, 65536)))
            colours[name] = min(seen, colours.get(name, seen))
    assert set(colours) >= FIGURES
    assert {name: seen for name, seen in colours.items() if seen < 100} == {}


def test_a_file_that_cannot_be_read_is_a_row_of_the_table(done: Done) -> None:
    (table,) = [output.data["text/markdown"] for name, output in outputs(done, "display_data") if name == "batch"]
    head, _, *rows = table.splitlines()
    assert len(rows) == BATCH + 1
    assert {row.count("|") for row in rows} == {head.count("|")}
    assert "not read" in rows[-1]


def test_it_is_stored_without_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None] == []


def test_it_calls_no_shell_and_installs_nothing() -> None:
    lines = [line for cell in read().cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert {line for line in lines if line[:1] in ("!", "%")} == {"%matplotlib inline"}


@pytest.mark.parametrize(("module", "name"), sorted(set(imports()), key=str))
def test_everything_that_it_imports_exists(module: str, name: str | None) -> None:
    assert importlib.util.find_spec(module) is not None
    if module.startswith("ganfingerprint") and name is not None:
        assert hasattr(importlib.import_module(module), name)
        assert not name.startswith("_")


def test_without_data_it_draws_a_toy_whose_classes_differ_by_a_grid(tmp_path: Path) -> None:
    names: dict[str, Any] = {"Path": Path, "OUTPUT": tmp_path, "DATA_ROOT": str(tmp_path / "toy")}
    exec(compile(code_cells()["toy"], "toy", "exec"), names)
    catalog = read_catalog(tmp_path / "toy")
    assert catalog.splits == ("test", "train", "validation")
    for split in catalog.splits:
        fakes = sum(sample.is_fake for sample in catalog.split(split))
        assert 2 * fakes == len(catalog.split(split)) > 0
    real, fake = (names["draw_picture"](7, label).astype(int).mean(axis=2) for label in (False, True))
    assert np.abs(fake - real).mean() > 5
    blocks = (fake - real).reshape(32, 4, 32, 4).mean(axis=(1, 3))  # two cells of the grid each way: it cancels
    assert np.abs(blocks).max() < 2
