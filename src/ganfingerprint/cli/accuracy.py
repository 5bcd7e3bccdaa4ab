"""What the answers are worth, where the names of the files or folders tell the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from ganfingerprint.cli.tables import Row
from ganfingerprint.types import Label, Verdict

SHOWN = (
    ("accuracy", "accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "F1"),
    ("auc", "AUC"),
    ("average_precision", "average precision"),
    ("brier", "Brier"),
    ("cllr", "Cllr"),
)
ONE_CLASS = {True: "recall", False: "false_alarm_rate"}  # by whether all are fakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Truth against answers; positives are fakes."""

    verdicts: dict[str, dict[str, int]]  # truth → verdict → pictures
    confusion: list[list[int]]  # [2][2] truth (real, fake) by call (real, fake) at a probability of one half
    metrics: dict[str, float | int | None]  # of one class alone: its counts, and its recall or its false alarms

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"verdicts": self.verdicts, "confusion_at_half": self.confusion, "metrics": self.metrics}


def measure(rows: Sequence[Row]) -> Accuracy | None:
    """The figures over the rows with an answer and a known label; None where there is no such row.

    With labels of one class alone there is one figure: the recall of fakes, or the share of false alarms.
    """
    known = [(row.true_label, row.prob_fake, row.verdict) for row in rows if row.true_label and row.verdict]
    if not known:
        return None
    from ganfingerprint.evaluation.metrics import compute_confusion_matrix, compute_metrics

    fake = [truth is Label.FAKE for truth, _, _ in known]
    probs = [float(prob or 0.0) for _, prob, _ in known]
    metrics = compute_metrics(fake, probs).as_dict()
    if len(set(fake)) == 1:  # accuracy, precision and the like would be figures of a mix that there is not
        metrics = {name: metrics[name] for name in ("n_real", "n_fake", "threshold", ONE_CLASS[fake[0]])}
    return Accuracy(
        verdicts={
            str(truth): {
                str(verdict): sum((t, v) == (truth, verdict) for t, _, v in known)
                for verdict in (Verdict.REAL, Verdict.UNCERTAIN, Verdict.FAKE)
            }
            for truth in Label
        },
        confusion=compute_confusion_matrix(fake, [prob >= 0.5 for prob in probs]).tolist(),
        metrics=metrics,
    )


def print_accuracy(accuracy: Accuracy, console: Console) -> None:
    """The verdicts against the truth, then the figures at a probability of one half."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("truth \\ verdict")
    for verdict in accuracy.verdicts[Label.REAL]:
        table.add_column(verdict, justify="right")
    for truth, counts in accuracy.verdicts.items():
        table.add_row(truth, *(str(number) for number in counts.values()))
    console.print()
    console.print(table)
    alone = [] if "auc" in accuracy.metrics else [("false_alarm_rate", "false alarm rate")]
    values = [(title, accuracy.metrics.get(name)) for name, title in (*SHOWN, *alone)]
    figures = ", ".join(f"{title} {value:.3f}" for title, value in values if value is not None)
    console.print(f"At P(fake) = 0.5: {figures}", markup=False, soft_wrap=True)
