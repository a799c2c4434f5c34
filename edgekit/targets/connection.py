"""OpenSSH's client with one shared connection per target. It never prompts and accepts only confirmed host keys."""

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
"""Exit code of ssh itself. All others are those of the remote program."""


class ConnectionLost(Exception):
    """The connection broke, or could not be established for a reason that may pass. ``error`` is what to report."""

    def __init__(self, error: TargetError) -> None:
        super().__init__(str(error))
        self.error = error


class Connection:
    """Runs shell scripts on a target. Each value in a script comes from :func:`quoted` or :func:`shell_path`."""

    def __init__(self, config: TargetConfig) -> None:
        self.config = config
        if shutil.which("ssh") is None:
            raise TargetError("OpenSSH's client is not installed here", hint="sudo apt install openssh-client")
        self._running: subprocess.Popen[bytes] | None = None
        identity = repr((config.host, config.user, config.port, config.ssh_config))
        self._socket = _socket_folder() / f"{os.getpid()}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"

    def stream(self, script: str, body: Iterable[bytes] = ()) -> Generator[bytes, None, None]:
        """Run ``script`` with ``body`` as its stdin and yield the lines of its stdout.

        Raises :class:`ConnectionLost` if ssh failed for a reason that may pass, :class:`TargetError` if a host key or
        the login was refused, :class:`RemoteFailure` if the exit code of the script is not 0.
        """
        with tempfile.TemporaryFile() as stderr:
            # In a session of its own: Ctrl-C reaches only this program, which then ends the remote one properly.
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
        """From another thread: end the running client. The thread that follows it sees a lost connection."""
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
        """The arguments of ``ssh`` with which a person reaches this target."""
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
        """The error for a message of ssh, with what to do about it."""
        name, ssh = self.config.name, shlex.join(["ssh", *self.ssh_words()])
        where = f"target {name}: {ssh}"
        if "has changed" in words or "IDENTIFICATION HAS CHANGED" in words:
            return TargetError(
                "the host key of this target has changed: its system was reinstalled, or this is another machine",
                where=where,
                hint=f"if you know why the key changed: {self._forget_key(words)} && {self._accept_key()}",
            )
        if "Host key verification failed" in words or "host key is known" in words:
            return TargetError(
                "this machine does not know the host key of this target yet",
                where=where,
                hint=f"compare the fingerprint that this command shows, and accept it: {self._accept_key()}",
            )
        if "Permission denied" in words or "Too many authentication failures" in words:
            copy = shlex.join(["ssh-copy-id", *self.ssh_words()])
            return TargetError(
                "the target refused the login; edgekit logs in with SSH keys only", where=where, hint=copy
            )
        lines = [line for line in words.strip().splitlines() if line.strip()] or ["the connection was closed"]
        return ConnectionLost(
            TargetError(
                f"cannot reach the target: {lines[-1].strip()}",
                where=where,
                hint=f"check that it is switched on and reachable: {ssh}",
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
    """A script failed on the target. ``last``: the last line of its stderr."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.last = (words.strip().splitlines() or [f"exit code {code}"])[-1]


def quoted(text: str) -> str:
    """``text`` as one word of a shell on the target."""
    return shlex.quote(text)


def shell_path(path: str) -> str:
    """A path on the target as one word of its shell. ``~/`` is the home there."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + (f"/{shlex.quote(path[2:])}" if len(path) > 2 else "")
    return shlex.quote(path)


def _write(process: subprocess.Popen[bytes], body: Iterable[bytes], troubles: list[EdgekitError]) -> None:
    """Send ``body``. Errors are left in ``troubles`` for the thread that reads the answer."""
    assert process.stdin is not None
    try:
        for block in body:
            process.stdin.write(block)
            process.stdin.flush()
    except BrokenPipeError:
        pass  # the other side ended, and its exit code says why
    except EdgekitError as error:
        troubles.append(error)
    except OSError as error:
        troubles.append(EdgekitError(f"cannot read the data to send: {error}"))
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _socket_folder() -> Path:
    """A folder that only this user can enter, with a short path: that of a socket is limited to 104 characters."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = runtime.startswith("/") and len(runtime) <= 40 and os.access(runtime, os.W_OK)
    path = Path(runtime, "edgekit-ssh") if usable else Path(f"/tmp/edgekit-ssh-{os.getuid()}")  # noqa: S108 - checked
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        facts = path.lstat()
    except OSError as error:
        raise TargetError(f"cannot use the folder of the shared connection: {error}", where=str(path)) from None
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise TargetError("the folder of the shared connection is not private", where=str(path), hint=f"rm -r {path}")
    return path
