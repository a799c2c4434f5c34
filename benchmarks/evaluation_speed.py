"""How long a file takes to score a folder of images: all cores on images of their own, against a one-by-one loop.

    python benchmarks/evaluation_speed.py MODEL... --data DIR --out benchmarks/results/evaluation_speed.json

Each loop decodes an image, classifies it and takes the next: with one thread in the runtime, and with all cores in it.
edgekit's side is the verb ``accuracy`` of the device program, in the same process. Models are open before the clock
starts. Every round runs the three in a random order on the same images; the predictions must be equal.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import sys
import time
from collections.abc import Callable
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
PROGRAMS = {"edgekit": "every core its own images", "loop": "loop, 1 thread", "threads": "loop, all threads"}


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


def measure(model: str, paths: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    scaling = parse_scaling(arguments.scaling) if arguments.scaling else None
    entry = JobModel(model, model, scaling=scaling, activation="none")
    loop, threads = (Classifier(entry, entry.open(n)) for n in (1, 0))
    pools = streams.open_pools([entry], all_cores())
    programs: dict[str, Callable[[], np.ndarray]] = {
        "edgekit": lambda: by_streams(entry, pools, paths),
        "loop": lambda: one_by_one(loop, paths),
        "threads": lambda: one_by_one(threads, paths),
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
    return {
        "model": Path(model).parent.name or Path(model).name,
        "runtime": loop.model.runtime,
        "ns": times,
        "ratio_to_loop": ratio_of(times["loop"], times["edgekit"]).document(),
        "ratio_to_threads": ratio_of(times["threads"], times["edgekit"]).document(),
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
        ratios = [ratio_of(row["ns"][name], row["ns"]["edgekit"]) for name in ("loop", "threads")]
        per_image = min(row["ns"]["edgekit"]) / len(paths) / 1e6
        table.append([row["model"], row["runtime"], f"{per_image:.2f}", *map(ratio_text, ratios)])
    show(["model", "runtime", "ms/image", "against 1 thread", "against all threads"], table, right=(2, 3, 4))
    document = {"goal": GOAL, "cores": all_cores(), "images": len(paths), "load_average_before": before, "rows": rows}
    write_result(arguments.out, "evaluation_speed", document)
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
