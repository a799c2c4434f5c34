"""What to do about a refused host key, from this machine's own configuration of ssh and nothing that was received."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.errors import TargetError
from edgekit.support.paths import expanded


@dataclass(frozen=True)
class KnownHost:
    """The name of a host in the known_hosts files, and those of the files that have a key for it."""

    name: str
    files: tuple[str, ...]

    def forget(self) -> str:
        """The command that removes its keys."""
        commands = (shlex.join(["ssh-keygen", "-f", file, "-R", self.name]) for file in self.files)
        return " && ".join(commands)


def refused_key(target: str, ssh_words: Sequence[str]) -> TargetError:
    """The error for a host key that ssh did not accept: unknown here, or another one than is known."""
    accept = shlex.join(["ssh", "-o", "StrictHostKeyChecking=ask", *ssh_words, "true"])
    where = f"target {target}: {shlex.join(['ssh', *ssh_words])}"
    known = known_host(ssh_words)
    if not known.files:
        return TargetError(
            "this machine does not know the host key of this target yet",
            where=where,
            hint=f"compare the fingerprint that this command shows, and accept it: {accept}",
        )
    return TargetError(
        "the host key of this target has changed: its system was reinstalled, or this is another machine",
        where=where,
        hint=f"if you know why the key changed: {known.forget()} && {accept}",
    )


def known_host(ssh_words: Sequence[str]) -> KnownHost:
    """How ``ssh ssh_words`` would look its host up."""
    settings = _configuration(ssh_words)
    name = settings.get("hostkeyalias") or settings.get("hostname") or ssh_words[-1].rpartition("@")[2]
    port = settings.get("port", "22")
    if "hostkeyalias" not in settings and port != "22":
        name = f"[{name}]:{port}"
    files = [
        file for key in ("userknownhostsfile", "globalknownhostsfile") for file in _existing(settings.get(key, ""))
    ]
    return KnownHost(name, tuple(file for file in files if _has_key(file, name)))


def _configuration(ssh_words: Sequence[str]) -> dict[str, str]:
    """What ``ssh -G`` prints: every setting that applies to this host."""
    done = subprocess.run(["ssh", "-G", *ssh_words], capture_output=True, text=True, errors="replace", check=False)
    settings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key, value.strip())
    return settings


def _existing(value: str) -> list[str]:
    """The files of a setting. ssh prints several without quotes, so a name with a space is tried as one first."""
    whole = expanded(value.strip('"'))
    if value and whole.is_file():
        return [str(whole)]
    return [str(path) for name in value.split() if (path := expanded(name)).is_file()]


def _has_key(file: str, name: str) -> bool:
    done = subprocess.run(["ssh-keygen", "-F", name, "-f", file], capture_output=True, check=False)
    return done.returncode == 0
