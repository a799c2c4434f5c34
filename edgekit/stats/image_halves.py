"""Splits images into two halves: one to make a choice on, one to judge the choice on.

Who tries eight repairs on the images on which the gate then judges is let through by luck: the best of eight is
judged on the images that made it the best. On the other half the choice has no such advantage.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class ImageHalves:
    """Positions of images, ascending; together all of them, none twice."""

    choose: Positions
    judge: Positions


def split_into_halves(
    labels: NDArray[np.integer[Any]], seed: int, groups: Sequence[Hashable] | None = None
) -> ImageHalves:
    """Split images of the true classes ``labels`` (N,) at random, evenly in every class.

    ``groups`` (N,) names the group of duplicates an image belongs to; a group is never divided. The halves of a class
    differ by at most one image where no group has more than one. What is left over goes to the smaller half, at
    first to ``judge``. The same ``seed`` gives the same halves. Raises :class:`ValueError` for fewer than two groups.
    """
    names: Sequence[Hashable] = range(len(labels)) if groups is None else groups
    if len(names) != len(labels):
        raise ValueError(f"{len(names)} groups for {len(labels)} images")
    members: dict[Hashable, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        members[name].append(position)
    if len(members) < 2:
        raise ValueError("two halves need at least two groups of images")
    clusters = list(members.values())
    order = np.random.default_rng(seed).permutation(len(clusters))
    shuffled = [clusters[i] for i in order.tolist()]
    # Large groups first, so that the small ones can even them out.
    shuffled.sort(key=len, reverse=True)
    halves: tuple[list[int], list[int]] = ([], [])
    counts: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
    for cluster in shuffled:
        label = Counter(labels[cluster].tolist()).most_common(1)[0][0]
        state = [(counts[half][label], len(halves[half])) for half in (0, 1)]
        half = 0 if state[0] < state[1] else 1
        halves[half].extend(cluster)
        counts[half].update(labels[cluster].tolist())
    choose, judge = (np.array(sorted(half), dtype=np.int64) for half in halves)
    return ImageHalves(choose, judge)
