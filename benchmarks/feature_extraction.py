"""Wall time of feature extraction: edgekit against the Keras tutorial with a frozen backbone, for the same epochs.

    python benchmarks/feature_extraction.py --data ../shared/data/brain-tumor-mri --limit 100 --out features.json

Whole programs are timed, from the start of the interpreter to the tested model: imports, decoding (edgekit's cache
is cold), training with validation after every epoch, test. Without augmentation edgekit computes the features once;
with it either once for each of three views of the training images, or anew in every epoch as the tutorial has to.
Every round runs all programs in a random order.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from common import images_in, ratio_of, ratio_text, run_program, show, subset, told, tutorial_parser, write_result

from edgekit.errors import EdgekitError
from edgekit.registry import BACKBONES

AUGMENT = {"rotation": 15, "zoom": 0.1, "shift": 0.05, "flip": "horizontal"}
VIEWS = 3
TUTORIAL = Path(__file__).with_name("keras_tutorial.py")
PROGRAMS = {
    "tutorial": "tutorial, plain",
    "edgekit": "edgekit, plain",
    "tutorial-augmented": "tutorial, augmented",
    "edgekit-views": f"edgekit, {VIEWS} views",
    "edgekit-augmented": "edgekit, every epoch anew",
}


def edgekit(name: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One feature extraction by the command line."""
    settings: dict[str, Any] = {"train.early_stopping.enabled": "false", "train.device": "cpu"}
    if name != "edgekit":
        settings |= {f"train.augment.{key}": value for key, value in AUGMENT.items()}
    if name == "edgekit-views":
        settings["train.feature_extraction.views"] = VIEWS
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    finished = run_program(
        [
            *("-m", "edgekit", "train", "--data", str(folder), "--run", str(work / "run"), "--json", "--quiet"),
            *("--backbone", arguments.backbone, "--weights", arguments.weights, "--strategy", "feature-extraction"),
            *("--image-size", str(arguments.image_size), "--epochs", str(arguments.epochs), *options),
        ],
        {"EDGEKIT_CACHE": str(work / "cache"), "KERAS_BACKEND": "tensorflow"},
    )
    return {"wall_ns": finished.wall_ns, "accuracy": finished.document["accuracy"]}


def tutorial(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The same by the tutorial's program."""
    settings = {
        "keras_class": BACKBONES[arguments.backbone].keras_class,
        "alpha": 1.0 if BACKBONES[arguments.backbone].alphas else None,
        "weights": None if arguments.weights == "none" else arguments.weights,
        "image_size": arguments.image_size,
        "batch_size": 32,
        "epochs": arguments.epochs,
        "learning_rate": 3e-4,
        "open_layers": 0,
        "augment": AUGMENT if name.endswith("augmented") else None,
        "augment_in": arguments.augment_in,
        "cache": arguments.tutorial_cache,
        "validate": True,
        "seed": 0,
    }
    finished = run_program([str(TUTORIAL), str(folder), "--settings", json.dumps(settings)])
    return {"wall_ns": finished.wall_ns, "accuracy": finished.document["accuracy"]}


def measure(folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    order = random.Random(0)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in PROGRAMS}
    for number in range(arguments.rounds):
        for name in order.sample(list(PROGRAMS), len(PROGRAMS)):
            place = work / f"{name}-{number}"
            place.mkdir()
            run = edgekit(name, folder, place, arguments) if "edgekit" in name else tutorial(name, folder, arguments)
            results[name].append(run)
            print(f"round {number + 1}, {PROGRAMS[name]}: {run['wall_ns'] / 1e9:.1f} s", file=sys.stderr)
    return results


def report(results: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The table and the ratios: time of the tutorial over time of edgekit."""
    rows, ratios = [], []
    for name, runs in results.items():
        rival = "tutorial" if name in ("edgekit", "tutorial") else "tutorial-augmented"
        ratio = ratio_of([run["wall_ns"] for run in results[rival]], [run["wall_ns"] for run in runs])
        wall = f"{mean(run['wall_ns'] for run in runs) / 1e9:.1f}"
        rows.append(
            [
                PROGRAMS[name],
                wall,
                "" if name == rival else ratio_text(ratio),
                f"{mean(run['accuracy'] for run in runs):.3f}",
            ]
        )
        if name != rival:
            ratios.append({"program": name, "against": rival, **ratio.document()})
    show(["program", "wall s", "times as fast", "test accuracy"], rows, right=(1, 2, 3))
    return ratios


def main() -> int:
    parser = tutorial_parser(__doc__, epochs=10, epochs_help="of every program")
    arguments = parser.parse_args()
    settings = {key: value if not isinstance(value, Path) else value.name for key, value in vars(arguments).items()}
    try:
        with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as work:
            folder = subset(arguments.data, Path(work) / "images", arguments.limit, arguments.limit)
            counts = {split: images_in(folder / split) for split in ("train", "val", "test")}
            results = measure(folder, Path(work), arguments)
            print(
                ", ".join(f"{count} {split}" for split, count in counts.items()), f"images, {arguments.epochs} epochs\n"
            )
            ratios = report(results)
    except EdgekitError as error:
        return told(error)
    document = {"settings": settings, "augment": AUGMENT, "images": counts, "ratios": ratios, "runs": results}
    write_result(arguments.out, "feature_extraction", document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
