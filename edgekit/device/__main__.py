"""The program that runs on the target: ``python -m edgekit.device VERB [JOB.json]``, JSON lines on stdout.

It stands alone: this folder, the standard library, numpy, Pillow and one runtime are all it needs, under any name.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from . import accuracy, memory, metadata, probe, timing
from .failures import DeviceError
from .jobs import Emit, Job, read_job


def inspect(job: Job, emit: Emit) -> None:
    """The verb ``probe``: the machine, and what each file of the job wants and gives."""
    emit("environment", when="now", **probe.environment())
    for entry in job.models:
        emit("opening", key=entry.key)
        model = entry.open(1)
        emit(
            "inspected",
            key=entry.key,
            runtime={"name": model.runtime, "version": model.version, "delegate": model.delegate},
            input={
                "name": model.input.name,
                "dtype": model.input.dtype,
                "shape": list(model.input.shape),
                "layout": model.input.layout,
                "needs_scaling": model.input.needs_scaling,
            },
            output={"name": model.output.name, "dtype": model.output.dtype, "classes": model.output.classes},
            metadata=metadata.read_metadata(entry.path, model).document(),
        )


VERBS: dict[str, Callable[[Job, Emit], None]] = {
    "probe": inspect,
    "latency": timing.latency,
    "memory": memory.memory,
    "accuracy": accuracy.accuracy,
    "predict": accuracy.predict,
}

USAGE = f"usage: VERB [JOB.json]   (VERB: {', '.join(VERBS)}; without a file the job is read from stdin)"


def main(arguments: list[str]) -> int:
    """Run one verb. 0: done; 1: the job failed, the last line says why; 2: wrong usage."""
    if not 1 <= len(arguments) <= 2 or arguments[0] not in VERBS:
        sys.stderr.write(USAGE + "\n")
        return 2
    emit = _emitter(_claim_stdout())
    try:
        text = Path(arguments[1]).read_text(encoding="utf-8") if len(arguments) == 2 else sys.stdin.read()
        VERBS[arguments[0]](read_job(text), emit)
    except DeviceError as error:
        emit("error", kind=error.kind, reason=error.reason, where=error.where)
        return 1
    except MemoryError:
        emit("error", kind="memory", reason="not enough memory", where=None)
        return 1
    emit("done")
    return 0


def _claim_stdout() -> TextIO:
    """Keep stdout for the JSON lines: whatever a runtime prints there goes to stderr."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "w", encoding="utf-8")


def _emitter(stream: TextIO) -> Emit:
    def emit(event: str, **values: Any) -> None:
        stream.write(json.dumps({"event": event, **values}, allow_nan=False) + "\n")
        stream.flush()

    return emit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
