"""`edgekit target doctor`: whether a target can measure, and how to improve its results."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgekit.device.protocol.events import CurrentEnvironmentEvent
from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.requests import HostFacts
from edgekit.device.protocol.verbs import PROBE
from edgekit.device.runtime_table import RUNTIMES
from edgekit.errors import EdgekitError
from edgekit.targets.ssh import SshTarget

CLOCK_S = 60
SPACE_BYTES = 500_000_000
HOT_C = 70


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis. ``needed``: without it, the target cannot measure at all."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found. ``environment`` is None if the device program did not run there."""

    target: str
    checks: tuple[Check, ...]
    facts: HostFacts
    environment: CurrentEnvironmentEvent | None
    clock_skew_s: float

    @property
    def ok(self) -> bool:
        """Whether the target can measure."""
        return all(check.ok for check in self.checks if check.needed)


def diagnose_target(target: SshTarget) -> Diagnosis:
    """Check ``target`` without changing anything there.

    Raises :class:`TargetError` if the target cannot be reached at all.
    """
    start = time.monotonic()
    facts = target.facts()
    answer_s = time.monotonic() - start
    skew_s = facts["time_unix_s"] - time.time()
    python = ".".join(map(str, facts["python"]))
    checks = [
        Check("connection", True, f"{facts['host_name']}, first answer after {answer_s:.1f} s"),
        Check("Python", True, f"{python}, {facts['bits']}-bit {facts['machine']}"),
        _busy(facts),
        _disk(facts),
        _clock(skew_s),
    ]
    environment = None
    if facts["busy"] is None:
        found, environment = _runtimes(target)
        checks += found
    if environment is not None:
        checks += _conditions(environment)
    return Diagnosis(target.name, tuple(checks), facts, environment, skew_s)


def _check(name: str, ok: bool, found: str, remedy: str = "", *, needed: bool = False) -> Check:
    return Check(name, ok, found, "" if ok else remedy, needed)


def _busy(facts: HostFacts) -> Check:
    busy = facts["busy"]
    found = "no benchmark is running" if busy is None else f"a benchmark is running, started by {busy}"
    return _check("free", busy is None, found, "wait until it has finished", needed=True)


def _disk(facts: HostFacts) -> Check:
    free = facts["free_bytes"]
    remedy = f"free some space on the disk that contains {facts['folder']}"
    return _check("disk", free >= SPACE_BYTES, f"{free / 1e9:.1f} GB free", remedy, needed=free < SPACE_BYTES // 10)


def _clock(skew_s: float) -> Check:
    direction = "ahead of" if skew_s > 0 else "behind"
    found = f"{abs(skew_s):.0f} s {direction} this machine" if abs(skew_s) >= 1 else "correct"
    return _check("clock", abs(skew_s) < CLOCK_S, found, "sudo timedatectl set-ntp true")


def _runtimes(target: SshTarget) -> tuple[list[Check], CurrentEnvironmentEvent | None]:
    """Whether the device program runs there, and which runtimes load."""
    remedy = f"edgekit target setup {target.name}"
    checks: list[Check] = []
    environment: CurrentEnvironmentEvent | None = None
    try:
        for event in target.run(PROBE, ProbeJob(load_runtimes=True)):
            if event["event"] == "environment":
                environment = event
            elif event["event"] == "runtime":
                ok = event["error"] is None
                checks.append(_check(event["name"], ok, event["version"] or event["error"] or "-", remedy))
    except EdgekitError as error:
        return [_check("device program", False, error.problem, remedy, needed=True)], environment
    numpy = "-" if environment is None else environment["versions"].get("numpy", "-")
    able = _check("runtime", any(check.ok for check in checks), f"NumPy {numpy}", remedy, needed=True)
    return [able, *_relevant(checks, target.runtime)], environment


def _relevant(checks: list[Check], chosen: str | None) -> list[Check]:
    """``checks`` without the missing runtimes that nobody needs.

    One runtime per format is enough, and a runtime that setup installs only on request is needed only if it is
    ``chosen``, the target's default.
    """
    covered = {name for check in checks if check.ok for name in RUNTIMES[check.name].formats}

    def needed(name: str) -> bool:
        runtime = RUNTIMES[name]
        return runtime.default and not runtime.on_request and not covered.issuperset(runtime.formats)

    return [check for check in checks if check.ok or check.name == chosen or needed(check.name)]


def _conditions(environment: CurrentEnvironmentEvent) -> list[Check]:
    """What would disturb a measurement."""
    checks = []
    if environment["emulated"]:
        found = f"emulated: {environment['emulated']}"
        checks.append(_check("hardware", False, found, "measure latency on the device itself"))
    governor = environment["governor"]
    if governor is not None:
        command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        checks.append(_check("governor", governor == "performance", governor, command))
    heat_c = environment["temperature_c"]
    if heat_c is not None:
        checks.append(_check("temperature", heat_c < HOT_C, f"{heat_c:.0f} degrees C", "add a fan or a heat sink"))
    flags = environment["throttled"]
    if flags is not None:
        said = [*flags["now"], *(f"{flag} since boot" for flag in flags["since_boot"])]
        remedy = "use the power supply made for the board, cool it, and restart it"
        checks.append(_check("throttling", not said, ", ".join(said) or "none", remedy))
    power = environment["power_source"]
    checks.append(_check("power", power is not None, power or "this machine does not measure its power"))
    return checks
