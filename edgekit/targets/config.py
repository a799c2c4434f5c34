"""``targets.toml``: the machines a person measures on. One table each, in the project's folder or the user's own."""

from __future__ import annotations

import json
import posixpath
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgekit.errors import InputError, TargetError
from edgekit.registry import RUNTIMES
from edgekit.support.files import write_text
from edgekit.targets.local import LOCAL

FILE = "targets.toml"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# What ssh could take for an option, or a shell for anything at all, is no host and no user.
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,254}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}")

SYSTEM_WHOLE = (
    *("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys"),
    *("/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/private/etc"),
)
"""Folders of the system in which there is no place for a working folder at any depth."""
SYSTEM = (
    *SYSTEM_WHOLE,
    *("/", "/dev", "/home", "/lost+found", "/media", "/mnt", "/opt", "/root", "/run", "/run/user", "/srv"),
    *("/usr", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/usr/share", "/usr/src"),
    *("/var", "/var/cache", "/var/lib", "/var/log", "/var/mail", "/var/opt", "/var/run", "/var/spool"),
    *("/Applications", "/Library", "/System", "/Users", "/Volumes", "/private", "/private/tmp", "/private/var"),
    *("/tmp", "/var/tmp", "/dev/shm"),  # noqa: S108 - refused, not used
)
"""Folders that others share; one below them can be a working folder."""


@dataclass(frozen=True)
class TargetConfig:
    """One machine. ``host`` is a name, an address, or an alias of ``~/.ssh/config``.

    ``folder`` is the working folder there (``~/`` is the home there); ``threads`` and ``runtime`` are what bench uses
    where nothing is given; ``ssh_config`` is used instead of ``~/.ssh/config``.
    """

    name: str
    host: str
    user: str | None = None
    port: int | None = None
    python: str = "python3"
    folder: str = "~/.edgekit"
    threads: tuple[int, ...] | None = None
    runtime: str | None = None
    ssh_config: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", _normal(self.folder))

    def check(self, where: str) -> None:
        """Raise :class:`InputError` for a value that cannot be meant."""
        problem = self._problem()
        if problem is not None:
            raise InputError(problem, where=where)

    def _problem(self) -> str | None:
        return self._address_problem() or self._setting_problem()

    def _address_problem(self) -> str | None:
        if not NAME.fullmatch(self.name) or self.name == LOCAL:
            return f"{self.name!r} cannot be a target's name: small letters, digits, - and _, and not {LOCAL!r}"
        if not HOST.fullmatch(self.host):
            return f"{self.host!r} is no host name, address or ssh alias"
        if self.user is not None and not USER.fullmatch(self.user):
            return f"{self.user!r} is no user name"
        if self.port is not None and not 0 < self.port < 65536:
            return f"{self.port} is no port"
        return None

    def _setting_problem(self) -> str | None:
        if self.runtime is not None and self.runtime not in RUNTIMES:
            return f"no runtime is called {self.runtime!r}; choose one of: {', '.join(RUNTIMES)}"
        if self.threads is not None and (not self.threads or min(self.threads) < 0):
            return "threads are numbers of 1 or more, or 0 for all cores"
        for name in ("python", "folder", "ssh_config"):
            value = getattr(self, name)
            if value is not None and (not value or value.startswith("-") or not value.isprintable()):
                return f"{name} is no path: {value!r}"
        return self._folder_problem()

    def _folder_problem(self) -> str | None:
        if not self.folder.startswith(("/", "~/")):
            return f"folder begins with / or ~/ and names a folder of its own, not {self.folder!r}"
        if self.folder.startswith("~/"):
            if self.folder[2:].split("/")[0] in (".", ".."):
                return f"folder names a folder of its own, not the home or one above it: {self.folder!r}"
        elif self.folder in SYSTEM or self.folder.startswith(tuple(f"{name}/" for name in SYSTEM_WHOLE)):
            return f"folder names a folder of its own, not one of the system: {self.folder!r}"
        elif re.fullmatch(r"/(home|Users)/[^/]+", self.folder):
            return f"folder names a folder of its own, not a home: {self.folder!r}"
        return None

    def document(self) -> dict[str, Any]:
        """What is stored: everything that was said."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "name"}
        values["threads"] = None if self.threads is None else list(self.threads)
        defaults = {f.name: f.default for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value != defaults[name]}


def _normal(folder: str) -> str:
    """``folder`` without ``.``, ``..`` and needless slashes; ``~/.`` is the home, ``~/..`` the one above it."""
    if folder.startswith("~/"):
        return f"~/{posixpath.normpath(folder[2:].lstrip('/') or '.')}"
    if folder.startswith("/"):
        return f"/{posixpath.normpath(folder).lstrip('/')}"
    return folder


def project_file() -> Path:
    """``targets.toml`` of the project: the current folder."""
    return Path.cwd() / FILE


def user_file() -> Path:
    """``targets.toml`` in the user's configuration folder."""
    from platformdirs import user_config_path

    return user_config_path("edgekit") / FILE


def known_targets() -> dict[str, tuple[TargetConfig, Path]]:
    """Every configured target with the file it stands in; the project's go before the user's."""
    found: dict[str, tuple[TargetConfig, Path]] = {}
    for path in (project_file(), user_file()):
        for config in read_targets(path):
            found.setdefault(config.name, (config, path))
    return found


def find_target(name: str) -> TargetConfig:
    """The target called ``name``; :class:`TargetError` with the choices where there is none."""
    known = known_targets()
    if name not in known:
        raise TargetError(
            f"no target is called {name!r}; known are: {', '.join([LOCAL, *known])}",
            hint=f"edgekit target add {name} USER@HOST" if NAME.fullmatch(name) else "edgekit target list",
        )
    return known[name][0]


def read_targets(path: Path) -> list[TargetConfig]:
    """The targets of a file, none where it is missing; :class:`InputError` for what is not one."""
    if not path.is_file():
        return []
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"this file is not readable TOML ({error})", where=str(path)) from None
    return [_target(name, table, path) for name, table in document.items()]


def _target(name: str, table: Any, path: Path) -> TargetConfig:
    where = f"{path}, [{name}]"
    if not isinstance(table, dict) or "host" not in table:
        raise InputError("a target is a table with at least a host", where=where)
    types: dict[str, type] = {"port": int, "threads": list}
    known = [f.name for f in fields(TargetConfig) if f.name != "name"]
    for key, value in table.items():
        if key not in known:
            raise InputError(f"unknown key {key!r}; known are: {', '.join(known)}", where=where)
        if not isinstance(value, types.get(key, str)) or isinstance(value, bool):
            raise InputError(f"{key} has a value of the wrong kind: {value!r}", where=where)
    threads = table.get("threads")
    if threads is not None and not all(type(count) is int for count in threads):
        raise InputError(f"threads is a list of numbers such as [1, 4], not {threads!r}", where=where)
    config = TargetConfig(name=name, **{**table, "threads": None if threads is None else tuple(threads)})
    config.check(where)
    return config


def add_target(config: TargetConfig, path: Path) -> None:
    """Write a new target at the end of ``path``; what stands there is left as it is."""
    config.check("the new target")
    if any(other.name == config.name for other in read_targets(path)):
        raise InputError(
            f"a target called {config.name!r} is there already",
            where=str(path),
            hint=f"edgekit target remove {config.name}, or edit the file",
        )
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    # JSON's strings, numbers and lists of printable text are TOML's.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in config.document().items()]
    write_text(path, before + gap + "\n".join([f"[{config.name}]", *lines]) + "\n")


def remove_target(name: str) -> Path:
    """Take the table of ``name`` out of its file, with nothing else; the file."""
    known = known_targets()
    if name not in known:
        find_target(name)
    path = known[name][1]
    kept, skipping = [], False
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        header = re.match(r"\s*\[+\s*[\"']?([^\]\"']+?)[\"']?\s*\]", line)
        if header is not None:
            skipping = header.group(1) == name
        if not skipping:
            kept.append(line)
    write_text(path, "".join(kept).rstrip("\n") + "\n" if kept else "")
    return path
