"""OpenSSH's client with one shared connection per target. It never prompts and accepts only confirmed host keys."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path

from edgekit.device.plain_text import visible
from edgekit.errors import TargetError
from edgekit.support.paths import expanded
from edgekit.targets.config import TargetConfig
from edgekit.targets.connection_guard import ConnectionGuard
from edgekit.targets.host_keys import refused_key
from edgekit.targets.ssh_process import Silence, SshProcess

CONNECT_S = 15
LOST = 255
"""Exit code of ssh itself. All others are those of the remote program."""

UNREACHABLE = ("ssh: connect to host ", "ssh: Could not resolve hostname ")
"""How ssh's last message starts where there is nobody to talk to. After other messages, a second try may help."""


class ConnectionLost(Exception):
    """The connection broke, or could not be established for a reason that may pass. ``error`` is what to report.

    ``brief``: somebody is there, so that it is worth trying again at once.
    """

    def __init__(self, error: TargetError, *, brief: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.brief = brief


class Connection:
    """Runs shell scripts on a target. Each value in a script comes from :func:`quoted` or :func:`shell_path`."""

    def __init__(self, config: TargetConfig) -> None:
        self.config = config
        if shutil.which("ssh") is None:
            raise TargetError("OpenSSH's client is not installed here", hint="sudo apt install openssh-client")
        self._running: SshProcess | None = None
        identity = repr((config.name, config.host, config.user, config.port, config.ssh_config))
        self._socket = _socket_folder() / f"{os.getpid()}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        self._guard = ConnectionGuard(self._client(), self._socket)

    def stream(
        self, script: str, body: Iterable[bytes] = (), *, silence_s: int | None = None
    ) -> Generator[bytes, None, None]:
        """Run ``script`` with ``body`` as its stdin and yield the lines of its stdout.

        Raises :class:`ConnectionLost` if ssh failed for a reason that may pass, or if nothing was heard for
        ``silence_s`` (default: that of the target); :class:`TargetError` if a host key or the login was refused, or if
        the device sends too much; :class:`RemoteFailure` if the exit code of the script is not 0.
        """
        limits = self.config.limits
        limits = limits if silence_s is None else replace(limits, silence_s=silence_s)
        self._guard.start()
        command = [*self._client(), f"sh -c {shlex.quote(script)}"]
        with SshProcess(command, body, self.config.name, limits) as process:
            self._running = process
            try:
                yield from process.lines()
                code, remote, log = process.ended()
            except Silence:
                raise self._silent(limits.silence_s) from None
            finally:
                self._running = None
        if code == LOST or code < 0:
            raise self._refusal(log)
        if code != 0:
            raise RemoteFailure(code, remote)

    def leave_with(self, script: str, body: bytes) -> None:
        """What to run on the target if this process is killed: see :class:`ConnectionGuard`."""
        self._guard.leave_with(f"sh -c {shlex.quote(script)}", body)

    def interrupt(self) -> None:
        """From another thread: end the running client. The thread that follows it sees a lost connection."""
        process = self._running
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the shared connection."""
        self._guard.stop()
        if self._socket.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [*self._client(), "-O", "exit"],
                    capture_output=True,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    timeout=CONNECT_S,
                )
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()

    def ssh_words(self) -> list[str]:
        """The arguments of ``ssh`` with which a person reaches this target."""
        config = self.config
        words = [] if config.ssh_config is None else ["-F", str(expanded(config.ssh_config))]
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

    def _refusal(self, log: str) -> Exception:
        """The error for the messages of ssh itself, with what to do about it."""
        name, ssh = self.config.name, shlex.join(["ssh", *self.ssh_words()])
        where = f"target {name}: {ssh}"
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        # A server can end the connection with words of its own, which ssh repeats: they decide nothing.
        own = not any(line.startswith("Received disconnect from ") for line in lines)
        if own and "Host key verification failed." in lines:
            return refused_key(name, self.ssh_words())
        denied = ("Permission denied (", "Too many authentication failures")
        if any(f": {text}" in line for line in lines for text in denied):
            copy = shlex.join(["ssh-copy-id", *self.ssh_words()])
            return TargetError(
                "the target refused the login; edgekit logs in with SSH keys only", where=where, hint=copy
            )
        last = lines[-1] if lines else "the connection was closed"
        return ConnectionLost(
            TargetError(
                f"cannot reach the target: {visible(last)}",
                where=where,
                hint=f"check that it is switched on and reachable: {ssh}",
            ),
            brief=not last.startswith(UNREACHABLE),
        )

    def _silent(self, seconds: int) -> ConnectionLost:
        name, ssh = self.config.name, shlex.join(["ssh", *self.ssh_words()])
        return ConnectionLost(
            TargetError(
                f"{name} has not answered for {seconds} seconds",
                where=f"target {name}: {ssh}",
                hint=f"check that it still works: {ssh}; for a slower device, raise silence_s of this target in "
                "targets.toml",
            ),
            brief=False,
        )


class RemoteFailure(Exception):
    """A script failed on the target. ``last``: the last line of its stderr."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.last = visible((words.strip().splitlines() or [f"exit code {code}"])[-1][-500:])


def quoted(text: str) -> str:
    """``text`` as one word of a shell on the target."""
    return shlex.quote(text)


def shell_path(path: str) -> str:
    """A path on the target as one word of its shell. ``~/`` is the home there."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + (f"/{shlex.quote(path[2:])}" if len(path) > 2 else "")
    return shlex.quote(path)


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
