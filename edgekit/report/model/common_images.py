"""Exported files on the test images that all of them were scored on: the only accuracies that compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgekit.render.text import plural
from edgekit.report.model.groups import Group
from edgekit.stats.comparison_with_best import ComparisonWithBest, compare_with_best


@dataclass(frozen=True, eq=False)
class CommonImages:
    """``correct`` (K, seeds, images) of K groups, on the seeds and images that they share."""

    groups: tuple[Group, ...]
    correct: NDArray[np.float64]
    seeds: tuple[int, ...]
    """The shared seeds; empty where there is none, so that the first network of each group stands for it."""
    partial: bool
    """Whether some of them were scored on other images as well."""
    elsewhere: tuple[Group, ...] = ()
    """Groups that were scored on other images and are not compared."""

    @property
    def n_images(self) -> int:
        return int(self.correct.shape[2])

    @property
    def of_methods(self) -> bool:
        """Whether there are seeds enough to say something about methods."""
        return len(self.seeds) > 1

    @property
    def accuracies(self) -> dict[int, float]:
        """Accuracy on these images, by the number of the group."""
        return {g.number: float(a) for g, a in zip(self.groups, self.correct.mean(axis=(1, 2)))}

    @property
    def basis(self) -> str:
        """``400 images``, ``180 images and 5 seeds``."""
        images = plural(self.n_images, "common image" if self.partial else "image")
        return f"{images} and {plural(len(self.seeds), 'seed')}" if self.of_methods else images

    def with_best(self) -> ComparisonWithBest:
        return compare_with_best(self.correct)


def common_images(groups: Sequence[Group]) -> CommonImages | None:
    """The groups with an accuracy on what they share.

    Where that is fewer than two images, the groups that were scored on the same images as most of them. None where
    there is no such majority, or no accuracy at all.
    """
    scored = [group for group in groups if group.accuracy is not None]
    found = _shared(scored)
    if found is not None or len(scored) < 3:
        return found
    sets = Counter(frozenset(group.first.correct) for group in scored).most_common(2)
    main, most = sets[0]
    if most == sets[-1][1]:
        return None
    inside = [group for group in scored if main <= group.first.correct.keys()]
    found = _shared(inside)
    outside = tuple(group for group in scored if group not in inside)
    return None if found is None else replace(found, elsewhere=outside)


def _shared(scored: Sequence[Group]) -> CommonImages | None:
    if not scored:
        return None
    by_seed = [{member.seed: member.correct for member in group.members} for group in scored]
    seeds = [seed for seed in by_seed[0] if all(seed in members for members in by_seed)]
    chosen = [[members[seed] for seed in seeds] if seeds else [next(iter(members.values()))] for members in by_seed]
    images = set.intersection(*(set(correct) for members in chosen for correct in members))
    if len(images) < 2:
        return None
    order = sorted(images)
    return CommonImages(
        tuple(scored),
        np.array([[[correct[file] for file in order] for correct in members] for members in chosen], dtype=np.float64),
        tuple(seeds),
        any(len(correct) > len(images) for members in chosen for correct in members),
    )
