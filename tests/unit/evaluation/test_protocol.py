"""The table of scores, its file, and the rules by which it is cut."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from ganfingerprint.catalog import Sample
from ganfingerprint.errors import DataError, UsageError
from ganfingerprint.evaluation import protocol
from ganfingerprint.evaluation.measure import measure
from ganfingerprint.types import Answer, Failure, Label, Prediction, Verdict

ROOT = Path("data")
# name, label, generator, family, source, pictures
KINDS = (
    ("camera", Label.REAL, "", "photo", "flickr", 40),
    ("phone", Label.REAL, "", "photo", "phones", 10),
    ("gan", Label.FAKE, "stylegan3", "gan", "nvidia", 30),
    ("dif", Label.FAKE, "sdxl", "diffusion", "stability", 12),
    ("mystery", Label.FAKE, "", "", "web", 26),
    ("prox", Label.FAKE, "taef2", "proxy", "flickr", 28),
)


def prediction(score: float) -> Prediction:
    verdict = Verdict.FAKE if score > 1 else Verdict.REAL if score < -1 else Verdict.UNCERTAIN
    return Prediction(
        source="x", sha256="0" * 64, format="PNG", size_bytes=1, width=8, height=8, logit=score,
        prob_fake=1 / (1 + 10 ** -(score / 2)), log10_lr=score / 2, verdict=verdict,
        boxes=np.zeros((3, 4), dtype=np.int32), window_prob_fake=np.zeros(3), embedding=np.zeros(512, dtype=np.float32),
        detector_id="abc", latency_ms=1.0,
    )  # fmt: skip


def sample(name: str, label: Label, generator: str, family: str, source: str, number: int) -> Sample:
    return Sample(
        path=ROOT / label.value / f"{name}{number}.png",
        label=label, generator=generator, family=family, split="test", group=f"{name}{number // 2}", source=source,
    )  # fmt: skip


def table(*, fail_every: int = 0) -> protocol.ScoreTable:
    generator = np.random.default_rng(0)
    samples: list[Sample] = []
    answers: list[Answer] = []
    for name, label, made_by, family, source, pictures in KINDS:
        for number in range(pictures):
            samples.append(sample(name, label, made_by, family, source, number))
            failed = fail_every and len(samples) % fail_every == 0
            score = generator.normal() + (2 if label is Label.FAKE else -2)
            answers.append(
                Failure(source="x", code="unreadable_image", error="cut short") if failed else prediction(score)
            )
    return protocol.score_table(samples, answers, ROOT)


def test_the_table_has_one_row_for_each_picture_in_their_order_with_paths_below_the_root() -> None:
    found = table()
    assert len(found) == sum(kind[-1] for kind in KINDS)
    assert found.path[[0, -1]].tolist() == ["real/camera0.png", "fake/prox27.png"]
    assert found.group[:3].tolist() == ["camera0", "camera0", "camera1"]
    assert found.windows.tolist() == [3] * len(found)
    assert found.judged.all()


def test_a_failed_file_keeps_its_row_with_code_and_sentence_and_has_no_scores() -> None:
    found = table(fail_every=10)
    failed = found.select(~found.judged)
    assert len(found) == len(table())
    assert set(zip(failed.error_code.tolist(), failed.error.tolist(), strict=True)) == {
        ("unreadable_image", "cut short")
    }
    assert np.isnan([failed.logit, failed.prob_fake, failed.log10_lr]).all()
    assert failed.label[0] == "real"
    assert protocol.failure_counts(found) == {"unreadable_image": len(failed)}


def test_an_answer_too_few_is_noticed() -> None:
    samples = [sample(*KINDS[0][:-1], number) for number in range(2)]
    with pytest.raises(ValueError, match="shorter"):
        protocol.score_table(samples, [prediction(0.0)], ROOT)


def test_scores_survive_the_file(tmp_path: Path) -> None:
    found = table(fail_every=7)
    protocol.write_scores(found, tmp_path / "new" / "scores.parquet")
    again = protocol.read_scores(tmp_path / "new" / "scores.parquet")
    for name in protocol.COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name), err_msg=name)
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["scores.parquet"]


def test_the_written_schema_is_this_one_and_what_failed_is_null(tmp_path: Path) -> None:
    protocol.write_scores(table(fail_every=50), tmp_path / "s.parquet")
    stored = parquet.read_table(tmp_path / "s.parquet")
    assert {field.name: str(field.type) for field in stored.schema} == {
        "path": "string", "label": "string", "generator": "string", "family": "string", "source": "string",
        "group": "string", "split": "string", "logit": "double", "prob_fake": "double", "log10_lr": "double",
        "verdict": "string", "windows": "int32", "error_code": "string", "error": "string",
    }  # fmt: skip
    assert stored.schema.metadata[b"ganfingerprint.scores.version"] == b"1"
    failed = stored.to_pylist()[49]
    assert [failed[name] for name in ("logit", "prob_fake", "log10_lr", "verdict")] == [None] * 4
    assert stored.to_pylist()[0]["error_code"] is None
    assert stored.to_pylist()[0]["generator"] == ""  # not null: it is known that there is none


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.replace_schema_metadata({b"ganfingerprint.scores.version": b"2"}),
            "version 1 to 1 is needed, got version 2",
        ),
        (lambda t: t.replace_schema_metadata({}), "got version 0"),
        (lambda t: t.drop_columns(["verdict", "group"]), "no column group, verdict"),
    ],
)
def test_a_table_of_another_kind_is_refused(tmp_path: Path, change, message: str) -> None:
    protocol.write_scores(table(), tmp_path / "s.parquet")
    parquet.write_table(change(parquet.read_table(tmp_path / "s.parquet")), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        protocol.read_scores(tmp_path / "t.parquet")


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        protocol.read_scores(tmp_path / "s.parquet")
    with pytest.raises(DataError, match="cannot be read"):
        protocol.read_scores(tmp_path / "absent.parquet")


def test_a_broken_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    protocol.write_scores(table(), tmp_path / "s.parquet")
    before = (tmp_path / "s.parquet").read_bytes()
    broken = dataclasses.replace(table(), logit=np.array(["no number"]))
    with pytest.raises((pyarrow.ArrowException, TypeError)):
        protocol.write_scores(broken, tmp_path / "s.parquet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.parquet"]
    assert (tmp_path / "s.parquet").read_bytes() == before


def test_the_headline_is_without_proxies_and_every_line_has_all_photographs() -> None:
    found = table()
    lines = {part.name: found.select(part.rows) for part in protocol.overall_slices(found)}
    assert list(lines) == [protocol.WITHOUT_PROXIES, protocol.WITH_PROXIES, protocol.PROXIES_ALONE]
    assert [int(rows.is_fake.sum()) for rows in lines.values()] == [68, 96, 28]
    assert [int((~rows.is_fake).sum()) for rows in lines.values()] == [50, 50, 50]
    assert not lines[protocol.WITHOUT_PROXIES].is_proxy.any()


def test_without_proxies_in_the_data_there_is_one_line() -> None:
    found = table()
    rest = found.select(~found.is_proxy)
    assert [part.name for part in protocol.overall_slices(rest)] == [protocol.WITHOUT_PROXIES]


@pytest.mark.parametrize(
    ("by", "expected"),
    [  # name, family, fakes, photographs, few
        ("generator", [("sdxl", "diffusion", 12, 50, True), ("stylegan3", "gan", 30, 50, False),
                       ("taef2", "proxy", 28, 50, False), ("unknown", "", 26, 50, False)]),
        ("family", [("diffusion", "diffusion", 12, 50, True), ("gan", "gan", 30, 50, False),
                    ("proxy", "proxy", 28, 50, False), ("unknown", "", 26, 50, False)]),
        ("source", [("flickr", "photo", 0, 40, False), ("phones", "photo", 0, 10, True)]),
    ],
)  # fmt: skip
def test_groups_are_set_against_all_photographs_and_sources_stand_alone(by: str, expected: list[object]) -> None:
    found = table()
    parts = []
    for part in protocol.slices_by(found, by):
        rows = found.select(part.rows)
        parts.append((part.name, part.family, int(rows.is_fake.sum()), int((~rows.is_fake).sum()), part.few))
    assert parts == expected


def test_an_unknown_grouping_is_named() -> None:
    with pytest.raises(UsageError, match="generator, family, source, not by 'colour'"):
        protocol.slices_by(table(), "colour")


def test_failed_files_are_in_no_slice() -> None:
    found = table(fail_every=3)
    for part in (*protocol.overall_slices(found), *protocol.slices_by(found, "family")):
        assert found.select(part.rows).judged.all()


def test_verdicts_are_counted_by_what_was_said_and_what_is_so() -> None:
    found = table(fail_every=9)
    counts = protocol.verdict_counts(found)
    assert counts.sum() == found.judged.sum()
    assert counts[0, 0] == np.sum((found.logit > 1) & ~found.is_fake)
    assert counts[2, 1] == np.sum((found.logit < -1) & found.is_fake)


def test_groups_of_few_pictures_get_counts_and_no_figure() -> None:
    found = measure(table(), by=("generator", "source"), seed=0, samples=50)
    by_name = {part.name: part for parts in found.groups.values() for part in parts}
    assert by_name["sdxl"].few
    assert (by_name["sdxl"].n_fake, dict(by_name["sdxl"].figures)) == (12, {})
    assert set(by_name["stylegan3"].figures) >= {"auc", "recall_shipped"}
    assert set(by_name["flickr"].figures) == {"false_alarm_rate_shipped", "uncertain_reals_shipped"}


def test_figures_are_those_of_the_rows_that_they_name() -> None:
    rows = table()
    found = measure(rows, by=("family",), seed=0, samples=50)
    real, proxy = ~rows.is_fake, rows.is_proxy
    pairs = np.mean(rows.logit[proxy][:, None] > rows.logit[real][None, :])
    alone = {part.name: part for part in found.overall}[protocol.PROXIES_ALONE]
    assert alone.figures["auc"].value == pytest.approx(pairs)
    assert alone.figures["auc"] == next(p for p in found.groups["family"] if p.name == "proxy").figures["auc"]
    said = found.headline.figures
    assert said["recall_shipped"].value == pytest.approx(np.mean(rows.logit[rows.is_fake & ~proxy] > 1))
    assert said["false_alarm_rate_shipped"].value == pytest.approx(np.mean(rows.logit[real] > 1))
    assert said["uncertain_reals_shipped"].value == pytest.approx(np.mean(np.abs(rows.logit[real]) <= 1))
    for name in ("accuracy", "recall", "f1", "precision", "balanced_accuracy", "brier", "ece", "cllr"):
        assert said[name].value == pytest.approx(getattr(found.at_half, name)), name
    for name in ("accuracy", "recall", "f1", "balanced_accuracy", "brier", "cllr", "auc", "average_precision"):
        assert said[name].low < said[name].value < said[name].high, name
