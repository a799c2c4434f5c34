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
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from common import ratio_of, ratio_text, show
from tutorial_comparison import (
    AUGMENT,
    Runs,
    compare,
    fine_tuning_epochs_ns,
    fine_tuning_settings,
    in_rounds,
    options,
    train_by_edgekit,
    train_by_tutorial,
)

OPEN_LAYERS = 30


def run(name: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One fine-tuning of either program: ``epoch_ns``, and what edgekit did once before."""
    if name == "tutorial":
        return train_by_tutorial(
            folder, arguments, learning_rate=1e-4, open_layers=OPEN_LAYERS, augment=AUGMENT, validate=False
        ).document
    settings = fine_tuning_settings(arguments) | {"train.fine_tuning.last_layers": OPEN_LAYERS}
    document = train_by_edgekit(folder, work, arguments, "fine-tuning", settings).document
    return {
        "epoch_ns": fine_tuning_epochs_ns(work),
        "once_seconds": document["timing"]["data_seconds"],
        "accuracy": document["accuracy"],
    }


def report(results: Runs, images: dict[str, int]) -> dict[str, Any]:
    """The table; the ratio of the time an epoch takes, tutorial over edgekit."""
    n_images = images["train"]
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
    parser = options(__doc__, epochs=3, epochs_help="the first is not counted")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not counted")

    def measure(folder: Path, work: Path) -> Runs:
        names = ("edgekit", "tutorial")
        return in_rounds(
            names, arguments.rounds, work, lambda name, place: run(name, folder, place, arguments), "epoch_ns"
        )

    return compare("train_throughput", arguments, measure, report, test_per_class=2)


if __name__ == "__main__":
    sys.exit(main())
