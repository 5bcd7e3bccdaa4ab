"""What an evaluation leaves in its folder.

scores.parquet   one row a picture              metrics.json   all figures and how they came about
summary.md       for people                     metrics.csv    one figure a row
deliveries.csv   one delivery a row, if asked for
figures/*.png
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ganfingerprint.atomic import replacing
from ganfingerprint.decode import decode
from ganfingerprint.errors import InputError
from ganfingerprint.evaluation import plots
from ganfingerprint.evaluation.bootstrap import Interval
from ganfingerprint.evaluation.canvas import save_figure
from ganfingerprint.evaluation.delivery_plots import plot_deliveries
from ganfingerprint.evaluation.measure import Evaluation, SliceFigures
from ganfingerprint.evaluation.metrics import compute_confusion_matrix
from ganfingerprint.evaluation.protocol import ScoreTable, overall_slices, write_scores
from ganfingerprint.evaluation.robustness import write_deliveries
from ganfingerprint.evaluation.summary import summary_markdown
from ganfingerprint.types import Label, Verdict

_CSV_COLUMNS = ("by", "name", "family", "n_real", "n_fake", "few", "metric", "value", "low", "high")
_CLASSES = ("photograph", "fake")


def write_outputs(evaluation: Evaluation, folder: Path, root: Path) -> None:
    """Write everything into `folder`; `root` is where the pictures to show are found."""
    write_scores(evaluation.table, folder / "scores.parquet")
    text = json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(folder / "metrics.json") as beside:
        beside.write_text(text + "\n", encoding="utf-8")
    found = evaluation.measurement
    groups = (part for parts in found.groups.values() for part in parts)
    write_slices((*found.overall, *groups), folder / "metrics.csv")
    if evaluation.deliveries:
        write_deliveries(evaluation.deliveries, folder / "deliveries.csv")
    drawn = _draw(evaluation, folder / "figures", root)
    attention = sorted((folder / "figures").glob("attention-*.png"))
    drawn |= {f"Where the network looks, picture {number}": path for number, path in enumerate(attention, start=1)}
    links = {title: path.relative_to(folder).as_posix() for title, path in drawn.items()}
    with replacing(folder / "summary.md") as beside:
        beside.write_text(summary_markdown(evaluation, links), encoding="utf-8")


def choose_samples(table: ScoreTable, number: int = 8) -> list[int]:
    """Rows to show: of photographs and then of fakes, those judged most rightly and those judged most wrongly."""
    quarter = max(1, number // 4)
    chosen: list[int] = []
    for wanted, sign in ((~table.is_fake, -1.0), (table.is_fake, 1.0)):
        rows = np.flatnonzero(wanted & table.judged & ~table.is_proxy)
        ordered = rows[np.argsort(-sign * table.logit[rows], kind="stable")].tolist()  # most right first
        chosen += ordered if len(ordered) <= 2 * quarter else ordered[:quarter] + ordered[-quarter:]
    return chosen


def write_slices(parts: Iterable[SliceFigures], path: Path) -> None:
    """Write slices as CSV, a row a figure; a slice without figures has one row."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_CSV_COLUMNS)
        writer.writerows(_csv_rows(parts))


def _csv_rows(parts: Iterable[SliceFigures]) -> Iterator[tuple[object, ...]]:
    for part in parts:
        start = (part.by, part.name, part.family, part.n_real, part.n_fake, str(part.few).lower())
        for name, figure in part.figures.items():
            yield (*start, name, *figure.as_dict().values())
        if not part.figures:
            yield (*start, "", "", "", "")


def _draw(evaluation: Evaluation, folder: Path, root: Path) -> dict[str, Path]:
    """Draw what the data allow; title to file."""
    shown = evaluation.table.select(overall_slices(evaluation.table)[0].rows)
    files = dict(_draw_both_classes(evaluation, shown, folder)) if 0 < shown.is_fake.sum() < len(shown) else {}
    files |= _draw_groups(evaluation.measurement.groups, folder)
    if evaluation.deliveries:
        files["After a delivery"] = folder / "deliveries.png"
        save_figure(plot_deliveries(evaluation.deliveries), files["After a delivery"])
    pictures = list(_pictures(shown, choose_samples(shown), root))
    if pictures:
        title = "Sample predictions: of each class, the most rightly and the most wrongly judged"
        files["Sample predictions"] = folder / "sample_predictions.png"
        save_figure(plots.plot_sample_predictions(pictures, title=title), files["Sample predictions"])
    return files


def _draw_both_classes(evaluation: Evaluation, shown: ScoreTable, folder: Path) -> Iterator[tuple[str, Path]]:
    fake, headline, facts = shown.is_fake, evaluation.measurement.headline, evaluation.facts
    figures: Mapping[str, Interval] = headline.figures
    thresholds = {"real below": facts.calibration["real_threshold"], "fake above": facts.calibration["fake_threshold"]}
    at_half = compute_confusion_matrix(fake, shown.prob_fake >= 0.5)
    verdicts = evaluation.measurement.verdicts[::-1].T  # rows photograph, fake; columns real, uncertain, fake
    said = [verdict.value for verdict in (Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE)]
    drawn = {
        "ROC curve": plots.plot_roc_curve(fake, shown.logit, auc=figures["auc"]),
        "Precision and recall": plots.plot_precision_recall_curve(
            fake, shown.logit, average_precision=figures["average_precision"]
        ),
        "Reliability": plots.plot_reliability(fake, shown.prob_fake, ece=figures["ece"]),
        "Score distribution": plots.plot_score_distribution(fake, shown.logit, thresholds=thresholds),
        "Verdicts": plots.plot_confusion_matrix(
            verdicts, _CLASSES, predicted=said, title="Verdicts at the detector's own thresholds"
        ),
        "Confusion matrix": plots.plot_confusion_matrix(
            at_half, _CLASSES, predicted=("real", "fake"), title="Confusion at prob_fake 0.5"
        ),
    }
    for title, figure in drawn.items():
        path = folder / f"{title.lower().replace(' and ', '_').replace(' ', '_')}.png"
        save_figure(figure, path)
        yield title, path


def _draw_groups(groups: Mapping[str, tuple[SliceFigures, ...]], folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for by, parts in groups.items():
        name, axis = ("false_alarm_rate_shipped", "share called fake") if by == "source" else ("auc", "AUC")
        if any(name in part.figures and not np.isnan(part.figures[name].value) for part in parts):
            title = "Photographs called fake, by source" if by == "source" else f"AUC by {by}, against all photographs"
            files[title] = folder / f"{'false_alarms' if by == 'source' else 'auc'}_by_{by}.png"
            save_figure(plots.plot_by_generator(parts, figure_name=name, axis=axis, title=title), files[title])
    return files


def _pictures(table: ScoreTable, rows: Iterable[int], root: Path) -> Iterator[plots.JudgedPicture]:
    for row in rows:
        try:
            image = decode(root / str(table.path[row]))
        except InputError:  # it was read a while ago; what was there has gone
            continue
        yield plots.JudgedPicture(
            pixels=image.pixels,
            label=Label(str(table.label[row])),
            verdict=Verdict(str(table.verdict[row])),
            prob_fake=float(table.prob_fake[row]),
            caption=str(table.generator[row] or table.source[row] or table.path[row]),
        )
