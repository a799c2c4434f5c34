"""Images per second of training: edgekit against the plain Keras tutorial pipeline on the same images and network.

    python benchmarks/train_throughput.py --data ../shared/data/brain-tumor-mri --limit 100 --out throughput.json

edgekit: decode once into a memory map, one fused warp per image, the training step. Tutorial:
image_dataset_from_directory, RandomFlip, RandomRotation, RandomZoom and RandomTranslation layers, ``fit``
(benchmarks/keras_tutorial.py). Both train the head and the backbone's last layers (fine-tuning). Every round starts
both programs anew, in a random order; the first epoch (tracing) is left out, validation is not counted. What edgekit's
hashing and decoding cost once stands beside it.
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
OPEN_LAYERS = 30
TUTORIAL = Path(__file__).with_name("keras_tutorial.py")


def edgekit(folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One run from a cold cache: ``epoch_ns`` of fine-tuning, and what was done once before."""
    run = work / "run"
    settings = {f"train.augment.{key}": value for key, value in AUGMENT.items()} | {
        "train.feature_extraction.epochs": 1,
        "train.feature_extraction.views": 1,
        "train.fine_tuning.epochs": arguments.epochs,
        "train.fine_tuning.last_layers": OPEN_LAYERS,
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
    return {
        "epoch_ns": [round(float(row[seconds]) * 1e9) for row in rows[1:] if row[0] == "fine-tuning"],
        "once_seconds": document["timing"]["data_seconds"],
        "accuracy": document["accuracy"],
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
        "open_layers": OPEN_LAYERS,
        "augment": AUGMENT,
        "augment_in": arguments.augment_in,
        "cache": arguments.tutorial_cache,
        "validate": False,
        "seed": 0,
    }
    return run_program([str(TUTORIAL), str(folder), "--settings", json.dumps(settings)]).document


def measure(folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    order = random.Random(0)
    results: dict[str, list[dict[str, Any]]] = {"edgekit": [], "tutorial": []}
    for number in range(arguments.rounds):
        for name in order.sample(list(results), 2):
            place = work / f"{name}-{number}"
            place.mkdir()
            result = edgekit(folder, place, arguments) if name == "edgekit" else tutorial(folder, arguments)
            results[name].append(result)
            print(f"round {number + 1}, {name}: {len(result['epoch_ns'])} epochs", file=sys.stderr)
    return results


def report(results: dict[str, list[dict[str, Any]]], n_images: int) -> dict[str, Any]:
    """The table; the ratio of the time an epoch takes, tutorial over edgekit."""
    later = {name: [round(mean(run["epoch_ns"][1:])) for run in runs] for name, runs in results.items()}
    first = {name: [run["epoch_ns"][0] for run in runs] for name, runs in results.items()}
    once = f"{mean([run['once_seconds'] for run in results['edgekit']]):.1f} s"
    rows = [
        [name, f"{n_images / mean(later[name]) * 1e9:.1f}", f"{mean(first[name]) / 1e9:.1f} s", decoding]
        for name, decoding in (("edgekit", once), ("tutorial", "in every epoch"))
    ]
    show(["pipeline", "images/s", "first epoch", "decoding"], rows, right=(1, 2, 3))
    ratio = ratio_of(later["tutorial"], later["edgekit"])
    print(f"\nedgekit is {ratio_text(ratio)} times as fast ({n_images} images an epoch, {ratio.n_rounds} rounds)")
    return {"images_per_epoch": n_images, **ratio.document(), "runs": results}


def main() -> int:
    parser = tutorial_parser(__doc__, epochs=3, epochs_help="the first is not counted")
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not counted")
    settings = {key: value if not isinstance(value, Path) else value.name for key, value in vars(arguments).items()}
    try:
        with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as work:
            folder = subset(arguments.data, Path(work) / "images", arguments.limit, 2)
            n_images = images_in(folder / "train")
            document = report(measure(folder, Path(work), arguments), n_images)
    except EdgekitError as error:
        return told(error)
    write_result(arguments.out, "train_throughput", {"settings": settings, "augment": AUGMENT, **document})
    return 0


if __name__ == "__main__":
    sys.exit(main())
