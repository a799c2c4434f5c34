"""Energy of one inference, on targets that measure their own power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.bench.evaluation_images import ImageSet, varied_entries
from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.jobs import TimedJob
from edgekit.device.protocol.verbs import ENERGY
from edgekit.documents.bench import EnergyRecord
from edgekit.documents.latency import ProtocolRecord
from edgekit.targets.base import Target

ENERGY_S = 5.0


def measure_energy(
    target: Target,
    models: Sequence[MeasuredModel],
    sets: Mapping[str, ImageSet],
    protocol: ProtocolRecord,
    threads: int,
) -> dict[str, EnergyRecord]:
    """By model id; a record without ``source`` on a target that does not measure its power."""
    seconds = min(ENERGY_S, protocol.total_ns / 1e9)
    job = TimedJob(models=varied_entries(models, sets), threads=threads, seconds=seconds)
    return {
        event["key"]: EnergyRecord.model_validate({k: v for k, v in event.items() if k not in {"event", "key"}})
        for event in target.run(ENERGY, job)
        if event["event"] == "energy"
    }
