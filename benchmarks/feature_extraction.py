"""Wall time of feature extraction: edgekit against the Keras tutorial with a frozen backbone, for the same epochs.

    python benchmarks/feature_extraction.py --data ../shared/data/brain-tumor-mri --limit 100 --out features.json

Whole programs are timed, from the start of the interpreter to the tested model: imports, decoding (edgekit's cache
is cold), training with validation after every epoch, test. Without augmentation edgekit computes the features once;
with it either once for each of three views of the training images, or anew in every epoch as the tutorial has to.
Every round runs all programs in a random order.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from common import ratio_of, ratio_text, show
from tutorial_comparison import AUGMENT, Runs, compare, in_rounds, options, train_by_edgekit, train_by_tutorial

VIEWS = 3
GOAL = 8.0
PROGRAMS = {
    "tutorial": "tutorial, plain",
    "edgekit": "edgekit, plain",
    "tutorial-augmented": "tutorial, augmented",
    "edgekit-views": f"edgekit, {VIEWS} views",
    "edgekit-augmented": "edgekit, every epoch anew",
}


def run(name: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One feature extraction of either program, from start to end."""
    if "tutorial" in name:
        augment = AUGMENT if name.endswith("augmented") else None
        finished = train_by_tutorial(
            folder, arguments, learning_rate=3e-4, open_layers=0, augment=augment, validate=True
        )
    else:
        settings: dict[str, object] = {"train.feature_extraction.epochs": arguments.epochs}
        if name != "edgekit":
            settings |= {f"train.augment.{key}": value for key, value in AUGMENT.items()}
        if name == "edgekit-views":
            settings["train.feature_extraction.views"] = VIEWS
        finished = train_by_edgekit(folder, work, arguments, "feature-extraction", settings)
    return {"wall_ns": finished.wall_ns, "accuracy": finished.document["accuracy"]}


def report(results: Runs, images: dict[str, int], epochs: int) -> dict[str, Any]:
    """The table and the ratios: time of the tutorial over time of edgekit."""
    print(", ".join(f"{count} {split}" for split, count in images.items()), f"images, {epochs} epochs\n")
    rows, ratios = [], []
    for name, runs in results.items():
        rival = "tutorial" if name in ("edgekit", "tutorial") else "tutorial-augmented"
        rival = rival if rival in results else name
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
    most = {name: passes("tutorial", images, epochs) / passes(name, images, epochs) for name in results}
    for ratio in ratios:
        print(f"{PROGRAMS[ratio['program']]}: {most[ratio['program']]:.1f} times fewer passes of images")
        if ratio["program"] == "edgekit-views":
            print(f"\nGoal: {VIEWS} views at least {GOAL:g} times as fast as the tutorial; {ratio['ratio']:.2f} here.")
    return {"goal": GOAL, "ratios": ratios, "fewer_passes": most, "runs": results}


def passes(name: str, images: dict[str, int], epochs: int) -> int:
    """How many images the backbone sees: in every epoch, or once for each view; validation and test images once."""
    views = {"edgekit": 1, "edgekit-views": VIEWS}.get(name)
    if views is None:
        validations = 1 if name == "edgekit-augmented" else epochs
        return epochs * images["train"] + validations * images["val"] + images["test"]
    return views * images["train"] + images["val"] + images["test"]


def main() -> int:
    parser = options(__doc__, epochs=10, epochs_help="of every program")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), help="only these")
    arguments = parser.parse_args()

    def measure(folder: Path, work: Path) -> Runs:
        return in_rounds(
            arguments.programs,
            arguments.rounds,
            work,
            lambda name, place: run(name, folder, place, arguments),
            "wall_ns",
        )

    def reported(results: Runs, images: dict[str, int]) -> dict[str, Any]:
        return report(results, images, arguments.epochs)

    return compare("feature_extraction", arguments, measure, reported, test_per_class=arguments.limit)


if __name__ == "__main__":
    sys.exit(main())
