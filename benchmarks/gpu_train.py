"""Trains three backbones by both strategies on a GPU, with JAX and no TensorFlow, and brings the networks back.

    python benchmarks/gpu_train.py --data brain-tumor-mri --out gpu
    python benchmarks/gpu_train.py --data brain-tumor-mri --out proof --device cpu --limit 8 --image-size 64 --epochs 2

Every run is ``edgekit train`` in a process of its own under KERAS_BACKEND=jax, with the recipe brain-tumor-mri but
every epoch augmented anew; fine-tuning begins at the feature extraction of its backbone. Prints images/s and step time
over the epochs after each stage's first (which compiles), and the peak of JAX's device memory (on a CPU: resident
memory of the process).
OUT gets BACKBONE-STRATEGY.keras, .run.json and .history.csv, and gpu_train.json. A GPU that is not found is an error.
Afterwards, where there is TensorFlow: ``edgekit export`` on a run folder.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import resource
import runpy
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import run_program, show, subset, told, write_result

from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.registry import BACKBONES

STRATEGIES = ("feature-extraction", "fine-tuning")
MEASURING = "--measure-memory"
"""First argument of the process that trains: the rest is a command line of edgekit."""


def train_here(record: Path, arguments: list[str]) -> None:
    """``python -m edgekit ARGUMENTS``, and what memory it took in ``record``."""
    sys.argv = ["edgekit", *arguments]
    try:
        runpy.run_module("edgekit", run_name="__main__")
    finally:
        import jax

        device = jax.devices()[0]
        statistics_of = device.memory_stats() or {}
        memory = {
            "device": device.device_kind,
            "peak_device_bytes": statistics_of.get("peak_bytes_in_use"),
            "device_limit_bytes": statistics_of.get("bytes_limit"),
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "tensorflow_imported": "tensorflow" in sys.modules,
        }
        record.write_text(json.dumps(memory))


def train(
    backbone: str, strategy: str, folder: Path, work: Path, weights: dict[str, str], arguments: argparse.Namespace
) -> dict[str, Any]:
    """One run; its figures for the table and the files of :func:`collect` in OUT."""
    run, record = RunFolder(work / f"{backbone}-{strategy}"), work / "memory.json"
    settings = {
        "train.device": arguments.device,
        "train.precision": arguments.precision,
        "train.batch_size": arguments.batch_size,
        "data.image_size": arguments.image_size,
        "train.fine_tuning.views": "null",
        "train.feature_extraction.views": "null",  # every epoch augmented anew and sent through the backbone
    }
    if strategy == "fine-tuning" and "feature-extraction" in arguments.strategies:
        settings["train.start_from"] = work / f"{backbone}-feature-extraction"
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    if arguments.epochs is not None:
        options += ["--epochs", str(arguments.epochs)]
    finished = run_program(
        [
            *(__file__, MEASURING, str(record), "train", "brain-tumor-mri", "--data", str(folder)),
            *("--backbone", backbone, "--strategy", strategy, "--weights", weights.get(backbone, "none")),
            *("--run", str(run.path), "--json", "--quiet", *options),
        ],
        {"KERAS_BACKEND": "jax", "EDGEKIT_CACHE": str(work / "cache")},
    )
    collect(run, arguments.out)
    return {
        "backbone": backbone,
        "strategy": strategy,
        "accuracy": finished.document["accuracy"],
        "wall_ns": finished.wall_ns,
        "stage": steady_state(run, strategy, arguments.batch_size),
        "run": {key: finished.document[key] for key in ("stages", "timing", "model", "weights", "environment")},
        "memory": json.loads(record.read_text()),
    }


def steady_state(run: RunFolder, stage: str, batch_size: int) -> dict[str, Any]:
    """Images/s and step time of a stage: the median epoch, without the first one."""
    with run.history.open(newline="", encoding="utf-8") as stream:
        rates = [float(row["images_per_second"]) for row in csv.DictReader(stream) if row["stage"] == stage]
    rate = statistics.median(rates[1:] or rates)
    return {"images_per_second": rate, "step_ms": 1e3 * batch_size / rate, "epochs_images_per_second": rates}


def collect(run: RunFolder, out: Path) -> None:
    """The network and the records of a run, flat in ``out``."""
    for file in (run.model, run.run_json, run.history):
        suffix = file.suffix if file == run.model else f".{file.name}"
        shutil.copyfile(file, out / f"{run.path.name}{suffix}")


def report(results: list[dict[str, Any]]) -> None:
    rows = []
    for result in results:
        memory = result["memory"]
        peak = memory["peak_device_bytes"] or memory["peak_rss_bytes"]
        rows.append(
            [
                result["backbone"],
                result["strategy"],
                f"{result['stage']['images_per_second']:.0f}",
                f"{result['stage']['step_ms']:.1f}",
                f"{peak / 1e9:.2f}" + ("" if memory["peak_device_bytes"] else " RSS"),
                f"{result['wall_ns'] / 1e9:.0f}",
                f"{result['accuracy']:.3f}",
            ]
        )
    show(["backbone", "strategy", "images/s", "step ms", "peak GB", "wall s", "test"], rows, right=(2, 3, 4, 5, 6))


def weights_of(texts: list[str]) -> dict[str, str]:
    """``["mobilenetv2=FILE"]`` as a table."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    for name, file in pairs.items():
        if name not in BACKBONES or not file:
            raise InputError("--weights takes BACKBONE=FILE", where=f"{name}={file}")
    return pairs


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled images")
    parser.add_argument("--out", type=Path, required=True, help="folder for the networks and the figures")
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=["vgg16", "resnet50v2", "mobilenetv2"])
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--weights", nargs="+", default=[], metavar="BACKBONE=FILE", help="others: random weights")
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--precision", choices=["float32", "mixed_float16", "mixed_bfloat16"], default="float32")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, help="of every stage (default: as in the recipe)")
    parser.add_argument("--limit", type=int, help="images per class in each split (default: all)")
    return parser.parse_args()


def main() -> int:
    if sys.argv[1:2] == [MEASURING]:
        train_here(Path(sys.argv[2]), sys.argv[3:])
        return 0
    arguments = parse()
    settings = {key: value.name if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    settings["tensorflow_installed"] = importlib.util.find_spec("tensorflow") is not None
    arguments.out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    try:
        weights = weights_of(arguments.weights)
        with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as name:
            work = Path(name)
            folder = arguments.data
            if arguments.limit is not None:
                folder = subset(arguments.data, work / "images", arguments.limit, arguments.limit)
            for backbone in arguments.backbones:
                for strategy in sorted(arguments.strategies):
                    results.append(train(backbone, strategy, folder.absolute(), work, weights, arguments))
                    print(f"{backbone}, {strategy}: {results[-1]['wall_ns'] / 1e9:.0f} s", file=sys.stderr)
                    write_result(
                        arguments.out / "gpu_train.json", "gpu_train", {"settings": settings, "results": results}
                    )
    except EdgekitError as error:
        return told(error)
    print(f"{results[0]['memory']['device']}, {arguments.precision}, batch {arguments.batch_size}\n")
    report(results)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
