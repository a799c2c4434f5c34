"""Training and validation curves of one run as SVG, written directly.

A study has two of these figures for each of its runs, and Matplotlib takes a tenth of a second for one.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgekit.documents.history import EpochResult
from edgekit.render.text import visible

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 38, 36
"""Margins in pixels: ticks and their labels, and above the axes the legend and the names of the phases."""

_FONT = 10.5
_DOTS_BELOW = 30
"""With fewer epochs than this, every epoch has a dot."""


@dataclass(frozen=True)
class _Axis:
    """From values to pixels: ``low`` is drawn at ``start`` and ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def curves(rows: Sequence[EpochResult], quantity: str, *, width: int, height: int) -> Markup:
    """Training and validation curve of ``quantity`` (``loss`` or ``accuracy``) over the epochs of all phases.

    ``width`` and ``height`` are in pixels. Epochs are numbered through all phases, from 1.
    """
    factor, unit = (100.0, ", %") if quantity == "accuracy" else (1.0, "")
    lines = [
        ("training", "var(--muted)", ' stroke-dasharray="6 3"', [factor * getattr(row, quantity) for row in rows]),
        ("validation", "var(--series-1)", "", [factor * getattr(row, f"val_{quantity}") for row in rows]),
    ]
    x = _Axis(0.5, max(len(rows), 2) + 0.5, _LEFT, width - _RIGHT)
    known = [value for *_, values in lines for value in values if math.isfinite(value)] or [0.0]
    margin = 0.05 * (max(known) - min(known)) or 0.05 * abs(known[0]) or 1.0
    y = _Axis(min(known) - margin, max(known) + margin, height - _BOTTOM, _TOP)
    parts = [*_axes(x, y, f"{quantity}{unit}"), *_phases(rows, x, y)]
    for place, (label, color, dashes, values) in enumerate(lines):
        parts += _line(values, x, y, color, dashes)
        at = _LEFT + 110 * place
        parts.append(f'<path d="M{at} 10h22" stroke="{color}" stroke-width="1.6"{dashes} fill="none"/>')
        parts.append(f'<text x="{at + 28}" y="13.5">{label}</text>')
    title = html.escape(f"{quantity} over the epochs, training and validation", quote=True)
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}" font-size="{_FONT}" fill="var(--ink)">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704 - numbers, and escaped text


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """At most ``most`` + 1 round numbers (steps of 1, 2 or 5 times a power of ten) inside [low, high]."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    while (high - low) / step > most:
        step *= 2.5 if f"{step:e}".startswith("2") else 2
    step = max(1.0, math.ceil(step)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _axes(x: _Axis, y: _Axis, label: str) -> Iterator[str]:
    """Grid, ticks with their numbers, the two spines and the names of the axes."""
    left, right, bottom, top = x.start, x.end, y.start, y.end
    across, along = ticks(y.low, y.high, 6), [tick for tick in ticks(x.low, x.high, 8, whole=True) if tick >= 1]
    grid = "".join(f"M{left} {y.at(tick):.1f}H{right}" for tick in across)
    grid += "".join(f"M{x.at(tick):.1f} {bottom}V{top}" for tick in along)
    yield f'<path d="{grid}" stroke="var(--rule)" stroke-width=".8"/>'
    yield f'<path d="M{left} {top}V{bottom}H{right}" stroke="var(--muted)" stroke-width=".8" fill="none"/>'
    yield '<g fill="var(--muted)">'
    yield from (f'<text x="{left - 5}" y="{y.at(tick) + 3.5:.1f}" text-anchor="end">{tick:g}</text>' for tick in across)
    yield from (f'<text x="{x.at(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>' for tick in along)
    yield "</g>"
    middle, center = (left + right) / 2, (top + bottom) / 2
    yield f'<text x="{middle:.1f}" y="{bottom + 30}" text-anchor="middle">epoch</text>'
    name = html.escape(visible(label))
    yield f'<text transform="translate(11 {center:.1f}) rotate(-90)" text-anchor="middle">{name}</text>'


def _phases(rows: Sequence[EpochResult], x: _Axis, y: _Axis) -> Iterator[str]:
    """Where there are several phases: a dotted line between them, and their names."""
    starts = [i for i in range(len(rows)) if i == 0 or rows[i].stage != rows[i - 1].stage]
    if len(starts) < 2:
        return
    for start in starts:
        at = x.at(start + 0.5)
        if start:
            line = f"M{at:.1f} {y.start}V{y.end}"
            yield f'<path d="{line}" stroke="var(--muted)" stroke-width=".8" stroke-dasharray="1 2"/>'
        stage = html.escape(visible(rows[start].stage))
        yield f'<text x="{at + 2:.1f}" y="{y.end - 5}" fill="var(--muted)">{stage}</text>'


def _line(values: Sequence[float], x: _Axis, y: _Axis, color: str, dashes: str) -> Iterator[str]:
    """A line through the finite values; a value that is not finite interrupts it."""
    path, pen = [], "M"
    for epoch, value in enumerate(values, 1):
        if math.isfinite(value):
            path.append(f"{pen}{x.at(epoch):.1f} {y.at(value):.1f}")
        pen = "L" if math.isfinite(value) else "M"
    yield f'<path d="{"".join(path)}" stroke="{color}" stroke-width="1.6"{dashes} fill="none"/>'
    if len(values) < _DOTS_BELOW:
        # Strokes of no length with round ends are dots; one path instead of an element for each.
        dots = "".join(f"M{point[1:]}h0" for point in path)
        yield f'<path d="{dots}" stroke="{color}" stroke-width="4.5" style="stroke-linecap:round"/>'
