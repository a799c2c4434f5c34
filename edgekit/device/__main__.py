"""The program that runs on the target: ``python -m edgekit.device VERB [JOB.json]``, JSON lines on stdout.

It stands alone: this folder, the standard library, numpy, Pillow and one runtime are all it needs, under any name.
The verbs that look after files and jobs need the standard library only: they run before anything is installed.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .failures import DeviceError, MissingRuntimeError, StorageError

Emit = Callable[..., None]

JOB_VERBS = {
    "probe": "inspection.inspect",
    "latency": "timing.latency",
    "sustained": "sustained.sustained",
    "energy": "energy.energy",
    "memory": "memory.memory",
    "profile": "profiling.profile",
    "accuracy": "accuracy.accuracy",
    "predict": "accuracy.predict",
    "verify": "verification.verify",
}
"""They read one job and run models."""

KEEPER_VERBS = {
    "facts": "facts.facts",
    "have": "store.have",
    "put": "store.put",
    "install": "packages.install",
    "fetch": "packages.fetch",
    "place": "store.place",
    "start": "work.start",
    "follow": "work.follow",
    "stop": "work.stop",
    "release": "work.release",
    "purge": "purging.purge",
}
"""They read one request line on stdin, and bytes behind it; the working folder is the current one."""

USAGE = f"""usage: VERB [JOB.json]   (VERB: {", ".join(JOB_VERBS)}; without a file the job is read from stdin)
       predict MODEL IMAGE ... | predict MODEL --camera | bench MODEL ... | verify MODEL GOLDEN.npz | probe"""


def main(arguments: list[str]) -> int:
    """Run one verb. 0: done; 1: the job failed, the last line says why; 2: wrong usage; 3: a check did not hold."""
    if not arguments or (arguments[0] == "probe" and len(arguments) == 1 and sys.stdin.isatty()):
        return _for_people(arguments)
    verb = arguments[0]
    if verb == "bench" or (verb in ("predict", "verify") and len(arguments) > 1 and not arguments[1].endswith(".json")):
        return _for_people(arguments)
    if len(arguments) > 2 or verb not in {**JOB_VERBS, **KEEPER_VERBS} or (verb in KEEPER_VERBS and len(arguments) > 1):
        sys.stderr.write(USAGE + "\n")
        return 2
    return _for_machines(verb, arguments[1] if len(arguments) == 2 else None)


def _for_machines(verb: str, path: str | None) -> int:
    emit = _emitter(_claim_stdout())
    try:
        _run(verb, path, emit)
        emit("done")
    except BrokenPipeError:
        return 1  # nobody listens any more
    except DeviceError as error:
        emit("error", kind=error.kind, reason=error.reason, where=error.where)
        return 1
    except MemoryError:
        emit("error", kind="memory", reason="not enough memory", where=None)
        return 1
    return 0


def _run(verb: str, path: str | None, emit: Emit) -> None:
    try:
        if verb in KEEPER_VERBS:
            stream = sys.stdin.buffer
            request = json.loads(stream.readline() or b"{}")
            _function(KEEPER_VERBS[verb])(request, stream, emit)
            if verb != "purge":  # there, the folder is gone
                _function("work.touch")(request)
        else:
            text = Path(path).read_text(encoding="utf-8") if path is not None else sys.stdin.read()
            try:
                function = _function(JOB_VERBS[verb])
                read_job = _function("jobs.read_job")
            except ImportError as error:
                raise MissingRuntimeError(f"this Python lacks what measuring needs ({error})") from None
            function(read_job(text), emit)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        raise StorageError(error.strerror or str(error), error.filename) from None


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(f".{module}", __package__), function)
    return found


def _for_people(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stderr.write(USAGE + "\n")
        return 2
    return int(_function("people.main")(arguments))


def _claim_stdout() -> BinaryIO:
    """Keep stdout for the JSON lines: whatever a runtime prints there goes to stderr."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def _emitter(stream: BinaryIO) -> Emit:
    def emit(event: str, **values: Any) -> None:
        stream.write(json.dumps({"event": event, **values}, allow_nan=False).encode() + b"\n")
        stream.flush()

    return emit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
