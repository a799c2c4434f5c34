"""Accuracy and calibration under image corruption, and each compressed file against its fp32 counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.corruptions import CLEAN, KERAS, Answers, read_answers
from edgekit.documents.folders import RunFolder
from edgekit.stats.robustness import MARGIN, condition_score, mean_over_corruptions, paired_loss


def figures(answers: Answers) -> dict[str, Any]:
    """Accuracy and calibration of one model, clean and under each corruption and severity, JSON-ready.

    ``mean_corruption_error`` is the error averaged over severities, then over corruptions;
    ``relative_corruption_error`` is the same less the clean error.
    """

    def entry(name: str, severity: int) -> dict[str, Any]:
        shift = answers.shifts[name]
        score = condition_score(answers.labels, shift.probabilities[shift.severities.index(severity)])
        return {"severity": severity, **asdict(score), "accuracy_ci95": list(score.accuracy_ci95)}

    under = {
        name: [entry(name, severity) for severity in answers.shifts[name].severities] for name in answers.corruptions
    }
    clean = entry(CLEAN, 0)
    error = mean_over_corruptions([[1 - one["accuracy"] for one in entries] for entries in under.values()])
    return {
        "target": answers.target,
        "model": answers.key,
        "n_samples": len(answers.labels),
        "seed": answers.about["seed"],
        "clean": clean,
        "corruptions": under,
        "mean_corruption_error": error,
        "relative_corruption_error": None if error is None else error - (1 - clean["accuracy"]),
        "mean_ece": mean_over_corruptions([[one["ece"] for one in entries] for entries in under.values()]),
    }


def paired(reference: Answers, other: Answers) -> dict[str, Any] | None:
    """``other`` against ``reference`` on the same images under the same corruptions; None where they share none.

    ``extra_loss`` is how much more accuracy ``other`` loses under corruption than on clean images; ``verdict`` judges
    whether ``other`` is as robust. See :class:`edgekit.stats.robustness.PairedLoss`.
    """
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
    return {
        "model": other.key,
        "reference": reference.key,
        "target": other.target,
        "n_samples": loss.n_images,
        "conditions": len(conditions),
        "clean_loss": loss.clean,
        "corrupted_loss": loss.corrupted,
        "extra_loss": loss.extra.estimate,
        "extra_loss_ci95": [loss.extra.low, loss.extra.high],
        "margin": MARGIN,
        "verdict": loss.verdict,
        "by_corruption": {name: float(each[names == name].mean()) for name in dict.fromkeys(names.tolist())},
    }


def fp32_counterparts(models: Sequence[Answers]) -> list[tuple[Answers, Answers]]:
    """Every compressed file behind the fp32 file of its format, or the Keras model where there is no such file."""
    by_key = {(answers.target, answers.key): answers for answers in models}
    keras = next((answers for answers in models if answers.key == KERAS), None)
    found = []
    for answers in models:
        file_format, _, scheme = answers.key.partition("-")
        reference = by_key.get((answers.target, f"{file_format}-fp32"), keras)
        if scheme not in ("", "fp32") and reference is not None:
            found.append((reference, answers))
    return found


def pairs(models: Sequence[Answers]) -> list[dict[str, Any]]:
    """What :func:`paired` finds for all :func:`fp32_counterparts`."""
    found = [paired(reference, other) for reference, other in fp32_counterparts(models)]
    return [pair for pair in found if pair is not None]


def robustness_document(run: RunFolder) -> dict[str, Any]:
    """Everything that is stored in a run, as ``edgekit evaluate --corruptions --json`` and the report give it."""
    models = read_answers(run)
    return {"models": [figures(answers) for answers in models], "paired": pairs(models)}
