"""Groups of similar images, and how the nearest neighbour fares when such groups are kept apart.

Two images are as far apart as the root mean square difference of their 48 x 48 grey pictures, in grey levels (0 to
255). Groups are what chains of close images connect (single linkage): frames of one recording, crops of one scan,
pictures of one object. Duplicates are the special case of a distance near 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.baselines import at_equal_steps
from edgekit.documents.audit import SimilarGroups, SimilarityCurve

THRESHOLDS = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 24.0, 28.0, 32.0)
"""Distances in grey levels that the curve is computed at."""

MOST_IMAGES = 8_000
"""Of more images, the curve is of as many at equal steps."""

LARGEST_GROUP = 0.05
"""The proposed threshold is the largest one at which no group holds more than this share of the images: a split by
larger groups would depend on where a single group falls."""

_BLOCK = 1_024

Grey = NDArray[np.uint8]
Places = NDArray[np.int64]
Distances = NDArray[np.float32]


def similarity_curve(grey: Grey, labels: NDArray[np.int32], places: Places) -> SimilarityCurve | None:
    """Groups and the accuracy of the nearest neighbour at each of :data:`THRESHOLDS`; None for fewer than two images.

    ``places`` are the positions of the images in ``grey`` (N, 48, 48) and ``labels`` (N,). At each threshold, every
    image is predicted from the nearest image of another group.
    """
    if len(places) < 2:
        return None
    places = at_equal_steps(places, MOST_IMAGES)
    distances, classes = _all_distances(grey[places]), labels[places]
    parents, lengths = _spanning_tree(distances)
    rows = [_at(threshold, distances, classes, parents, lengths) for threshold in THRESHOLDS]
    return SimilarityCurve(
        thresholds=tuple(rows), proposed=proposed(rows), largest_group=LARGEST_GROUP, n_images=len(places)
    )


def proposed(rows: Sequence[SimilarGroups]) -> float:
    """The largest threshold at which no group is too large; the smallest of all where that is none."""
    good = [row.threshold for row in rows if row.largest_group <= LARGEST_GROUP]
    return max(good, default=rows[0].threshold)


def similar_groups(grey: Grey, threshold: float) -> Places:
    """(N,): the number of the group of each image of ``grey`` (N, 48, 48), all images being compared with all."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pixels = grey.reshape(len(grey), -1)
    groups = np.arange(len(grey), dtype=np.int64)
    limit = _squared(threshold, pixels.shape[1])
    squares = np.array([np.square(row, dtype=np.float32).sum() for row in pixels], dtype=np.float32)
    for start in range(0, len(pixels), _BLOCK):
        mine = pixels[start : start + _BLOCK].astype(np.float32)
        for other in range(start, len(pixels), _BLOCK):
            among = pixels[other : other + _BLOCK].astype(np.float32)
            found = _squared_distances(mine, among, squares[start : start + _BLOCK], squares[other : other + _BLOCK])
            rows, columns = np.nonzero(found <= limit)
            a, b = groups[rows + start], groups[columns + other]
            apart = a != b
            if apart.any():
                ones = np.ones(int(apart.sum()), dtype=np.int8)
                graph = coo_matrix((ones, (a[apart], b[apart])), shape=(len(pixels), len(pixels)))
                groups = connected_components(graph, directed=False)[1][groups].astype(np.int64)
    return np.asarray(np.unique(groups, return_inverse=True)[1].ravel(), dtype=np.int64)


def _squared(threshold: float, pixels: int) -> float:
    """The squared distance of pictures of that many pixels; half a grey level in one pixel is a rounding error."""
    return threshold**2 * pixels + _ROUNDING


_ROUNDING = 32.0
"""More than what single precision loses in the distance of equal pictures, and too little to be seen."""


def _squared_distances(a: Distances, b: Distances, of_a: Distances, of_b: Distances) -> Distances:
    return np.asarray(np.maximum(0.0, of_a[:, None] + of_b[None, :] - 2 * (a @ b.T)), dtype=np.float32)


def _all_distances(grey: Grey) -> Distances:
    """(N, N): squared distances."""
    pixels = grey.reshape(len(grey), -1).astype(np.float32)
    squares = np.einsum("ij,ij->i", pixels, pixels)
    found = np.empty((len(pixels), len(pixels)), dtype=np.float32)
    for start in range(0, len(pixels), _BLOCK):
        part = slice(start, start + _BLOCK)
        found[part] = _squared_distances(pixels[part], pixels, squares[part], squares)
    np.fill_diagonal(found, np.inf)
    return found


def _spanning_tree(distances: Distances) -> tuple[Places, Distances]:
    """The minimum spanning tree (R. C. Prim, 1957): by image, the one that it was connected to, and their distance.

    Images that are connected by edges of at most a threshold are its single-linkage groups, for every threshold.
    """
    n = len(distances)
    best, parents = distances[0].copy(), np.zeros(n, dtype=np.int64)
    outside = np.ones(n, dtype=np.bool_)
    outside[0], best[0] = False, np.inf
    lengths = np.zeros(n, dtype=np.float32)
    for _ in range(n - 1):
        nearest = int(best.argmin())
        lengths[nearest], outside[nearest] = best[nearest], False
        closer = (distances[nearest] < best) & outside
        best[closer], parents[closer] = distances[nearest][closer], nearest
        best[nearest] = np.inf
    return parents, lengths


def _at(
    threshold: float, distances: Distances, labels: NDArray[np.int32], parents: Places, lengths: Distances
) -> SimilarGroups:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(distances)
    short = np.flatnonzero(lengths <= _squared(threshold, 48 * 48))
    short = short[short != 0]
    graph = coo_matrix((np.ones(len(short), dtype=np.int8), (short, parents[short])), shape=(n, n))
    count, groups = connected_components(graph, directed=False)
    right = []
    for start in range(0, n, _BLOCK):
        rows = slice(start, start + _BLOCK)
        apart = np.where(groups[rows, None] == groups[None, :], np.inf, distances[rows])
        nearest = apart.argmin(axis=1)
        known = np.isfinite(apart[np.arange(len(nearest)), nearest])
        right.append((labels[nearest] == labels[rows]) & known)
    return SimilarGroups(
        threshold=threshold,
        n_groups=int(count),
        largest_group=float(np.bincount(groups).max() / n),
        nearest_neighbour=float(np.concatenate(right).mean()),
    )
