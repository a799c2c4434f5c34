"""Repair of an int8 file that loses too much: the layers that cost most compute in float, as few as it takes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.device.runtimes import open_model
from edgekit.device.timing import run_block
from edgekit.export.check.gate import HELD, Gate
from edgekit.export.check.sensitivity import LayerCost, top
from edgekit.export.formats import QuantizingMaker
from edgekit.stats.latency import Ratio, compare_rounds
from edgekit.support.progress import Progress
from edgekit.support.quiet import quiet_native_output

ROUNDS = 9
BLOCK_NS = 50_000_000


@dataclass
class Repair:
    """How a repair went. ``content`` is the file; ``kept`` the layers it computes in float, the costliest first."""

    content: bytes
    kept: list[str]
    gate: Gate
    before: bytes
    trials: list[dict[str, Any]] = field(default_factory=list)

    def document(self, costs: Sequence[LayerCost], threads: int = 1) -> dict[str, Any]:
        """The ``repair`` of ``export.json``: what was kept in float, and what that costs."""
        ratio = slowdown(self.content, self.before, threads)
        return {
            "held": self.gate.verdict == HELD,
            "kept_in_float": self.kept,
            "n_layers": len(costs),
            "size_bytes_before": len(self.before),
            "size_bytes": len(self.content),
            "latency_ratio": {"median": ratio.median, "ci95": [ratio.low, ratio.high], "threads": threads},
            "trials": self.trials,
        }


def repair(
    maker: QuantizingMaker,
    costs: Sequence[LayerCost],
    judged: Callable[[bytes], Gate],
    before: bytes,
    progress: Progress,
) -> Repair:
    """The file with the fewest of the costliest layers in float for which the gate holds.

    ``before`` is the file in which all are quantized, which did not hold. The number is doubled until it holds, then
    halved in between; where not even all layers in float hold, the result is the trial with the smallest drop.
    """
    tried: dict[int, Repair] = {}
    trials: list[dict[str, Any]] = []

    def attempt(n: int) -> bool:
        if n not in tried:
            content = maker.mixed(top(costs, n))
            gate = judged(content)
            trials.append({"kept": n, "drop_points": 100 * gate.drop, "verdict": gate.verdict, "bytes": len(content)})
            progress.info(f"repair: {n} of {len(costs)} layers in float lose {100 * gate.drop:.1f} points")
            tried[n] = Repair(content, [cost.layer for cost in costs[:n]], gate, before)
        return tried[n].gate.verdict == HELD

    low, high = 0, 1
    while not attempt(min(high, len(costs))) and high < len(costs):
        low, high = high, 2 * high
    high = min(high, len(costs))
    if tried[high].gate.verdict != HELD:
        best = min(tried.values(), key=lambda r: (r.gate.drop, len(r.kept)))
        best.trials = trials
        return best
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if attempt(middle) else (middle, high)
    tried[high].trials = trials
    return tried[high]


def slowdown(repaired: bytes, before: bytes, threads: int) -> Ratio:
    """How many times as long a run of ``repaired`` takes as one of ``before``, on this machine, interleaved."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, quiet_native_output():
        models = []
        for name, content in (("repaired", repaired), ("before", before)):
            path = Path(folder) / f"{name}{'.tflite' if content[4:8] == b'TFL3' else '.onnx'}"
            path.write_bytes(content)
            model = open_model(str(path), threads)
            side = model.input.height
            noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
            model.set_input(model.input.prepare(noise, None))
            run_block(model.invoke, 3, BLOCK_NS)
            models.append(model)
        rounds: list[list[list[int]]] = [[], []]
        for _ in range(ROUNDS):
            for model, samples in zip(models, rounds):
                samples.append(run_block(model.invoke, 3, BLOCK_NS))
    return compare_rounds(*rounds)
