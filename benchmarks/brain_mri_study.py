"""Runs the brain MRI study: VGG16 and MobileNetV2 from ImageNet weights, and ResNet50V2 from scratch.

    nohup nice -n 10 python benchmarks/brain_mri_study.py --data DATA --weights WEIGHTS --out OUT > study.log 2>&1 &

DATA     the Brain Tumor MRI dataset, with Training/ and Testing/
WEIGHTS  the folder with vgg16_imagenet_notop.weights.h5 and mobilenet_v2_imagenet_notop.weights.h5
OUT      gets the studies OUT/pretrained and OUT/scratch

Each study resumes when the same command runs again. ResNet50V2 starts from random weights and has a budget of its own,
so it is a study of its own: nothing in it is paired with the pretrained networks.

Estimated time on two quiet cores, from the processor time of single steps (not measured as a whole): training takes 50
minutes for each seed of VGG16 and 20 minutes for each of MobileNetV2 (both strategies, 3 views), so 3.5 hours for three
seeds; exports about 1 hour, latency and accuracy of all files 2 to 3 hours. ResNet50V2 from scratch takes about 2 hours
a seed. A cell of fine-tuning needs up to 4 GB of disk while it trains.

For a trial run:

    python benchmarks/brain_mri_study.py --data DATA --weights WEIGHTS --out OUT --seeds 0 --epochs 1 \\
        --scratch-epochs 1 --size 64 --limit 12 --files tflite-fp32

On a machine that others use, ``--no-latency`` does all but measure latency and memory; repeat the command without it
when the machine is quiet. ``--device auto`` continues with networks that ``benchmarks/gpu_study.py`` trained on a GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

RECIPE = "brain-tumor-mri"
PARTS = ("pretrained", "scratch")
FILES = [f"{file}-{scheme}" for file in ("tflite", "onnx") for scheme in ("fp32", "fp16", "dynamic", "int8")]


def add_options(parser: argparse.ArgumentParser, device: str) -> None:
    """The options that decide what is trained; ``device`` is the default of ``--device``."""
    parser.add_argument("--data", type=Path, required=True, help="the Brain Tumor MRI dataset")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the two weights files")
    parser.add_argument("--out", type=Path, required=True, help="folder of the studies")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10, help="of each phase of the pretrained networks")
    parser.add_argument("--scratch-epochs", type=int, default=30)
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    parser.add_argument("--limit", type=int, help="training images per class (default: all)")
    parser.add_argument("--device", choices=["cpu", "gpu", "auto"], default=device)


def study_settings(part: str, arguments: argparse.Namespace) -> dict[str, object]:
    """How the study ``part`` differs from the recipe."""
    common: dict[str, object] = {
        "data.image_size": arguments.size,
        "compare.seeds": arguments.seeds,
        "train.device": arguments.device,
    }
    if arguments.limit is not None:
        common["data.limit_per_class"] = arguments.limit
    if part == "scratch":
        return common | {
            "compare.backbones": ["resnet50v2"],
            "compare.strategies": ["from-scratch"],
            "model.weights": "none",
            "train.strategy": "from-scratch",
            "train.from_scratch.epochs": arguments.scratch_epochs,
            "train.from_scratch.schedule": "cosine",
            "train.early_stopping.enabled": False,  # the schedule ends with the last epoch
        }
    files = {"vgg16": "vgg16_imagenet_notop.weights.h5", "mobilenetv2": "mobilenet_v2_imagenet_notop.weights.h5"}
    return common | {
        "compare.backbones": list(files),
        "compare.strategies": ["feature-extraction", "fine-tuning"],
        "compare.overrides": {name: {"model.weights": str(arguments.weights / file)} for name, file in files.items()},
        "train.feature_extraction.epochs": arguments.epochs,
        "train.fine_tuning.epochs": arguments.epochs,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, device="cpu")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--files", nargs="+", default=FILES, help="exported files (default: all without QAT)")
    parser.add_argument("--no-latency", action="store_true", help="leave latency and memory for later")
    arguments = parser.parse_args()
    for part in arguments.parts:
        settings = study_settings(part, arguments) | {"export.files": arguments.files}
        command = [sys.executable, "-m", "edgekit", "compare", RECIPE, "--data", str(arguments.data)]
        command += ["--out", str(arguments.out / part)]
        for key, value in settings.items():
            command += ["--set", f"{key}={json.dumps(value)}"]
        command += ["--no-latency"] if arguments.no_latency else []
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
