"""Setting a target up: the packages that measuring needs, in the working folder there, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.device.runtimes import DISTRIBUTION_OF
from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.ssh import SshTarget
from edgekit.targets.upload import Hashes
from edgekit.targets.wheel_download import environment_id, fetch_wheels
from edgekit.targets.wheels import Plan, describe, plan

SOURCES = ("host", "device")


@dataclass(frozen=True)
class SetUp:
    """What a target has now. ``changed``: whether anything was installed this time."""

    facts: dict[str, Any]
    changed: bool
    source: str
    """``host``, ``device``, or ``own``: the target's Python had everything."""
    runtimes: dict[str, str]
    """Name and version of each runtime that was imported there."""
    notes: tuple[str, ...]


def set_up(target: SshTarget, source: str = "host", progress: Progress = SILENT) -> SetUp:
    """Give ``target`` what measuring needs, once: a second call finds it and changes nothing.

    ``source``: ``host`` fetches wheels here and sends them, which needs no internet, pip or venv there; ``device``
    lets the target fetch them. Raises :class:`TargetError` with what is possible where it is not, and where an
    installed runtime does not load.
    """
    facts = target.facts()
    if facts["busy"]:
        raise TargetError(f"{facts['busy']} is measuring on {target.name} now", hint="set it up afterwards")
    chosen = plan(facts, target.runtime)
    if _has_its_own(facts):
        return SetUp(facts, False, "own", imported(target), ())
    if chosen.problem is not None:
        raise TargetError(chosen.problem, where=f"target {target.name}")
    if chosen.needs_system:
        raise TargetError(
            f"{describe(facts)}: NumPy and Pillow come from the system's own packages there, and are missing",
            where=f"target {target.name}",
            hint=f"on the device: sudo apt install {' '.join(chosen.needs_system)}",
        )
    name = environment_id(facts, chosen.requirements)
    present = facts["environment"] is not None and facts["environment"]["id"] == name
    if not present:
        progress.info(f"{target.name}: {describe(facts)}; installing {', '.join(chosen.requirements)}")
        _install(target, facts, chosen, name, source)
        facts = target.facts()
    return SetUp(facts, not present, facts["environment"]["source"], imported(target), chosen.notes)


def imported(target: SshTarget) -> dict[str, str]:
    """The runtimes that load there, by name with their version. Raises :class:`TargetError` where none does."""
    found, failed = {}, []
    for event in target.run("probe", {"import": True}):
        if event["event"] == "runtime" and event["error"] is None:
            found[event["name"]] = event["version"]
        elif event["event"] == "runtime":
            failed.append(event["error"])
    if not found:
        raise TargetError(
            f"no runtime loads on {target.name}: {'; '.join(failed) or 'none is installed'}",
            hint=f"edgekit target setup {target.name}",
        )
    return found


def _has_its_own(facts: dict[str, Any]) -> bool:
    """Whether the target's Python is one that a person prepared: then nothing is put beside it."""
    has = facts["installed"]
    runtimes = set(DISTRIBUTION_OF.values()) & set(has)
    return facts["environment"] is None and {"numpy", "pillow"} <= set(has) and bool(runtimes)


def _install(target: SshTarget, facts: dict[str, Any], chosen: Plan, name: str, source: str) -> None:
    request: dict[str, Any] = {"id": name, "requirements": list(chosen.requirements)}
    try:
        if source == "device":
            for _ in target.request("fetch", request):
                pass
            return
        hashes = Hashes()
        files = {f"{hashes.of(str(wheel))}.whl": wheel for wheel in fetch_wheels(facts, chosen.requirements)}
        target.send({object_name: str(wheel) for object_name, wheel in files.items()})
        wheels = {wheel.name: object_name for object_name, wheel in files.items()}
        for _ in target.request("install", {**request, "wheels": wheels}):
            pass
        target.forget(wheels.values())
    except TargetError:
        raise
    except EdgekitError as error:
        raise TargetError(error.problem, where=error.where or f"target {target.name}", hint=error.hint) from None
