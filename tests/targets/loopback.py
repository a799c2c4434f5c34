"""A real OpenSSH server of this user on loopback, and targets that lead to it."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgekit.cli.app import main
from edgekit.support.progress import Progress
from edgekit.targets.config import TargetConfig, add_target

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")


@dataclass(frozen=True)
class Server:
    """Where it listens, and the files of its one user."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def config_file(self, name: str = "ssh_config", **changes: str) -> Path:
        """An ssh configuration for the alias ``loop``; ``changes`` replace or add options."""
        options = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": getpass.getuser(),
            "IdentityFile": str(self.folder / "key"),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "none",
            **changes,
        }
        path = self.folder / name
        path.write_text("Host loop\n" + "".join(f"  {key} {value}\n" for key, value in options.items()))
        return path

    def target(self, folder: Path, **changes: object) -> TargetConfig:
        config = TargetConfig(
            "loop", "loop", python=sys.executable, folder=str(folder), ssh_config=str(self.config_file())
        )
        return replace(config, **changes)

    def cut(self) -> int:
        """End every connection the hard way, as a broken network does; how many there were."""
        sessions = [pid for pid in _descendants(self.process.pid) if _name(pid) in ("sshd", "sshd-session")]
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        return len(sessions)


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """A running server with its keys in ``folder``; skips the test where there is no OpenSSH."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("OpenSSH's server or client is not installed (sudo apt install openssh-server)")
    for key in ("host_key", "key", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", folder / key], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # a server that root starts insists on it
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    made = Server(folder, port, process)
    key = (folder / "host_key.pub").read_text().split()[:2]
    made.known_hosts.write_text(f"[127.0.0.1]:{port} {' '.join(key)}\n")
    try:
        wait_for(port, folder / "log")
        yield made
    finally:
        made.cut()
        process.terminate()
        process.wait()


class Notes(Progress):
    """Keeps what a person would have read."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def wrapped(folder: Path, code: str, *, bare: bool = False) -> str:
    """A Python for the target that runs ``code`` before what it is asked to: a device with a fault.

    ``bare``: the base interpreter without any installed packages.
    """
    folder.mkdir(exist_ok=True)
    script, program = folder / "python", folder / "fault.py"
    program.write_text(
        "import runpy, sys\nsys.argv.remove('-s')\nsys.argv.pop(0)\n"
        + textwrap.dedent(code)
        + "\nif sys.argv[0] == '-c':\n    source = sys.argv.pop(1)\n    exec(source)\n"
        "else:\n    sys.path.insert(0, sys.argv[0])\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    python = str(Path(sys.base_prefix, "bin", "python3")) if bare else sys.executable
    script.write_text(f'#!/bin/sh\nexec "{python}" {"-S" if bare else ""} "{program}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def exit_code(config: TargetConfig, project: Path, capsys, *arguments: str) -> tuple[int, str]:
    """``edgekit ARGUMENTS`` with ``config`` as the target ``loop``: its exit code and what it says."""
    (project / "targets.toml").unlink(missing_ok=True)
    add_target(config, project / "targets.toml")
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return int(stop.value.code or 0), said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, log: Path) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.skip(f"a server of this user does not start here: {log.read_text()[-300:]}")


def _descendants(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *_descendants(int(child))]
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
