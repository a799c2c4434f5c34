"""``targets.toml``: the machines to measure on, one table each, in the project folder or the user's configuration."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, fields
from pathlib import Path

from edgekit.device.runtime_table import RUNTIMES
from edgekit.errors import InputError, TargetError
from edgekit.support.paths import user_config_folder
from edgekit.targets.base import WEB
from edgekit.targets.folder_rules import folder_problem, normal_folder
from edgekit.targets.limits import Limits
from edgekit.targets.local import LOCAL
from edgekit.targets.targets_file import TomlValue, append_table, read_document, remove_table

FILE = "targets.toml"

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# Nothing that ssh could take for an option, and nothing that has a meaning for a shell.
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,254}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}")
LIMITS = tuple(limit.name for limit in fields(Limits))


@dataclass(frozen=True)
class TargetConfig:
    """One machine. ``host`` is a host name, an address, or an alias from ``~/.ssh/config``.

    ``folder`` is the working folder there (``~/`` is the home there); ``threads`` and ``runtime`` are the defaults of
    bench; ``ssh_config`` is used instead of ``~/.ssh/config``; the last four are :class:`Limits`.
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
    max_line_mb: int = Limits.max_line_mb
    max_job_mb: int = Limits.max_job_mb
    silence_s: int = Limits.silence_s
    job_silence_s: int = Limits.job_silence_s

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", normal_folder(self.folder))

    def check(self, where: str) -> None:
        """Raise :class:`InputError` for an invalid value."""
        problem = self._problem()
        if problem is not None:
            raise InputError(problem, where=where)

    def _problem(self) -> str | None:
        return self._address_problem() or self._setting_problem()

    def _address_problem(self) -> str | None:
        if self.name in (LOCAL, WEB):
            return f"{self.name!r} is the name of a built-in target: use another one"
        if not NAME.fullmatch(self.name):
            return f"invalid target name {self.name!r}: use lower-case letters, digits, - and _"
        if not HOST.fullmatch(self.host):
            return f"not a host name, address or ssh alias: {self.host!r}"
        if self.user is not None and not USER.fullmatch(self.user):
            return f"not a user name: {self.user!r}"
        if self.port is not None and not 0 < self.port < 65536:
            return f"not a port: {self.port}"
        return None

    def _setting_problem(self) -> str | None:
        if self.runtime is not None and self.runtime not in RUNTIMES:
            return f"unknown runtime {self.runtime!r}: choose one of: {', '.join(RUNTIMES)}"
        if self.threads is not None and (not self.threads or min(self.threads) < 0):
            return "a thread count is 1 or more, or 0 for all cores"
        for name in ("python", "folder", "ssh_config"):
            value = getattr(self, name)
            if value is not None and (not value or value.startswith("-") or not value.isprintable()):
                return f"{name} is not a path: {value!r}"
        for name in LIMITS:
            if getattr(self, name) < 1:
                return f"{name} must be 1 or more, not {getattr(self, name)}"
        return folder_problem(self.folder)

    @property
    def limits(self) -> Limits:
        """How much the device may send, and how long it may be silent."""
        return Limits(self.max_line_mb, self.max_job_mb, self.silence_s, self.job_silence_s)

    @property
    def address(self) -> str:
        """``[USER@]HOST[:PORT]``."""
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        return f"{user}{self.host}{port}"

    def entries(self) -> dict[str, TomlValue]:
        """The keys of its table in the file: those that differ from their default."""
        values: dict[str, TomlValue] = {}
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name != "name" and value != setting.default:
                values[setting.name] = list(value) if isinstance(value, tuple) else value
        return values


def project_file() -> Path:
    """``targets.toml`` of the project, in the current folder."""
    return Path.cwd() / FILE


def user_file() -> Path:
    """``targets.toml`` in the user's configuration folder; :class:`InputError` for a user without a home folder."""
    return user_config_folder() / FILE


def known_targets() -> dict[str, tuple[TargetConfig, Path]]:
    """Each configured target with the file that defines it. The project's file takes precedence over the user's."""
    found: dict[str, tuple[TargetConfig, Path]] = {}
    files = [project_file()]
    with contextlib.suppress(InputError):  # no home folder
        files.append(user_file())
    for path in files:
        for config in read_targets(path):
            found.setdefault(config.name, (config, path))
    return found


def find_target(name: str) -> TargetConfig:
    """The target called ``name``.

    Raises :class:`TargetError` with the choices if there is none, and :class:`InputError` for a built-in one.
    """
    built_in = {LOCAL: "this machine", WEB: "a browser on this machine"}.get(name)
    if built_in is not None:
        raise InputError(f"{name!r} is {built_in}, not a target in targets.toml", hint="edgekit doctor")
    known = known_targets()
    if name not in known:
        raise TargetError(
            f"unknown target {name!r}; known targets: {', '.join([LOCAL, WEB, *known])}",
            hint=f"edgekit target add {name} USER@HOST" if NAME.fullmatch(name) else "edgekit target list",
        )
    return known[name][0]


def read_targets(path: Path) -> list[TargetConfig]:
    """The targets of a file; none if it is missing. Raises :class:`InputError` if it is invalid."""
    return [_target(name, table, path) for name, table in read_document(path).items()]


def _target(name: str, table: object, path: Path) -> TargetConfig:
    where = f"{path}, [{name}]"
    if not isinstance(table, dict) or "host" not in table:
        raise InputError("a target is a table that has at least a host", where=where)
    types: dict[str, type] = {"port": int, "threads": list, **dict.fromkeys(LIMITS, int)}
    known = [f.name for f in fields(TargetConfig) if f.name != "name"]
    for key, value in table.items():
        if key not in known:
            raise InputError(f"unknown key {key!r}; known keys: {', '.join(known)}", where=where)
        if not isinstance(value, types.get(key, str)) or isinstance(value, bool):
            raise InputError(f"the value of {key} has the wrong type: {value!r}", where=where)
    threads = table.get("threads")
    if threads is not None and not all(type(count) is int for count in threads):
        raise InputError(f"threads must be a list of numbers, such as [1, 4], not {threads!r}", where=where)
    config = TargetConfig(name=name, **{**table, "threads": None if threads is None else tuple(threads)})
    config.check(where)
    return config


def add_target(config: TargetConfig, path: Path) -> None:
    """Append a new target to ``path``. The rest of the file stays as it is."""
    config.check("the new target")
    if any(other.name == config.name for other in read_targets(path)):
        raise InputError(
            f"there is already a target {config.name!r}",
            where=str(path),
            hint=f"edgekit target remove {config.name}, or edit the file",
        )
    append_table(path, config.name, config.entries())


def remove_target(name: str) -> Path:
    """Remove the table of ``name``, and nothing else, from its file. Returns the file."""
    known = known_targets()
    if name not in known:
        find_target(name)
    path = known[name][1]
    remove_table(path, name)
    return path
