"""How much edgekit's own latency differs from a bare runtime loop on the same file.

edgekit's loop takes another image in every run and reads some of the answers; the bare loop runs on one input. Both are
measured in one process: every round opens the file anew for each loop, through ``edgekit.device`` or with the runtime
alone, warms them up, and lets them take turns of a few runs in a random order. Opening anew in every round keeps the
luck of one memory layout out of the ratio; short turns let other load hit all loops alike. The ratio of the medians is
taken per round; 1 is no overhead. A second bare loop, which gets the same images as edgekit's, shows how much of a
difference is due to the images.

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

from edgekit.device import probe, timing
from edgekit.device.jobs import JobModel
from edgekit.device.protocol import NOISE_IMAGES as IMAGES
from edgekit.device.varied_inputs import Inputs, Pixels
from edgekit.documents.base import write_json
from edgekit.errors import EdgekitError
from edgekit.stats.latency import Ratio, compare_rounds
from edgekit.support.files import sha256_file

WARMUP_RUNS = 10
TURN_RUNS = 3
"""Runs of one loop before the next has its turn."""


Loop = Callable[[int], list[int]]
"""Times of so many invokes, in nanoseconds."""


def bare_tflite(path: Path, threads: int, images: int) -> Loop:
    """The loop that people write around an interpreter, on ``images`` different inputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    feed = interpreter.get_input_details()[0]
    tensors = [pixels(feed["shape"], feed["dtype"], number) for number in range(images)]
    interpreter.set_tensor(feed["index"], tensors[0])

    def loop(runs: int) -> list[int]:
        times = []
        for number in range(runs):
            if images > 1:
                interpreter.set_tensor(feed["index"], tensors[number % images])
            start = time.perf_counter_ns()
            interpreter.invoke()
            times.append(time.perf_counter_ns() - start)
        return times

    return loop


def bare_onnx(path: Path, threads: int, images: int) -> Loop:
    """The same around ``InferenceSession.run``."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    dtype = np.uint8 if feed.type == "tensor(uint8)" else np.float32
    shape = [size if isinstance(size, int) else 1 for size in feed.shape]
    inputs = [{feed.name: pixels(shape, dtype, number)} for number in range(images)]

    def loop(runs: int) -> list[int]:
        times = []
        for number in range(runs):
            chosen = inputs[number % images]
            start = time.perf_counter_ns()
            session.run(None, chosen)
            times.append(time.perf_counter_ns() - start)
        return times

    return loop


def pixels(shape: Any, dtype: Any, number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, tuple(shape)).astype(dtype)


def edgekit_loop(path: Path, threads: int) -> Loop:
    """What `edgekit bench` times, with all that it does between the runs."""
    entry = JobModel(key="m", path=str(path))
    model = entry.open(threads)
    inputs = Inputs(entry, model, Pixels(), rounds=1)
    numbers = list(range(IMAGES))
    tensors = inputs.tensors(numbers)
    model.set_input(tensors[0])

    def loop(runs: int) -> list[int]:
        protocol = timing.Protocol(0, 0, 1, runs, 0)
        return timing.run_varied(model, tensors, lambda place: inputs.answer(numbers[place]), protocol).ns

    return loop


def measure(path: Path, threads: int, rounds: int, runs: int) -> dict[str, list[list[int]]]:
    """Blocks of each loop, ``rounds`` of ``runs`` invokes each."""
    bare = bare_tflite if path.suffix == ".tflite" else bare_onnx
    makers: dict[str, Callable[[], Loop]] = {
        "edgekit": lambda: edgekit_loop(path, threads),
        "bare": lambda: bare(path, threads, 1),
        "bare_varied": lambda: bare(path, threads, IMAGES),
    }
    order = random.Random(0)
    blocks: dict[str, list[list[int]]] = {name: [] for name in makers}
    for _ in range(rounds):
        loops = [(name, make()) for name, make in makers.items()]
        for name, loop in loops:
            loop(WARMUP_RUNS)
            blocks[name].append([])
        for _ in range(runs // TURN_RUNS):
            order.shuffle(loops)
            for name, loop in loops:
                timing.settle()
                loop(1)
                blocks[name][-1] += loop(TURN_RUNS)
    return blocks


def report(path: Path, threads: int, blocks: dict[str, list[list[int]]]) -> dict[str, Ratio]:
    """The ratio of edgekit's loop to each bare one."""
    ours = blocks["edgekit"]
    ratios = {name: compare_rounds(ours, blocks[name]) for name in ("bare", "bare_varied")}
    medians = {name: float(np.median([np.median(block) for block in own])) / 1e6 for name, own in blocks.items()}
    for name, ratio in ratios.items():
        print(
            f"{path.name}, {threads} thread(s): edgekit {medians['edgekit']:.4f} ms, {name} {medians[name]:.4f} ms, "
            f"ratio {ratio.median:.4f} [{ratio.low:.4f}, {ratio.high:.4f}] over {ratio.n_rounds} rounds"
        )
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".tflite or .onnx files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=50, help="invokes per loop and round")
    parser.add_argument("--out", type=Path, help="write the raw times and ratios as JSON")
    arguments = parser.parse_args()
    watch = probe.OthersWatch()
    results = []
    for path in arguments.models:
        blocks = measure(path, arguments.threads, arguments.rounds, arguments.runs)
        ratios = report(path, arguments.threads, blocks)
        results.append(
            {
                "model": path.name,
                "sha256": sha256_file(path),
                "threads": arguments.threads,
                **ratios["bare"].document(),
                "against_varied_images": ratios["bare_varied"].document(),
                **{f"{name}_ns": own for name, own in blocks.items()},
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
