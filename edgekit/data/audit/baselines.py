"""What needs no network: the accuracy of always naming the largest class, and of the nearest neighbour on pixels.

The nearest neighbour compares 48 x 48 grey pixels by their squared distance and has learned nothing about the subject.
Where it is nearly as accurate as a network, the test images are so close to the training images (other frames of the
same recording, copies that no hash finds) that accuracy on them says little about new images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.fingerprints import PICTURE_SIDE
from edgekit.documents.audit import BaselineAccuracy, Baselines, NearestNeighbourAccuracy

MOST_TEST, MOST_REFERENCES = 5_000, 50_000
"""Of larger sets, as many images at equal steps."""

_BLOCK, _PORTION = 256, 4_096
"""Test images, and images, that are compared at a time; they bound the memory."""

_BLOCKS = PICTURE_SIDE // 4
_SLACK = 256
"""More than the rounding errors of features in single precision, whose squares are at most 2,304 x 255^2."""
_FEW = 0.01
"""Share of the pairs up to which it is faster to compare single pairs than all of them at once."""

Grey = NDArray[np.uint8]
Labels = NDArray[np.int32]
Positions = NDArray[np.int64]


def baselines(grey: Grey, labels: Labels, reference: Positions, test: Positions) -> Baselines | None:
    """Both baselines for the images ``test``, from the images ``reference``; positions in ``grey`` (N, 48, 48).

    Where both are the same images, each is predicted from the others. None where there are too few images.
    """
    same = np.array_equal(reference, test)
    reference, test = at_equal_steps(reference, MOST_REFERENCES), at_equal_steps(test, MOST_TEST)
    if not len(test) or len(reference) < 1 + same:
        return None
    largest = np.bincount(labels[reference]).argmax()
    majority = float(np.mean(labels[test] == largest))
    found = nearest(grey.reshape(len(grey), -1), reference, test)
    return Baselines(
        majority=BaselineAccuracy(accuracy=majority, n_samples=len(test)),
        nearest_neighbour=NearestNeighbourAccuracy(
            accuracy=float(np.mean(labels[found] == labels[test])), n_samples=len(test), size=PICTURE_SIDE
        ),
    )


def nearest(pixels: Grey, reference: Positions, test: Positions) -> Positions:
    """For each image of ``test``, the position of the nearest other image of ``reference``; ``pixels`` is (N, 2304).

    The distance of two images is at least that of their :func:`_features`, which are a sixteenth of the numbers, so
    only the few references whose features are closer than the best distance so far are compared in full.
    """
    features = _features(pixels, reference)
    squares = np.einsum("ij,ij->i", features, features)
    found: list[Positions] = []
    for start in range(0, len(test), _BLOCK):
        mine = test[start : start + _BLOCK]
        own = _features(pixels, mine)
        bounds = squares - 2 * (own @ features.T) + np.einsum("ij,ij->i", own, own)[:, None]
        bounds[mine[:, None] == reference[None, :]] = np.inf
        first = reference[bounds.argmin(axis=1)]
        best = _distances(pixels, mine, first)
        rows, columns = np.nonzero(bounds <= (best + _SLACK)[:, None])
        if len(rows) > bounds.size * _FEW:
            found.append(_nearest_of_all(pixels, reference, mine))
            continue
        distances = _distances(pixels, mine[rows], reference[columns])
        order = np.lexsort((columns, distances, rows))
        found.append(reference[columns[order][np.flatnonzero(np.diff(rows[order], prepend=-1))]])
    return np.concatenate(found)


def _features(pixels: Grey, positions: Positions) -> NDArray[np.float32]:
    """The images in an orthonormal basis of 4 x 4 blocks, and the length of the rest: float32 (P, 145).

    By the triangle inequality for the rest, the squared distance of features never exceeds that of the images.
    """
    found = np.empty((len(positions), _BLOCKS * _BLOCKS + 1), dtype=np.float32)
    for start in range(0, len(positions), _PORTION):
        some = pixels[positions[start : start + _PORTION]]
        blocks = some.reshape(len(some), _BLOCKS, 4, _BLOCKS, 4).sum(axis=(2, 4), dtype=np.float32) / 4
        blocks = blocks.reshape(len(some), -1)
        whole = np.einsum("ij,ij->i", some, some, dtype=np.float64)
        rest = whole - np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64)
        found[start : start + len(some), :-1] = blocks
        found[start : start + len(some), -1] = np.sqrt(np.maximum(rest, 0.0))
    return found


def _distances(pixels: Grey, first: Positions, second: Positions) -> NDArray[np.int64]:
    """The squared distances of pairs of images."""
    found = np.empty(len(first), dtype=np.int64)
    for start in range(0, len(first), _PORTION):
        part = slice(start, start + _PORTION)
        difference = pixels[first[part]].astype(np.int32) - pixels[second[part]]
        found[part] = np.einsum("ij,ij->i", difference, difference)
    return found


def _nearest_of_all(pixels: Grey, reference: Positions, test: Positions) -> Positions:
    """The same by comparing all pairs in full, which is faster where images are like noise and features say little."""
    mine = pixels[test].astype(np.float32)
    best, at = np.full(len(test), np.inf), np.zeros(len(test), dtype=np.int64)
    for start in range(0, len(reference), _PORTION):
        some = reference[start : start + _PORTION]
        among = pixels[some].astype(np.float32)
        # |a - b|^2 without |a|^2, which is the same for all b. Sums of squares of 2,304 bytes are exact enough.
        distances = np.einsum("ij,ij->i", among, among) - 2 * (mine @ among.T)
        distances[test[:, None] == some[None, :]] = np.inf
        lowest = distances.argmin(axis=1)
        closer = distances[np.arange(len(test)), lowest] < best
        best[closer], at[closer] = distances[closer, lowest[closer]], some[lowest[closer]]
    return at


def at_equal_steps(positions: Positions, most: int) -> Positions:
    """At most ``most`` of the positions, evenly spread."""
    if len(positions) <= most:
        return positions
    return np.asarray(positions[np.linspace(0, len(positions) - 1, most).astype(int)])
