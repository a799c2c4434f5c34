"""Whether edgekit finds the fastest way to run a network: its choice against every runtime in a plain script.

    edgekit bench RUN --runtime all --threads 1,2          # on the same machine, before
    python benchmarks/fastest_runtime.py RUN... --threads 1,2 --out benchmarks/results/fastest_runtime.json

Every exported file of a run is opened with LiteRT, ONNX Runtime, OpenVINO and ncnn as their documentation shows it,
with nothing of edgekit: the default settings, and the number of threads. OpenVINO is measured a second time with
float32 as its precision, because its default on some processors is bfloat16.

edgekit's side is the file and runtime with the lowest median in the run's benchmark (``bench/local``), opened by
edgekit's own adapter with the settings that it measures and deploys with, and those that ``--tune`` found. All
candidates are measured in one process, in blocks, in a random order in every round, on the same random images. The
fastest plain candidate is measured twice: the ratio of the two is noise. The figure is the time of edgekit's choice
over that of the fastest plain candidate; its interval is a bootstrap over rounds. The fastest of many is a little too
fast by luck, which is against edgekit.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = 16
DRAWS = 4000
PACKAGES = ("ai-edge-litert", "onnxruntime", "openvino", "ncnn", "numpy")


@dataclass
class Candidate:
    """A file, opened. ``feed`` sets the input with one of the images, ``invoke`` is what is timed."""

    name: str
    feed: Callable[[int], object]
    invoke: Callable[[], object]
    rounds: list[float] = field(default_factory=list)
    """Median of the runs of each round, in ms."""

    @property
    def ms(self) -> float:
        return float(np.median(self.rounds))


def images_of(shape: list[int], dtype: Any) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    pixels = [generator.integers(0, 256, shape).astype(dtype) for _ in range(IMAGES)]
    return [np.ascontiguousarray(one) for one in pixels]


def litert(path: Path, threads: int) -> Candidate:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    images = images_of(list(given["shape"]), given["dtype"])
    return Candidate("litert", lambda n: interpreter.set_tensor(given["index"], images[n]), interpreter.invoke)


def onnxruntime(path: Path, threads: int) -> Candidate:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    kinds = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(float)": np.float32}
    images = images_of([side if isinstance(side, int) else 1 for side in given.shape], kinds[given.type])
    feeds: dict[str, np.ndarray] = {}
    return Candidate("onnxruntime", lambda n: feeds.update({given.name: images[n]}), lambda: session.run(None, feeds))


def openvino(path: Path, threads: int, precision: str | None = None) -> Candidate:
    import openvino as ov

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    compiled = ov.Core().compile_model(str(path), "CPU", settings)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    request = compiled.create_infer_request()
    given = compiled.input(0)
    images = [ov.Tensor(one) for one in images_of(list(given.shape), given.element_type.to_dtype())]
    default = "default, " if precision is None else ""
    return Candidate(f"openvino ({default}{used})", lambda n: request.set_input_tensor(images[n]), request.infer)


def ncnn(path: Path, threads: int) -> Candidate:
    import ncnn as library

    net = library.Net()
    net.opt.num_threads = threads
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        net.load_param(archive.extract("model.ncnn.param", folder))
        net.load_model(archive.extract("model.ncnn.bin", folder))
        side = json.loads(archive.read("edgekit.json"))["image_size"]
    images = images_of([side, side, 3], np.uint8)
    feed: dict[str, np.ndarray] = {}

    def run() -> None:
        extractor = net.create_extractor()
        pixels = library.Mat.from_pixels(feed["image"], library.Mat.PixelType.PIXEL_RGB, side, side)
        extractor.input("image", pixels)
        extractor.extract("probabilities")

    return Candidate("ncnn", lambda n: feed.update(image=images[n]), run)


def plain_candidates(run: Path, threads: int) -> Iterator[Candidate]:
    """Every exported file with every runtime that runs it."""
    for path in sorted(run.glob("exports/*/model.*")):
        openers: list[Callable[[Path, int], Candidate]] = []
        if path.suffix == ".tflite":
            openers = [litert, openvino]
        elif path.suffix == ".onnx":
            openers = [onnxruntime, openvino]
        elif path.suffix == ".ncnn":
            openers = [ncnn]
        if openvino in openers and "fp" in path.parent.name:
            openers.append(lambda file, count: openvino(file, count, "f32"))
        for opener in openers:
            try:
                candidate = opener(path, threads)
            except ImportError as error:
                raise SystemExit(f"error: {error}; install ai-edge-litert, onnxruntime, openvino and ncnn") from None
            candidate.name = f"{path.parent.name}, {candidate.name}"
            yield candidate


def edgekit_choice(run: Path, threads: int) -> Candidate:
    """The file and runtime with the lowest median in the benchmark of the run, as edgekit opens it."""
    from edgekit.device.runtimes import open_model
    from edgekit.device.tensors import Choices
    from edgekit.documents.bench import run_results
    from edgekit.documents.folders import RunFolder

    found = []
    for result in run_results(RunFolder(run), "local"):
        latency = result.with_threads(threads)
        p50 = None if latency is None else latency.percentile_ms(50)
        if result.ok and p50 is not None and result.bench.runtime is not None:
            found.append((p50, result.bench))
    if not found:
        raise SystemExit(
            f"error: {run} has no benchmark with {threads} threads\n"
            f"  hint: edgekit bench {run} --runtime all --threads {threads}"
        )
    _, bench = min(found, key=lambda pair: pair[0])
    assert bench.runtime is not None
    path = run / "exports" / bench.export_key / Path(bench.model).name
    runtime, options = bench.runtime.name, {}
    tuned = None if bench.tuning is None else bench.tuning.chosen
    if tuned is not None and tuned.threads == threads:
        runtime, options = tuned.runtime, tuned.options
    model = open_model(str(path), threads, runtime, Choices(options=tuple(options.items())))
    images = images_of(list(model.input.shape), model.input.dtype)
    name = ", ".join([bench.export_key, f"{runtime} by edgekit", *(f"{key}={value}" for key, value in options.items())])
    return Candidate(name, lambda n: model.set_input(images[n]), model.invoke)


def block(candidate: Candidate, min_runs: int, min_ns: int) -> list[int]:
    clock = time.perf_counter_ns
    samples: list[int] = []
    spent = 0
    candidate.feed(0)
    candidate.invoke()  # brings code and weights back into the caches
    while len(samples) < min_runs or spent < min_ns:
        candidate.feed(len(samples) % IMAGES)
        start = clock()
        candidate.invoke()
        samples.append(clock() - start)
        spent += samples[-1]
    return samples


def measure(candidates: list[Candidate], rounds: int, min_runs: int, min_ns: int) -> None:
    order = random.Random(0)
    for candidate in candidates:
        block(candidate, 5, min_ns)  # warm-up
    gc.disable()
    for number in range(rounds):
        for candidate in order.sample(candidates, len(candidates)):
            time.sleep(0.01)  # lets the threads of the last one come to rest
            samples = block(candidate, min_runs, min_ns)
            candidate.rounds.append(float(np.median(samples)) / 1e6)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    gc.enable()


def ratio(a: Candidate, b: Candidate) -> dict[str, float]:
    """The time of ``a`` over that of ``b``: median of the ratios of the rounds, 95% bootstrap interval over rounds."""
    ratios = np.array(a.rounds) / np.array(b.rounds)
    draws = np.random.default_rng(0).integers(0, len(ratios), (DRAWS, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), [2.5, 97.5])
    return {"ratio": float(np.median(ratios)), "low": float(low), "high": float(high)}


def compare(run: Path, threads: int, arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = edgekit_choice(run, threads)
    plain = list(plain_candidates(run, threads))
    if not plain:
        raise SystemExit(f"error: {run} has no exported files")
    min_ns = round(arguments.block_ms * 1e6)
    measure(plain, 2, 3, min_ns)
    likely = min(plain, key=lambda one: one.ms)  # the one whose copy is the control
    for candidate in plain:
        candidate.rounds.clear()
    control = Candidate("control", likely.feed, likely.invoke)
    measure([chosen, control, *plain], arguments.rounds, arguments.runs, min_ns)
    fastest = min(plain, key=lambda one: one.ms)
    return {
        "run": run.name,
        "threads": threads,
        "edgekit": {"choice": chosen.name, "ms": chosen.ms},
        "fastest": {"candidate": fastest.name, "ms": fastest.ms},
        "edgekit_over_fastest": ratio(chosen, fastest),
        "control": {"candidate": likely.name, **ratio(control, likely)},
        "candidates_ms": {one.name: one.ms for one in sorted(plain, key=lambda one: one.ms)},
        "rounds_ms": {one.name: one.rounds for one in (chosen, control, *plain)},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders with exports and a benchmark")
    parser.add_argument("--threads", default="1", help="thread counts, such as 1,2 (default: 1)")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs-per-block", dest="runs_per_block", type=int, default=8)
    parser.add_argument("--block-ms", type=float, default=60.0, help="shortest time of a block")
    parser.add_argument("--out", type=Path, help="write the median of every round and the ratios as JSON")
    arguments = parser.parse_args()
    folders, arguments.runs = arguments.runs, arguments.runs_per_block
    before = os.getloadavg()
    rows = [compare(run, int(count), arguments) for run in folders for count in arguments.threads.split(",")]
    for row in rows:
        found, noise = row["edgekit_over_fastest"], row["control"]
        print(f"{row['run']}, {row['threads']} thread(s)")
        print(f"  edgekit: {row['edgekit']['choice']}: {row['edgekit']['ms']:.3f} ms")
        print(f"  fastest plain: {row['fastest']['candidate']}: {row['fastest']['ms']:.3f} ms")
        print(f"  ratio {found['ratio']:.3f} [{found['low']:.3f}, {found['high']:.3f}]", end="")
        print(f"; the same file twice: {noise['ratio']:.3f} [{noise['low']:.3f}, {noise['high']:.3f}]")
    if arguments.out is not None:
        document = {
            "benchmark": "fastest_runtime",
            "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "cpu": _cpu()},
            "versions": {name: metadata.version(name) for name in PACKAGES},
            "load_average": {"before": before, "after": os.getloadavg()},
            "protocol": {"rounds": arguments.rounds, "runs": arguments.runs, "block_ms": arguments.block_ms},
            "rows": rows,
        }
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


if __name__ == "__main__":
    sys.exit(main())
