"""The figures of a run as PNG files: training curves and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.history import EpochResult
from edgekit.documents.run import SplitMetrics
from edgekit.support.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED_CLASSES = 60
"""With up to this many classes, the confusion matrix has their names; a figure with more would be metres wide."""

CELLS = 400
"""Rows and columns of the confusion matrix of very many classes."""


def curves_figure(history: Sequence[EpochResult], path: Path) -> None:
    """Loss and accuracy of training and validation over all epochs, with a line where a phase begins."""
    figure = _figure(9.0, 3.6)
    loss, accuracy = figure.subplots(1, 2)
    epochs = np.arange(1, len(history) + 1)
    for axis, name in ((loss, "loss"), (accuracy, "accuracy")):
        training, validation = _columns(history, name)
        axis.plot(epochs, training, label="training", color="#0072B2")
        axis.plot(epochs, validation, label="validation", color="#D55E00")
        axis.set_xlabel("epoch")
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
        for position in range(1, len(history)):
            if history[position].stage != history[position - 1].stage:
                axis.axvline(position + 0.5, color="0.4", linestyle=":", linewidth=1)
                axis.annotate(
                    history[position].stage,
                    (position + 0.5, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(3, -10),
                    textcoords="offset points",
                    fontsize=8,
                )
    loss.legend(frameon=False)
    _save(figure, path)


def _columns(history: Sequence[EpochResult], name: str) -> tuple[list[float], list[float]]:
    if name == "loss":
        return [epoch.loss for epoch in history], [epoch.val_loss for epoch in history]
    return [epoch.accuracy for epoch in history], [epoch.val_accuracy for epoch in history]


def confusion_figure(metrics: SplitMetrics, path: Path) -> None:
    """Confusion matrix of the test split: counts, coloured by their share of the true class.

    With many classes there are no names, and with very many, neighbouring classes are added up.
    """
    names = [row.label for row in metrics.per_class]
    counts = np.array(metrics.confusion) if metrics.confusion else _coarse(metrics, len(names))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    named = len(names) <= NAMED_CLASSES
    side = max(3.2, 0.55 * len(names) + 1.8) if named else 12.0
    figure = _figure(side + 0.6, side)
    axis = figure.subplots()
    last = len(names) - 0.5
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1, extent=(-0.5, last, last, -0.5), interpolation="nearest")
    if named:
        axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    if len(names) <= 30:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.5 else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axis.set_title(f"test split, n = {metrics.n_samples}, accuracy {metrics.accuracy:.3f}", fontsize=10)
    _save(figure, path)


def _coarse(metrics: SplitMetrics, n_classes: int) -> NDArray[np.int64]:
    """The matrix of very many classes in :data:`CELLS` rows and columns, each for several classes."""
    found = np.zeros((CELLS, CELLS), dtype=np.int64)
    true, predicted, counts = np.array(metrics.confusion_entries, dtype=np.int64).T
    np.add.at(found, (true * CELLS // n_classes, predicted * CELLS // n_classes), counts)
    return found


def _figure(width: float, height: float) -> Figure:
    """An empty figure, sized in inches, that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
