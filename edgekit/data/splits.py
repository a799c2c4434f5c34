"""Draws splits: stratified by class, seeded, and decided by the content of each image.

Each image has a rank from a hash of the seed, the purpose and its content. The result therefore depends neither on
file names nor on the random numbers of the platform. Images with the same bytes have the same rank, so they never end
up on both sides of a split. :func:`stratified_choice` samples images that have already been split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import InputError

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


def by_class(labels: Labels) -> list[tuple[int, NDArray[np.int64]]]:
    """Every label that occurs, in ascending order, with the positions of its images, in one pass over N images."""
    order = np.argsort(labels, kind="stable")
    found, starts = np.unique(labels[order], return_index=True)
    return list(zip(found.tolist(), np.split(order, starts[1:])))


def stratified(
    labels: Labels, contents: Sequence[str], classes: Sequence[str], fraction: float, seed: int, purpose: str
) -> Mask:
    """Choose a ``fraction`` (0 to 1) of every class; returns a mask (N,) that is true for the chosen images.

    ``contents`` are N content hashes. From a class with n images, ``round(fraction * n)`` are chosen, at least 1 and at
    most n - 1, or the closest number that keeps copies of an image together. Raises :class:`InputError` for a class
    with fewer than two different images.
    """
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label, members in by_class(labels):
        ranks = [_rank(contents[i], seed, purpose) for i in members.tolist()]
        order = sorted(range(len(members)), key=ranks.__getitem__)
        cuts = [k for k in range(1, len(order)) if ranks[order[k]] != ranks[order[k - 1]]]
        if not cuts:
            raise InputError(
                f"class {classes[label]!r} has too few different images to use some of them for {purpose}",
                hint=f"add images to the class, or put the {purpose} images into a folder of their own",
            )
        wanted = int(np.floor(fraction * len(order) + 0.5))
        cut = min(cuts, key=lambda k: (abs(k - wanted), k))
        chosen[members[order[:cut]]] = True
    return chosen


def at_most(labels: Labels, contents: Sequence[str], per_class: int, seed: int) -> Mask:
    """Choose at most ``per_class`` images of every class; returns a mask (N,).

    The images for a smaller limit are a subset of those for a larger one.
    """
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for _, members in by_class(labels):
        ranked = sorted(members.tolist(), key=lambda i: (_rank(contents[i], seed, "limit"), i))
        chosen[ranked[:per_class]] = True
    return chosen


def _rank(content: str, seed: int, purpose: str) -> bytes:
    return hashlib.sha256(f"{seed}/{purpose}/{content}".encode()).digest()


def stratified_choice(labels: NDArray[np.int32], count: int, seed: int) -> NDArray[np.int64]:
    """Choose ``count`` of N images, in proportion to the classes; returns their positions in ascending order.

    Shares are rounded by largest remainder, so the number is exact. If N is smaller than ``count``, all are chosen.
    """
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    generator = np.random.default_rng(seed)
    classes = by_class(labels)
    sizes = np.array([len(members) for _, members in classes])
    exact = sizes * (count / len(labels))
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")[: count - int(shares.sum())]
    shares[largest] += 1
    chosen = [generator.permutation(members)[:share] for (_, members), share in zip(classes, shares.tolist())]
    return np.sort(np.concatenate(chosen)).astype(np.int64)
