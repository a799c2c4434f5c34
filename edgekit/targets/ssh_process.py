"""One running ssh client: its lines, within the limits, and the end of what the other side wrote to stderr."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from edgekit.errors import EdgekitError, TargetError
from edgekit.targets.limits import LOG_BYTES, STDERR_BYTES, STDERR_TAIL_BYTES, Limits

BLOCK = 1 << 16
LOOK_S = 0.5
"""How often the limits are looked at while nothing arrives."""


class Silence(Exception):
    """Nothing was sent or received for too long."""


class SshProcess:
    """``command`` is an ssh client; ``-E`` is added, so that its own messages are never mixed with the device's."""

    def __init__(self, command: Sequence[str], body: Iterable[bytes], name: str, limits: Limits) -> None:
        self._name, self._limits = name, limits
        self._log = tempfile.NamedTemporaryFile(prefix="edgekit-ssh-")  # noqa: SIM115 - closed in __exit__
        # In a session of its own: Ctrl-C reaches only this program, which then ends the remote one properly.
        self._process = subprocess.Popen(
            [command[0], "-E", self._log.name, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._tail = b""
        self._stderr_bytes = 0
        self._stdout_bytes = 0
        self._active = time.monotonic()
        self._troubles: list[EdgekitError] = []
        self._writer = threading.Thread(target=self._write, args=(body,), daemon=True)
        self._writer.start()

    def __enter__(self) -> SshProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._writer.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._log.close()

    def kill(self) -> None:
        """From any thread: end the client."""
        self._process.kill()

    @property
    def answered(self) -> bool:
        """Whether anything came from the other side."""
        return self._stdout_bytes > 0

    def ended(self) -> tuple[int, str, str]:
        """After :meth:`lines`: the exit code, the end of the remote stderr, and the messages of ssh itself."""
        try:
            code = self._process.wait(timeout=self._limits.silence_s)
        except subprocess.TimeoutExpired:
            raise Silence from None
        if self._troubles:
            raise self._troubles[0]
        log = Path(self._log.name).read_bytes()[-LOG_BYTES:]
        return code, self._tail.decode(errors="replace"), log.decode(errors="replace")

    def lines(self) -> Generator[bytes, None, None]:
        """The lines of stdout as they arrive.

        Raises :class:`Silence`, and :class:`TargetError` where the device sends more than it may.
        """
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None and stderr is not None
        rest = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(LOOK_S)]
                if stderr in ready and not self._read_stderr(stderr):
                    selector.unregister(stderr)
                if stdout in ready:
                    block = os.read(stdout.fileno(), BLOCK)
                    if not block:
                        break
                    yield from self._split(rest, block)
                self._check_time()
            if rest:
                yield bytes(rest)
            # What is already there. A shared connection may keep the pipe open, so its end is not waited for.
            while selector.get_map().get(stderr) is not None and selector.select(0.02):
                if not self._read_stderr(stderr):
                    break

    def _split(self, rest: bytearray, block: bytes) -> Generator[bytes, None, None]:
        """The lines that end in ``block``. What follows stays in ``rest``."""
        self._active = time.monotonic()
        self._stdout_bytes += len(block)
        if self._stdout_bytes > self._limits.job_bytes:
            raise self._too_much(f"more than {self._limits.max_job_mb} MB for one job", "max_job_mb")
        *ends, last = block.split(b"\n")
        for end in ends:
            line = bytes(rest) + end + b"\n"
            rest.clear()
            yield line
            self._active = time.monotonic()
        rest += last
        if len(rest) > self._limits.line_bytes:
            raise self._too_much(f"a line of more than {self._limits.max_line_mb} MB", "max_line_mb")

    def _read_stderr(self, stream: IO[bytes]) -> bool:
        """Whether there may be more."""
        block = os.read(stream.fileno(), BLOCK)
        self._stderr_bytes += len(block)
        self._tail = (self._tail + block)[-STDERR_TAIL_BYTES:]
        if self._stderr_bytes > STDERR_BYTES:
            raise self._too_much(f"more than {STDERR_BYTES >> 20} MB of error messages", None)
        return bool(block)

    def _check_time(self) -> None:
        if time.monotonic() - self._active > self._limits.silence_s:
            raise Silence
        if os.fstat(self._log.fileno()).st_size > LOG_BYTES:
            raise self._too_much(f"ssh wrote more than {LOG_BYTES >> 20} MB of messages", None)

    def _too_much(self, what: str, setting: str | None) -> TargetError:
        hint = f"edgekit target doctor {self._name}"
        if setting is not None:
            hint += f"; if so much is right, raise {setting} of this target in targets.toml"
        return TargetError(
            f"{self._name} sends too much, so edgekit stopped listening: {what}",
            where=f"target {self._name}",
            hint=hint,
        )

    def _write(self, body: Iterable[bytes]) -> None:
        """Send ``body``, from a thread of its own. Errors are left for the thread that reads the answer."""
        stream = self._process.stdin
        assert stream is not None
        try:
            for block in body:
                stream.write(block)
                stream.flush()
                self._active = time.monotonic()
        except BrokenPipeError:
            pass  # the other side ended, and its exit code says why
        except EdgekitError as error:
            self._troubles.append(error)
        except (OSError, ValueError) as error:
            self._troubles.append(EdgekitError(f"cannot read the data to send: {error}"))
        with contextlib.suppress(OSError):
            stream.close()
