"""Whether the machine was quiet enough: reasons why a measurement is unstable and cannot win a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

BUSY_SHARE = 0.25
"""Share of all cores that other programs may use."""

FREQUENCY_DROP = 0.9
"""Clock at the end against the clock at the beginning."""

MIN_PARALLELISM = 1.1
"""Cores kept busy, below which more than one thread had no effect."""


def machine_reasons(
    before: dict[str, Any],
    after: dict[str, Any],
    frequencies_khz: list[int | None],
    during: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """Reasons that hold for every model measured between ``before`` and ``after`` (documents of the probe).

    ``during``: what the firmware said after each round; a flag may have come and gone.
    """
    return [
        *_busy_reasons(before, after),
        *_throttle_reasons(before.get("throttled"), after.get("throttled"), during),
        *_frequency_reasons([f for f in frequencies_khz if f]),
    ]


def thread_reasons(threads: int, parallelism: float) -> list[str]:
    """The reason where a setting of several threads kept no more than one core busy."""
    if threads > 1 and parallelism < MIN_PARALLELISM:
        return [f"{threads} threads had no effect (fewer than {MIN_PARALLELISM} cores busy)"]
    return []


def _busy_reasons(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    cores = before.get("cores") or 1
    reasons = []
    for when, state in (("before the start", before), ("while measuring", after)):
        others = state.get("others_cores")
        if others is not None and others > BUSY_SHARE * cores:
            reasons.append(f"other programs used {others:.1f} of {cores} cores {when}")
    # The load average still counts what ended a minute ago, such as the training before this measurement;
    # it decides only where the system does not tell how busy it is now.
    load = before.get("load_average")
    if before.get("others_cores") is None and load and load[0] > BUSY_SHARE * cores:
        reasons.append(f"the load average was {load[0]:.1f} on {cores} cores before the start")
    return reasons


def _throttle_reasons(
    before: dict[str, Any] | None, after: dict[str, Any] | None, during: Sequence[dict[str, Any]]
) -> list[str]:
    if before is None or after is None:
        return []
    new = [flag for flag in after["since_boot"] if flag not in before["since_boot"]]
    between = [flag for state in during if state.get("throttled") for flag in state["throttled"]["now"]]
    flags = dict.fromkeys([*before["now"], *between, *after["now"], *new])
    return [f"the firmware reported: {', '.join(flags)}"] if flags else []


def _frequency_reasons(frequencies: list[int]) -> list[str]:
    third = len(frequencies) // 3
    if third == 0:
        return []
    first, last = median(frequencies[:third]), median(frequencies[-third:])
    if last < FREQUENCY_DROP * first:
        return [f"the clock fell from {first / 1e6:.2f} to {last / 1e6:.2f} GHz"]
    return []
