"""Energy of one inference, on targets that measure their own power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import BenchProtocol
from edgekit.targets.base import Target

ENERGY_S = 5.0


def measure_energy(
    target: Target, models: Sequence[MeasuredModel], protocol: BenchProtocol, threads: int
) -> dict[str, dict[str, Any]]:
    """By model id: joules, runs and idle power, or ``source`` None on a target that does not measure its power."""
    seconds = min(ENERGY_S, protocol.repeats * protocol.rounds * protocol.block_ns / 1e9)
    job = {"models": [model.job() for model in models], "threads": threads, "seconds": seconds}
    return {
        event["key"]: {name: value for name, value in event.items() if name not in ("event", "key")}
        for event in target.run("energy", job)
        if event["event"] == "energy"
    }
