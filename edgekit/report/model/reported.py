"""The published figures that a recipe names; edgekit did not measure them."""

from __future__ import annotations

from edgekit.documents.report_findings import ReportedFigure
from edgekit.recipe import Reported
from edgekit.report.model.source import Source, model_title, strategy_title
from edgekit.stats.intervals import wilson_interval


def reported_figures(source: Source) -> list[ReportedFigure]:
    """The published figures of the kinds of model that were trained, each once."""
    trained = {(run.document.backbone, run.document.strategy, run.arm) for run in source.runs}
    found: dict[tuple[str, str, str], ReportedFigure] = {}
    for entry in [] if source.recipe is None else source.recipe.reported:
        if (entry.backbone, entry.strategy, entry.arm) in trained:
            figure = _figure(entry)
            found.setdefault((figure.model, figure.strategy, figure.source), figure)
    return list(found.values())


def _figure(entry: Reported) -> ReportedFigure:
    return ReportedFigure(
        model=model_title(entry.backbone),
        strategy=strategy_title(entry.strategy, entry.arm),
        accuracy=entry.accuracy,
        n_samples=entry.n_samples,
        ci95=_interval(entry.accuracy, entry.n_samples),
        source=entry.source,
        val_accuracy=entry.val_accuracy,
        val_ci95=_interval(entry.val_accuracy, entry.n_samples) if entry.accuracy is None else None,
        loss=entry.loss,
        val_loss=entry.val_loss,
        train_seconds=entry.train_seconds,
        size_bytes=None if entry.size_mb is None else entry.size_mb * 1e6,
    )


def _interval(accuracy: float | None, n: int) -> tuple[float, float] | None:
    return None if accuracy is None else wilson_interval(round(accuracy * n), n)
