"""The machines: where networks were trained, and where files were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgekit.documents.bench import BenchDocument
from edgekit.documents.latency import ProtocolRecord
from edgekit.documents.machine import MachineEnvironment
from edgekit.documents.run import TrainingEnvironment
from edgekit.render.numbers import number
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section

Fact = tuple[str, str]
"""Name and value."""


@dataclass(frozen=True)
class Machine:
    """One machine, in one state."""

    heading: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class EnvironmentView:
    """Every machine once."""

    machines: list[Machine]


def _view(report: Report) -> EnvironmentView:
    found: dict[tuple[Fact, ...], str] = {}
    for run in report.runs:
        found.setdefault(tuple(_training_facts(run.document.environment)), "Training")
    for file in report.files:
        if file.bench is not None:
            found.setdefault(tuple(_target_facts(file.bench)), f"Measured on {file.target}")
    return EnvironmentView([Machine(heading, facts) for facts, heading in found.items() if facts])


def _known(*facts: tuple[str, object]) -> Iterator[Fact]:
    """Facts whose value is known."""
    yield from ((name, str(value)) for name, value in facts if value is not None)


def _training_facts(machine: TrainingEnvironment) -> Iterator[Fact]:
    yield from _known(
        ("CPU", machine.cpu),
        ("cores", machine.cores),
        ("usable cores", machine.usable_cores),
        ("GPU", machine.gpu),
        ("platform", machine.platform),
        ("Python", machine.python),
        ("Keras backend", machine.backend),
    )
    yield from _versions(machine.versions)


def _target_facts(bench: BenchDocument) -> Iterator[Fact]:
    before, after = bench.environment.before, bench.environment.after
    memory = before.memory_total_bytes
    yield from _known(
        ("CPU", before.cpu),
        ("board", before.board),
        ("cores", before.cores),
        ("usable cores", before.usable_cores),
        ("architecture", before.architecture),
        ("OS", before.os),
        ("kernel", before.kernel),
        ("Python", before.python),
        ("emulated", before.emulated),
        ("memory", f"{number(memory / 1e9, 1)} GB" if memory else None),
    )
    yield from _versions(before.versions)
    yield from _changing(before, after)
    yield from _known(("governor", before.governor))
    if before.load_average:
        yield "load average", ", ".join(f"{value:.2f}" for value in before.load_average) + " before"
    yield "protocol", _protocol(bench.protocol)


def _versions(versions: Mapping[str, str]) -> Iterator[Fact]:
    if versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())


def _changing(before: MachineEnvironment, after: MachineEnvironment) -> Iterator[Fact]:
    """What is read before and after the measurements."""
    pairs = (
        ("frequency", before.frequency_khz, after.frequency_khz, 1e6, "GHz"),
        ("temperature", before.temperature_c, after.temperature_c, 1, "°C"),
        ("used by other programs", before.others_cores, after.others_cores, 1, "cores"),
    )
    for name, first, last, scale, unit in pairs:
        if first is not None or last is not None:
            values = [number(None if value is None else value / scale, 1) for value in (first, last)]
            yield name, f"{values[0]} {unit} before, {values[1]} {unit} after"


def _protocol(protocol: ProtocolRecord) -> str:
    known = [(name, value) for name, value in protocol if name != "name" and value is not None and value is not False]
    numbers = [name if value is True else f"{name} {value:,}" for name, value in known]
    return f"{protocol.name} ({', '.join(numbers)})"


SECTION = Section("environment", "Environment", _view)
