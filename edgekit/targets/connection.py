"""OpenSSH's own client, one shared connection a target: never a prompt, never a host key that nobody confirmed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterable
from pathlib import Path

from edgekit.errors import EdgekitError, TargetError
from edgekit.targets.config import TargetConfig

CONNECT_S = 15
LOST = 255
"""Exit code of ssh itself; every other one is the remote program's."""


class ConnectionLost(Exception):
    """The connection broke, or could not be made for a reason that may pass. ``error`` is what to tell a person."""

    def __init__(self, error: TargetError) -> None:
        super().__init__(str(error))
        self.error = error


class Connection:
    """Runs shell scripts on a target. Every value in a script has gone through :func:`quoted` or :func:`shell_path`."""

    def __init__(self, config: TargetConfig) -> None:
        self.config = config
        if shutil.which("ssh") is None:
            raise TargetError("OpenSSH's client is not installed here", hint="sudo apt install openssh-client")
        self._running: subprocess.Popen[bytes] | None = None
        identity = repr((config.host, config.user, config.port, config.ssh_config))
        self._socket = _socket_folder() / f"{os.getpid()}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    def stream(self, script: str, body: Iterable[bytes] = ()) -> Generator[bytes, None, None]:
        """Run ``script`` with ``body`` as its stdin and give the lines of its stdout.

        Raises :class:`ConnectionLost` where ssh failed in a way that may pass, :class:`TargetError` for a host key or
        a login that was refused, :class:`RemoteFailure` where the script ended with another code than 0.
        """
        with tempfile.TemporaryFile() as stderr:
            # A session of its own: Ctrl-C reaches this program, which then ends the remote one in order.
            process = subprocess.Popen(
                [*self._client(), f"sh -c {shlex.quote(script)}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
            self._running = process
            troubles: list[EdgekitError] = []
            writer = threading.Thread(target=_write, args=(process, body, troubles), daemon=True)
            writer.start()
            try:
                assert process.stdout is not None
                yield from process.stdout
                code = process.wait()
            finally:
                self._running = None
                if process.poll() is None:
                    process.kill()
                    process.wait()
                writer.join(timeout=5)
                assert process.stdout is not None
                process.stdout.close()
            if troubles:
                raise troubles[0]
            stderr.seek(0)
            words = stderr.read().decode(errors="replace")
        if code == LOST or code < 0:
            raise self._refusal(words)
        if code != 0:
            raise RemoteFailure(code, words)

    def interrupt(self) -> None:
        """From another thread: end the client that runs now; its thread sees a lost connection."""
        process = self._running
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the shared connection."""
        if self._socket.exists():
            subprocess.run([*self._client(), "-O", "exit"], capture_output=True, check=False, stdin=subprocess.DEVNULL)
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()

    def ssh_words(self) -> list[str]:
        """What a person types after ``ssh`` to reach this target."""
        config = self.config
        words = [] if config.ssh_config is None else ["-F", str(Path(config.ssh_config).expanduser())]
        words += [] if config.port is None else ["-p", str(config.port)]
        return [*words, config.host if config.user is None else f"{config.user}@{config.host}"]

    def _client(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": str(CONNECT_S),
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "4",
            "ControlMaster": "auto",
            "ControlPersist": "120",
            "ControlPath": str(self._socket),
            "LogLevel": "ERROR",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
            "RequestTTY": "no",
            "RemoteCommand": "none",
        }
        return ["ssh", *(f"-o{key}={value}" for key, value in options.items()), *self.ssh_words()]

    def _refusal(self, words: str) -> Exception:
        """What ssh's own message means, and what to do about it."""
        name, ssh = self.config.name, shlex.join(["ssh", *self.ssh_words()])
        where = f"target {name}: {ssh}"
        if "has changed" in words or "IDENTIFICATION HAS CHANGED" in words:
            return TargetError(
                "the host key of this target is another one than before: it was installed anew, or this is another "
                "machine that answers in its place",
                where=where,
                hint=f"only where you know why: {self._forget_key(words)} && {self._accept_key()}",
            )
        if "Host key verification failed" in words or "host key is known" in words:
            return TargetError(
                "the host key of this target is not known here yet",
                where=where,
                hint=f"compare the fingerprint that this shows, and accept it: {self._accept_key()}",
            )
        if "Permission denied" in words or "Too many authentication failures" in words:
            copy = shlex.join(["ssh-copy-id", *self.ssh_words()])
            return TargetError(
                "the target refuses this login; passwords are not asked for here", where=where, hint=copy
            )
        lines = [line for line in words.strip().splitlines() if line.strip()] or ["the connection was closed"]
        return ConnectionLost(
            TargetError(
                f"the target cannot be reached: {lines[-1].strip()}",
                where=where,
                hint=f"check that it is on and in this network: {ssh}",
            )
        )

    def _accept_key(self) -> str:
        return shlex.join(["ssh", "-o", "StrictHostKeyChecking=ask", *self.ssh_words(), "true"])

    def _forget_key(self, words: str) -> str:
        offending = re.search(r"Offending .* key in (.+):\d+", words)
        host = re.search(r"Host key for (\S+) has changed", words)
        file = ["-f", offending.group(1)] if offending is not None else []
        return shlex.join(["ssh-keygen", *file, "-R", host.group(1) if host is not None else self.config.host])


class RemoteFailure(Exception):
    """A script ended on the target with a code that says something went wrong there."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.last = (words.strip().splitlines() or [f"it ended with code {code}"])[-1]


def quoted(text: str) -> str:
    """``text`` as one word of a shell on the target."""
    return shlex.quote(text)


def shell_path(path: str) -> str:
    """A path on the target as one word of its shell; ``~/`` is the home there."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + (f"/{shlex.quote(path[2:])}" if len(path) > 2 else "")
    return shlex.quote(path)


def _write(process: subprocess.Popen[bytes], body: Iterable[bytes], troubles: list[EdgekitError]) -> None:
    """Send ``body``; what goes wrong with it here is left in ``troubles`` for the thread that reads."""
    assert process.stdin is not None
    try:
        for block in body:
            process.stdin.write(block)
            process.stdin.flush()
    except BrokenPipeError:
        pass  # the other side ended; its exit code says why
    except EdgekitError as error:
        troubles.append(error)
    except OSError as error:
        troubles.append(EdgekitError(f"what was to be sent cannot be read: {error}"))
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _socket_folder() -> Path:
    """A folder that only this user can enter; short, because a socket's path has at most 104 characters."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = runtime.startswith("/") and len(runtime) <= 40 and os.access(runtime, os.W_OK)
    path = Path(runtime, "edgekit-ssh") if usable else Path(f"/tmp/edgekit-ssh-{os.getuid()}")  # noqa: S108 - checked
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        facts = path.lstat()
    except OSError as error:
        raise TargetError(f"the folder for the shared connection cannot be used: {error}", where=str(path)) from None
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise TargetError("the folder for the shared connection is not private", where=str(path), hint=f"rm -r {path}")
    return path
