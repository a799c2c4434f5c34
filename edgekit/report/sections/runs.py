"""Every trained network: metrics, training curves, confusion matrix, classes, Grad-CAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgekit.documents.report_findings import ReportedFigure
from edgekit.documents.run import SplitMetrics
from edgekit.render.numbers import number, percent_range
from edgekit.render.text import plural
from edgekit.report.figures.charts import confusion
from edgekit.report.figures.learning_curves import curves
from edgekit.report.model.report import Report
from edgekit.report.model.source import RunData
from edgekit.report.sections.section import Section
from edgekit.stats.calibration_bias import CalibrationError

MATRIX_CLASSES = 15
"""With up to this many classes, the confusion matrix is a table of counts; with more, a heat map."""

OPEN_RUNS = 4
"""With more runs than this, their details are folded."""

MOST_CONFUSED = 10

PICTURE_BYTES = 4_000_000
"""Grad-CAM pictures that a page holds at most; the others stay in the folders of their runs."""


@dataclass(frozen=True)
class RunView:
    """One run as the page shows it."""

    anchor: str
    data: RunData
    curves: list[tuple[str, Markup]]
    many: bool
    """Whether it has too many classes for a table of counts."""
    heat_map: Markup | None
    confused: list[tuple[int, str, str]]
    """Beside a heat map: number of images, true class, predicted class; the most frequent first."""
    reported: list[ReportedFigure]
    """Published figures of its kind, if it is the last run of that kind."""
    pictured: bool
    """Whether the page holds its Grad-CAM pictures; those of a large study would make it too large."""

    @property
    def title(self) -> str:
        return f"{self.data.title}, seed {self.data.seed}"

    @property
    def epochs(self) -> int:
        return sum(phase.epochs_run for phase in self.data.document.stages)


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix added up over seeds."""

    title: str
    labels: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class RunsView:
    """Every run, and the confusion matrices over all seeds."""

    runs: list[RunView]
    confusions: list[Matrix]

    @property
    def folded(self) -> bool:
        return len(self.runs) > OPEN_RUNS

    def calibration(self, found: CalibrationError) -> str:
        """``corrected 0.012 (0.000 to 0.031)``."""
        return f"corrected {number(found.estimate, 3)} ({number(found.low, 3)} to {number(found.high, 3)})"

    def validation(self, row: ReportedFigure) -> str:
        """The remark on a published validation accuracy."""
        parts = [percent_range(row.val_ci95)] if row.val_ci95 else []
        return ", ".join([*parts, *([f"loss {number(row.val_loss, 3)}"] if row.val_loss is not None else [])])


def _view(report: Report) -> RunsView:
    last = {run.title: n for n, run in enumerate(report.runs, 1)}
    pictured = _pictured(report.runs)
    runs = [
        _run(report, run, n, last=last[run.title] == n, pictured=n in pictured) for n, run in enumerate(report.runs, 1)
    ]
    return RunsView(runs, _confusions(report.runs))


def _pictured(runs: Sequence[RunData]) -> set[int]:
    """The numbers of the runs whose pictures the page holds: the first seed of every kind, then the second, ..."""
    turns: dict[str, int] = {}
    order = []
    for n, run in enumerate(runs, 1):
        turns[run.title] = turn = turns.get(run.title, 0) + 1
        order.append((turn, n, sum(picture.size_bytes for picture in run.gradcam)))
    chosen, total = set(), 0
    for _, n, size_bytes in sorted(order):
        total += size_bytes
        if total <= PICTURE_BYTES:
            chosen.add(n)
    return chosen


def _run(report: Report, run: RunData, n: int, *, last: bool, pictured: bool) -> RunView:
    anchor = f"run-{n}"
    many = run.test is not None and len(run.test.per_class) > MATRIX_CLASSES
    return RunView(
        anchor=anchor,
        data=run,
        curves=[
            (quantity, curves(run.history, quantity, width=380, height=250))
            for quantity in ("loss", "accuracy")
            if run.history
        ],
        many=many,
        heat_map=confusion(run.test.confusion, name=f"{anchor}-confusion", side=420)
        if run.test and run.test.confusion and many
        else None,
        confused=_most_confused(run.test) if run.test and many else [],
        pictured=pictured,
        reported=[row for row in report.reported if last and (row.model, row.strategy) == (run.model, run.strategy)],
    )


def _most_confused(test: SplitMetrics) -> list[tuple[int, str, str]]:
    names = [row.label for row in test.per_class]
    worst = sorted(test.confused(), key=lambda entry: -entry[2])[:MOST_CONFUSED]
    return [(n, names[i], names[j]) for i, j, n in worst]


def _confusions(runs: Sequence[RunData]) -> list[Matrix]:
    """The sum over seeds of the matrices of each kind of Keras model that has several seeds."""
    found: dict[str, list[SplitMetrics]] = {}
    for run in runs:
        if run.test is not None and 0 < len(run.test.confusion) <= MATRIX_CLASSES:
            found.setdefault(run.title, []).append(run.test)
    return [
        Matrix(
            f"{title}, {plural(len(tests), 'seed')}",
            [row.label for row in tests[0].per_class],
            [[sum(cells) for cells in zip(*rows)] for rows in zip(*(test.confusion for test in tests))],
        )
        for title, tests in found.items()
        if len(tests) > 1
    ]


SECTION = Section("runs", "Training and classes", _view)
