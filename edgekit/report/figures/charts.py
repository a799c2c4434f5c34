"""The figures of a report, from plain numbers. Nothing here reads files or knows of HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.render.numbers import milliseconds, percent
from edgekit.report.figures.svg import INK, MUTED, PAPER, SERIES, canvas, inline_svg

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h", "<", ">", "p", "d", "*", "8")
"""Shapes of the kinds of file, so that they differ without colour."""

MOST_NUMBERED = 80


@dataclass(frozen=True)
class Point:
    """One exported file in the plane of latency and accuracy. Fractions are 0 to 1, latency is in milliseconds."""

    number: int
    title: str
    color_of: str
    marker_of: str
    latency_ms: float
    latency_range: tuple[float, float]
    """Lowest and highest median of a round."""
    accuracy: float
    accuracy_ci95: tuple[float, float]
    on_front: bool
    stable: bool


def accuracy_latency(points: Sequence[Point], *, name: str, width: int, height: int, xlabel: str) -> Markup:
    """Accuracy with its interval against latency (log) with its range over rounds; the Pareto front as a line."""
    colors = _assign([p.color_of for p in points], SERIES)
    markers = _assign([p.marker_of for p in points], MARKERS)
    with canvas(width, height) as figure:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        for point in points:
            _draw_point(axes, point, colors[point.color_of], markers[point.marker_of])
        front = sorted((p.latency_ms, 100 * p.accuracy) for p in points if p.on_front)
        if front:
            axes.plot(*zip(*front), color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), zorder=3, drawstyle="steps-post")
        _log_axis(axes, min(p.latency_range[0] for p in points) / 1.25, max(p.latency_range[1] for p in points) * 1.25)
        axes.set_xlabel(xlabel)
        axes.set_ylabel("accuracy on the test split, %")
        _legend(axes, colors, markers, width)
        figure.draw_without_rendering()
        _number_points(axes, points)
        tips = {
            f"point-{p.number}": f"{p.number}: {p.title}, {percent(p.accuracy)}%, {milliseconds(p.latency_ms)} ms"
            for p in points
        }
        return inline_svg(
            figure, name, "Accuracy against latency; the numbers are in the table of exported files", tips
        )


def _draw_point(axes: Axes, point: Point, color: str, marker: str) -> None:
    """One exported file with its two intervals."""
    low, high = (100 * bound for bound in point.accuracy_ci95)
    strength = 1.0 if point.stable else 0.4
    bars: dict[str, Any] = {"color": color, "linewidth": 1.2, "alpha": 0.55 * strength, "zorder": 2}
    axes.plot([point.latency_ms] * 2, [low, high], **bars)
    axes.plot(point.latency_range, [100 * point.accuracy] * 2, **bars)
    axes.plot(
        point.latency_ms,
        100 * point.accuracy,
        linestyle="none",
        marker=marker,
        markersize=7,
        markerfacecolor=color if point.on_front else PAPER,
        markeredgecolor=color,
        markeredgewidth=1.4,
        alpha=strength,
        zorder=4,
        gid=f"point-{point.number}",
    )


def _log_axis(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xlim(low, high)
    ticks = log_ticks(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])


def seed_bands(
    lines: Sequence[tuple[str, Sequence[tuple[int, float, float, float]]]],
    quantity: str,
    starts: Sequence[int],
    *,
    name: str,
    width: int,
    height: int,
) -> Markup:
    """``quantity`` over the epochs, one line per model: (epoch, mean, lowest, highest) over its seeds.

    ``starts`` are epochs after which a new phase begins. The legend is drawn above and adds to ``height``.
    """
    from matplotlib.ticker import MaxNLocator

    factor, unit = (100.0, ", %") if quantity == "accuracy" else (1.0, "")
    with canvas(width, height + 17 * len(lines)) as figure:
        axes = figure.add_subplot()
        for number, (title, points) in enumerate(lines):
            epochs = [point[0] for point in points]
            mean, lowest, highest = ([factor * point[i] for point in points] for i in (1, 2, 3))
            color = SERIES[number % len(SERIES)]
            axes.fill_between(epochs, lowest, highest, color=color, alpha=0.18, linewidth=0)
            axes.plot(
                epochs,
                mean,
                label=title,
                color=color,
                linewidth=1.6,
                linestyle=("solid", (0, (4, 2)), (0, (1, 1.5)))[number // len(SERIES) % 3],
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
                markevery=max(1, len(epochs) // 8),
            )
        for start in starts:
            axes.axvline(start + 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_xlim(0.5, max(2, *(point[0] for _, points in lines for point in points)) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"validation {quantity}{unit}")
        figure.legend(loc="outside upper left", ncols=1, handlelength=2.2)
        return inline_svg(figure, name, f"Validation {quantity} over the epochs, mean and range over seeds")


def severity_curves(
    lines: Sequence[tuple[str, Sequence[tuple[int, float]]]], *, name: str, width: int, height: int
) -> Markup:
    """Accuracy (0 to 1) against severity, one line per model; severity 0 is clean."""
    from matplotlib.ticker import MaxNLocator

    with canvas(width, height) as figure:
        axes = figure.add_subplot()
        for number, (title, points) in enumerate(lines):
            axes.plot(
                [severity for severity, _ in points],
                [100 * accuracy for _, accuracy in points],
                label=title,
                color=SERIES[number % len(SERIES)],
                marker=MARKERS[number // len(SERIES) % len(MARKERS)],
                markersize=4,
                linewidth=1.5,
                linestyle=("solid", (0, (4, 2)))[number // len(SERIES) % 2],
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("severity")
        axes.set_ylabel("accuracy on the test split, %")
        figure.legend(loc="outside upper left", ncols=max(1, width // 360), handlelength=2.2)
        return inline_svg(figure, name, "Accuracy against the severity of corruptions; the numbers are in the tables")


def latency_over_time(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, name: str, width: int, height: int
) -> Markup:
    """Latency in milliseconds against the seconds of a sustained run, one line per file."""
    with canvas(width, height) as figure:
        axes = figure.add_subplot()
        for number, (title, points) in enumerate(lines):
            axes.plot(
                *zip(*points),
                label=title,
                color=SERIES[number % len(SERIES)],
                linewidth=1.5,
                linestyle=("solid", (0, (4, 2)))[number // len(SERIES) % 2],
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds")
        axes.set_ylabel("latency, p50 in ms")
        figure.legend(loc="outside upper left", ncols=max(1, width // 360), handlelength=2.2)
        return inline_svg(figure, name, "Latency over the time of a sustained run; the table has the start and the end")


def confusion(matrix: Sequence[Sequence[int]], *, name: str, side: int) -> Markup:
    """Row-normalised confusion matrix of many classes as a heat map; axes are class numbers, from 1."""
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    counts = np.asarray(matrix, np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    # A raster image cannot use the page's colours: a mid blue that fades out works on light and on dark.
    blues = LinearSegmentedColormap.from_list("share", [(0.16, 0.47, 0.71, 0.0), (0.16, 0.47, 0.71, 1.0)])
    with canvas(side, side) as figure:
        axes = figure.add_subplot()
        extent = (0.5, len(counts) + 0.5, len(counts) + 0.5, 0.5)
        axes.imshow(share, cmap=blues, vmin=0, vmax=1, extent=extent, interpolation="nearest")
        axes.grid(visible=False)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        return inline_svg(figure, name, "Confusion matrix: share of each true class predicted as each class")


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers (1, 2, 5 times powers of ten) inside [low, high]; all digits where those are fewer than three."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [digit * 10.0**e for e in exponents for digit in digits if low <= digit * 10.0**e <= high]
        if len(ticks) >= 3:
            return ticks
    middle = math.sqrt(low * high)
    return [float(f"{value:.3g}") for value in (low * 1.02, middle, high / 1.02)]


def _assign(names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """One value per name in the order of first appearance; the values start again where there are too few."""
    return {name: values[i % len(values)] for i, name in enumerate(dict.fromkeys(names))}


def _legend(axes: Axes, colors: dict[str, str], markers: dict[str, str], width: int) -> None:
    """Above the axes, in as many columns as the longest name leaves room for."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, linewidth=3, label=name) for name, color in colors.items()]
    handles += [
        Line2D([], [], linestyle="none", marker=shape, color=MUTED, markerfacecolor=PAPER, markersize=6, label=name)
        for name, shape in markers.items()
    ]
    longest = max(len(name) for name in [*colors, *markers])
    columns = max(1, width // (40 + 6 * longest))
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, handlelength=1.4, columnspacing=1.2)


def _number_points(axes: Axes, points: Sequence[Point]) -> None:
    """Write each file's number beside its point, on the side where it covers the fewest others.

    Of very many, only those on the front have a number; the pointer shows the others.
    """
    if len(points) > MOST_NUMBERED:
        points = [point for point in points if point.on_front]
    places = {p.number: axes.transData.transform((p.latency_ms, 100 * p.accuracy)) for p in points}
    scale = axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    taken = [tuple(place) for place in places.values()]
    for point in sorted(points, key=lambda p: not p.on_front):
        x, y = places[point.number]
        offsets = [(9, 5), (-9, 5), (9, -7), (-9, -7), (0, 11), (0, -12), (14, 0), (-14, 0)]

        def crowding(offset: tuple[int, int], x: float = x, y: float = y) -> float:
            at = (x + offset[0] * scale, y + offset[1] * scale)
            return sum(max(0.0, 12 * scale - math.dist(at, other)) for other in taken)

        best = min(offsets, key=crowding)
        taken.append((x + best[0] * scale, y + best[1] * scale))
        axes.annotate(
            str(point.number), (point.latency_ms, 100 * point.accuracy), xytext=best, textcoords="offset points",
            ha="center", va="center", fontsize=10.5, color=INK, zorder=5,
            fontweight="bold" if point.on_front else "normal",
        )  # fmt: skip
