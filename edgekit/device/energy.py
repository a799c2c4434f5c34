"""The verb ``energy``: energy per inference on machines that measure their own power. Nothing is estimated."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from . import probe
from .jobs import Job
from .protocol import Emit
from .protocol.events import MeteredEvent
from .protocol.jobs import TimedJob
from .timing import run_block
from .varied_inputs import input_cycle

RAPL = Path("/sys/class/powercap")
PMIC_PERIOD_S = 0.2
IDLE_S = 2.0

Result = TypeVar("Result")


class Meter(Protocol):
    """Measures the energy between :meth:`start` and :meth:`stop`."""

    name: str

    def start(self) -> None: ...

    def stop(self, seconds: float) -> float | None:
        """Joules since :meth:`start`, which was ``seconds`` ago; None where the source gave no readings."""


def energy(job: Job[TimedJob], emit: Emit[MeteredEvent]) -> None:
    """The verb: one ``energy`` event per model, for ``seconds`` of runs and for an idle period before them.

    The runs take the model's images one after another, or noise pictures if it has none. Setting the input is part of
    a run. The figures cover what the source measures: the rails behind the power chip of a Raspberry Pi 5, or the
    processor packages of an x86 machine. ``source`` is None if this machine does not measure its power.
    """
    meter = find_meter()
    seconds = float(job.settings.get("seconds", 5))
    for entry in job.models:
        if meter is None:
            emit({"event": "energy", "key": entry.key, "source": None})
            continue
        emit({"event": "opening", "key": entry.key})
        model = entry.open(job.threads)
        next_input = input_cycle(entry, model)
        run_block(model.invoke, 3, 100_000_000, next_input)
        idle_joules, idle_s, _ = measured(meter, lambda: time.sleep(IDLE_S))
        joules, wall_s, runs = measured(meter, partial(_runs, model.invoke, next_input, seconds))
        emit(
            {
                "event": "energy",
                "key": entry.key,
                "source": meter.name,
                "threads": job.threads,
                "joules": joules,
                "wall_s": wall_s,
                "runs": runs,
                "idle_joules": idle_joules,
                "idle_s": idle_s,
            }
        )


def _runs(invoke: Callable[[], object], next_input: Callable[[], None], seconds: float) -> int:
    return len(run_block(invoke, 3, int(seconds * 1e9), next_input))


def measured(meter: Meter, work: Callable[[], Result]) -> tuple[float | None, float, Result]:
    """Joules (None without readings) and seconds of ``work()``, and its result."""
    meter.start()
    start = time.monotonic()
    result = work()
    seconds = time.monotonic() - start
    return meter.stop(seconds), seconds, result


def find_meter() -> Meter | None:
    """The power meter of this machine, or None."""
    if parse_pmic(probe.output("vcgencmd", "pmic_read_adc") or "") is not None:
        return PmicMeter()
    domains = readable_domains()
    return RaplMeter(domains) if domains else None


def source() -> str | None:
    """What measures the power of this machine; None if there is nothing that this program may read."""
    meter = find_meter()
    return None if meter is None else meter.name


class PmicMeter:
    """Raspberry Pi 5: current and voltage of each rail behind the power chip, sampled several times a second."""

    name = "vcgencmd pmic_read_adc"

    def start(self) -> None:
        self._watts: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> float | None:
        self._stop.set()
        self._thread.join()
        return seconds * sum(self._watts) / len(self._watts) if self._watts else None

    def _sample(self) -> None:
        while not self._stop.is_set():
            watts = parse_pmic(probe.output("vcgencmd", "pmic_read_adc") or "")
            if watts is not None:
                self._watts.append(watts)
            self._stop.wait(PMIC_PERIOD_S)


def parse_pmic(answer: str) -> float | None:
    """Watts of all rails with both a current and a voltage; None if there are none.

    Lines look like ``VDD_CORE_A current(7)=1.17A`` and ``VDD_CORE_V volt(15)=0.72V``.
    """
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, number, unit in re.findall(r"(\w+)_[AV] (?:current|volt)\(\d+\)=([\d.]+)([AV])", answer):
        values[unit][rail] = float(number)
    rails = values["A"].keys() & values["V"].keys()
    return sum(values["A"][rail] * values["V"][rail] for rail in rails) if rails else None


def readable_domains() -> list[Path]:
    """RAPL's processor packages whose counter this user may read (since 2020, often root only)."""
    domains = []
    for path in sorted(RAPL.glob("intel-rapl:*")):
        if path.name.count(":") == 1 and _counter(path) is not None:
            domains.append(path)
    return domains


class RaplMeter:
    """x86: the energy counters of the processor packages."""

    name = "RAPL"

    def __init__(self, domains: list[Path]) -> None:
        self._domains = domains

    def start(self) -> None:
        self._before = [_counter(path) or 0 for path in self._domains]

    def stop(self, _seconds: float) -> float:
        total = 0
        for path, before in zip(self._domains, self._before):
            used = (_counter(path) or 0) - before
            if used < 0:  # the counter wrapped around
                used += int((path / "max_energy_range_uj").read_text(encoding="ascii"))
            total += used
        return total / 1e6


def _counter(path: Path) -> int | None:
    try:
        return int((path / "energy_uj").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
