"""How long a file takes to score a folder of images: all cores on images of their own, against a one-by-one loop.

    python benchmarks/evaluation_speed.py MODEL... --data DIR --out benchmarks/results/evaluation_speed.json

Each loop decodes an image, classifies it and takes the next: with one thread in the runtime, and with all cores in it.
edgekit's side is the verb ``accuracy`` of the device program, in the same process. Loops in processes of their own, one
for each core with its share of the images, are the most that the machine can do. Models are open before the clock
starts. Every round runs all of them in a random order on the same images; the predictions must be equal.
"""

from __future__ import annotations

import argparse
import base64
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from common import ratio_of, ratio_text, show, told, write_result

from edgekit.device import predictions, streams
from edgekit.device.classifier import Classifier
from edgekit.device.images import IMAGE_SUFFIXES
from edgekit.device.jobs import Job, JobModel
from edgekit.device.runtimes import all_cores
from edgekit.device.scaling import parse_scaling
from edgekit.errors import EdgekitError

GOAL = 1.9


def one_by_one(classifier: Classifier, paths: list[str]) -> np.ndarray:
    """Probabilities (N, classes), one image after another."""
    return np.stack([classifier.classify(classifier.geometry.load(path)) for path in paths])


def by_streams(entry: JobModel, pools: dict[str, streams.ClassifierPool], paths: list[str]) -> np.ndarray:
    """Probabilities (N, classes) by the verb ``accuracy``, with a model that is open already."""
    rows: list[np.ndarray] = []

    def emit(event: Any) -> None:
        if event["event"] == "predictions":
            content = base64.b64decode(event["probabilities_b64"])
            rows.append(np.frombuffer(content, "<f4").reshape(-1, event["classes"]))

    predictions.open_pools = lambda *_: pools  # type: ignore[assignment]  # it is not part of what is compared
    job = Job({"models": [], "threads": 0, "root": "", "files": paths}, [entry], all_cores())
    predictions.accuracy(job, emit)
    return np.concatenate(rows)


class Loops:
    """One process for each core, each with a one-by-one loop and the model open."""

    def __init__(self, entry: JobModel) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends = [context.Pipe() for _ in range(all_cores())]
        self._processes = [context.Process(target=loop_process, args=(entry, far)) for _, far in self._ends]
        for process in self._processes:
            process.start()

    def __call__(self, paths: list[str]) -> np.ndarray:
        count = len(self._ends)
        for i, (near, _) in enumerate(self._ends):
            near.send(paths[i::count])
        shares = [near.recv() for near, _ in self._ends]
        rows = np.empty((len(paths), shares[0].shape[1]), shares[0].dtype)
        for i, share in enumerate(shares):
            rows[i::count] = share
        return rows

    def close(self) -> None:
        for near, _ in self._ends:
            near.send(None)
        for process in self._processes:
            process.join()


def loop_process(entry: JobModel, end: Connection) -> None:
    """Run a loop over each list of paths that is received."""
    classifier = Classifier(entry, entry.open(1))
    while (paths := end.recv()) is not None:
        end.send(one_by_one(classifier, paths))


def measure(model: str, paths: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    scaling = parse_scaling(arguments.scaling) if arguments.scaling else None
    entry = JobModel(model, model, scaling=scaling, activation="none")
    loop, threads = (Classifier(entry, entry.open(n)) for n in (1, 0))
    pools = streams.open_pools([entry], all_cores())
    processes = Loops(entry)
    programs: dict[str, Callable[[], np.ndarray]] = {
        "edgekit": lambda: by_streams(entry, pools, paths),
        "loop": lambda: one_by_one(loop, paths),
        "threads": lambda: one_by_one(threads, paths),
        "processes": lambda: processes(paths),
    }
    order = random.Random(0)
    times: dict[str, list[int]] = {name: [] for name in programs}
    found: dict[str, np.ndarray] = {name: run() for name, run in programs.items()}  # warm-up
    for number in range(arguments.rounds):
        for name in order.sample(list(programs), len(programs)):
            started = time.perf_counter_ns()
            found[name] = programs[name]()
            times[name].append(time.perf_counter_ns() - started)
        print(f"round {number + 1}: {[f'{n} {t[-1] / 1e9:.2f} s' for n, t in times.items()]}", file=sys.stderr)
    processes.close()
    return {
        "model": Path(model).parent.name or Path(model).name,
        "runtime": loop.model.runtime,
        "ns": times,
        "ratio_to_loop": ratio_of(times["loop"], times["edgekit"]).document(),
        "ratio_to_threads": ratio_of(times["threads"], times["edgekit"]).document(),
        "ratio_of_processes_to_loop": ratio_of(times["loop"], times["processes"]).document(),
        "equal": bool(np.array_equal(found["edgekit"], found["loop"])),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", help=".tflite and .onnx files")
    parser.add_argument("--data", type=Path, required=True, help="folder of images")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--scaling", help="of models with a float input")
    parser.add_argument("--out", type=Path, help="write the raw times and the ratios as JSON")
    arguments = parser.parse_args()
    images = sorted(str(path) for path in arguments.data.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    paths = images[:: max(1, len(images) // arguments.images)][: arguments.images]
    before = os.getloadavg()
    try:
        rows = [measure(model, paths, arguments) for model in arguments.models]
    except EdgekitError as error:
        return told(error)
    table = []
    for row in rows:
        ns = row["ns"]
        ratios = [ratio_of(ns[name], ns["edgekit"]) for name in ("loop", "threads")]
        ratios.append(ratio_of(ns["loop"], ns["processes"]))
        per_image = min(row["ns"]["edgekit"]) / len(paths) / 1e6
        table.append([row["model"], row["runtime"], f"{per_image:.2f}", *map(ratio_text, ratios)])
    show(
        ["model", "runtime", "ms/image", "against 1 thread", "against all threads", "processes"],
        table,
        right=(2, 3, 4, 5),
    )
    document = {"goal": GOAL, "cores": all_cores(), "images": len(paths), "load_average_before": before, "rows": rows}
    write_result(arguments.out, "evaluation_speed", document)
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
