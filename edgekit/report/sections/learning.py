"""Learning curves of all kinds of model, over seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from edgekit.documents.report_comparisons import LearningCurve
from edgekit.render.markdown import table
from edgekit.render.numbers import percent, percent_range, points
from edgekit.report.figures.charts import seed_bands
from edgekit.report.model.learning import QUANTITIES, Learning
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section

MOST_LINES = 18
"""As many as the figure has combinations of colour and dashes."""


@dataclass(frozen=True)
class LearningView:
    """The curves, and a figure of validation accuracy and one of validation loss."""

    learning: Learning
    plots: list[tuple[str, Markup]]

    @property
    def cut_to(self) -> int | None:
        """How many kinds of model the figures show, where it is not all of them."""
        return MOST_LINES if _cut(self.learning) else None


def _view(report: Report) -> LearningView | None:
    return None if report.learning is None else LearningView(report.learning, list(_plots(report.learning)))


def _plots(learning: Learning) -> Iterator[tuple[str, Markup]]:
    starts = [start for _, start in learning.phases[1:]]
    kinds = sorted(learning.kinds, key=lambda kind: -(kind.test or 0.0)) if _cut(learning) else learning.kinds
    for quantity in QUANTITIES:
        bands = [
            (kind.title, [(point.epoch, point.mean, point.lowest, point.highest) for point in points])
            for kind in kinds[:MOST_LINES]
            if (points := kind.curves[f"val_{quantity}"])
        ]
        if bands:
            yield quantity, seed_bands(bands, quantity, starts, name=f"learning-{quantity}", width=380, height=270)


def _cut(learning: Learning) -> bool:
    return len(learning.kinds) > MOST_LINES


def _markdown(_: Report, view: LearningView) -> Iterator[str]:
    headers = ["Keras model", "seeds", "validation, %", "test, % (95% over seeds)", "training above validation, points"]
    yield table(headers, (list(_cells(kind)) for kind in view.learning.kinds))


def _cells(kind: LearningCurve) -> Iterator[str]:
    yield kind.title
    yield str(len(kind.seeds))
    yield percent(kind.validation)
    interval = "" if kind.test_ci95 is None else f" ({percent_range(kind.test_ci95)})"
    yield f"{percent(kind.test)}{interval}"
    yield points(kind.overfit)


SECTION = Section("learning", "Learning curves", _view, _markdown)
