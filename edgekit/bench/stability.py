"""Whether the target was quiet enough: reasons why a measurement is unstable and cannot win a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from edgekit.documents.machine import MachineEnvironment, Throttling

BUSY_SHARE = 0.25
"""Share of all cores that other programs may use."""

FREQUENCY_DROP = 0.9
"""Clock frequency at the end relative to the beginning, below which the clock is said to have dropped."""

MIN_PARALLELISM = 1.1
"""Busy cores, below which more than one thread had no effect."""


def machine_reasons(
    before: MachineEnvironment,
    after: MachineEnvironment,
    frequencies_khz: Sequence[int | None],
    during: Sequence[Throttling | None] = (),
) -> list[str]:
    """Reasons that hold for every model measured between ``before`` and ``after``.

    ``during``: the firmware's flags after each round; a flag may have come and gone.
    """
    return [
        *_busy_reasons(before, after),
        *_throttle_reasons(before.throttled, after.throttled, during),
        *_frequency_reasons([frequency for frequency in frequencies_khz if frequency]),
    ]


def thread_reasons(threads: int, parallelism: float) -> list[str]:
    """The reason where several threads kept no more than one core busy."""
    if threads > 1 and parallelism < MIN_PARALLELISM:
        return [f"{threads} threads had no effect (fewer than {MIN_PARALLELISM} cores busy)"]
    return []


def _busy_reasons(before: MachineEnvironment, after: MachineEnvironment) -> list[str]:
    cores = before.cores or 1
    reasons = []
    for when, state in (("before the measurement", before), ("during the measurement", after)):
        others = state.others_cores
        if others is not None and others > BUSY_SHARE * cores:
            reasons.append(f"other programs used {others:.1f} of {cores} cores {when}")
    # The load average still counts what ended a minute ago, such as the training before this measurement;
    # it is used only if the system does not report how busy it is now.
    load = before.load_average
    if before.others_cores is None and load and load[0] > BUSY_SHARE * cores:
        reasons.append(f"the load average was {load[0]:.1f} on {cores} cores before the measurement")
    return reasons


def _throttle_reasons(
    before: Throttling | None, after: Throttling | None, during: Sequence[Throttling | None]
) -> list[str]:
    if before is None or after is None:
        return []
    new = [flag for flag in after.since_boot if flag not in before.since_boot]
    between = [flag for state in during if state is not None for flag in state.now]
    flags = dict.fromkeys([*before.now, *between, *after.now, *new])
    return [f"the firmware reported: {', '.join(flags)}"] if flags else []


def _frequency_reasons(frequencies: Sequence[int]) -> list[str]:
    third = len(frequencies) // 3
    if third == 0:
        return []
    first, last = median(frequencies[:third]), median(frequencies[-third:])
    if last < FREQUENCY_DROP * first:
        return [f"the clock dropped from {first / 1e6:.2f} to {last / 1e6:.2f} GHz"]
    return []
