"""Writes checkpoints in another thread, beside the next epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

Write = Callable[[], None]


class CheckpointWriter:
    """Runs the latest of the tasks that it is given, one at a time.

    A task that has not started when the next one arrives is left out, so training never waits for a slow disk. Leaving
    the ``with`` block, also by an interrupt, waits until the latest task is done: nothing is lost but by killing the
    process, and then only the epochs since the last checkpoint. An error of a task is raised by the next call.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: Write | None = None
        self._busy = self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> CheckpointWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.flush()
        except Exception:
            if error is None:  # otherwise the first error is the one to report
                raise
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def submit(self, write: Write) -> None:
        """Run ``write`` as soon as the present task is done, instead of one that is still waiting."""
        with self._changed:
            self._raise()
            self._next = write
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="edgekit-checkpoint", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until the latest task is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is None and not self._busy)
            self._raise()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None or self._closed)
                if self._next is None:
                    return
                write, self._next, self._busy = self._next, None, True
            error: BaseException | None = None
            try:
                write()
            except BaseException as caught:  # noqa: BLE001 - raised in the thread that trains
                error = caught
            with self._changed:
                self._busy, self._error = False, error or self._error
                self._changed.notify_all()
