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

_BLOCK = 256

Grey = NDArray[np.uint8]
Labels = NDArray[np.int32]
Positions = NDArray[np.int64]


def baselines(grey: Grey, labels: Labels, reference: Positions, test: Positions) -> Baselines | None:
    """Both baselines for the images ``test``, from the images ``reference``; positions in ``grey`` (N, 48, 48).

    Where both are the same images, each is predicted from the others. None where there are too few images.
    """
    same = np.array_equal(reference, test)
    reference, test = _at_most(reference, MOST_REFERENCES), _at_most(test, MOST_TEST)
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
    """For each image of ``test``, the position of the nearest other image of ``reference``; ``pixels`` is (N, M)."""
    among = pixels[reference].astype(np.float32)
    squares = np.einsum("ij,ij->i", among, among)
    found: list[Positions] = []
    for start in range(0, len(test), _BLOCK):
        mine = test[start : start + _BLOCK]
        # |a - b|^2 without |a|^2, which is the same for all b. Sums of squares of 2,304 bytes are exact enough.
        distances = squares - 2 * (pixels[mine].astype(np.float32) @ among.T)
        distances[mine[:, None] == reference[None, :]] = np.inf
        found.append(np.asarray(reference[distances.argmin(axis=1)]))
    return np.concatenate(found)


def _at_most(positions: Positions, most: int) -> Positions:
    if len(positions) <= most:
        return positions
    return np.asarray(positions[np.linspace(0, len(positions) - 1, most).astype(int)])
