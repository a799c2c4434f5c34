"""Targets of the training images, made when a batch asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class OneHot:
    """The targets (N, classes) of N images by their ``labels`` (N,); as an array they can exceed the memory.

    100,000 images of 10,000 classes would be 4 GB.
    """

    labels: NDArray[np.integer[Any]]
    n_classes: int

    def __getitem__(self, chosen: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The targets float32 (M, classes) of the images at the M positions ``chosen``."""
        labels = self.labels[chosen]
        targets = np.zeros((len(labels), self.n_classes), dtype=np.float32)
        targets[np.arange(len(labels)), labels] = 1.0
        return targets
