"""What the comparisons with the Keras tutorial share: options, both programs, and rounds in a random order."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from common import Finished, images_in, run_program, subset, told, write_result

from edgekit.errors import EdgekitError
from edgekit.registry import BACKBONES

AUGMENT = {"rotation": 15, "zoom": 0.1, "shift": 0.05, "flip": "horizontal"}
TUTORIAL = Path(__file__).with_name("keras_tutorial.py")

Runs = dict[str, list[dict[str, Any]]]
"""What each program measured, round by round."""


def options(description: str | None, *, epochs: int, epochs_help: str) -> argparse.ArgumentParser:
    """The options of every comparison."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled images")
    parser.add_argument("--backbone", choices=BACKBONES, default="mobilenetv2")
    parser.add_argument("--weights", default="none", help="none or a Keras weights file of the backbone")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--limit", type=int, help="training images per class")
    parser.add_argument("--epochs", type=int, default=epochs, help=epochs_help)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment-in", choices=["model", "map"], default="model", help="where the tutorial augments")
    parser.add_argument("--tutorial-cache", action="store_true", help="let the tutorial keep decoded images in memory")
    parser.add_argument("--out", type=Path, help="write the raw times and the ratios as JSON")
    return parser


def train_by_edgekit(
    folder: Path, work: Path, arguments: argparse.Namespace, strategy: str, settings: Mapping[str, object]
) -> Finished:
    """`edgekit train` from a cold cache, on the CPU and without early stopping; the run is ``work/run``."""
    own = {"train.early_stopping.enabled": "false", "train.device": "cpu", "train.batch_size": arguments.batch_size}
    changed = [text for key, value in {**own, **settings}.items() for text in ("--set", f"{key}={value}")]
    return run_program(
        [
            *("-m", "edgekit", "train", "--data", str(folder), "--run", str(work / "run"), "--json", "--quiet"),
            *("--backbone", arguments.backbone, "--weights", arguments.weights, "--strategy", strategy),
            *("--image-size", str(arguments.image_size), *changed),
        ],
        {"EDGEKIT_CACHE": str(work / "cache"), "KERAS_BACKEND": "tensorflow"},
    )


def fine_tuning_settings(arguments: argparse.Namespace) -> dict[str, object]:
    """Settings of a fine-tuning whose first phase is as short as it can be."""
    return {f"train.augment.{key}": value for key, value in AUGMENT.items()} | {
        "train.feature_extraction.epochs": 1,
        "train.feature_extraction.views": 1,
        "train.fine_tuning.epochs": arguments.epochs,
    }


def fine_tuning_epochs_ns(work: Path) -> list[int]:
    """The training time of each epoch of fine-tuning of the run ``work/run``."""
    rows = [line.split(",") for line in (work / "run" / "history.csv").read_text().splitlines()]
    seconds = rows[0].index("seconds")
    return [round(float(row[seconds]) * 1e9) for row in rows[1:] if row[0] == "fine-tuning"]


def train_by_tutorial(folder: Path, arguments: argparse.Namespace, **settings: object) -> Finished:
    """The tutorial's program. ``settings``: learning_rate, open_layers, augment, validate."""
    entry = BACKBONES[arguments.backbone]
    own = {
        "keras_class": entry.keras_class,
        "alpha": 1.0 if entry.alphas else None,
        "weights": None if arguments.weights == "none" else arguments.weights,
        "image_size": arguments.image_size,
        "batch_size": arguments.batch_size,
        "epochs": arguments.epochs,
        "augment_in": arguments.augment_in,
        "cache": arguments.tutorial_cache,
        "seed": 0,
    }
    return run_program([str(TUTORIAL), str(folder), "--settings", json.dumps({**own, **settings})])


def in_rounds(
    programs: Iterable[str], rounds: int, work: Path, run: Callable[[str, Path], dict[str, Any]], unit: str
) -> Runs:
    """Run each program once a round, in a random order and in a folder of its own; tells the times of ``unit``."""
    order, names = random.Random(0), list(programs)
    results: Runs = {name: [] for name in names}
    for number in range(rounds):
        for name in order.sample(names, len(names)):
            place = work / f"{name}-{number}"
            place.mkdir()
            found = run(name, place)
            results[name].append(found)
            times = found[unit] if isinstance(found[unit], list) else [found[unit]]
            print(f"round {number + 1}, {name}: {[ns // 10**6 for ns in times]} ms", file=sys.stderr)
    return results


def compare(
    name: str,
    arguments: argparse.Namespace,
    measure: Callable[[Path, Path], Runs],
    report: Callable[[Runs, dict[str, int]], dict[str, Any]],
    test_per_class: int | None,
) -> int:
    """Make the subset of the images, ``measure`` on it, ``report``, and write the result; the exit code.

    ``measure`` takes the folder of images and a working folder; ``report`` the runs and the images of each split.
    """
    settings = {key: value if not isinstance(value, Path) else value.name for key, value in vars(arguments).items()}
    settings["weights"] = Path(arguments.weights).name
    before = os.getloadavg()
    try:
        with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as work:
            folder = subset(arguments.data, Path(work) / "images", arguments.limit, test_per_class)
            images = {split: images_in(folder / split) for split in ("train", "val", "test")}
            document = report(measure(folder, Path(work)), images)
    except EdgekitError as error:
        return told(error)
    about = {"settings": settings, "augment": AUGMENT, "images": images, "load_average_before": before}
    write_result(arguments.out, name, {**about, **document})
    return 0
