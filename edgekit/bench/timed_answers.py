"""Whether the answers of timed runs are right: fast and wrong is not fast (the test TEST01 of MLPerf Inference)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.bench.accuracy import Predictions
from edgekit.device.protocol.events import TimedAnswer

TOLERANCE = 0.05
"""Of one probability. Kernels may round in another way with another number of threads."""


class Expected:
    """What a file says about each image: its stored predictions, or its first answer where there are none."""

    def __init__(self, predictions: Predictions | None, numbers: Mapping[str, int]) -> None:
        """``numbers``: the row of ``predictions`` for each image file."""
        self._predictions = predictions
        self._numbers = numbers
        self._first: dict[str, TimedAnswer] = {}

    def is_right(self, answer: TimedAnswer, image: str) -> bool:
        """Whether an answer about ``image`` (a file, or the name of a noise picture) is the expected one."""
        predicted, score = answer["predicted"], answer["score"]
        if predicted is None or score is None:
            return False
        row = self._numbers.get(image)
        if self._predictions is None or row is None:
            first = self._first.setdefault(image, answer)
            known = first["score"] or 0.0
            return predicted == first["predicted"] or abs(score - known) <= TOLERANCE * max(1.0, abs(known))
        probabilities = self._predictions.probabilities[row]
        if predicted >= len(probabilities) or probabilities.max() - probabilities[predicted] > TOLERANCE:
            return False
        return self._predictions.activation != "none" or abs(score - float(probabilities[predicted])) <= TOLERANCE

    def n_wrong(self, answers: Sequence[TimedAnswer], images: Sequence[str]) -> int:
        """How many of the answers of one block are wrong. ``images``: those of the file's job, by number."""
        return sum(
            not self.is_right(answer, images[answer["image"]] if images else f"noise {answer['image']}")
            for answer in answers
        )
