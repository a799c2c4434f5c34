"""From image files to probabilities with an opened model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import images
from .failures import ModelError, PictureError
from .jobs import JobModel
from .resizing import fitted_pixels
from .runtimes import Model
from .scaling import SCALINGS, Scaling
from .tensors import are_probabilities, sigmoid, softmax

FEWEST_LEVELS = 32
"""A scaling that leaves fewer of the 256 values of a pixel apart, once they are quantized, is not the model's own."""

ACTIVATIONS = ("auto", "softmax", "sigmoid", "none")

APPLIED = {"softmax": "none", "sigmoid": "none", "scores": "softmax"}
"""What has to be applied to the output of each kind of operator to get probabilities."""


class Geometry(NamedTuple):
    """What the pixels of an image depend on: models that share it see the same pixels."""

    height: int
    width: int
    resize: str
    pixel_range: str
    resample: str
    channels: int

    def load(self, path: str) -> np.ndarray:
        """The pixels of an image file, uint8 (H, W, channels). Raises :class:`PictureError` with the file's path."""
        size = (self.height, self.width)
        try:
            return images.load_image(path, size, self.resize, self.pixel_range, self.resample, self.channels)
        except images.ImageError as error:
            raise PictureError(error.reason, path) from None
        except OSError as error:
            raise PictureError(error.strerror or str(error), path) from None

    def fit(self, frame: np.ndarray) -> np.ndarray:
        """The same for a frame of a camera, uint8 (H, W, 3)."""
        return fitted_pixels(frame, (self.height, self.width), self.resize, self.resample, self.channels)


class Classifier:
    """An opened model that takes pixels and returns probabilities (classes,).

    A model with one output value has two classes: the value is the probability of the second, or its logit.
    """

    def __init__(self, entry: JobModel, model: Model) -> None:
        self.entry = entry
        self.model = model
        if entry.scaling is not None:
            _check_scaling(entry.scaling, model, entry.path)
        self._applied: str | None = None
        if entry.activation != "auto":
            self._applied = entry.activation
        elif model.output.operator:
            applied = APPLIED[model.output.operator]
            self._applied = "sigmoid" if applied == "softmax" and self._one_score else applied

    @property
    def _one_score(self) -> bool:
        return self.model.output.classes == 1

    def copy(self) -> Classifier:
        """The same model opened once more, for another thread."""
        model = self.model.another() if self.model.another else self.entry.open(self.model.threads)
        made = Classifier(self.entry, model)
        made._applied = self._applied
        return made

    @property
    def decided(self) -> bool:
        """Whether it is known what has to be applied to the output."""
        return self._applied is not None

    @property
    def classes(self) -> int | None:
        """The number of classes; None if the file does not say."""
        return 2 if self._one_score else self.model.output.classes

    @property
    def geometry(self) -> Geometry:
        given = self.model.input
        entry = self.entry
        return Geometry(given.height, given.width, entry.resize, entry.pixel_range, entry.resample, given.channels)

    def tensor(self, pixels: np.ndarray) -> np.ndarray:
        """The input tensor for ``pixels`` uint8 (H, W, channels)."""
        if self.model.input.needs_scaling and self.entry.scaling is None:
            raise ModelError(
                "this model takes float input, and its metadata does not say how pixels are scaled", self.entry.path
            )
        return self.model.input.prepare(pixels, self.entry.scaling)

    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (classes,) for ``pixels`` uint8 (H, W, channels)."""
        self.model.set_input(self.tensor(pixels))
        self.model.invoke()
        return self.probabilities()

    def probabilities(self) -> np.ndarray:
        """The last result as probabilities.

        What has to be applied to the output depends on the operator that computes it. Where that does not tell, it
        depends on the first result: values that can be probabilities are taken for that.
        """
        scores = self.model.scores()
        if self._applied is None:
            self._applied = "none" if are_probabilities(scores) else "sigmoid" if len(scores) == 1 else "softmax"
        if self._applied == "softmax":
            return softmax(scores)
        found = sigmoid(scores) if self._applied == "sigmoid" else scores
        if self.entry.activation == "auto" and not self.model.output.operator and not are_probabilities(found):
            raise ModelError(
                "its first output looked like probabilities, but a later one does not; "
                "pass --activation to say what it returns",
                self.entry.path,
            )
        return np.array([1 - found[0], found[0]], np.float32) if len(found) == 1 else found

    @property
    def activation(self) -> str:
        """What was applied to the output: ``softmax``, ``sigmoid`` or ``none``."""
        return self._applied or "none"


def _check_scaling(scaling: Scaling, model: Model, path: str) -> None:
    """Raise :class:`ModelError` for a scaling that cannot be the one that the model was made with."""
    given = model.input
    if given.channels == 1 and not scaling.uniform:
        raise ModelError("this scaling treats red, green and blue differently, but the model takes grey images", path)
    levels = given.levels(scaling)
    if levels >= FEWEST_LEVELS:
        return
    known = {name: given.levels(other) for name, other in SCALINGS.items() if other.uniform or given.channels == 3}
    fitting = sorted((name for name, kept in known.items() if kept >= FEWEST_LEVELS), key=lambda name: -known[name])
    assert given.scale is not None
    limits = np.iinfo(given.dtype)
    low, high = ((limit - given.zero_point) * given.scale for limit in (limits.min, limits.max))
    raise ModelError(
        f"this scaling does not fit the model: its input is quantized for values from {low:.4g} to {high:.4g}, so "
        f"only {levels} of the 256 pixel values remain distinct; scalings that fit, best first: "
        f"{', '.join(fitting) or 'none of the named ones'}",
        path,
    )
