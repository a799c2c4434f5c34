"""Tie this process to processor cores, where the system allows it. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")


def pin(threads: int) -> list[int] | None:
    """Keep this process, and every thread that it starts from now on, on ``threads`` cores; None if that fails.

    The fastest cores are taken, one thread of each physical core first, and the first core last, which handles most
    interrupts.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = chosen_cores(sorted(os.sched_getaffinity(0)), threads)
    try:
        os.sched_setaffinity(0, chosen)
    except OSError:
        return None
    return sorted(chosen) if set(chosen) == os.sched_getaffinity(0) else None


def cores_for(threads: int) -> list[int] | None:
    """The cores that :func:`pin` would take for ``threads`` threads; None if the system does not allow pinning."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = chosen_cores(sorted(os.sched_getaffinity(0)), threads)
    with kept_to(chosen):
        return sorted(chosen) if set(chosen) == os.sched_getaffinity(0) else None


@contextmanager
def kept_to(cores: Sequence[int] | None) -> Iterator[None]:
    """Keep this thread, and those that it starts, to ``cores`` meanwhile; None leaves them free."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    with suppress(OSError):  # :func:`cores_for` finds out
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def chosen_cores(allowed: list[int], threads: int) -> list[int]:
    """The cores to use, of those that this process may use."""
    seen: set[str] = set()
    ranked = []
    for core in sorted(allowed, reverse=True):
        siblings = _text(CPUS / f"cpu{core}/topology/thread_siblings_list") or str(core)
        speed = _text(CPUS / f"cpu{core}/cpufreq/cpuinfo_max_freq") or "0"
        ranked.append((siblings in seen, -int(speed) if speed.isdigit() else 0, -core))
        seen.add(siblings)
    return [-core for _, _, core in sorted(ranked)[: max(1, threads)]]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
