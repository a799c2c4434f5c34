"""Exceptions that are no error of edgekit's own, as errors with a problem and a hint."""

from __future__ import annotations

import subprocess

from edgekit.errors import EdgekitError
from edgekit.support.os_errors import from_os_error

_OUT_OF_MEMORY = ("ResourceExhaustedError", "XlaRuntimeError")
"""Exceptions of TensorFlow and JAX for too little memory, by name: neither package may be installed."""


def as_edgekit_error(error: Exception) -> EdgekitError:
    """Any exception as an error with a problem and, where possible, a hint.

    What the system reports (a full disk, too little memory, a missing package) is named. Everything else is a bug.
    """
    if isinstance(error, EdgekitError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return from_os_error(error)
    return _of_the_system(error) or EdgekitError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in edgekit; set EDGEKIT_DEBUG=1 to see the traceback",
    )


def _of_the_system(error: Exception) -> EdgekitError | None:
    """What the system or the installation lacks; None for any other exception."""
    if isinstance(error, MemoryError) or (type(error).__name__ in _OUT_OF_MEMORY and "xhausted" in repr(error)):
        return EdgekitError("not enough memory", hint="use a smaller --batch-size or --image-size")
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return EdgekitError("this system allows no more threads", hint="raise the limit on processes (ulimit -u)")
    if isinstance(error, ImportError) and not (error.name or "edgekit").startswith("edgekit"):
        problem = f"the package {error.name} cannot be imported: {error}"
        return EdgekitError(problem, hint="`edgekit doctor` shows what is missing and how to install it")
    if isinstance(error, subprocess.TimeoutExpired):
        return EdgekitError(f"{_program(error)} did not respond within {error.timeout:g} s")
    return None


def _program(error: subprocess.TimeoutExpired) -> str:
    return str(error.cmd[0]) if isinstance(error.cmd, list | tuple) else str(error.cmd).split()[0]
