"""Measures training on a GPU under JAX: epochs against the bare step, a whole command, a whole study, both precisions.

    python benchmarks/gpu_train.py --data brain-tumor-mri --out gpu --seconds 540
    python benchmarks/gpu_train.py --out proof --device cpu --synthetic 48 --image-size 32 --epochs 2 --study-epochs 2

Every run is ``edgekit train`` in a process of its own, with the recipe brain-tumor-mri. For VGG16 and MobileNetV2 (the
last stage) and ResNet50V2 (from scratch):

``epochs``  ``edgekit train`` with an empty compile cache: the images/s of the epochs after the first, and the time of
            everything after compiling against that of the epochs. Every epoch augments anew and computes every layer.
``step``    the same step alone, compiled by itself, in a loop on one batch that is on the device.
``study``   three backbones by both strategies with the recipe as it is, ``--jobs`` backbones at a time, all caches
            empty.
``again``   the part ``epochs`` once more with what it has compiled, for the wall time of a second run. Only measured by
            the command that measures ``epochs``, because the compile cache ends with the command.

The parts are measured for each of ``--precisions``. What has been measured is written to OUT/gpu_train.json after each
part; ``--seconds`` ends the benchmark before a part that would not end in time, and the same command with the same OUT
measures what is missing. Without ``--data``, images of noise are drawn.
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
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import Finished, run_program, show, subset, told, write_result

from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.registry import BACKBONES

PARTS = ("epochs", "step", "study", "again")
WAYS = {"vgg16": "fine-tuning", "resnet50v2": "from-scratch", "mobilenetv2": "fine-tuning"}
STUDY = ("feature-extraction", "fine-tuning")
MEASURING = "--measure-memory"
"""First argument of a process that this program starts."""
STEP = Path(__file__).with_name("gpu_step.py")
SETUP = ("import", "data", "build", "compile")
"""Parts of the profile that do not belong to training itself."""


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


def edgekit_train(
    run: RunFolder,
    folder: Path,
    backbone: str,
    strategy: str,
    settings: dict[str, Any],
    arguments: argparse.Namespace,
    cache: Path,
    weights: str = "none",
) -> dict[str, Any]:
    """One run of ``edgekit train``: its document, its wall time and its memory."""
    record = run.path.with_suffix(".memory.json")
    settings = {
        "train.device": arguments.device,
        "train.batches": "device",
        "train.batch_size": arguments.batch_size,
        "data.image_size": arguments.image_size,
        **settings,
    }
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    finished: Finished = run_program(
        [
            *(__file__, MEASURING, str(record), "train", "brain-tumor-mri", "--data", str(folder)),
            *("--backbone", backbone, "--strategy", strategy, "--weights", weights),
            *("--run", str(run.path), "--json", "--quiet", *options),
        ],
        {"KERAS_BACKEND": "jax", "EDGEKIT_CACHE": str(cache)},
        left(arguments),
    )
    rows = list(csv.DictReader(run.history.read_text().splitlines()))
    return {
        "wall_ns": finished.wall_ns,
        "accuracy": finished.document["accuracy"],
        "profile": finished.document["timing"]["profile"],
        "stages": finished.document["stages"],
        "environment": finished.document["environment"],
        "epoch_images_per_second": {
            stage: [float(row["images_per_second"]) for row in rows if row["stage"] == stage]
            for stage in dict.fromkeys(row["stage"] for row in rows)
        },
        "memory": json.loads(record.read_text()),
    }


def train_way(name: str, key: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """``edgekit train`` as the part ``epochs`` measures it."""
    backbone, _, precision = key.partition("/")
    settings = {
        "train.precision": precision,
        "train.feature_extraction.epochs": 1,
        "train.feature_extraction.views": 1,
        "train.fine_tuning.epochs": arguments.epochs,
        "train.fine_tuning.views": "null",
        "train.from_scratch.epochs": arguments.epochs,
        "train.early_stopping.enabled": "false",
    }
    run = RunFolder(work / f"{backbone}-{precision}-{name}")
    found = edgekit_train(run, folder, backbone, WAYS[backbone], settings, arguments, work / "cache")
    shutil.rmtree(run.path)
    return found


def step_alone(key: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The bare step, in a process of its own."""
    backbone, _, precision = key.partition("/")
    settings = {
        "backbone": backbone,
        "strategy": WAYS[backbone],
        "precision": precision,
        "image_size": arguments.image_size,
        "batch_size": arguments.batch_size,
        "device": arguments.device,
    }
    environment = {"KERAS_BACKEND": "jax", "EDGEKIT_CACHE": str(work / "cache")}
    found = run_program([str(STEP), json.dumps(settings)], environment, left(arguments)).document
    return {**found, "images_per_second": 1e9 * arguments.batch_size / statistics.median(found["step_ns"])}


def epochs_part(name: str, key: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """``edgekit train`` and what follows from its profile."""
    found = train_way(name, key, folder, work, arguments)
    rates = found["epoch_images_per_second"][WAYS[key.partition("/")[0]]]
    profile = found["profile"]
    # What trains the network: steps, and for feature extraction the outputs of the frozen layers.
    training = sum(profile[f"{part}_seconds"] for part in ("features", "input", "step"))
    after = sum(value for part, value in profile.items() if part.removesuffix("_seconds") not in SETUP)
    return {
        **found,
        "images_per_second": statistics.median(rates[1:] or rates),
        "after_compiling_seconds": after,
        "epoch_seconds": training,
    }


def study_part(
    precision: str, folder: Path, work: Path, weights: dict[str, str], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Three backbones by both strategies, from empty caches; fine-tuning begins at the feature extraction."""
    cache = work / f"study-cache-{precision}"

    def of_backbone(backbone: str) -> list[dict[str, Any]]:
        cells = []
        for strategy in STUDY:
            run = RunFolder(work / f"{backbone}-{strategy}-{precision}")
            settings: dict[str, Any] = {"train.precision": precision}
            if strategy == "fine-tuning":
                settings["train.start_from"] = work / f"{backbone}-feature-extraction-{precision}"
            if arguments.study_epochs is not None:
                for stage in ("feature_extraction", "fine_tuning"):
                    settings[f"train.{stage}.epochs"] = arguments.study_epochs
            source = weights.get(backbone, "none")
            found = edgekit_train(run, folder, backbone, strategy, settings, arguments, cache, source)
            cells.append({"backbone": backbone, "strategy": strategy, "weights": Path(source).name, **found})
        return cells

    started = time.perf_counter_ns()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        cells = [cell for found in pool.map(of_backbone, arguments.backbones) for cell in found]
    return {"wall_ns": time.perf_counter_ns() - started, "jobs": arguments.jobs, "cells": cells}


def left(arguments: argparse.Namespace) -> float:
    """Seconds until the benchmark has to end."""
    return float(max(arguments.deadline - time.monotonic(), 1.0))


def report(results: dict[str, Any]) -> None:
    """The tables of what has been measured."""
    rows = []
    for key in dict.fromkeys([*results["epochs"], *results["step"], *results["again"]]):
        epochs, step, again = (results[part].get(key) for part in ("epochs", "step", "again"))
        latest = again or epochs
        memory = latest["memory"] if latest else {}
        peak = memory.get("peak_device_bytes") or memory.get("peak_rss_bytes")
        rows.append(
            [
                *key.split("/"),
                f"{epochs['images_per_second']:.0f}" if epochs else "-",
                f"{step['images_per_second']:.0f}" if step else "-",
                f"{epochs['images_per_second'] / step['images_per_second']:.2f}" if epochs and step else "-",
                f"{latest['epoch_seconds']:.1f}" if latest else "-",
                f"{latest['after_compiling_seconds'] / latest['epoch_seconds']:.2f}" if latest else "-",
                f"{epochs['profile']['compile_seconds']:.0f}" if epochs else "-",
                f"{epochs['wall_ns'] / 1e9:.0f}" if epochs else "-",
                f"{again['wall_ns'] / 1e9:.0f}" if again else "-",
                f"{peak / 1e9:.1f}" if peak else "-",
            ]
        )
    headers = ["backbone", "precision", "images/s", "bare step", "share", "epochs s", "x epochs", "compile s"]
    show([*headers, "wall s", "again s", "peak GB"], rows, right=tuple(range(2, 11)))
    profiles = [(key, part, results[part][key]["profile"]) for part in ("epochs", "again") for key in results[part]]
    if profiles:
        print()
        names = [name.removesuffix("_seconds") for name in profiles[0][2]]
        seconds = [[key, part, *(f"{value:.1f}" for value in profile.values())] for key, part, profile in profiles]
        show(["profile", "part", *names], seconds, right=tuple(range(2, 2 + len(names))))
    for precision, study in results["study"].items():
        seconds = study["wall_ns"] / 1e9
        print(f"\nstudy, {precision}: {seconds:.0f} s for {len(study['cells'])} cells, {study['jobs']} at a time")
        cells = [
            [
                cell["backbone"],
                cell["strategy"],
                cell["weights"],
                f"{cell['wall_ns'] / 1e9:.0f}",
                f"{cell['profile']['compile_seconds']:.0f}",
                f"{cell['accuracy']:.3f}",
            ]
            for cell in study["cells"]
        ]
        show(["backbone", "strategy", "weights", "wall s", "compile s", "test"], cells, right=(3, 4, 5))


def noise_images(folder: Path, per_class: int, image_size: int) -> Path:
    """JPEG files of noise in four classes, three quarters of them for training."""
    import numpy as np
    from PIL import Image

    def write(number: int) -> None:
        random = np.random.default_rng(number)
        pixels = random.integers(0, 256, (image_size, image_size, 3)).astype(np.uint8)
        split = "Testing" if number // 4 % 4 == 3 else "Training"
        file = folder / split / f"class{number % 4}" / f"{number:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=80)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(4 * per_class)))
    return folder


def weights_of(texts: list[str]) -> dict[str, str]:
    """``["mobilenetv2=FILE"]`` as a table."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    for name, file in pairs.items():
        if name not in BACKBONES or not file:
            raise InputError("--weights takes BACKBONE=FILE", where=f"{name}={file}")
    return {name: str(Path(file).absolute()) for name, file in pairs.items()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of labelled images (default: noise)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the figures")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--backbones", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--weights", nargs="+", default=[], metavar="BACKBONE=FILE", help="of the study; others: none")
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=8, help="of the part epochs")
    parser.add_argument("--study-epochs", type=int, help="of each phase of the study (default: as in the recipe)")
    parser.add_argument("--jobs", type=int, default=3, help="backbones that the study trains at the same time")
    parser.add_argument("--limit", type=int, help="images per class in each split (default: all)")
    parser.add_argument("--synthetic", type=int, default=1750, help="images per class without --data")
    parser.add_argument("--seconds", type=float, default=540.0, help="time for everything")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, work: Path, results: dict[str, Any], save: Any) -> None:
    """Run the parts that ``results`` lacks in turn while there is time; calls ``save`` after each."""
    weights = weights_of(arguments.weights)
    arguments.deadline = time.monotonic() + arguments.seconds
    folder = arguments.data
    if folder is None:
        folder = noise_images(work / "noise", arguments.synthetic, arguments.image_size)
    if arguments.limit is not None:
        folder = subset(folder, work / "images", arguments.limit, arguments.limit)
    folder = folder.absolute()
    plans: list[tuple[str, str, Any]] = []
    for precision in arguments.precisions:
        for key in (f"{backbone}/{precision}" for backbone in arguments.backbones):
            plans.append(("epochs", key, lambda key=key: epochs_part("epochs", key, folder, work, arguments)))
            plans.append(("step", key, lambda key=key: step_alone(key, work, arguments)))
        plans.append(("study", precision, lambda p=precision: study_part(p, folder, work, weights, arguments)))
    for key in [key for part, key, _ in plans if part == "epochs"]:
        plans.append(("again", key, lambda key=key: epochs_part("again", key, folder, work, arguments)))
    longest: dict[str, float] = {}
    compiled: set[str] = set()
    for part, key, run in plans:
        if part not in arguments.parts or key in results[part]:
            continue
        if part == "again" and key not in compiled:
            print(f"again {key}: left out, this command has not measured epochs {key}", file=sys.stderr)
            continue
        needed = longest.get(part, 0.0)
        if left(arguments) < max(needed, 10.0):
            print(f"{part} {key}: left out, {left(arguments):.0f} s are left", file=sys.stderr)
            continue
        started = time.monotonic()
        try:
            save(part, key, run())
        except EdgekitError as error:
            print(f"{part} {key}: {error}", file=sys.stderr)
            continue
        if part == "epochs":
            compiled.add(key)
        longest[part] = max(needed, time.monotonic() - started)
        print(f"{part} {key}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


VARYING = ("parts", "backbones", "precisions", "seconds")
"""Options that only choose what to measure next."""


def earlier_results(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What an earlier command has measured with the same settings, by part."""
    if not file.is_file():
        return {part: {} for part in PARTS}
    document = json.loads(file.read_text())
    differing = [key for key, value in settings.items() if key not in VARYING and document["settings"][key] != value]
    if differing:
        raise InputError(f"an earlier command had other settings: {', '.join(differing)}", where=str(file))
    return {part: document[part] for part in PARTS}


def main() -> int:
    if sys.argv[1:2] == [MEASURING]:
        train_here(Path(sys.argv[2]), sys.argv[3:])
        return 0
    arguments = parse()
    settings = {key: value.name if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    settings["weights"] = [f"{text.partition('=')[0]}={Path(text).name}" for text in arguments.weights]
    settings["tensorflow_installed"] = importlib.util.find_spec("tensorflow") is not None
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "gpu_train.json"
    try:
        results = earlier_results(file, settings)

        def save(part: str, key: str, found: Any) -> None:
            results[part][key] = found
            write_result(file, "gpu_train", {"settings": settings, **results})

        with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as name:
            measure(arguments, Path(name), results, save)
    except EdgekitError as error:
        return told(error)
    report(results)
    return 0 if any(results.values()) else 1


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
