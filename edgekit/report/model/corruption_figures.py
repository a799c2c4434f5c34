"""Accuracy and calibration under image corruption, and each compressed file against its fp32 counterpart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.corruptions import (
    CLEAN,
    KERAS,
    CorruptedAccuracy,
    CorruptedPredictions,
    ModelUnderCorruption,
    PairUnderCorruption,
    RobustnessSummary,
    read_corrupted,
)
from edgekit.documents.folders import RunFolder
from edgekit.stats.robustness import MARGIN, condition_score, mean_over_corruptions, paired_loss


def figures(predictions: CorruptedPredictions) -> ModelUnderCorruption:
    """Accuracy and calibration of one model, clean and under each corruption and severity."""
    under = {
        name: tuple(_accuracy(predictions, name, severity) for severity in predictions.shifts[name].severities)
        for name in predictions.corruptions
    }
    clean = _accuracy(predictions, CLEAN, 0)
    error = mean_over_corruptions([[1 - one.accuracy for one in entries] for entries in under.values()])
    return ModelUnderCorruption(
        target=predictions.target,
        model=predictions.key,
        n_samples=len(predictions.labels),
        seed=predictions.about.seed,
        clean=clean,
        corruptions=under,
        mean_corruption_error=error,
        relative_corruption_error=None if error is None else error - (1 - clean.accuracy),
        mean_ece=mean_over_corruptions([[one.ece for one in entries] for entries in under.values()]),
    )


def _accuracy(predictions: CorruptedPredictions, name: str, severity: int) -> CorruptedAccuracy:
    score = condition_score(predictions.labels, predictions.shifts[name].at(severity))
    return CorruptedAccuracy(
        severity=severity, accuracy=score.accuracy, accuracy_ci95=score.accuracy_ci95, ece=score.ece
    )


def paired(reference: CorruptedPredictions, other: CorruptedPredictions) -> PairUnderCorruption | None:
    """``other`` against ``reference`` on the same images under the same corruptions; None if they share none."""
    conditions = [c for c in reference.conditions() if c in other.conditions()]
    place = {file: i for i, file in enumerate(other.files)}
    mine = np.array([i for i, file in enumerate(reference.files) if file in place], np.int64)
    if not conditions or len(mine) < 2:
        return None
    theirs = np.array([place[reference.files[i]] for i in mine])

    def lost(name: str, severity: int) -> NDArray[np.float64]:
        before = reference.correct(name, severity)[mine].astype(np.float64)
        return np.asarray(before - other.correct(name, severity)[theirs])

    each = np.stack([lost(*condition) for condition in conditions])
    loss = paired_loss(lost(CLEAN, 0), each)
    names = np.array([name for name, _ in conditions])
    return PairUnderCorruption(
        model=other.key,
        reference=reference.key,
        target=other.target,
        n_samples=loss.n_images,
        conditions=len(conditions),
        clean_loss=loss.clean,
        corrupted_loss=loss.corrupted,
        extra_loss=loss.extra.estimate,
        extra_loss_ci95=(loss.extra.low, loss.extra.high),
        margin=MARGIN,
        verdict=loss.verdict,
        by_corruption={name: float(each[names == name].mean()) for name in dict.fromkeys(names.tolist())},
    )


def fp32_counterparts(
    models: Sequence[CorruptedPredictions],
) -> list[tuple[CorruptedPredictions, CorruptedPredictions]]:
    """Every compressed file behind the fp32 file of its format, or the Keras model where there is no such file."""
    by_key = {(model.target, model.key): model for model in models}
    keras = next((model for model in models if model.key == KERAS), None)
    found = []
    for model in models:
        file_format, _, scheme = model.key.partition("-")
        reference = by_key.get((model.target, f"{file_format}-fp32"), keras)
        if scheme not in ("", "fp32") and reference is not None:
            found.append((reference, model))
    return found


def pairs(models: Sequence[CorruptedPredictions]) -> list[PairUnderCorruption]:
    """What :func:`paired` finds for all :func:`fp32_counterparts`."""
    found = [paired(reference, other) for reference, other in fp32_counterparts(models)]
    return [pair for pair in found if pair is not None]


def robustness_summary(run: RunFolder) -> RobustnessSummary:
    """Everything that is stored in a run, as ``edgekit evaluate --corruptions --json`` prints it."""
    models = read_corrupted(run)
    return RobustnessSummary(
        run_dir=str(run.path), models=tuple(figures(model) for model in models), paired=tuple(pairs(models))
    )
