"""Accuracy under corruption, as `edgekit evaluate --corruptions` prints it; at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.cli.output import table
from edgekit.cli.render.tables import wrapped
from edgekit.documents.corruptions import ModelUnderCorruption, PairUnderCorruption, RobustnessSummary
from edgekit.render.numbers import number, percent, percent_range, signed


def robustness_text(summary: RobustnessSummary) -> str:
    """A table for each model, and each compressed file against its fp32 counterpart."""
    blocks = ["\n".join(_model(model)) for model in summary.models]
    pairs = [wrapped(_pair(pair)) for pair in summary.paired]
    return "\n\n".join([*blocks, *(["\n".join(pairs)] if pairs else [])])


def _model(model: ModelUnderCorruption) -> Iterator[str]:
    severities = sorted({one.severity for under in model.corruptions.values() for one in under})
    rows = []
    for name, under in model.corruptions.items():
        by_severity = {one.severity: one.accuracy for one in under}
        mean = sum(by_severity.values()) / len(by_severity)
        ece = sum(one.ece for one in under) / len(under)
        rows.append([name, *(percent(by_severity.get(s)) for s in severities), percent(mean), number(ece, 3)])
    place = "" if model.target == "local" else f" on {model.target}"
    yield f"{model.model}{place}: accuracy in % by severity, n = {model.n_samples}"
    yield ""
    yield table(["", *map(str, severities), "mean", "ECE"], rows, right=range(1, len(severities) + 3))
    yield ""
    clean = model.clean
    yield f"clean {percent(clean.accuracy)} ({percent_range(clean.accuracy_ci95)}), ECE {number(clean.ece, 3)}"
    if model.mean_corruption_error is not None and model.relative_corruption_error is not None:
        yield (
            f"mean corruption error {percent(model.mean_corruption_error)} %, "
            f"{signed(100 * model.relative_corruption_error, 1)} points relative to clean"
        )


def _pair(pair: PairUnderCorruption) -> str:
    return (
        f"{pair.model} against {pair.reference}: loses {percent(pair.clean_loss, 2)} points of accuracy on clean "
        f"images and {percent(pair.corrupted_loss, 2)} on corrupted ones, which is {percent(pair.extra_loss, 2)} more "
        f"({percent_range(pair.extra_loss_ci95, 2)}). As robust (at most {100 * pair.margin:g} point more): "
        f"{pair.verdict}"
    )
