"""How much slower a repaired file runs, measured on this machine."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from edgekit.device.runtimes import Model, open_model
from edgekit.device.timing import run_block
from edgekit.export.check.parity import temporary_model
from edgekit.stats.latency import Ratio, compare_rounds
from edgekit.support.quiet import quiet_native_output

ROUNDS = 9
BLOCK_NS = 50_000_000


def latency_ratio(repaired: bytes, before: bytes, threads: int) -> Ratio:
    """The latency of ``repaired`` divided by that of ``before``, measured in alternating rounds."""
    with ExitStack() as stack, quiet_native_output():
        models = []
        for content in (repaired, before):
            path = stack.enter_context(temporary_model(content))
            models.append(_warmed_up(open_model(str(path), threads)))
        rounds: list[list[list[int]]] = [[], []]
        for _ in range(ROUNDS):
            for model, samples in zip(models, rounds):
                samples.append(run_block(model.invoke, 3, BLOCK_NS))
    return compare_rounds(*rounds)


def _warmed_up(model: Model) -> Model:
    side = model.input.height
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    model.set_input(model.input.prepare(noise, None))
    run_block(model.invoke, 3, BLOCK_NS)
    return model
