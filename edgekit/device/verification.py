"""Golden answers: a file gives here what it gave where it was made."""

from __future__ import annotations

import numpy as np

from .failures import DeviceError, OutputError
from .jobs import Emit, Job


def verify(job: Job, emit: Emit) -> None:
    """The verb: every model on the inputs of its ``golden`` file; one ``verified`` line each.

    ``golden``: model key -> .npz with ``inputs`` uint8 (N, H, W, 3) and ``outputs`` float32 (N, classes). ``answers``
    and ``expected`` are the top classes; ``differences`` (N,) the largest difference of a score in each image, and
    ``margins`` (N,) by how much the expected class beat the one that is given here.
    """
    golden = job.raw.get("golden", {})
    for entry in job.models:
        if entry.key not in golden:
            raise DeviceError("the job names no golden file for this model", entry.path)
        with np.load(golden[entry.key]) as stored:
            inputs, outputs = stored["inputs"], stored["outputs"]
        emit("opening", key=entry.key)
        model = entry.open(job.threads)
        runtime = {"name": model.runtime, "version": model.version, "delegate": model.delegate}
        answers = []
        try:
            for pixels in inputs:
                model.set_input(model.input.prepare(pixels, entry.scaling))
                model.invoke()
                answers.append(model.scores())
        except OutputError as error:
            emit("failed", key=entry.key, reason=f"{error.reason} (golden input {len(answers)})", runtime=runtime)
            continue
        scores = np.stack(answers)
        if scores.shape != outputs.shape:
            raise DeviceError(
                f"the golden outputs have shape {outputs.shape}, the model gives {scores.shape}", entry.path
            )
        given, expected = scores.argmax(axis=1), outputs.argmax(axis=1)
        rows = np.arange(len(outputs))
        emit(
            "verified",
            key=entry.key,
            runtime=runtime,
            answers=given.tolist(),
            expected=expected.tolist(),
            differences=np.abs(scores - outputs).max(axis=1).astype(float).tolist(),
            margins=(outputs[rows, expected] - outputs[rows, given]).astype(float).tolist(),
        )
