"""The machine and its state: everything that latency depends on, apart from the model."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import time
from importlib import metadata as distributions
from pathlib import Path

import numpy as np

from . import runtimes
from .protocol.values import Environment, Machine, State, Throttling
from .runtime_table import RUNTIMES


def environment() -> Environment:
    """The machine and its present state. A value that cannot be read is None."""
    return {**machine(), **state()}


def machine() -> Machine:
    """What does not change during a measurement."""
    return {
        "cpu": cpu_name(),
        "board": _text("/sys/firmware/devicetree/base/model"),
        "cores": os.cpu_count(),
        "usable_cores": runtimes.all_cores(),
        "architecture": platform.machine(),
        "userland_bits": 8 * struct.calcsize("P"),
        "memory_total_bytes": _meminfo("MemTotal"),
        "os": _os_name(),
        "kernel": platform.release(),
        "emulated": emulation(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def state() -> State:
    """What may change during a measurement."""
    return {
        "time_unix_s": time.time(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_khz": frequency_khz(),
        "frequency_max_khz": _number("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"),
        "temperature_c": temperature_c(),
        "throttled": throttled(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "memory_available_bytes": memory_available_bytes(),
    }


def cpu_name() -> str | None:
    """The model name of the processor."""
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model", "Hardware"} and value.strip():
            return value.strip()
    if sys.platform == "darwin":
        return output("sysctl", "-n", "machdep.cpu.brand_string")
    return _lscpu_name() or platform.processor() or None


def frequency_khz() -> int | None:
    """The highest current frequency of any core: the others may be idle."""
    values = [
        _number(path) for path in sorted(Path("/sys/devices/system/cpu/cpufreq").glob("policy*/scaling_cur_freq"))
    ]
    known = [value for value in values if value is not None]
    return max(known) if known else None


def temperature_c() -> float | None:
    """The temperature of the hottest thermal zone."""
    zones = [_number(path) for path in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    known = [zone / 1000 for zone in zones if zone is not None]
    return max(known) if known else None


THROTTLE_FLAGS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""Bits of `vcgencmd get_throttled`. 16 bits higher, the same flag since the machine booted."""


def throttled() -> Throttling | None:
    """The flags of a Raspberry Pi's firmware; None if there is no vcgencmd."""
    answer = output("vcgencmd", "get_throttled")
    return parse_throttled(answer) if answer else None


def parse_throttled(answer: str) -> Throttling | None:
    """The names of the flags in ``throttled=0x50005``."""
    _, _, value = answer.strip().partition("=")
    try:
        bits = int(value, 16)
    except ValueError:
        return None
    return {
        "raw": value,
        "now": [name for bit, name in THROTTLE_FLAGS.items() if bits >> bit & 1],
        "since_boot": [name for bit, name in THROTTLE_FLAGS.items() if bits >> (bit + 16) & 1],
    }


def emulation() -> str | None:
    """Why this looks like an emulated processor (qemu-user), or None.

    Emulators fake this process's own files in /proc but not its parent's, and older ones show the host's cpuinfo.
    """
    if "QEMU_CPU" in os.environ:
        return "QEMU_CPU is set"
    for name in ("exe", "cmdline"):
        try:
            path = Path(f"/proc/{os.getppid()}/{name}")
            parent = str(path.readlink()) if name == "exe" else path.read_bytes().split(b"\0")[0].decode()
        except (OSError, UnicodeDecodeError):
            continue
        if re.search(r"qemu-(binfmt|aarch64|arm|riscv64|ppc64le|s390x|i386|x86_64)", parent):
            return f"the parent process is {parent}"
    foreign = platform.machine().startswith(("arm", "aarch64"))
    if foreign and "vendor_id" in (_text("/proc/cpuinfo") or "").lower():
        return "/proc/cpuinfo describes an x86 processor"
    return None


def busy_seconds() -> float | None:
    """Processor time of all processes on all cores since the machine booted (Linux)."""
    first = (_text("/proc/stat") or "").partition("\n")[0].split()
    if len(first) < 8 or first[0] != "cpu":
        return None
    user, nice, system, _idle, _iowait, irq, softirq = (int(v) for v in first[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class OthersWatch:
    """How many cores other programs have kept busy since this object was created."""

    def __init__(self) -> None:
        self._busy = busy_seconds()
        self._own = time.process_time()
        self._start = time.perf_counter()

    def cores(self) -> float | None:
        """The average number of cores; None if the system does not say."""
        busy = busy_seconds()
        if busy is None or self._busy is None:
            return None
        others = (busy - self._busy) - (time.process_time() - self._own)
        return max(0.0, others / max(time.perf_counter() - self._start, 1e-9))


def memory_available_bytes() -> int | None:
    """Memory that programs can still take without swapping; None where the system does not say (it is not Linux)."""
    return _meminfo("MemAvailable")


def _versions() -> dict[str, str]:
    found = {name: runtimes.runtime_version(name) for name in RUNTIMES}
    with contextlib.suppress(distributions.PackageNotFoundError):  # nothing but images needs it
        found["Pillow"] = distributions.version("Pillow")
    return {"numpy": np.__version__, **{name: version for name, version in found.items() if version}}


def _lscpu_name() -> str | None:
    """ARM kernels report no model name, but lscpu has a table of part numbers."""
    for line in (output("lscpu") or "").splitlines():
        key, _, value = line.partition(":")
        if key == "Model name" and value.strip() not in {"", "-"}:
            return value.strip()
    return None


def _os_name() -> str:
    for line in (_text("/etc/os-release") or "").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return platform.platform()


def _meminfo(key: str) -> int | None:
    for line in (_text("/proc/meminfo") or "").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None


def output(*command: str) -> str | None:
    """What a system command prints; None if it is missing or fails."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def _number(path: str | Path) -> int | None:
    text = _text(path)
    try:
        return int(text) if text else None
    except ValueError:
        return None
