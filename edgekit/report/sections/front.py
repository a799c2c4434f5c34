"""Accuracy against latency, with the Pareto front, for each target and thread count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgekit.render.text import listing, plural
from edgekit.report.figures.charts import Point, accuracy_latency
from edgekit.report.figures.svg import SERIES
from edgekit.report.model.front import front
from edgekit.report.model.groups import Group, thread_counts
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Plot, Section

MOST_POINTS = 200
"""More would cover each other, and make the page slow."""


@dataclass(frozen=True)
class FrontView:
    """The plots that can be drawn."""

    plots: list[Plot]


def _view(report: Report) -> FrontView:
    return FrontView(list(_plots(report)))


def _plots(report: Report) -> Iterator[Plot]:
    for t, target in enumerate(report.targets, 1):
        groups = report.of_target(target)
        for threads in thread_counts(groups):
            points, left_out = _points(groups, threads)
            caption = f"{target}, {plural(threads, 'thread')}"
            if len(points) > MOST_POINTS:
                caption += f"; the front and the most accurate of {len(points)} kinds of file"
                points = sorted(points, key=lambda p: (not p.on_front, -p.accuracy))[:MOST_POINTS]
            if points:
                yield _plot(points, left_out, caption, threads, f"plot-{t}-{threads}")


def _plot(points: Sequence[Point], left_out: Sequence[str], caption: str, threads: int, name: str) -> Plot:
    if not all(point.stable for point in points):
        caption += "; pale points are unstable and excluded from comparisons"
    if left_out:
        caption += f"; not shown because emulated, failed or not scored: {listing(left_out, 8)}"
    label = f"latency, p50 in ms, {plural(threads, 'thread')} (logarithmic)"
    return Plot(
        caption,
        accuracy_latency(points, name=f"{name}-wide", width=560, height=400, xlabel=label),
        accuracy_latency(points, name=f"{name}-narrow", width=350, height=380, xlabel=label),
    )


def _points(groups: Sequence[Group], threads: int) -> tuple[list[Point], list[str]]:
    """What can be drawn, and the numbers of what cannot."""
    on_front = front(groups, threads)
    families = {(group.first.model, group.first.strategy) for group in groups}
    by_strategy = len({strategy for _, strategy in families}) > 1 and len(families) <= len(SERIES)
    points, left_out = [], []
    for group in groups:
        p50 = group.real_p50(threads)
        if p50 is None or group.accuracy is None or group.interval is None:
            left_out.append(f"#{group.number}")
            continue
        points.append(
            Point(
                number=group.number,
                title=group.title,
                color_of=group.first.run.title if by_strategy else group.first.model,
                marker_of=group.first.key,
                latency_ms=p50,
                latency_range=group.p50_range(threads) or (p50, p50),
                accuracy=group.accuracy,
                accuracy_ci95=group.interval,
                on_front=group in on_front,
                stable=group.stable(threads),
            )
        )
    return points, left_out


SECTION = Section("front", "Accuracy and latency", _view)
