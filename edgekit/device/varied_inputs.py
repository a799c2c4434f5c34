"""The inputs of a measurement: real images that change from run to run, and noise where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np

from .classifier import Classifier, Geometry
from .failures import OutputError
from .jobs import JobModel
from .protocol import NOISE_IMAGES
from .protocol.events import TimedAnswer
from .runtimes import Model


class Pixels:
    """The decoded images of the present round, for all models that ask for the same size."""

    def __init__(self) -> None:
        self._decoded: dict[tuple[str, Geometry], np.ndarray] = {}

    def of(self, path: str, geometry: Geometry) -> np.ndarray:
        """uint8 (H, W, channels)."""
        if (path, geometry) not in self._decoded:
            self._decoded[path, geometry] = geometry.load(path)
        return self._decoded[path, geometry]

    def forget(self) -> None:
        """The next round has other images."""
        self._decoded.clear()


class Inputs:
    """The inputs of one opened model. ``same``: always the first one, to see what caches make of it."""

    def __init__(self, entry: JobModel, model: Model, pixels: Pixels, rounds: int, *, same: bool = False) -> None:
        self._entry, self._model, self._pixels, self._same = entry, model, pixels, same
        self._classifier = Classifier(entry, model) if entry.images else None
        self._per_round = len(entry.images) // rounds

    def numbers(self, round_number: int) -> Sequence[int]:
        """Which of the model's images (or noise pictures) the blocks of a round take, in order."""
        if self._same:
            return [0]
        if not self._per_round:
            return range(NOISE_IMAGES)
        start = round_number * self._per_round
        return range(start, start + self._per_round)

    def tensors(self, numbers: Sequence[int]) -> list[np.ndarray]:
        """Input tensors, each of the shape that the model takes."""
        return [self._model.input.prepare(self._image(number), self._entry.scaling) for number in numbers]

    def first(self) -> np.ndarray:
        """The tensor of the first image."""
        return self.tensors([0])[0]

    def answer(self, number: int) -> TimedAnswer:
        """What the last run said about the input ``number``."""
        try:
            scores = self._model.scores() if self._classifier is None else self._classifier.probabilities()
        except OutputError:
            return {"image": number, "predicted": None, "score": None}
        predicted = int(scores.argmax())
        return {"image": number, "predicted": predicted, "score": float(scores[predicted])}

    def _image(self, number: int) -> np.ndarray:
        if self._per_round and self._classifier is not None:
            return self._pixels.of(self._entry.images[number], self._classifier.geometry)
        return noise(self._model, number)


def first_input(entry: JobModel, model: Model) -> np.ndarray:
    """The tensor of the first image; of a noise picture for a model without images."""
    return Inputs(entry, model, Pixels(), rounds=1).first()


def input_cycle(entry: JobModel, model: Model) -> Callable[[], None]:
    """Sets the next input of ``model`` with each call: its images or noise, from the first again after the last."""
    inputs = Inputs(entry, model, Pixels(), rounds=1)
    tensors = cycle(inputs.tensors(inputs.numbers(0)))
    return lambda: model.set_input(next(tensors))


def noise(model: Model, number: int = 0) -> np.ndarray:
    """Seeded noise, uint8 (H, W, channels)."""
    shape = (model.input.height, model.input.width, model.input.channels)
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)
