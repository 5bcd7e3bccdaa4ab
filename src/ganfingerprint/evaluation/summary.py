"""The figures for people: tables that a terminal can draw, and one page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ganfingerprint.evaluation.bootstrap import MIN_GROUPS, Interval
from ganfingerprint.evaluation.measure import (
    BY_CLASS_FIGURES,
    BY_SOURCE_FIGURES,
    FIGURES,
    DeliveryFigures,
    Evaluation,
    SliceFigures,
)
from ganfingerprint.evaluation.protocol import FEW

_AT_HALF = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
_CALIBRATION = ("brier", "ece", "cllr")
_CALIBRATION_NOTE = (
    "All three are 0 when perfect; Cllr is 1 for no evidence. "
    "Resampling raises the calibration error, so its interval lies high."
)
_AFTER_DELIVERY = ("recall_shipped", "false_alarm_rate_shipped", "ece")
_RANKING = ("auc", "average_precision", "tpr_at_fpr_1", "tpr_at_fpr_5")
SHARES = frozenset({"tpr_at_fpr_1", "tpr_at_fpr_5"} | {name for name in FIGURES if name.endswith("_shipped")})


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryTable:
    """A table of text: the first column names, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def summary_tables(evaluation: Evaluation) -> tuple[SummaryTable, ...]:
    """Headline, verdicts, calibration, one table for each grouping, and the files that failed."""
    found = evaluation.measurement
    shipped = tuple(name for name in FIGURES if name.endswith("_shipped"))
    tables = [
        _overall(
            found.overall,
            "Separation",
            _RANKING,
            "The recalls: at the lowest threshold that accuses at most that share of these same photographs.",
        ),
        _overall(found.overall, "At the detector's own thresholds", shipped, _thresholds(evaluation)),
        _verdicts(evaluation),
        _overall(found.overall, "At prob_fake 0.5", _AT_HALF, "Accuracy and precision depend on the mix of classes."),
        _overall(
            found.overall,
            "Calibration",
            _CALIBRATION,
            _CALIBRATION_NOTE,
        ),
    ]
    tables += [_group(by, parts) for by, parts in found.groups.items() if parts]
    if evaluation.deliveries:
        tables.append(_deliveries(evaluation.deliveries))
    if found.failures:
        rows = tuple((code, str(number)) for code, number in sorted(found.failures.items()))
        note = "They are rows of scores.parquet with their error; no figure counts them."
        tables.append(
            SummaryTable(title="Files that could not be read", columns=("code", "files"), rows=rows, note=note)
        )
    return tuple(tables)


def summary_markdown(evaluation: Evaluation, figures: Mapping[str, str] | None = None) -> str:
    """The whole summary; `figures` are pictures to show, title to path from the page."""
    facts = evaluation.facts
    parts = [f"# {facts.detector_name} ({facts.detector_id}) on {facts.split}", headline_sentence(evaluation)]
    for table in summary_tables(evaluation):
        parts += [f"## {table.title}", _markdown(table), *([table.note] if table.note else [])]
    if figures:
        parts += ["## Figures", *(f"![{title}]({path})" for title, path in figures.items())]
    parts += ["## How it was measured", _how(evaluation)]
    return "\n\n".join(parts) + "\n"


def headline_sentence(evaluation: Evaluation) -> str:
    """What was found, in two sentences."""
    head, listed = evaluation.measurement.headline, len(evaluation.table)
    unread = sum(evaluation.measurement.failures.values())
    text = (
        f"{_count(head.n_fake, 'fake')} against {_count(head.n_real, 'photograph')}, {head.name}: "
        f"AUC {_shown('auc', head)}. At the detector's own thresholds {_shown('recall_shipped', head)} of the fakes "
        f"are called fake, and so are {_shown('false_alarm_rate_shipped', head)} of the photographs."
    )
    return f"{text} {unread} of {listed:,} files could not be read." if unread else text


def _overall(overall: Sequence[SliceFigures], title: str, names: Sequence[str], note: str) -> SummaryTable:
    counts = (
        ("fakes", *(f"{part.n_fake:,}" for part in overall)),
        ("photographs", *(f"{part.n_real:,}" for part in overall)),
    )
    rows = tuple((FIGURES[name], *(_shown(name, part) for part in overall)) for name in names)
    columns = ("", *(part.name for part in overall))
    return SummaryTable(title=title, columns=columns, rows=(*counts, *rows), note=note)


def _verdicts(evaluation: Evaluation) -> SummaryTable:
    counts = evaluation.measurement.verdicts
    shares = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)
    rows = tuple(
        (said, *(f"{counts[row, column]:,} ({100 * shares[row, column]:.1f} %)" for column in (0, 1)))
        for row, said in enumerate(("fake", "uncertain", "real"))
    )
    name = evaluation.measurement.headline.name
    return SummaryTable(
        title="Verdicts", columns=("said", "photographs", "fakes"), rows=rows, note=f"Fakes {name}, all photographs."
    )


def slices_table(title: str, parts: Sequence[SliceFigures]) -> SummaryTable:
    """Slices that have photographs of their own, one a row."""
    names = ("auc", "tpr_at_fpr_1", "recall_shipped", "miss_rate_shipped", "false_alarm_rate_shipped")
    rows = tuple(
        (part.name, f"{part.n_fake:,}", f"{part.n_real:,}", *(_shown(name, part) for name in names)) for part in parts
    )
    columns = (parts[0].by if parts else "", "fakes", "photographs", *(FIGURES[name] for name in names))
    return SummaryTable(title=title, columns=columns, rows=rows, note="Each at the thresholds of its own detector.")


def _group(by: str, parts: Sequence[SliceFigures]) -> SummaryTable:
    source = by == "source"
    names = BY_SOURCE_FIGURES if source else BY_CLASS_FIGURES
    lead = names[0]
    known = sorted((p for p in parts if not p.few), key=lambda part: -part.figures[lead].value)
    few = sorted((p for p in parts if p.few), key=lambda part: part.name)
    rows = []
    for part in (*known, *few):
        name = f"{part.name} ({part.family})" if by == "generator" and part.family else part.name
        number = part.n_real if source else part.n_fake
        cells = ["few"] + [""] * (len(names) - 1) if part.few else [_shown(figure, part) for figure in names]
        rows.append((name, f"{number:,}", *cells))
    against = "" if source else f"Each against all {parts[0].n_real:,} photographs. "
    note = f"{against}Groups of fewer than {FEW} pictures have no figure of their own." if few else against.strip()
    title = "Photographs by source" if source else f"By {by}"
    return SummaryTable(
        title=title, columns=(by, "pictures", *(FIGURES[n] for n in names)), rows=tuple(rows), note=note
    )


def _deliveries(rows: Sequence[DeliveryFigures]) -> SummaryTable:
    cells = tuple(
        (
            row.name,
            _shown("auc", row.figures),
            "-" if row.auc_lost is None else str(row.auc_lost),
            *(_shown(name, row.figures) for name in _AFTER_DELIVERY),
        )
        for row in rows
    )
    return SummaryTable(
        title="After a delivery",
        columns=("delivery", "AUC", "AUC lost", *(FIGURES[name] for name in _AFTER_DELIVERY)),
        rows=cells,
        note="The same pictures each time, at the detector's own thresholds; what is lost, on the same resamples.",
    )


def _shown(name: str, part: SliceFigures) -> str:
    interval = part.figures.get(name)
    if interval is None:
        return "-"
    return percent(interval) if name in SHARES else str(interval)


def percent(interval: Interval) -> str:
    """A share with its interval, in percent."""
    scaled = Interval(value=100 * interval.value, low=100 * interval.low, high=100 * interval.high)
    if np.isnan(scaled.value):
        return "-"
    ends = "" if np.isnan(scaled.low) else f" [{scaled.low:.1f}, {scaled.high:.1f}]"
    return f"{scaled.value:.1f} %{ends}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _thresholds(evaluation: Evaluation) -> str:
    card = evaluation.facts.calibration
    text = f"fake above score {card['fake_threshold']:.3f}, real below {card['real_threshold']:.3f}"
    false_alarms, misses = card.get("false_alarm_rate"), card.get("miss_rate")
    if false_alarms is not None and misses is not None:
        text += f"; chosen on validation for {100 * false_alarms:g} % of photographs called fake"
        text += f" and {100 * misses:g} % of fakes called real"
    return text[0].upper() + text[1:] + "."


def _how(evaluation: Evaluation) -> str:
    facts = evaluation.facts
    lines = {
        "command": f"`{facts.command}`",
        "detector": f"{facts.detector_name}, id {facts.detector_id}",
        "data": f"{facts.data} ({facts.layout} layout), split {facts.split}, {len(evaluation.table):,} pictures",
        "intervals": f"95 %, percentile bootstrap of {facts.samples:,} resamples by group, seed {facts.seed}; "
        f"none where a class has fewer than {MIN_GROUPS} groups or all resamples agree",
        "package": f"ganfingerprint {facts.package_version}",
    }
    return "\n".join(f"- {name}: {text}" for name, text in lines.items())


def _markdown(table: SummaryTable) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|---|" + "---:|" * (len(table.columns) - 1)
    return "\n".join((line(table.columns), rule, *(line(row) for row in table.rows)))
