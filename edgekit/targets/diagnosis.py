"""`edgekit target doctor`: what a target is, whether it can measure, and what would make its numbers better."""

from __future__ import annotations

import time
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.targets.ssh import SshTarget

CLOCK_S = 60
ROOM_BYTES = 500_000_000
TFLITE = ("litert", "tflite-runtime")


def diagnose_target(target: SshTarget) -> dict[str, Any]:
    """``checks`` with what was found and what to do, ``facts`` and ``environment``. Nothing is changed.

    Raises :class:`TargetError` where the target cannot be reached at all.
    """
    start = time.monotonic()
    facts = target.facts()
    answer_s = time.monotonic() - start
    skew_s = facts["time_unix_s"] - time.time()
    checks = [
        _check("reached", True, f"{facts['host_name']}, first answer after {answer_s:.1f} s"),
        _check("Python", True, ".".join(map(str, facts["python"])) + f", {facts['bits']}-bit {facts['machine']}"),
        _busy(facts),
        _room(facts),
        _check(
            "clock",
            abs(skew_s) < CLOCK_S,
            f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this one" if abs(skew_s) >= 1 else "right",
            "sudo timedatectl set-ntp true",
        ),
    ]
    environment: dict[str, Any] = {}
    if facts["busy"] is None:
        found, environment = _runtimes(target)
        checks += [*found, *_conditions(environment)]
    return {
        "target": target.name,
        "ok": all(check["ok"] for check in checks if check["needed"]),
        "checks": checks,
        "facts": {k: v for k, v in facts.items() if k != "event"},
        "environment": environment,
        "clock_skew_s": skew_s,
    }


def _check(name: str, ok: bool, found: str, remedy: str = "", *, needed: bool = False) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "remedy": "" if ok else remedy, "needed": needed}


def _busy(facts: dict[str, Any]) -> dict[str, Any]:
    found = "nobody measures there" if facts["busy"] is None else f"{facts['busy']} is measuring"
    return _check("free", facts["busy"] is None, found, "try again when it has ended", needed=True)


def _room(facts: dict[str, Any]) -> dict[str, Any]:
    free = facts["free_bytes"]
    remedy = f"free some space on the disk of {facts['folder']}"
    return _check("disk", free >= ROOM_BYTES, f"{free / 1e9:.1f} GB free", remedy, needed=free < ROOM_BYTES // 10)


def _runtimes(target: SshTarget) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Whether the device program runs there, and each runtime loads."""
    remedy = f"edgekit target setup {target.name}"
    checks, environment = [], {}
    try:
        for event in target.run("probe", {"import": True}):
            if event["event"] == "environment":
                environment = {k: v for k, v in event.items() if k not in ("event", "when")}
            elif event["event"] == "runtime":
                good = event["error"] is None
                checks.append(_check(event["name"], good, event["version"] or event["error"] or "-", remedy))
    except EdgekitError as error:
        return [_check("device program", False, error.problem, remedy, needed=True)], environment
    able = any(check["ok"] for check in checks)
    if any(check["ok"] and check["name"] in TFLITE for check in checks):  # one of the two is enough
        checks = [check for check in checks if check["ok"] or check["name"] not in TFLITE]
    numpy = environment.get("versions", {}).get("numpy", "-")
    return [_check("runtime", able, f"NumPy {numpy}", remedy, needed=True), *checks], environment


def _conditions(environment: dict[str, Any]) -> list[dict[str, Any]]:
    """What would disturb a measurement."""
    if not environment:
        return []
    governor, flags = environment.get("governor"), environment.get("throttled")
    checks = []
    if environment.get("emulated"):
        checks.append(
            _check("hardware", False, f"emulated: {environment['emulated']}", "measure time on the device itself")
        )
    if governor is not None:
        command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        checks.append(_check("governor", governor == "performance", governor, command))
    if environment.get("temperature_c") is not None:
        hot = environment["temperature_c"]
        checks.append(_check("temperature", hot < 70, f"{hot:.0f} degrees C", "a fan or a heat sink"))
    if flags is not None:
        said = [*flags["now"], *(f"{flag} since the start" for flag in flags["since_boot"])]
        remedy = "a power supply of the board's own kind, and cooling; then restart"
        checks.append(_check("throttling", not said, ", ".join(said) or "none", remedy))
    power = environment.get("power_source")
    checks.append(_check("power", power is not None, power or "not measured by this machine"))
    return checks
