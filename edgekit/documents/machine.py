"""The machine that a model was measured on, and the state it was in."""

from __future__ import annotations

from edgekit.documents.base import Part


class Throttling(Part):
    """Flags of a Raspberry Pi's firmware."""

    raw: str
    now: tuple[str, ...]
    since_boot: tuple[str, ...]


class MachineState(Part):
    """What may change during a sustained run."""

    frequency_khz: int | None
    temperature_c: float | None
    throttled: Throttling | None
    governor: str | None


class MachineEnvironment(Part):
    """The target and its state. Facts that do not change are recorded before the run only."""

    others_cores: float | None = None
    """Cores that other programs used."""
    cpu: str | None = None
    board: str | None = None
    cores: int | None = None
    usable_cores: int | None = None
    architecture: str | None = None
    userland_bits: int | None = None
    memory_total_bytes: int | None = None
    os: str | None = None
    kernel: str | None = None
    emulated: str | None = None
    """Why this looks like an emulator; ``null`` on real hardware."""
    python: str | None = None
    versions: dict[str, str] = {}
    time_unix_s: float | None = None
    governor: str | None = None
    frequency_khz: int | None = None
    frequency_max_khz: int | None = None
    temperature_c: float | None = None
    throttled: Throttling | None = None
    load_average: tuple[float, ...] | None = None
    memory_available_bytes: int | None = None


class EnvironmentRecord(Part):
    """The target before and after the session."""

    before: MachineEnvironment
    after: MachineEnvironment
