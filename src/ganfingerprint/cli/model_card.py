"""A detector's card as a page of Markdown: for whom it is, how it decides, what was measured, where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganfingerprint.artifact import Card
from ganfingerprint.calibrate import Calibration

if TYPE_CHECKING:
    from ganfingerprint.attribution import Gallery

Facts = list[tuple[str, str]]

ONE_WINDOW = "one window"
PLACEMENTS = {
    "center": f"{ONE_WINDOW} in the centre",
    "grid": "an even grid of at most {count} windows",
    "texture": "the {count} most textured windows of a grid",
}

_HEADLINE = {
    "auc": "AUC",
    "tpr_at_fpr_1": "recall at 1 % false alarms",
    "recall_shipped": "fakes called fake",
    "miss_rate_shipped": "fakes called real",
    "false_alarm_rate_shipped": "photographs called fake",
    "decided_right_shipped": "decided verdicts that are right",
    "ece": "expected calibration error",
    "cllr": "Cllr, bits",
}
_AFTER = ("auc", "auc_lost", "recall_shipped", "false_alarm_rate_shipped", "ece")
_WEAK = 0.7  # an AUC below it is named among the failures: not far from a coin

_USE = """## Intended use
A lead for people who look further: which of many pictures deserve a second look, and how sure that is. A verdict is
no proof; an accusation should not stand on it alone.

## Not intended
- To decide about a person, a publication or a case without a human who knows its limits.
- To prove that a picture is genuine: `real` says that no trace was found that the detector knows. Staging, edits by
  hand and generators that it does not know leave none.
- For what is neither a photograph nor meant to look like one: drawings, charts, screenshots, scans of text.
"""


def model_card(card: Card, gallery: Gallery | None = None) -> str:
    """The whole page; `gallery` is the one beside the detector."""
    calibration = Calibration.from_mapping(card.calibration)
    deliveries = {name: values for name, values in card.figures.items() if " after " in name}
    parts = [
        f"# {card.name} ({card.detector_id})",
        "Tells photographs from images that a generator made, from pixels alone.",
        _USE.strip(),
        "## How it decides\n" + _bullets([*window_facts(card), *calibration_facts(calibration)]),
        "## What it learnt from\n" + _bullets(_origins(card)),
        "## Measured\n" + _MEASURED,
        *_measured({name: values for name, values in card.figures.items() if name not in deliveries}),
    ]
    if deliveries:
        parts.append("### After a delivery\n" + _table("split and delivery", deliveries, _AFTER))
    if gallery is not None:
        parts += _attribution(gallery)
    parts.append("## Known failures\n" + _failures(card.figures))
    return "\n\n".join(part.strip() for part in parts) + "\n"


_MEASURED = (
    "Positives are fakes; photographs that only went through a generator's last stage are not counted. Verdicts are "
    "those of the detector's own thresholds; 95 % intervals by bootstrap over groups of pictures."
)


_NAMING = (
    "A lead and no proof: fingerprints can be removed and forged, and a generator that is not enrolled can lie near "
    "one that is. Aligned fakes are left out of the figures; intervals as above, of comparisons by generator, of "
    "enrolments the lowest and highest of ten draws."
)


def _attribution(gallery: Gallery) -> Iterator[str]:
    """What the gallery knows, and what was measured of it."""
    generators = ", ".join(f"{name} ({count})" for name, count in zip(gallery.generators, gallery.counts, strict=True))
    facts = [("gallery", gallery.gallery_id), ("learnt from", gallery.origin), ("generators (pictures)", generators)]
    yield "## Which generator\n" + _NAMING + "\n\n" + _bullets(facts)
    if gallery.figures:
        lines = ["| measured | figure | pictures or pairs |", "|---|---|---:|"]
        for name, figure in gallery.figures.items():
            lines.append(f"| {name} | {_shown('', figure)} | {figure.get('n', 0):.0f} |")
        yield "\n".join(lines)


def window_facts(card: Card) -> Facts:
    """The window policy in words."""
    window = card.window_config
    facts = [
        ("size", f"{window.size} px, at the picture's own resolution"),
        ("placement", PLACEMENTS[window.placement].format(count=window.count) if window.count > 1 else ONE_WINDOW),
        ("pooling", f"{window.pooling} of their scores"),
    ]
    return [*facts, ("one more view", "the whole picture, reduced")] if window.resized_view else facts


def calibration_facts(calibration: Calibration) -> Facts:
    """The thresholds and the error rates that they stand for, in words."""
    if not calibration.n_real and not calibration.n_fake:
        fitted = "on nothing: the probabilities are the network's own, no error rate stands behind a verdict"
    else:
        fitted = f"on {calibration.n_real} photographs and {calibration.n_fake} fakes"
    if calibration.deliveries:
        fitted += f", each as it is and after: {calibration.deliveries}"
    if calibration.contradicted:
        fitted += "; they showed no rise of evidence with the score"
    bound = calibration.log10_lr_bound
    return [
        ("fitted", fitted),
        ("weight of evidence", f"at most {bound:.2f} either way (a ratio of {10**bound:.0f})"),
        ("fake", f"score above {calibration.fake_threshold:.4f}{_chosen(calibration, fake=True)}"),
        ("real", f"score below {calibration.real_threshold:.4f}{_chosen(calibration, fake=False)}"),
        ("uncertain", "anything between"),
    ]


def _chosen(calibration: Calibration, *, fake: bool) -> str:
    """For which error rate a threshold was chosen, and what it was then."""
    if fake:
        rate, measured, whom = calibration.false_alarm_rate, calibration.measured_false_alarm_rate, "photographs"
    else:
        rate, measured, whom = calibration.miss_rate, calibration.measured_miss_rate, "fakes"
    if rate is None:
        return ", chosen for no error rate"
    seen = "" if measured is None else f" (there it was {100 * measured:.3g} %)"
    return f", chosen to call at most {100 * rate:.3g} % of {whom} {'fake' if fake else 'real'}{seen}"


def _origins(card: Card) -> Facts:
    training = card.training
    data = training.get("data")
    counts = ", ".join(f"{count:,} {split}" for split, count in data.items()) if isinstance(data, Mapping) else ""
    seen = training.get("pictures_seen")
    return [
        ("pictures", counts or "not stated"),
        ("windows seen in training", f"{seen:,}" if isinstance(seen, int) else "not stated"),
        ("command", f"`{training['command']}`" if training.get("command") else "not stated"),
        ("first weights", card.origin or "not stated"),
        ("licence", card.licence or "not stated"),
    ]


def _bullets(facts: Facts) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in facts)


def _measured(figures: Mapping[str, Any]) -> Iterator[str]:
    """A table of the headlines, then one for each split by generator and by source."""
    splits = {name: values for name, values in figures.items() if isinstance(values, Mapping)}
    if not splits:
        yield "Nothing yet: `ganfingerprint evaluate --record` writes figures into the card."
        return
    yield "### In all\n" + _table("split", splits, tuple(_HEADLINE))
    for split, values in splits.items():
        for by, figure in (("generator", "auc"), ("source", "false_alarm_rate_shipped")):
            rows = _parts(values, by, figure)
            if rows:
                fakes = by == "generator"
                title = "AUC by generator" if fakes else "Photographs called fake, by source"
                counted = "its fakes and all photographs" if fakes else "photographs"
                lines = [f"| {by} | {counted} | {'AUC' if fakes else 'share'} |", "|---|---:|---|"]
                lines += [f"| {name} | {entry.get('n', '')} | {_shown(figure, entry)} |" for name, entry in rows]
                yield f"### {split}: {title}\n" + "\n".join(lines)


def _parts(values: Mapping[str, Any], by: str, figure: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The entries of one grouping, the highest first."""
    start = f"{figure}.{by}."
    found = [(name.removeprefix(start), entry) for name, entry in values.items() if name.startswith(start)]
    return sorted(found, key=lambda row: -row[1]["value"])


def _table(first: str, rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    shown = [name for name in names if any(name in values for values in rows.values())]
    titles = [_HEADLINE.get(name, "AUC lost") for name in shown]
    lines = [f"| {first} | {' | '.join(titles)} |", "|---|" + "---|" * len(shown)]
    for name, values in rows.items():
        lines.append(f"| {name} | {' | '.join(_shown(figure, values.get(figure)) for figure in shown)} |")
    return "\n".join(lines)


def _shown(name: str, entry: Mapping[str, Any] | None) -> str:
    if not entry or "value" not in entry:
        return "-"
    from ganfingerprint.evaluation.bootstrap import Interval
    from ganfingerprint.evaluation.summary import SHARES, percent

    figure = Interval(**{key: entry[key] for key in ("value", "low", "high") if key in entry})
    return percent(figure) if name in SHARES else str(figure)


def _failures(figures: Mapping[str, Any]) -> str:
    """The generators that it does not see, as measured, and what no figure shows."""
    weak = [
        f"{name} ({entry['value']:.2f}, {split})"
        for split, values in figures.items()
        if isinstance(values, Mapping)
        for name, entry in _parts(values, "generator", "auc")
        if entry["value"] < _WEAK
    ]
    lines = (
        [f"- Generators that it hardly tells from photographs (AUC below {_WEAK}): {', '.join(weak)}."] if weak else []
    )
    lines += [
        "- Generators that it was not measured on: nobody knows.",
        "- Photographs that an AI enlarged, sharpened or retouched carry a generator's trace, and may be called fake.",
        "- Strong compression, scaling and blur remove traces: fewer fakes are found, see the deliveries if measured.",
        "- Of a large picture it sees its windows, not all of it: a small part that was replaced may lie between them.",
        "- Somebody who wants to deceive it can: removal of traces is a solved problem in the literature.",
    ]
    return "\n".join(lines)
