"""Two kinds of model on the same test images: the difference for each image and seed, and its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.device.corruptions import GROUPS
from edgekit.documents.corruptions import CLEAN, CorruptedPredictions
from edgekit.recipe import Claim
from edgekit.render.text import plural
from edgekit.report.model.subjects import Subject
from edgekit.stats.claims import Evidence, More
from edgekit.stats.intervals import Interval, mean_interval, over_seeds_and_images, paired_mean_interval
from edgekit.stats.sample_size import images_needed, seeds_needed
from edgekit.stats.significance import mcnemar_of_differences

Differences = NDArray[np.float64]
"""(seeds, images): the figure of the left model less that of the right one, of each test image."""

ByImage = Mapping[str, float]

CorruptedBySeed = Mapping[int, CorruptedPredictions]
"""Predictions of one kind of model for corrupted images, by seed."""

ONE_SEED = "holds for these two networks; another seed may give another difference"


def paired_evidence(claim: Claim, left: Subject, right: Subject) -> Evidence | None:
    """The evidence on accuracy, loss or what corruption does to accuracy; None if one side was not measured."""
    metric = claim.metric
    if metric == "accuracy":
        differences = _differences(left.correct(), right.correct())
        return None if differences is None else _of_predictions(differences)
    if metric == "loss":
        differences = _differences(left.losses(), right.losses())
        return None if differences is None else _of_losses(differences)
    less_clean = metric == "accuracy_lost"
    return corrupted_evidence(left.corrupted, right.corrupted, claim.corruptions, less_clean=less_clean)


def _differences(left: Mapping[int, ByImage], right: Mapping[int, ByImage]) -> Differences | None:
    """Of the seeds that both have; None without any, or where they did not see the same images."""
    seeds = [seed for seed in left if seed in right and left[seed].keys() == right[seed].keys()]
    if not seeds or any(left[seed].keys() != left[seeds[0]].keys() for seed in seeds):
        return None
    files = sorted(left[seeds[0]])
    return np.array([[left[seed][f] - right[seed][f] for f in files] for seed in seeds], dtype=np.float64)


def _of_predictions(differences: Differences) -> Evidence:
    """Correct or wrong: an image differs by -1, 0 or 1."""
    if len(differences) > 1:
        return _of_seeds(differences)
    p = mcnemar_of_differences(differences[0])
    return _of_pairs(differences[0], f"exact McNemar p = {p:.2g}; {ONE_SEED}")


def _of_losses(differences: Differences) -> Evidence:
    if len(differences) > 1:
        return _of_seeds(differences)
    of_images = [float(value) for value in differences[0]]
    return _of_images(lambda confidence: mean_interval(of_images, confidence=confidence), len(of_images), ONE_SEED)


def corrupted_evidence(
    left: CorruptedBySeed, right: CorruptedBySeed, names: Sequence[str] = (), *, less_clean: bool = False
) -> Evidence | None:
    """Accuracy under the corruptions (or groups) ``names``; None if it was not measured.

    Without names: all corruptions that every model was evaluated on; ``("clean",)``: the clean images. An image counts
    once, with its mean over corruptions and severities. ``less_clean`` compares the accuracy lost against clean images.
    """
    models = [model for side in (left, right) for model in side.values()]
    conditions = _shared(names, models)
    if not conditions:
        return None
    sides = [{seed: _by_image(a, conditions, less_clean) for seed, a in side.items()} for side in (left, right)]
    differences = _differences(*sides)
    if differences is None:
        return None
    shown = f", {plural(len(conditions), 'condition')}"
    if len(differences) > 1:
        return _of_seeds(differences, shown)
    found = _of_pairs(differences[0], ONE_SEED)
    return Evidence(found.estimate, found.interval, found.basis + shown, found.more, found.remark)


def _shared(names: Sequence[str], models: list[CorruptedPredictions]) -> list[tuple[str, int]]:
    """Corruptions and severities that all ``models`` share; none where one of ``names`` is missing."""
    if not models:
        return []
    if tuple(names) == (CLEAN,):
        return [(CLEAN, 0)]
    wanted = [single for name in names for single in GROUPS.get(name, (name,))]
    shared = [c for c in models[0].conditions() if all(c in model.conditions() for model in models[1:])]
    if not wanted:
        return shared
    there = {name for name, _ in shared}
    return [c for c in shared if c[0] in wanted] if there >= set(wanted) else []


def _by_image(model: CorruptedPredictions, conditions: list[tuple[str, int]], less_clean: bool) -> dict[str, float]:
    """The share of ``conditions`` under which each image is classified correctly, or clean minus that share."""
    right = np.mean([model.correct(*condition) for condition in conditions], axis=0)
    values = model.correct(CLEAN, 0) - right if less_clean else right
    return dict(zip(model.files, values.tolist()))


def _of_pairs(differences: Differences, remark: str) -> Evidence:
    """One seed, one difference for each image."""

    def interval(confidence: float) -> Interval:
        return paired_mean_interval(differences, confidence=confidence)

    return _of_images(interval, len(differences), remark)


def _of_images(interval: Callable[[float], Interval], n: int, remark: str) -> Evidence:
    """One seed: the images are the only source of chance."""

    def more(gap: float) -> More | None:
        needed = images_needed(gap, interval(0.95).deviation, n)
        return None if needed is None or needed <= n else More("images", needed - n)

    return Evidence(interval(0.95).estimate, interval, f"1 seed, {n:,} images", more, remark)


def _of_seeds(differences: Differences, shown: str = "") -> Evidence:
    seeds, images = differences.shape
    spread = float(np.std(differences.mean(axis=1), ddof=1))
    of_images = float(np.std(differences.mean(axis=0), ddof=1)) / math.sqrt(images)

    def interval(confidence: float) -> Interval:
        return over_seeds_and_images(differences, confidence=confidence)

    def more(gap: float) -> More | None:
        # More seeds do not reduce the chance of the images.
        left_over = gap**2 - (1.96 * of_images) ** 2
        if left_over > 0:
            needed = seeds_needed(math.sqrt(left_over), spread, seeds)
            return None if needed is None or needed <= seeds else More("seeds", needed - seeds)
        needed = images_needed(gap, of_images, images)
        return None if needed is None or needed <= images else More("images", needed - images)

    return Evidence(float(differences.mean()), interval, f"{seeds} seeds, {images:,} images{shown}", more)
