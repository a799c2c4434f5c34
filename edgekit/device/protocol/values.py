"""Values that occur in several events: the runtime, a scaling, the machine and its state."""

from __future__ import annotations

from typing import TypedDict


class RuntimeInfo(TypedDict):
    """The runtime that opened a file. ``delegate``: what it handed the operators to (XNNPACK, an ONNX provider).

    ``precision``: the type of its float computation (``f32``, ``bf16``), where it says so.
    """

    name: str
    version: str
    delegate: str
    precision: str | None


class ScalingDocument(TypedDict):
    """``(pixel - mean) / std`` per channel; ``bgr``: red and blue are swapped first."""

    mean: list[float]
    std: list[float]
    bgr: bool


class Throttling(TypedDict):
    """The flags of a Raspberry Pi's firmware by name."""

    raw: str
    now: list[str]
    since_boot: list[str]


class Machine(TypedDict):
    """What does not change during a measurement; None for what the system does not report."""

    cpu: str | None
    board: str | None
    cores: int | None
    usable_cores: int
    architecture: str
    userland_bits: int
    memory_total_bytes: int | None
    os: str
    kernel: str
    emulated: str | None
    """Why this looks like an emulated processor, or None."""
    python: str
    versions: dict[str, str]


class State(TypedDict):
    """What may change during a measurement; None for what the system does not report."""

    time_unix_s: float
    governor: str | None
    frequency_khz: int | None
    frequency_max_khz: int | None
    temperature_c: float | None
    throttled: Throttling | None
    load_average: list[float] | None
    memory_available_bytes: int | None


class Environment(Machine, State):
    """The machine and its present state."""
