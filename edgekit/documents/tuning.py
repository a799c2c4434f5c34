"""The fastest setting of one file on one target, as `edgekit bench --tune` found and confirmed it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

import numpy as np

from edgekit.documents.base import Part
from edgekit.documents.latency import ControlRecord, Latency, MeasuredProcess, paired_rounds
from edgekit.stats.process_ratio import (
    FASTER,
    MeasuredRatio,
    ProcessVariation,
    log_ratios,
    measured_ratio,
    noise_floor_of_controls,
    ratio_verdict,
    session_variation,
)

UNSTABLE: Final = "unstable"
NOT_TRIED: Final = "no faster setting found"

TuningVerdict = Literal[
    "faster",
    "slower",
    "no useful difference",
    "not measurable in this session",
    "no verdict: fewer than six rounds",
    "no verdict: only one process each",
    "unstable",
    "no faster setting found",
]


class SettingRecord(Part):
    """How a runtime runs a file. ``options`` are those of the runtime that differ from its defaults."""

    runtime: str
    threads: int
    pin: bool = False
    """Whether the process keeps to as many cores as it has threads."""
    options: dict[str, str] = {}


class TriedSetting(Part):
    """One setting of the search."""

    setting: SettingRecord
    rounds: int
    """How many rounds it was measured for."""
    ratio: float | None
    """Median of its latency over that of the default, in the search. The search takes the smallest of many such
    figures, so it is too small: only the confirmation is a result."""
    dropped: str | None
    """Why it was given up; ``null`` for the one that was confirmed."""


@dataclass(frozen=True)
class ConfirmedRatio:
    """The latency of the setting over that of the default in the confirmation, and what the session shows of it."""

    ratio: MeasuredRatio
    floor: float
    verdict: TuningVerdict


class TuningRecord(Part):
    """The search over settings and its confirmation in fresh processes."""

    default: SettingRecord
    found: SettingRecord | None
    """The fastest setting of the search; ``null`` if none was faster than the default."""
    tried: tuple[TriedSetting, ...]
    confirmation: Latency | None = None
    """The setting that was found, in the confirmation."""
    reference: Latency | None = None
    """The default, in the same processes."""
    controls: tuple[ControlRecord, ...] = ()
    """The A/A controls of the confirmation."""
    n_images: int = 0
    """On how many images the setting was checked to predict the same classes as the default."""
    created: str

    def confirmed(self) -> ConfirmedRatio | None:
        """The verdict on the setting, from the confirmation alone; None if there was nothing to confirm."""
        if self.confirmation is None or self.reference is None:
            return None
        mine, its = paired_rounds(self.confirmation.processes, self.reference.processes)
        pairs = [paired_rounds(control.first, control.second) for control in self.controls]
        pairs = [pair for pair in pairs if pair[0]]
        if not mine or not pairs:
            return None
        variation = self._variation()
        floor = noise_floor_of_controls([measured_ratio(log_ratios(*pair), variation).ratio for pair in pairs])
        ratio = measured_ratio(log_ratios(mine, its), variation)
        if self.confirmation.unstable or self.reference.unstable:
            return ConfirmedRatio(ratio, floor, UNSTABLE)
        return ConfirmedRatio(ratio, floor, ratio_verdict(ratio, floor))  # type: ignore[arg-type]

    @property
    def verdict(self) -> TuningVerdict:
        """``faster``, or why the default stays."""
        confirmed = self.confirmed()
        return NOT_TRIED if confirmed is None else confirmed.verdict

    @property
    def chosen(self) -> SettingRecord:
        """The setting to run with: the one that was found if it is measurably faster, and the default otherwise."""
        return self.found if self.found is not None and self.verdict == FASTER else self.default

    def _variation(self) -> ProcessVariation | None:
        assert self.confirmation is not None and self.reference is not None
        files = [self.confirmation.processes, self.reference.processes]
        files += [processes for control in self.controls for processes in (control.first, control.second)]
        medians = [_process_medians(processes) for processes in dict.fromkeys(files)]
        numbers = sorted(set.intersection(*(set(one) for one in medians)))
        if not numbers:
            return None
        return session_variation(np.log([[one[number] for number in numbers] for one in medians]))


def _process_medians(processes: tuple[MeasuredProcess, ...]) -> dict[int, float]:
    return {process.number: median(medians) for process in processes if (medians := process.round_medians_ns)}
