"""Peak memory of each model, in its own process."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.jobs import MemoryJob
from edgekit.device.protocol.verbs import MEMORY
from edgekit.documents.bench import MemoryRecord
from edgekit.support.progress import Progress
from edgekit.targets.base import Target


def measure_memory(
    target: Target,
    models: Sequence[MeasuredModel],
    threads: int,
    progress: Progress,
    memory: dict[str, MemoryRecord],
) -> None:
    """Add the memory of each model to ``memory``, by its id."""
    with progress.bar("memory", len(models)) as bar:
        for model in models:
            for event in target.run(MEMORY, MemoryJob(models=[model.job()], threads=threads)):
                if event["event"] == "memory":
                    memory[model.id] = MemoryRecord(
                        threads=event["threads"],
                        baseline_rss_bytes=event["baseline_rss_bytes"],
                        peak_rss_bytes=event["peak_rss_bytes"],
                        model_rss_bytes=event["model_rss_bytes"],
                        peak_was_reset=event["peak_was_reset"],
                        arena_bytes=event.get("arena_bytes"),
                    )
            bar.advance()
