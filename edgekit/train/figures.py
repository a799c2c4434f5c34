"""The figures of a run as PNG files: training curves and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.documents.history import EpochResult
from edgekit.documents.run import SplitMetrics
from edgekit.support.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def import_figures() -> None:
    """Import what drawing needs, which takes a second or two."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401


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
    """Confusion matrix of the test split: counts, coloured by their share of the true class."""
    counts = np.array(metrics.confusion)
    names = [row.label for row in metrics.per_class]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.55 * len(names) + 1.8)
    figure = _figure(side + 0.6, side)
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
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
