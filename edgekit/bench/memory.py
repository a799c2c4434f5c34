"""Peak memory of each model, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.bench.measured_model import MeasuredModel
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

STORED = ("threads", "baseline_rss_bytes", "peak_rss_bytes", "model_rss_bytes", "peak_was_reset")


def measure_memory(
    target: Target, models: Sequence[MeasuredModel], threads: int, progress: Progress
) -> dict[str, dict[str, Any]]:
    """The memory of each model, by its id."""
    memory: dict[str, dict[str, Any]] = {}
    with progress.bar("memory", len(models)) as bar:
        for model in models:
            for event in target.run("memory", {"models": [model.job()], "threads": threads}):
                if event["event"] == "memory":
                    memory[model.id] = {name: event[name] for name in STORED}
            bar.advance()
    return memory
