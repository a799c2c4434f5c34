"""Two kinds of model on the same test images: the difference for each image and seed, and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.device.corruptions import GROUPS
from edgekit.documents.corruptions import CLEAN, CorruptedPredictions
from edgekit.recipe import Claim
from edgekit.render.text import plural
from edgekit.report.model.subjects import Subject
from edgekit.stats.claims import Evidence, More
from edgekit.stats.deciding_sample import Sample, deciding_number, deciding_sample
from edgekit.stats.intervals import Interval, mean_interval
from edgekit.stats.seeds_and_images import Kind, SeedsAndImages, paired_methods, two_networks
from edgekit.stats.significance import mcnemar_of_differences

Differences = NDArray[np.float64]
"""(seeds, images): the figure of the left model minus that of the right one, for each test image."""

ByImage = Mapping[str, float]

CorruptedBySeed = Mapping[int, CorruptedPredictions]
"""Predictions of one kind of model for corrupted images, by seed."""

POWER = 0.80

OF_NETWORKS = "of these trained networks; another seed may give another difference"


def paired_evidence(claim: Claim, left: Subject, right: Subject) -> Evidence | None:
    """The evidence on accuracy, loss or what corruption does to accuracy; None if one side was not measured."""
    metric = claim.metric
    if metric == "accuracy":
        differences = _differences(left.correct(), right.correct())
        return None if differences is None else _of_differences(differences, claim.about, mcnemar=True)
    if metric == "loss":
        differences = _differences(left.losses(), right.losses())
        return None if differences is None else _of_differences(differences, claim.about, kind="unbounded")
    less_clean = metric == "accuracy_lost"
    return corrupted_evidence(
        left.corrupted, right.corrupted, claim.corruptions, less_clean=less_clean, about=claim.about
    )


def _differences(left: Mapping[int, ByImage], right: Mapping[int, ByImage]) -> Differences | None:
    """Of the seeds that both have; None without any, or where they did not see the same images."""
    seeds = [seed for seed in left if seed in right and left[seed].keys() == right[seed].keys()]
    if not seeds or any(left[seed].keys() != left[seeds[0]].keys() for seed in seeds):
        return None
    files = sorted(left[seeds[0]])
    return np.array([[left[seed][f] - right[seed][f] for f in files] for seed in seeds], dtype=np.float64)


def _of_differences(
    differences: Differences, about: str, *, kind: Kind = "difference", shown: str = "", mcnemar: bool = False
) -> Evidence:
    """On methods where there are several seeds; on the trained networks for one seed, or where the claim says so."""
    several = min(differences.shape) > 1
    methods = paired_methods(differences, kind) if several and about == "methods" else None
    if methods is None:
        return _of_networks(differences, kind, shown, mcnemar=mcnemar)
    return _of_methods(methods, shown)


def corrupted_evidence(
    left: CorruptedBySeed,
    right: CorruptedBySeed,
    names: Sequence[str] = (),
    *,
    less_clean: bool = False,
    about: str = "methods",
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
    return _of_differences(differences, about, shown=f", {plural(len(conditions), 'condition')}")


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


def _of_networks(differences: Differences, kind: Kind, shown: str, *, mcnemar: bool) -> Evidence:
    """The trained networks themselves: the images are the only source of chance."""
    seeds, n = differences.shape
    of_images = differences.mean(axis=0)
    if kind == "unbounded" and not np.ptp(of_images):
        remark = "the difference is the same for all images, so its spread is unknown"
        return Evidence(
            float(of_images.mean()), None, f"{plural(seeds, 'seed')}, {n:,} images", lambda *_: None, remark
        )

    def interval(confidence: float) -> Interval:
        if kind == "unbounded":
            return mean_interval(of_images.tolist(), confidence=confidence)
        return two_networks(of_images, confidence)

    def more(gap: float, confidence: float) -> More | None:
        needed = deciding_number(interval(0.95).deviation, gap, n, power=POWER, confidence=confidence)
        return None if needed is None or needed <= n else More("images", needed - n, power=POWER)

    test = f"exact McNemar p = {mcnemar_of_differences(of_images):.2g}; " if mcnemar and seeds == 1 else ""
    return Evidence(
        estimate=float(of_images.mean()),
        interval=interval if n > 1 else None,
        basis=f"{plural(seeds, 'seed')}, {n:,} images{shown}",
        more=more,
        remark=test + OF_NETWORKS,
        one_seed=seeds == 1,
    )


def _of_methods(found: SeedsAndImages, shown: str) -> Evidence:
    """Any seed and any such image."""
    seeds, images = min(found.n_seeds), found.n_images

    def more(gap: float, confidence: float) -> More | None:
        sample = deciding_sample(found.components, gap, seeds, images, power=POWER, confidence=confidence)
        together = None if sample is None else sample.by_both or sample.by_seeds or sample.by_images
        return None if together is None else _more(together, seeds, images)

    return Evidence(found.estimate, found.interval, f"{seeds} seeds, {images:,} images{shown}", more)


def _more(sample: Sample, seeds: int, images: int) -> More | None:
    more_seeds, more_images = sample.seeds - seeds, sample.images - images
    if more_seeds > 0:
        return More("seeds", more_seeds, images=more_images, power=POWER)
    return More("images", more_images, power=POWER) if more_images > 0 else None
