"""What a host has to know before it installs anything: the Python, the C library, the room. Standard library only."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import struct
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from . import work

PACKAGES = ("numpy", "pillow", "ai-edge-litert", "tflite-runtime", "onnxruntime")


def facts(request: dict[str, Any], _stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: one ``facts`` line. ``bits`` and ``machine`` are the Python's, not the kernel's."""
    libc, libc_version = libc_name()
    emit(
        "facts",
        system=platform.system(),
        machine=userland_machine(),
        bits=8 * struct.calcsize("P"),
        python=list(sys.version_info[:3]),
        implementation=sys.implementation.name,
        executable=sys.executable,
        libc=libc,
        libc_version=libc_version,
        glibcxx=glibcxx_version(),
        free_bytes=shutil.disk_usage(Path.cwd()).free,
        folder=str(Path.cwd()),
        time_unix_s=time.time(),
        host_name=platform.node(),
        installed=installed(),
        environment=current_environment(),
        busy=work.owner_text(request.get("session")),
    )


def installed() -> dict[str, str]:
    """Versions of the packages that measuring needs, by what this Python finds now."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def current_environment() -> dict[str, Any] | None:
    """``environment.json`` of the packages that setup put here, or None."""
    try:
        name = Path("env", "current").read_text(encoding="ascii").strip()
        document = json.loads(Path("env", name, "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def userland_machine() -> str:
    """``aarch64``, ``armv7l``, ``armv6l``, ``x86_64``: of this Python; a 64-bit kernel may run 32-bit programs."""
    machine = platform.machine().lower()
    machine = {"arm64": "aarch64", "amd64": "x86_64", "armv8l": "armv7l"}.get(machine, machine)
    if struct.calcsize("P") == 4:
        machine = {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return machine


def libc_name() -> tuple[str, str]:
    """``("glibc", "2.36")``; musl and others by name where they can be told."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError, AttributeError):
        name, version = "", ""
    if name:
        return name, version
    return ("musl", "") if list(Path("/lib").glob("ld-musl-*")) else (platform.libc_ver()[0] or "unknown", "")


def glibcxx_version() -> str | None:
    """The newest ``GLIBCXX`` symbol version of the system's libstdc++ (``3.4.30``); None where it is not found."""
    for path in sorted({*Path("/usr/lib").glob("*/libstdc++.so.6"), *Path("/usr").glob("lib*/libstdc++.so.6")}):
        try:
            versions = re.findall(rb"GLIBCXX_(\d+\.\d+\.\d+)\0", path.read_bytes())
        except OSError:
            continue
        if versions:
            return str(max((v.decode() for v in versions), key=lambda v: [int(n) for n in v.split(".")]))
    return None
