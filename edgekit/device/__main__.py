"""The program that runs on the target: ``python -m edgekit.device VERB [JOB.json]``, with JSON lines on stdout.

It stands alone: this folder, the standard library, NumPy, Pillow and one runtime are all it needs, and the folder may
have any name. The verbs that look after files and jobs need the standard library only, because they run before
anything is installed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .failures import DeviceError, MissingRuntimeError, StorageError
from .protocol import Emit
from .protocol.events import DoneEvent, ErrorEvent
from .protocol.requests import AliveEvent

ALIVE_S = 15.0
"""How often a program that works on a request says that it is there."""

JOB_VERBS = {
    "probe": "model_probe.inspect",
    "latency": "timing.latency",
    "sustained": "sustained.sustained",
    "energy": "energy.energy",
    "memory": "memory.memory",
    "profile": "profiling.profile",
    "accuracy": "predictions.accuracy",
    "predict": "predictions.predict",
    "verify": "golden.verify",
}
"""Verbs that read a job and run models."""

REQUEST_VERBS = {
    "facts": "host_facts.facts",
    "have": "object_store.have",
    "put": "object_store.put",
    "install": "packages.install",
    "fetch": "packages.fetch",
    "place": "deployment.place",
    "start": "job_runner.start",
    "follow": "job_runner.follow",
    "release": "job_runner.release",
    "purge": "purging.purge",
}
"""Verbs that read a request from the first line of stdin. More bytes may follow; the working folder is the current
folder."""

USAGE = f"""usage: predict MODEL IMAGE ... | predict MODEL --camera | watch MODEL | unit MODEL
   or: bench MODEL | verify MODEL GOLDEN.npz | probe
   or: VERB [JOB.json], with a job from a file or from stdin
       (VERB: {", ".join(JOB_VERBS)})"""


def main(arguments: list[str]) -> int:
    """Run one verb and return the exit code.

    0: done. 1: the job failed, and the last line says why. 2: wrong usage. 3: a check did not pass.
    """
    if not arguments:
        return _usage()
    verb = arguments[0]
    if _is_interactive(arguments):
        return int(_function("standalone.main")(arguments))
    known = verb in JOB_VERBS or (verb in REQUEST_VERBS and len(arguments) == 1)
    if not known or len(arguments) > 2:
        return _usage()
    return _answer(verb, arguments[1] if len(arguments) == 2 else None)


def _is_interactive(arguments: list[str]) -> bool:
    """Whether a person typed this: another program sends a job, on stdin or in a .json file."""
    verb, *rest = arguments
    if verb in ("-h", "--help"):
        return True
    if verb == "probe":
        return not rest and sys.stdin.isatty()
    return verb in ("bench", "watch", "unit") or (
        verb in ("predict", "verify") and bool(rest) and not rest[0].endswith(".json")
    )


def _usage() -> int:
    sys.stderr.write(USAGE + "\n")
    return 2


def _answer(verb: str, path: str | None) -> int:
    emit = _emitter(_claim_stdout())
    done: DoneEvent = {"event": "done"}
    try:
        _run(verb, path, emit)
        emit(done)
    except BrokenPipeError:
        return 1  # nobody reads the events any more
    except DeviceError as error:
        emit(_error(error))
        return 1
    except MemoryError:
        failed: ErrorEvent = {"event": "error", "kind": "memory", "reason": "out of memory", "where": None}
        emit(failed)
        return 1
    return 0


def _error(error: DeviceError) -> ErrorEvent:
    return {"event": "error", "kind": error.kind, "reason": error.reason, "where": error.where}


def _run(verb: str, path: str | None, emit: Emit[Mapping[str, object]]) -> None:
    try:
        if verb in REQUEST_VERBS:
            _answer_request(verb, emit)
        else:
            text = Path(path).read_text(encoding="utf-8") if path is not None else sys.stdin.read()
            try:
                function = _function(JOB_VERBS[verb])
                read_job = _function("jobs.read_job")
            except ImportError as error:
                raise MissingRuntimeError(f"a required package is missing on this device ({error})") from None
            function(read_job(text), emit)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        raise StorageError(error.strerror or str(error), error.filename) from None


def _answer_request(verb: str, emit: Emit[Mapping[str, object]]) -> None:
    call = _function("calls.read_call")(sys.stdin.buffer)
    ended = threading.Event()
    threading.Thread(target=_emit_alive, args=(emit, ended), daemon=True).start()
    try:
        _function(REQUEST_VERBS[verb])(call, emit)
    finally:
        ended.set()
    if verb != "purge":  # which removes the folder that the lease would be written to
        _function("session.renew")(call)


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(f".{module}", __package__), function)
    return found


def _claim_stdout() -> BinaryIO:
    """Reserve stdout for events: whatever a runtime prints there goes to stderr instead."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def _emitter(stream: BinaryIO) -> Emit[Mapping[str, object]]:
    lock = threading.Lock()

    def emit(event: Mapping[str, object]) -> None:
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        with lock:
            stream.write(line)
            stream.flush()

    return emit


def _emit_alive(emit: Emit[AliveEvent], ended: threading.Event) -> None:
    """Tell the host every few seconds that the connection works, until the request has ``ended``."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads the events any more
        while not ended.wait(ALIVE_S):
            emit({"event": "alive"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
