"""Accuracy and calibration under image corruption, and int8 against fp32 paired image by image."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.corruptions import CLEAN, KERAS, Answers, read_answers
from edgekit.documents.folders import RunFolder

MARGIN = 0.01
"""A file that loses at most this much more accuracy than its fp32 twin under corruption is as robust."""


def figures(answers: Answers) -> dict[str, Any]:
    """Accuracy and calibration of one model, clean and under each corruption and severity, JSON-ready.

    ``mean_corruption_error`` is the error averaged over severities, then over corruptions (Hendrycks and Dietterich
    2019, without the division by another network's); ``relative_corruption_error`` the same less the clean error.
    """
    from edgekit.stats.classification import expected_calibration_error
    from edgekit.stats.intervals import wilson_interval

    n_images = len(answers.labels)

    def entry(name: str, severity: int) -> dict[str, Any]:
        right = int(answers.correct(name, severity).sum())
        shift = answers.shifts[name]
        probabilities = shift.probabilities[shift.severities.index(severity)]
        return {
            "severity": severity,
            "accuracy": right / n_images,
            "accuracy_ci95": list(wilson_interval(right, n_images)),
            "ece": expected_calibration_error(answers.labels, probabilities),
        }

    under = {
        name: [entry(name, severity) for severity in answers.shifts[name].severities] for name in answers.corruptions
    }
    clean = entry(CLEAN, 0)
    means = [np.mean([1 - one["accuracy"] for one in entries]) for entries in under.values()]
    calibration = [np.mean([one["ece"] for one in entries]) for entries in under.values()]
    error = float(np.mean(means)) if means else None
    return {
        "target": answers.target,
        "model": answers.key,
        "n_samples": n_images,
        "seed": answers.about["seed"],
        "clean": clean,
        "corruptions": under,
        "mean_corruption_error": error,
        "relative_corruption_error": None if error is None else error - (1 - clean["accuracy"]),
        "mean_ece": float(np.mean(calibration)) if calibration else None,
    }


def paired(reference: Answers, other: Answers) -> dict[str, Any] | None:
    """``other`` against ``reference`` on the same images under the same corruptions; None where they share none.

    ``extra_loss`` is how much more accuracy ``other`` loses under corruption than on clean images, per image and then
    over images (an image counts once, however often it is shown). Its 95% interval is the adjusted one of Bonett and
    Price 2012, as for two proportions: one image is added that loses everything and one that wins everything, so that
    a few images without a difference prove nothing. ``verdict`` judges "as robust as": *supported* where the interval
    stays below :data:`MARGIN`, *refuted* where it lies above it.
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

    clean = lost(CLEAN, 0)
    each = {condition: lost(*condition) for condition in conditions}
    extra = np.mean(list(each.values()), axis=0) - clean
    adjusted = np.append(extra, [1.0, -1.0])
    half = NormalDist().inv_cdf(0.975) * adjusted.std() / np.sqrt(len(adjusted))
    low, high = float(adjusted.mean() - half), float(adjusted.mean() + half)
    return {
        "model": other.key,
        "reference": reference.key,
        "target": other.target,
        "n_samples": len(mine),
        "conditions": len(conditions),
        "clean_loss": float(clean.mean()),
        "corrupted_loss": float(np.mean([one.mean() for one in each.values()])),
        "extra_loss": float(extra.mean()),
        "extra_loss_ci95": [low, high],
        "margin": MARGIN,
        "verdict": "supported" if high <= MARGIN else "refuted" if low > MARGIN else "undecided",
        "by_corruption": {
            name: float(np.mean([each[c].mean() for c in conditions if c[0] == name]))
            for name in dict.fromkeys(c[0] for c in conditions)
        },
    }


def twins(models: Sequence[Answers]) -> list[tuple[Answers, Answers]]:
    """Every file with smaller numbers, behind the fp32 file of its format, or the Keras model where there is none."""
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
    """What :func:`paired` says of all :func:`twins`."""
    found = [paired(reference, other) for reference, other in twins(models)]
    return [pair for pair in found if pair is not None]


def robustness_document(run: RunFolder) -> dict[str, Any]:
    """Everything that is stored in a run, as ``edgekit evaluate --corruptions --json`` and the report give it."""
    models = read_answers(run)
    return {"models": [figures(answers) for answers in models], "paired": pairs(models)}
