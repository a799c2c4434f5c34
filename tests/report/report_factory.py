"""Run and study folders as the other stages leave them, with drawn numbers: documents only, no models."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit.documents.base import write_json
from edgekit.documents.folders import RunFolder
from edgekit.recipe import validate
from edgekit.stats.classification import classification_metrics

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
RUNTIME = {
    "tflite": {"name": "litert", "version": "2.3.0", "delegate": "XNNPACK"},
    "onnx": {"name": "onnxruntime", "version": "1.31.1", "delegate": "CPUExecutionProvider"},
}
FILES = {
    # size in bytes, latency in ms with one thread, extra errors in 100 images
    "tflite-fp32": (10_200_000, 7.8, 0.0),
    "tflite-int8": (3_100_000, 4.5, 0.8),
    "onnx-fp32": (10_250_000, 8.9, 0.0),
    "onnx-int8": (3_000_000, 5.6, 1.2),
}
FURTHER = {
    "tflite-fp32-clustered": (10_200_000, 7.8, 1.0),
    "tflite-int8-clustered": (3_100_000, 4.5, 1.6),
    "tflite-int8-pruned": (3_100_000, 4.5, 1.4),
}
"""Of networks that were trained on."""


def write_run(
    folder: Path,
    *,
    backbone: str = "mobilenetv2",
    strategy: str = "feature-extraction",
    seed: int = 0,
    classes: tuple[str, ...] = CLASSES,
    accuracy: float = 0.93,
    n_test: int = 400,
    scale: float = 1.0,
    files: tuple[str, ...] = ("tflite-fp32", "tflite-int8"),
    finished: bool = True,
    reported: tuple[dict[str, Any], ...] = (),
) -> RunFolder:
    """A trained run with exports, not measured yet. ``scale`` multiplies sizes."""
    run = RunFolder(folder)
    random = np.random.default_rng([seed, len(backbone), len(strategy)])
    stages = ["feature-extraction", "fine-tuning"] if strategy == "fine-tuning" else [strategy]
    document: dict[str, Any] = {
        "status": "running",
        "run_id": folder.name,
        "created": "2026-11-21T10:00:00+00:00",
        "edgekit_version": "0.1.0",
        "recipe": _recipe(backbone, strategy, seed, reported),
        "backbone": backbone,
        "alpha": 1.0,
        "strategy": strategy,
        "seed": seed,
        "weights": {"source": "none", "path": None, "sha256": None},
        "dataset": {
            "name": "brain-tumor-mri",
            "root": "/data/brain-tumor-mri",
            "fingerprint": hashlib.sha256(b"images").hexdigest(),
            "classes": list(classes),
            "layout": "train and test folders; validation taken from train",
            "n_files": 7019,
            "counts": {
                split: {name: n // len(classes) for name in classes}
                for split, n in (("train", 4566), ("val", 1142), ("test", n_test))
            },
        },
        "model": {"parameters": 2_591_300, "layers": 160, "input_shape": [224, 224, 3]},
        "environment": {
            "python": "3.11.2",
            "platform": "Linux-6.1-x86_64",
            "cpu": "Example CPU 9000 @ 2.10GHz",
            "cores": 4,
            "backend": "tensorflow",
            "gpu": None,
            "versions": {"keras": "3.15.1", "tensorflow-cpu": "2.21.0"},
        },
        "warnings": [],
    }
    _write_history(run, stages, accuracy, random)
    if finished:
        labels = np.sort(random.integers(0, len(classes), n_test))
        probabilities = answers(labels, len(classes), accuracy, random)
        names = np.array([f"Testing/{classes[label]}/{i:05}.jpg" for i, label in enumerate(labels)])
        np.savez_compressed(run.predictions, labels=labels, probabilities=probabilities, files=names)
        metrics = classification_metrics(labels, probabilities, classes)
        document |= {
            "status": "done",
            "stages": [_stage(name) for name in stages],
            "timing": {"data_seconds": 4.0, "train_seconds": 86.0 * len(stages), "total_seconds": 120.0},
            "metrics": {"val": metrics, "test": metrics},
            **{key: metrics[key] for key in ("accuracy", "n_samples", "accuracy_ci95")},
        }
        document["model"]["keras_size_bytes"] = int(10_900_000 * scale)
        for key in files:
            _write_export(run, document, key, scale)
    write_json(run.run_json, document)
    return run


def answers(labels: np.ndarray, n_classes: int, accuracy: float, random: np.random.Generator) -> np.ndarray:
    """Probabilities (N, n_classes) whose top class is right in exactly ``accuracy`` of the images (rounded)."""
    n = len(labels)
    guesses = labels.copy()
    wrong = random.choice(n, n - round(accuracy * n), replace=False)
    guesses[wrong] = (labels[wrong] + random.integers(1, n_classes, len(wrong))) % n_classes
    probabilities = np.full((n, n_classes), 0.2 / n_classes, np.float32)
    probabilities[np.arange(n), guesses] += 0.8
    return probabilities


def write_bench(
    run: RunFolder,
    key: str,
    *,
    session: str = "session-1",
    target: str = "local",
    factor: float = 1.0,
    rounds: int = 16,
    block: int = 4,
    noise: float = 0.02,
    unstable: tuple[str, ...] = (),
    emulated: bool = False,
    problem: str | None = None,
    warnings: tuple[str, ...] = (),
) -> Path:
    """Measure an export of ``run``, so to speak; ``factor`` multiplies the latency."""
    document, export = run.read(), run.export(key).read()
    random = np.random.default_rng(list(f"{run.path.name}{key}{target}".encode()))
    _, milliseconds, errors = (FILES | FURTHER)[key]
    path = run.bench_json(target, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    accuracy = None
    if problem is None:
        accuracy = _scored(run, document, path, key, errors, random)
    write_json(
        path,
        {
            "status": "ok" if problem is None else "failed",
            "problems": [] if problem is None else [problem],
            **{name: document[name] for name in ("run_id", "backbone", "alpha", "strategy", "seed")},
            "format": export["format"],
            "scheme": export["scheme"],
            "key": key,
            "id": f"{document['run_id']}/{key}",
            "model": str(run.export(key).path / export["file"]),
            **{name: export[name] for name in ("size_bytes", "gzip_bytes", "sha256")},
            "target": target,
            "emulated": emulated,
            "session_id": session,
            "created": "2026-11-21T11:00:00+00:00",
            "runtime": RUNTIME[export["format"]],
            "protocol": {"name": "quick", "repeats": 1, "rounds": rounds, "block_runs": block, "block_ns": 125_000_000,
                         "warmup_runs": 10, "warmup_ns": 0},
            "latency": [] if problem else [
                {
                    "threads": threads,
                    "threads_effective": 0.98 * threads,
                    "load_ns": 9_000_000,
                    "first_ns": int(2e6 * milliseconds),
                    "warmup_ns": [int(1.1e6 * milliseconds)] * 10,
                    "rounds": _blocks(milliseconds * factor / threads**0.8, rounds, block, noise, random),
                    "preprocess_ns": [2_100_000] * 16,
                    "postprocess_ns": [21_000] * 16,
                    "unstable": list(unstable),
                }
                for threads in (1, 4)
            ],
            "memory": None if problem else {
                "threads": 1,
                "baseline_rss_bytes": 48_000_000,
                "peak_rss_bytes": 48_000_000 + 2 * export["size_bytes"],
                "model_rss_bytes": 2 * export["size_bytes"],
                "peak_was_reset": True,
            },
            "accuracy": accuracy,
            "control": [
                {
                    "model": f"{document['run_id']}/{key}",
                    "threads": threads,
                    "rounds_a": _blocks(4.5, 16, block, 0.01, np.random.default_rng(1)),
                    "rounds_b": _blocks(4.5, 16, block, 0.01, np.random.default_rng(2)),
                }
                for threads in (1, 4)
            ],
            "environment": {"before": machine(), "after": {**machine(), "frequency_khz": 2_050_000}},
            "warnings": list(warnings),
        },
    )  # fmt: skip
    return path


def machine() -> dict[str, Any]:
    """A target's machine and state."""
    return {
        "cpu": "Example CPU 9000 @ 2.10GHz",
        "board": None,
        "cores": 4,
        "usable_cores": 4,
        "architecture": "x86_64",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0",
        "python": "3.11.2",
        "emulated": None,
        "memory_total_bytes": 8_000_000_000,
        "versions": {"numpy": "2.3.0", "litert": "2.3.0", "onnxruntime": "1.31.1"},
        "governor": "performance",
        "frequency_khz": 2_100_000,
        "temperature_c": None,
        "load_average": [0.2, 0.3, 0.4],
        "others_cores": 0.05,
    }


def write_study(folder: Path, cells: list[tuple[RunFolder, str]], recipe: dict[str, Any] | None = None) -> Path:
    """``study.json`` over runs that lie in ``folder/runs``."""
    rows = []
    for run, status in cells:
        document = run.read() if run.run_json.is_file() else {}
        rows.append(
            {
                "run": run.path.relative_to(folder).as_posix(),
                **{name: document.get(name) for name in ("backbone", "strategy", "seed")},
                "status": status,
            }
        )
    write_json(folder / "study.json", {"name": folder.name, "recipe": recipe or {"name": "brain"}, "cells": rows})
    return folder


def two_run_study(folder: Path) -> Path:
    """MobileNetV2 and ResNet50V2, two exports each, everything measured in one session."""
    light = write_run(folder / "runs" / "brain-mobilenetv2-s0", accuracy=0.93)
    heavy = write_run(
        folder / "runs" / "brain-resnet50v2-s0",
        backbone="resnet50v2",
        strategy="fine-tuning",
        accuracy=0.965,
        scale=9.4,
    )
    for key in ("tflite-fp32", "tflite-int8"):
        write_bench(light, key)
        write_bench(heavy, key, factor={"tflite-fp32": 10.5, "tflite-int8": 3.0}[key])
    return write_study(folder, [(light, "done"), (heavy, "done")])


CLAIM = {
    "text": "MobileNetV2 is less accurate",
    "metric": "accuracy",
    "left": {"backbone": "mobilenetv2"},
    "relation": "below",
    "right": {"backbone": "resnet50v2"},
}


def study_of_seeds(folder: Path, seeds: int = 3, failing: tuple[int, ...] = ()) -> Path:
    """MobileNetV2 and ResNet50V2 with ``seeds`` seeds each, seed by seed; one claim about them.

    MobileNetV2's int8 files of the seeds ``failing`` failed their check and were not measured.
    """
    cells = []
    for seed in range(seeds):
        for backbone, accuracy in (("mobilenetv2", 0.84), ("resnet50v2", 0.94)):
            name = f"brain-{backbone}-s{seed}"
            run = write_run(folder / "runs" / name, backbone=backbone, seed=seed, accuracy=accuracy + seed / 100)
            for key in ("tflite-fp32", "tflite-int8"):
                if backbone == "mobilenetv2" and key == "tflite-int8" and seed in failing:
                    export = run.export(key).read()
                    write_json(run.export(key).export_json, {**export, "status": "failed", "problems": ["it is worse"]})
                else:
                    write_bench(run, key, session="one")
            cells.append((run, "exported"))
    claim = validate({"claims": [CLAIM]}, "test").model_dump()["claims"]
    give_the_same_images(folder)
    return write_study(folder, cells, {"name": "brain", "claims": claim})


def leaky_study(folder: Path) -> Path:
    """The study of two runs with an audit: the first 40 test images of a run leaked, half of them exactly."""
    study = two_run_study(folder)
    files = np.load(study / "runs" / "brain-mobilenetv2-s0" / "predictions.npz")["files"].tolist()
    leaks = [
        {"a": f"Training/{i}.jpg", "b": file, "distance": 0 if i < 20 else 4, "exact": i < 20, "same_class": True}
        for i, file in enumerate(files[:40])
    ]
    (study / "audit").mkdir()
    pictures = []
    for number, path in enumerate((leaks[0]["a"], leaks[0]["b"])):
        Image.new("RGB", (112, 112), (200, 30 * number, 0)).save(study / "audit" / f"{number}.jpg")
        pictures.append({"path": path, "file": f"audit/{number}.jpg"})
    counts = {"within": {"train": 3, "test": 1}, "across": [{"a": "train", "b": "test", "n_files": 20, "pairs": []}]}
    write_json(
        study / "audit.json",
        {
            "splits": {"train": 4566, "test": 400},
            "leaked_test_images": leaks,
            "exact_duplicates": counts,
            "near_duplicates": {**counts, "max_distance": 26, "hash_bits": 256},
            "label_conflicts": [],
            "shortcuts": [{"property": "mode", "accuracy": 0.48, "largest_class": 0.28, "n_images": 400, "values": {}}],
            "pictures": pictures,
        },
    )
    return study


def _recipe(backbone: str, strategy: str, seed: int, reported: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return validate(
        {
            "name": "brain",
            "data": {"path": "/data/brain-tumor-mri"},
            "model": {"backbone": backbone, "weights": "none"},
            "train": {"strategy": strategy, "seed": seed},
            "reported": list(reported),
        },
        "test",
    ).document()


def _stage(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "epochs": 10,
        "epochs_run": 10,
        "best_epoch": 9,
        "stopped_early": False,
        "seconds": 86.0,
        "images_per_second": 530.0,
        "trainable_parameters": 330_000,
        "trainable_layers": 3,
    }


def _write_history(run: RunFolder, stages: list[str], accuracy: float, random: np.random.Generator) -> None:
    numbers = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second"]
    run.path.mkdir(parents=True, exist_ok=True)
    with run.history.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["stage", "epoch", *numbers])
        for number, stage in enumerate(stages):
            for epoch in range(10):
                reached = accuracy - 0.35 * np.exp(-(number * 10 + epoch) / 3) + random.normal(0, 0.006)
                losses = (1.6 * (1 - reached), 1.9 * (1 - reached))
                row = [losses[0], min(1.0, reached + 0.02), losses[1], reached, 3e-4, 8.6, 530.0]
                writer.writerow([stage, epoch + 1, *(f"{value:.6f}" for value in row)])


def _write_export(run: RunFolder, document: dict[str, Any], key: str, scale: float) -> None:
    size = int((FILES | FURTHER)[key][0] * scale)
    file_format, scheme = key.split("-", 1)
    integer = scheme.startswith("int8")
    write_json(
        run.export(key).export_json,
        {
            **{name: document[name] for name in ("run_id", "backbone", "alpha", "strategy", "seed")},
            "format": file_format,
            "scheme": scheme,
            "file": f"model.{file_format}",
            "size_bytes": size,
            "gzip_bytes": int(size * (0.78 if integer else 0.92)),
            "sha256": hashlib.sha256(f"{run.path.name}{key}".encode()).hexdigest(),
            "labels": document["dataset"]["classes"],
            "resize": "stretch",
            "converter": {"name": "tensorflow", "version": "2.21.0"},
            "operators": {"CONV_2D": 36, "DEPTHWISE_CONV_2D": 17, "ADD": 10},
            "integer_only": integer,
            "float_operators": {},
            "calibration": {"images": 200, "seed": 0, "split": "train"} if integer else None,
            "parity": {
                "split": "val",
                "n_images": 100,
                "agreement": 0.98 if integer else 1.0,
                "n_disagree": 2 if integer else 0,
                "max_abs_difference": 0.13 if integer else 3.1e-6,
                "mean_abs_difference": 0.01 if integer else 2.0e-7,
                "keras_accuracy": 0.94,
                "accuracy": 0.93,
            },
            "status": "ok",
            "problems": [],
            "created": "2026-11-21T10:30:00+00:00",
        },
    )


def _scored(
    run: RunFolder, document: dict[str, Any], path: Path, key: str, errors: float, random: np.random.Generator
) -> dict[str, Any]:
    """The Keras model's answers with ``errors`` percent of the images turned wrong."""
    with np.load(run.predictions) as stored:
        labels, probabilities, files = stored["labels"], stored["probabilities"].copy(), stored["files"]
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    turned = random.choice(right, round(errors * len(labels) / 100), replace=False)
    before = probabilities.argmax(axis=1)
    probabilities[turned] = np.roll(probabilities[turned], 1, axis=1)
    name = f"{key}-predictions.npz"
    np.savez_compressed(path.parent / name, labels=labels, probabilities=probabilities, files=files)
    guesses = probabilities.argmax(axis=1)
    return {
        "accuracy": float((guesses == labels).mean()),
        "n_samples": len(labels),
        "n_correct": int((guesses == labels).sum()),
        "split": "test",
        "decoder": "Pillow 11.3",
        "activation": "none",
        "agreement_with_keras": float((guesses == before).mean()),
        "predictions": name,
    }


def _blocks(milliseconds: float, rounds: int, block: int, noise: float, random: np.random.Generator) -> list[list[int]]:
    samples = milliseconds * 1e6 * random.lognormal(0, noise, (rounds, block))
    return [[int(value) for value in row] for row in samples]


def give_the_same_images(folder: Path) -> None:
    """Let the test images of all runs below ``folder`` have the same names, so that their answers pair."""
    for file in folder.rglob("*predictions.npz"):
        with np.load(file) as stored:
            parts = dict(stored)
        parts["files"] = np.array([f"{i:05}.jpg" for i in range(len(parts["files"]))])
        np.savez_compressed(file, **parts)
