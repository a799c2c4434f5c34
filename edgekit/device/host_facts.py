"""The verb ``facts``: what a host needs to know before it installs anything. Standard library only."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import struct
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import cast

from . import session
from .calls import Call
from .protocol import Emit
from .protocol.requests import FactsEvent, InstalledEnvironment, NoRequest
from .runtime_table import RUNTIMES
from .working_folder import ENVIRONMENTS

PACKAGES = ("numpy", "pillow", *(runtime.distribution for runtime in RUNTIMES.values()))
"""The packages that measuring requires: the first two, and one of the others."""


def facts(call: Call[NoRequest], emit: Emit[FactsEvent]) -> None:
    """Emit the facts about this device."""
    libc, libc_version = libc_name()
    emit(
        {
            "event": "facts",
            "facts": {
                "system": platform.system(),
                "machine": userland_machine(),
                "bits": 8 * struct.calcsize("P"),
                "python": list(sys.version_info[:3]),
                "implementation": sys.implementation.name,
                "executable": sys.executable,
                "libc": libc,
                "libc_version": libc_version,
                "glibcxx": glibcxx_version(),
                "free_bytes": shutil.disk_usage(Path.cwd()).free,
                "folder": str(Path.cwd()),
                "time_unix_s": time.time(),
                "host_name": platform.node(),
                "installed": installed(),
                "environment": current_environment(),
                "busy": session.busy_owner(call.session),
            },
        }
    )


def installed() -> dict[str, str]:
    """The versions of :data:`PACKAGES` that this Python finds."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def current_environment() -> InstalledEnvironment | None:
    """``environment.json`` of the packages that setup put here, or None."""
    try:
        name = Path(ENVIRONMENTS, "current").read_text(encoding="ascii").strip()
        document = json.loads(Path(ENVIRONMENTS, name, "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cast("InstalledEnvironment", document) if isinstance(document, dict) else None


def userland_machine() -> str:
    """``aarch64``, ``armv7l``, ``armv6l`` or ``x86_64`` of this Python: a 64-bit kernel may run 32-bit programs."""
    machine = platform.machine().lower()
    machine = {"arm64": "aarch64", "amd64": "x86_64", "armv8l": "armv7l"}.get(machine, machine)
    if struct.calcsize("P") == 4:
        machine = {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return machine


def libc_name() -> tuple[str, str]:
    """``("glibc", "2.36")``; musl and others by name, if they can be recognized."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError, AttributeError):
        name, version = "", ""
    if name:
        return name, version
    return ("musl", "") if list(Path("/lib").glob("ld-musl-*")) else (platform.libc_ver()[0] or "unknown", "")


def glibcxx_version() -> str | None:
    """The newest ``GLIBCXX`` symbol version of the system's libstdc++ (``3.4.30``); None if there is none."""
    for path in sorted({*Path("/usr/lib").glob("*/libstdc++.so.6"), *Path("/usr").glob("lib*/libstdc++.so.6")}):
        try:
            versions = re.findall(rb"GLIBCXX_(\d+\.\d+\.\d+)\0", path.read_bytes())
        except OSError:
            continue
        if versions:
            return str(max((v.decode() for v in versions), key=lambda v: [int(n) for n in v.split(".")]))
    return None
