"""Ctrl-C, SIGTERM and SIGHUP: all three interrupt the command, which says how to resume and exits with 130."""

from __future__ import annotations

import contextlib
import os
import signal
import stat

INTERRUPTED = 130
"""Exit code after Ctrl-C, SIGTERM or SIGHUP, as in a shell."""


def watch_signals() -> None:
    """From now on, the three signals raise :class:`KeyboardInterrupt`, except those that this process ignores.

    Whoever started the process may have it ignore a signal, as ``nohup`` does with SIGHUP.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(number: int, _frame: object) -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C: a training writes its checkpoint, and the command says how to resume.

    Both may arrive together and more than once, so the second one does not disturb what the first one started.
    """
    for again in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(again) is interrupt:
            signal.signal(again, _interrupted_already)
    if number == signal.SIGHUP:
        _leave_terminal()
    raise KeyboardInterrupt


def _interrupted_already(_number: int, _frame: object) -> None:
    pass


def _leave_terminal() -> None:
    """The terminal is gone: writing to it would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
