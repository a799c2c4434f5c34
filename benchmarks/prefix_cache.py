"""Images per second of fine-tuning: stored outputs of the frozen layers, every layer in each step, the Keras tutorial.

    python benchmarks/prefix_cache.py --data ../shared/data/brain-tumor-mri --backbone vgg16 --limit 40 \
        --weights ../shared/weights/vgg16_imagenet_notop.weights.h5 --out prefix_cache.json

All three train the head and the last stage of the backbone on the same augmented images. Every round starts each
program anew, in a random order. The first epoch (tracing) is left out and validation is not counted. The time to store
the outputs once is printed beside it, and counts in the ratios for a whole phase of 10 epochs.
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
TUTORIAL = Path(__file__).with_name("keras_tutorial.py")
PROGRAMS = {
    "stored": "edgekit, stored outputs",
    "every-layer": "edgekit, every layer",
    "tutorial": "Keras tutorial",
}
PHASE_EPOCHS, PHASE_VIEWS = 10, 3
"""The phase that the time to store the outputs is set against: epochs and views of the recipe brain-tumor-mri."""


def edgekit(name: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One run from a cold cache: training time of each epoch of fine-tuning, and the time to store the outputs."""
    run = work / "run"
    settings = {f"train.augment.{key}": value for key, value in AUGMENT.items()} | {
        "train.feature_extraction.epochs": 1,
        "train.feature_extraction.views": 1,
        "train.fine_tuning.epochs": arguments.epochs,
        "train.fine_tuning.last_stage": "true",
        "train.fine_tuning.check_learning_rate": "false",
        "train.fine_tuning.views": 1 if name == "stored" else "null",
        "train.early_stopping.enabled": "false",
        "train.device": "cpu",
    }
    options = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    document = run_program(
        [
            *("-m", "edgekit", "train", "--data", str(folder), "--run", str(run), "--json", "--quiet"),
            *("--backbone", arguments.backbone, "--weights", arguments.weights, "--strategy", "fine-tuning"),
            *("--image-size", str(arguments.image_size), "--batch-size", str(arguments.batch_size), *options),
        ],
        {"EDGEKIT_CACHE": str(work / "cache"), "KERAS_BACKEND": "tensorflow"},
    ).document
    rows = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    seconds = rows[0].index("seconds")
    phase = document["stages"][1]
    return {
        "epoch_ns": [round(float(row[seconds]) * 1e9) for row in rows[1:] if row[0] == "fine-tuning"],
        "store_ns": round((phase["feature_seconds"] or 0.0) * 1e9),
        "stored_layer": phase["stored_layer"],
        "open_layers": len(phase["opened_layers"]),
    }


def tutorial(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One run of the tutorial's program."""
    settings = {
        "keras_class": BACKBONES[arguments.backbone].keras_class,
        "alpha": 1.0 if BACKBONES[arguments.backbone].alphas else None,
        "weights": None if arguments.weights == "none" else arguments.weights,
        "image_size": arguments.image_size,
        "batch_size": arguments.batch_size,
        "epochs": arguments.epochs,
        "learning_rate": 1e-4,
        "open_layers": last_stage_layers(arguments.backbone),
        "augment": AUGMENT,
        "augment_in": arguments.augment_in,
        "cache": arguments.tutorial_cache,
        "validate": False,
        "seed": 0,
    }
    return run_program([str(TUTORIAL), str(folder), "--settings", json.dumps(settings)]).document


def last_stage_layers(backbone: str) -> int:
    """How many layers of Keras the last stage has."""
    layers = run_program(["-m", "edgekit", "list", "backbones", "--layers", backbone, "--json"]).document["layers"]
    return sum(layer["last_stage"] for layer in layers)


def measure(folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    order = random.Random(0)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in PROGRAMS}
    for number in range(arguments.rounds):
        for name in order.sample(list(PROGRAMS), len(PROGRAMS)):
            place = work / f"{name}-{number}"
            place.mkdir()
            run = tutorial(folder, arguments) if name == "tutorial" else edgekit(name, folder, place, arguments)
            results[name].append(run)
            print(f"round {number + 1}, {name}: {[ns // 10**6 for ns in run['epoch_ns']]} ms", file=sys.stderr)
    return results


def report(results: dict[str, list[dict[str, Any]]], images: dict[str, int]) -> dict[str, Any]:
    """The table and the ratios: time of an epoch, and of a phase with the storing, over those with stored outputs."""
    epoch = {name: [round(mean(run["epoch_ns"][1:])) for run in runs] for name, runs in results.items()}
    of_view = [run["store_ns"] * images["train"] / (images["train"] + images["val"]) for run in results["stored"]]
    of_val = [run["store_ns"] - ns for run, ns in zip(results["stored"], of_view)]
    phase = {name: [PHASE_EPOCHS * ns for ns in values] for name, values in epoch.items()}
    phase["stored"] = [round(ns + PHASE_VIEWS * view + val) for ns, view, val in zip(phase["stored"], of_view, of_val)]
    rows, ratios = [], []
    for name, title in PROGRAMS.items():
        steady, whole = ratio_of(epoch[name], epoch["stored"]), ratio_of(phase[name], phase["stored"])
        texts = ["", ""] if name == "stored" else [ratio_text(steady), ratio_text(whole)]
        rows.append([title, f"{images['train'] / mean(epoch[name]) * 1e9:.1f}", *texts])
        if name != "stored":
            ratios.append({"against": name, "epoch": steady.document(), "phase": whole.document()})
    show(["pipeline", "images/s", "stored is faster", f"phase of {PHASE_EPOCHS} epochs"], rows, right=(1, 2, 3))
    once = mean(of_view) / 1e9
    print(f"\nStoring one view of {images['train']} images takes {once:.1f} s; the phase has {PHASE_VIEWS} views.")
    return {"ratios": ratios, "runs": results}


def main() -> int:
    parser = tutorial_parser(__doc__, epochs=3, epochs_help="the first is not counted")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.set_defaults(backbone="vgg16")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not counted")
    settings = {key: value if not isinstance(value, Path) else value.name for key, value in vars(arguments).items()}
    settings["weights"] = Path(arguments.weights).name
    try:
        with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as work:
            folder = subset(arguments.data, Path(work) / "images", arguments.limit, 2)
            images = {split: images_in(folder / split) for split in ("train", "val")}
            document = report(measure(folder, Path(work), arguments), images)
    except EdgekitError as error:
        return told(error)
    phase = {"epochs": PHASE_EPOCHS, "views": PHASE_VIEWS}
    write_result(
        arguments.out,
        "prefix_cache",
        {"settings": settings, "augment": AUGMENT, "images": images, "phase": phase, **document},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
