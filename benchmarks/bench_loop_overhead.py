"""How much edgekit's own latency differs from a bare runtime loop on the same file.

Both are measured in one process in turns: every round opens the file twice, once through ``edgekit.device`` and once
with the runtime alone, warms both up, and times short blocks of each in a random order. Opening anew in every round
keeps the luck of one memory layout out of the ratio. The ratio of the medians is taken per round; 1 is no overhead.

    python benchmarks/bench_loop_overhead.py runs/mobilenetv2/exports/tflite-int8/model.tflite --out overhead.json
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.device import probe, runtimes, timing
from edgekit.documents.base import write_json
from edgekit.errors import EdgekitError
from edgekit.stats.latency import Ratio, compare_rounds
from edgekit.support.files import sha256_file

WARMUP_RUNS = 10


def bare_tflite(path: Path, threads: int) -> Callable[[int], list[int]]:
    """The loop that people write around an interpreter: times of ``runs`` invokes, nanoseconds."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    feed = interpreter.get_input_details()[0]
    interpreter.set_tensor(feed["index"], pixels(feed["shape"], feed["dtype"]))

    def loop(runs: int) -> list[int]:
        times = []
        for _ in range(runs):
            start = time.perf_counter_ns()
            interpreter.invoke()
            times.append(time.perf_counter_ns() - start)
        return times

    return loop


def bare_onnx(path: Path, threads: int) -> Callable[[int], list[int]]:
    """The same around ``InferenceSession.run``."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    dtype = np.uint8 if feed.type == "tensor(uint8)" else np.float32
    inputs = {feed.name: pixels([s if isinstance(s, int) else 1 for s in feed.shape], dtype)}

    def loop(runs: int) -> list[int]:
        times = []
        for _ in range(runs):
            start = time.perf_counter_ns()
            session.run(None, inputs)
            times.append(time.perf_counter_ns() - start)
        return times

    return loop


def pixels(shape: Any, dtype: Any) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, tuple(shape)).astype(dtype)


def edgekit_loop(path: Path, threads: int) -> Callable[[int], list[int]]:
    """What `edgekit bench` times."""
    model = runtimes.open_model(str(path), threads)
    shape = (model.input.height, model.input.width, 3)
    model.set_input(model.input.prepare(pixels(shape, np.uint8), None))
    return lambda runs: timing.run_block(model.invoke, runs, 0)


def measure(path: Path, threads: int, rounds: int, runs: int) -> tuple[list[list[int]], list[list[int]]]:
    """Blocks of both loops, ``rounds`` of ``runs`` invokes each."""
    bare = bare_tflite if path.suffix == ".tflite" else bare_onnx
    order = random.Random(0)
    ours: list[list[int]] = []
    theirs: list[list[int]] = []
    for _ in range(rounds):
        loops = [(edgekit_loop(path, threads), ours), (bare(path, threads), theirs)]
        order.shuffle(loops)
        for loop, _ in loops:
            loop(WARMUP_RUNS)
        for loop, blocks in loops:
            timing.settle()
            blocks.append(loop(runs))
    return ours, theirs


def report(path: Path, threads: int, ours: list[list[int]], theirs: list[list[int]]) -> Ratio:
    ratio = compare_rounds(ours, theirs)
    medians = [float(np.median([t for block in blocks for t in block])) / 1e6 for blocks in (ours, theirs)]
    print(
        f"{path.name}, {threads} thread(s): edgekit {medians[0]:.4f} ms, bare loop {medians[1]:.4f} ms, "
        f"ratio {ratio.median:.4f} [{ratio.low:.4f}, {ratio.high:.4f}] over {ratio.n_rounds} rounds"
    )
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".tflite or .onnx files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=50, help="invokes per block")
    parser.add_argument("--out", type=Path, help="write the raw times and ratios as JSON")
    arguments = parser.parse_args()
    watch = probe.OthersWatch()
    results = []
    for path in arguments.models:
        ours, theirs = measure(path, arguments.threads, arguments.rounds, arguments.runs)
        ratio = report(path, arguments.threads, ours, theirs)
        results.append(
            {
                "model": path.name,
                "sha256": sha256_file(path),
                "threads": arguments.threads,
                **ratio.document(),
                "edgekit_ns": ours,
                "bare_ns": theirs,
            }
        )
    if arguments.out is not None:
        others = watch.cores()
        environment = {**probe.environment(), "others_cores": others, "python": platform.python_version()}
        write_json(arguments.out, {"results": results, "environment": environment})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgekitError as error:
        sys.exit(str(error))
