"""Where two exported files differ: the recall of each class, on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.report_comparisons import ClassDifferences, ClassRecord
from edgekit.render.numbers import points
from edgekit.render.text import listing
from edgekit.report.model.comparisons import ALPHA, Comparisons
from edgekit.report.model.groups import Group
from edgekit.stats.intervals import Interval
from edgekit.stats.seeds_and_images import difference_interval, difference_p
from edgekit.stats.significance import holm

MOST_PAIRS = 30
MOST_CLASSES = 12
"""Classes on the page, those that differ most; ``report.json`` has all of them."""


@dataclass(frozen=True)
class ClassDifference:
    """One class. ``left`` and ``right`` are recalls, 0 to 1, means over the shared seeds; ``p`` is Holm's."""

    label: str
    n_images: int
    left: float
    right: float
    difference: Interval
    p: float

    @property
    def differs(self) -> bool:
        return self.p < ALPHA


@dataclass(frozen=True)
class ClassComparison:
    """Two groups, class by class; ``n_tests`` is what the p-values are corrected for."""

    left: Group
    right: Group
    n_seeds: int
    n_tests: int
    rows: list[ClassDifference]

    @property
    def shown(self) -> list[ClassDifference]:
        """The classes that the page shows, in the order of the data."""
        chosen = sorted(self.rows, key=lambda row: (row.p, -abs(row.difference.estimate)))[:MOST_CLASSES]
        return [row for row in self.rows if row in chosen]

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        found = [row for row in self.rows if row.differs]
        if found:
            named = [f"{row.label} ({points(row.difference.estimate)} points)" for row in found]
            return f"significant differences: {listing(named, 6)}"
        widest = max(self.rows, key=lambda row: abs(row.difference.estimate))
        if widest.difference.estimate == 0:
            return "no class differs"
        largest = f"class {widest.label} ({points(widest.difference.estimate)} points)"
        return f"no class differs significantly; the largest difference is in {largest}"

    def document(self) -> ClassDifferences:
        return ClassDifferences(
            left=self.left.title,
            right=self.right.title,
            n_seeds=self.n_seeds,
            n_tests=self.n_tests,
            classes=tuple(_record(row) for row in self.rows),
        )


def _record(row: ClassDifference) -> ClassRecord:
    return ClassRecord(
        label=row.label,
        n_images=row.n_images,
        recall_left=row.left,
        recall_right=row.right,
        difference=row.difference.estimate,
        difference_ci95=(row.difference.low, row.difference.high),
        p_holm=row.p,
    )


def class_comparisons(groups: Sequence[Group], comparisons: Comparisons) -> list[ClassComparison]:
    """The best model against the best of each other kind, and each int8 file against its fp32 counterpart.

    One seed: exact McNemar tests, and intervals by Bonett and Price; several seeds: the t test and interval over seeds
    and images. The p-values of all classes of all pairs are corrected together (Holm). Pairs that were not scored on
    the same images, or that share no seed, are left out.
    """
    found = []
    for left, right in islice(_pairs(groups), MOST_PAIRS):
        rows = _rows(left, right, comparisons)
        if rows is not None:
            found.append((left, right, *rows))
    adjusted = iter(holm([p for *_, rows in found for _, p in rows]))
    n_tests = sum(len(rows) for *_, rows in found)
    return [
        ClassComparison(
            left,
            right,
            seeds,
            n_tests,
            [replace(row, p=next(adjusted)) for row, _ in rows],
        )
        for left, right, seeds, rows in found
    ]


def _pairs(groups: Sequence[Group]) -> Iterator[tuple[Group, Group]]:
    scored = [group for group in groups if group.accuracy is not None]
    if not scored:
        return
    target = max(scored, key=lambda group: group.accuracy or 0.0).target
    scored = sorted((g for g in scored if g.target == target), key=lambda g: -(g.accuracy or 0.0))
    best: dict[tuple[str, str], Group] = {}
    for group in scored:
        best.setdefault((group.first.model, group.first.strategy), group)
    first, *others = best.values()
    yield from ((first, other) for other in others)
    of_format = {(g.first.run.title, g.first.export.format): g for g in reversed(scored) if _scheme(g) == "fp32"}
    for group in scored:
        counterpart = of_format.get((group.first.run.title, group.first.export.format))
        if _scheme(group) == "int8" and counterpart is not None:
            yield group, counterpart


def _scheme(group: Group) -> str:
    return group.first.export.scheme


def _rows(
    left: Group, right: Group, comparisons: Comparisons
) -> tuple[int, list[tuple[ClassDifference, float]]] | None:
    """The seeds that both have, and of every class the difference with its p, not corrected yet."""
    differences, truth = comparisons.differences(left, right), left.first.run.truth
    files = list(left.first.correct)
    if differences is None or any(file not in truth for file in files):
        return None
    seeds = [m.seed for m in left.members if m.seed in {other.seed for other in right.members}]
    labels = np.array([truth[file] for file in files])
    rows = []
    for number, name in enumerate(left.first.run.document.dataset.classes):
        mine = labels == number
        if mine.any():
            interval, p = _difference(differences[:, mine])
            a, b = (_recall(group, seeds, files, mine) for group in (left, right))
            rows.append((ClassDifference(name, int(mine.sum()), a, b, interval, 1.0), p))
    return (len(seeds), rows) if rows else None


def _difference(differences: NDArray[np.float64]) -> tuple[Interval, float]:
    """Of one class, from ``differences`` (seeds, images)."""
    if differences.shape[1] < 2:  # a single image says nothing about other seeds
        differences = differences.mean(axis=0, keepdims=True)
    return difference_interval(differences), difference_p(differences)


def _recall(group: Group, seeds: Sequence[int], files: Sequence[str], mine: NDArray[np.bool_]) -> float:
    of = {member.seed: member.correct for member in group.members}
    right = np.array([[of[seed][file] for file in files] for seed in seeds], dtype=np.float64)
    return float(right[:, mine].mean())
