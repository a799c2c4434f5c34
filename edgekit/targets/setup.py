"""Sets up a target: installs the required packages in its working folder, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.requests import FetchRequest, HostFacts, InstallRequest
from edgekit.device.protocol.verbs import FETCH, INSTALL, PROBE
from edgekit.device.runtime_table import RUNTIMES
from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.ssh import SshTarget
from edgekit.targets.upload import Hashes
from edgekit.targets.wheel_download import download_wheels, environment_id
from edgekit.targets.wheels import Plan, describe, plan

SOURCES = ("host", "device")


@dataclass(frozen=True)
class SetUp:
    """What a target has now. ``changed``: whether anything was installed this time."""

    facts: HostFacts
    changed: bool
    source: str
    """``host``, ``device``, or ``own``: the target's Python had everything already."""
    runtimes: dict[str, str]
    """Name and version of each runtime that loads there."""
    notes: tuple[str, ...]


def set_up(target: SshTarget, source: str = "host", progress: Progress = SILENT) -> SetUp:
    """Install what ``target`` needs for measuring. A second call changes nothing.

    ``source``: with ``host``, wheels are downloaded here and sent, so the target needs no internet, pip or venv; with
    ``device``, the target downloads them. Raises :class:`TargetError` if no runtime can be installed or none loads.
    """
    facts = target.facts()
    if facts["busy"]:
        raise TargetError(
            f"another benchmark is running on {target.name}, started by {facts['busy']}",
            hint="rerun this command once it has finished",
        )
    if _has_its_own(facts, target.runtime):
        return SetUp(facts, False, "own", loaded_runtimes(target), ())
    chosen = _possible_plan(facts, target)
    name = environment_id(facts, chosen.requirements)
    present = facts["environment"] is not None and facts["environment"]["id"] == name
    if not present:
        progress.info(f"{target.name}: {describe(facts)}; installing {', '.join(chosen.requirements)}")
        _install(target, facts, chosen, name, source)
        facts = target.facts()
    installed = facts["environment"]
    return SetUp(
        facts,
        changed=not present,
        source=source if installed is None else installed["source"],
        runtimes=loaded_runtimes(target),
        notes=chosen.notes,
    )


def loaded_runtimes(target: SshTarget) -> dict[str, str]:
    """The runtimes that load there, by name, with their versions. Raises :class:`TargetError` if none does."""
    found, failed = {}, []
    for event in target.run(PROBE, ProbeJob(load_runtimes=True)):
        if event["event"] == "runtime":
            if event["error"] is None:
                found[event["name"]] = event["version"] or "unknown"
            else:
                failed.append(f"{event['name']}: {event['error']}")
    if not found:
        raise TargetError(
            f"no runtime loads on {target.name} ({'; '.join(failed)})", hint=f"edgekit target setup {target.name}"
        )
    return found


def _possible_plan(facts: HostFacts, target: SshTarget) -> Plan:
    """What to install. Raises :class:`TargetError` if that is impossible, or if system packages are missing."""
    chosen = plan(facts, target.runtime)
    if chosen.problem is not None:
        raise TargetError(chosen.problem, where=f"target {target.name}")
    if chosen.needs_system:
        raise TargetError(
            f"NumPy or Pillow is missing, and for {describe(facts)} they come from the system's packages only",
            where=f"target {target.name}",
            hint=f"on the device: sudo apt install {' '.join(chosen.needs_system)}",
        )
    return chosen


def _has_its_own(facts: HostFacts, wanted: str | None) -> bool:
    """Whether the target's own Python already has all packages, so that nothing is installed.

    Of the runtimes, it needs the one that is ``wanted``, or any default one.
    """
    has = set(facts["installed"])
    enough = {one.distribution for one in RUNTIMES.values() if one.name == wanted or (wanted is None and one.default)}
    return facts["environment"] is None and {"numpy", "pillow"} <= has and bool(enough & has)


def _install(target: SshTarget, facts: HostFacts, chosen: Plan, name: str, source: str) -> None:
    requirements = list(chosen.requirements)
    try:
        if source == "device":
            target.ask(FETCH, FetchRequest(id=name, requirements=requirements))
            return
        hashes = Hashes()
        files = {f"{hashes.of(str(wheel))}.whl": wheel for wheel in download_wheels(facts, chosen.requirements)}
        target.send({object_name: str(wheel) for object_name, wheel in files.items()})
        wheels = {wheel.name: object_name for object_name, wheel in files.items()}
        target.ask(INSTALL, InstallRequest(id=name, requirements=requirements, wheels=wheels))
        target.forget(wheels.values())
    except TargetError:
        raise
    except EdgekitError as error:
        raise TargetError(error.problem, where=error.where or f"target {target.name}", hint=error.hint) from None
