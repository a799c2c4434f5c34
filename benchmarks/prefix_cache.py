"""Images per second of fine-tuning: stored outputs of the frozen layers, every layer in each step, the Keras tutorial.

    python benchmarks/prefix_cache.py --data ../shared/data/brain-tumor-mri --backbone vgg16 --limit 40 \
        --weights ../shared/weights/vgg16_imagenet_notop.weights.h5 --out prefix_cache.json

All three train the head and the last stage of the backbone on the same augmented images. Every round starts each
program anew, in a random order. The first epoch (tracing) is left out and validation is not counted. The time to store
the outputs once is printed beside it, and counts in the ratios for a whole phase of 10 epochs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from common import ratio_of, ratio_text, run_program, show
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

GOAL = 3.0
PROGRAMS = {
    "stored": "edgekit, stored outputs",
    "every-layer": "edgekit, every layer",
    "tutorial": "Keras tutorial",
}
PHASE_EPOCHS, PHASE_VIEWS = 10, 3
"""The phase that the time to store the outputs is set against: epochs and views of the recipe brain-tumor-mri."""


def run(name: str, folder: Path, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Training time of each epoch of fine-tuning of either program, and the time to store the outputs."""
    if name == "tutorial":
        layers = last_stage_layers(arguments.backbone)
        return train_by_tutorial(
            folder, arguments, learning_rate=1e-4, open_layers=layers, augment=AUGMENT, validate=False
        ).document
    settings = fine_tuning_settings(arguments) | {
        "train.fine_tuning.last_stage": "true",
        "train.fine_tuning.check_learning_rate": "false",
        "train.fine_tuning.views": 1 if name == "stored" else "null",
    }
    phase = train_by_edgekit(folder, work, arguments, "fine-tuning", settings).document["stages"][1]
    return {
        "epoch_ns": fine_tuning_epochs_ns(work),
        "store_ns": round((phase["feature_seconds"] or 0.0) * 1e9),
        "stored_layer": phase["stored_layer"],
        "open_layers": len(phase["opened_layers"]),
    }


def last_stage_layers(backbone: str) -> int:
    """How many layers of Keras the last stage has."""
    layers = run_program(["-m", "edgekit", "list", "backbones", "--layers", backbone, "--json"]).document["layers"]
    return sum(layer["last_stage"] for layer in layers)


def report(results: Runs, images: dict[str, int]) -> dict[str, Any]:
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
    tutorial = next(ratio for ratio in ratios if ratio["against"] == "tutorial")["epoch"]["ratio"]
    print(f"Goal: at least {GOAL:g} times as many images/s as the tutorial; {tutorial:.2f} here.")
    return {"goal": GOAL, "phase": {"epochs": PHASE_EPOCHS, "views": PHASE_VIEWS}, "ratios": ratios, "runs": results}


def main() -> int:
    parser = options(__doc__, epochs=3, epochs_help="the first is not counted")
    parser.set_defaults(backbone="vgg16")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not counted")

    def measure(folder: Path, work: Path) -> Runs:
        return in_rounds(
            PROGRAMS, arguments.rounds, work, lambda name, place: run(name, folder, place, arguments), "epoch_ns"
        )

    return compare("prefix_cache", arguments, measure, report, test_per_class=2)


if __name__ == "__main__":
    sys.exit(main())
