"""From image files to probabilities with an opened model."""

from __future__ import annotations

import numpy as np

from . import images
from .failures import ModelError, PictureError
from .jobs import JobModel
from .runtimes import Model
from .tensors import are_probabilities, softmax

Geometry = tuple[int, str, str]
"""Side in pixels, resize mode and range of the pixels: models that share it see the same pixels."""


class Classifier:
    """An opened model that takes pixels and returns probabilities (classes,)."""

    def __init__(self, entry: JobModel, model: Model) -> None:
        self.entry = entry
        self.model = model
        if model.input.height != model.input.width:
            raise ModelError(
                f"only square inputs are supported; this model takes {model.input.height}x{model.input.width}",
                entry.path,
            )
        self._softmax: bool | None = False if entry.activation == "none" else None

    def copy(self) -> Classifier:
        """The same model opened once more, for another thread."""
        model = self.model.another() if self.model.another else self.entry.open(self.model.threads)
        made = Classifier(self.entry, model)
        made._softmax = self._softmax
        return made

    @property
    def decided(self) -> bool:
        """Whether it is known what has to be applied to the output."""
        return self._softmax is not None

    @property
    def geometry(self) -> Geometry:
        return self.model.input.height, self.entry.resize, self.entry.pixel_range

    def tensor(self, pixels: np.ndarray) -> np.ndarray:
        """The input tensor for ``pixels`` uint8 (H, W, 3)."""
        if self.model.input.needs_scaling and self.entry.scaling is None:
            raise ModelError(
                "this model takes float input, and its metadata does not say how pixels are scaled", self.entry.path
            )
        return self.model.input.prepare(pixels, self.entry.scaling)

    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (classes,) for ``pixels`` uint8 (H, W, 3)."""
        self.model.set_input(self.tensor(pixels))
        self.model.invoke()
        return self.probabilities()

    def probabilities(self) -> np.ndarray:
        """The last result as probabilities. The first result shows whether the file returns logits."""
        scores = self.model.scores()
        if self._softmax is None:
            self._softmax = not are_probabilities(scores)
        return softmax(scores) if self._softmax else scores

    @property
    def activation(self) -> str:
        """What was applied to the output: ``softmax`` or ``none``."""
        return "softmax" if self._softmax else "none"


def load_pixels(path: str, geometry: Geometry) -> np.ndarray:
    """The pixels of an image file, uint8 (side, side, 3). Raises :class:`PictureError` with the file's path."""
    try:
        return images.load_image(path, *geometry)
    except images.ImageError as error:
        raise PictureError(error.reason, path) from None
    except OSError as error:
        raise PictureError(error.strerror or str(error), path) from None
