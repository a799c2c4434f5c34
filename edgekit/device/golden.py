"""The verb ``verify``: whether a file returns the golden outputs that were stored where it was exported."""

from __future__ import annotations

import numpy as np

from .archives import DAMAGED
from .classifier import Classifier
from .failures import DeviceError, OutputError
from .jobs import Job, JobModel
from .protocol import Emit
from .protocol.events import UnverifiedEvent, VerifiedEvent, VerifyEvent
from .protocol.jobs import VerifyJob
from .runtimes import Model

MAX_DIFFERENCE = 0.1
"""Of one score. Kernels of other runtimes round int8 differently (12/255 was seen); wrong kernels are far off."""


def problem_of(event: VerifiedEvent) -> str | None:
    """Why the outputs are not the golden ones; None if they are.

    Two classes with nearly the same score may change places: that is not a fault of the file.
    """
    other_class = sum(margin > MAX_DIFFERENCE for margin in event["margins"])
    if other_class:
        return f"{other_class} of {len(event['predicted'])} golden inputs get another class"
    largest = max(event["differences"])
    return f"scores differ by up to {largest:.2g}" if largest > MAX_DIFFERENCE else None


def verify(job: Job[VerifyJob], emit: Emit[VerifyEvent]) -> None:
    """One ``verified`` event per model, or ``failed`` if its output is not finite."""
    golden = job.settings.get("golden", {})
    for entry in job.models:
        if entry.key not in golden:
            raise DeviceError("the job contains no golden file for this model", entry.path)
        inputs, outputs = read_golden(golden[entry.key])
        emit({"event": "opening", "key": entry.key})
        emit(compare(entry, entry.open(job.threads), inputs, outputs))


def read_golden(path: str) -> tuple[np.ndarray, np.ndarray]:
    """The inputs uint8 (N, H, W, channels) and outputs float32 (N, classes) of a golden file."""
    try:
        with np.load(path) as stored:
            return stored["inputs"], stored["outputs"]
    except DAMAGED as error:
        raise DeviceError(f"cannot read the golden file: {error}", path) from None


def compare(entry: JobModel, model: Model, inputs: np.ndarray, outputs: np.ndarray) -> VerifiedEvent | UnverifiedEvent:
    """Run ``model`` on the golden inputs and compare its outputs."""
    rows: list[np.ndarray] = []
    classifier = Classifier(entry, model)
    try:
        for pixels in inputs:
            rows.append(classifier.classify(pixels))
    except OutputError as error:
        reason = f"{error.reason} (golden input {len(rows)})"
        return {"event": "failed", "key": entry.key, "reason": reason, "runtime": model.runtime_info}
    scores = np.stack(rows)
    if scores.shape != outputs.shape:
        raise DeviceError(
            f"the golden outputs have shape {outputs.shape}, but the model returns {scores.shape}", entry.path
        )
    predicted, expected = scores.argmax(axis=1), outputs.argmax(axis=1)
    numbers = np.arange(len(outputs))
    return {
        "event": "verified",
        "key": entry.key,
        "runtime": model.runtime_info,
        "predicted": predicted.tolist(),
        "expected": expected.tolist(),
        "differences": np.abs(scores - outputs).max(axis=1).astype(float).tolist(),
        "margins": (outputs[numbers, expected] - outputs[numbers, predicted]).astype(float).tolist(),
    }
