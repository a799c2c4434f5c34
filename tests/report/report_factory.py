"""Run and study folders as the other stages leave them, with drawn numbers: documents only, no models."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import document_factory as make
import numpy as np
from document_factory import CLASSES, COMPRESSED, CREATED, FILES, recipe_of
from PIL import Image

from edgekit.documents.audit import (
    AuditPicture,
    LeakedImage,
)
from edgekit.documents.bench import AccuracyRecord, BenchDocument
from edgekit.documents.export import (
    ExportDocument,
)
from edgekit.documents.folders import RunFolder
from edgekit.documents.machine import EnvironmentRecord
from edgekit.documents.run import (
    RunDocument,
    SplitMetrics,
    TimingRecord,
)
from edgekit.documents.study import CellRecord, CellStatus, StudyDocument
from edgekit.recipe import Recipe
from edgekit.stats.classification import classification_metrics


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
    claims: tuple[dict[str, Any], ...] = (),
    arm: str | None = None,
    train_seconds: float | None = None,
) -> RunFolder:
    """A trained run with exports, not measured yet. ``scale`` multiplies sizes."""
    run = RunFolder(folder)
    random = np.random.default_rng([seed, len(backbone), len(strategy)])
    phases = ["feature-extraction", "fine-tuning"] if strategy == "fine-tuning" else [strategy]
    recipe = recipe_of(
        arm=arm,
        data={"path": "/data/brain-tumor-mri"},
        model={"backbone": backbone, "weights": "none"},
        train={"strategy": strategy, "seed": seed},
        reported=list(reported),
        claims=list(claims),
    )
    document = make.unfinished_run(folder.name, recipe, classes, n_test)
    _write_history(run, phases, accuracy, random)
    if finished:
        metrics = _write_predictions(run, classes, accuracy, n_test, random)
        seconds = 86.0 * len(phases) if train_seconds is None else train_seconds
        document = document.model_copy(
            update={
                "status": "done",
                "model": document.model.model_copy(update={"keras_size_bytes": int(10_900_000 * scale)}),
                "stages": tuple(make.phase(name) for name in phases),
                "timing": TimingRecord(data_seconds=4.0, train_seconds=seconds, total_seconds=seconds + 30),
                "metrics": {"val": metrics, "test": metrics},
                "accuracy": metrics.accuracy,
                "n_samples": metrics.n_samples,
                "accuracy_ci95": metrics.accuracy_ci95,
            }
        )
        for key in files:
            make.export(document, key, scale).write(run.export(key).export_json)
    document.write(run.run_json)
    return run


def change_run(run: RunFolder, **values: Any) -> RunDocument:
    """Replace values of ``run.json``."""
    document = run.read_run().model_copy(update=values)
    document.write(run.run_json)
    return document


def change_export(run: RunFolder, key: str, **values: Any) -> ExportDocument:
    """Replace values of an ``export.json``."""
    document = run.export(key).read_export().model_copy(update=values)
    document.write(run.export(key).export_json)
    return document


def change_bench(path: Path, **values: Any) -> BenchDocument:
    """Replace values of a bench result."""
    document = BenchDocument.read(path).model_copy(update=values)
    document.write(path)
    return document


def change_study(folder: Path, **values: Any) -> StudyDocument:
    """Replace values of ``study.json``."""
    document = StudyDocument.read(folder / "study.json").model_copy(update=values)
    document.write(folder / "study.json")
    return document


def predictions(labels: np.ndarray, n_classes: int, accuracy: float, random: np.random.Generator) -> np.ndarray:
    """Probabilities (N, n_classes) whose top class is correct in exactly ``accuracy`` of the images (rounded)."""
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
    document, export = run.read_run(), run.export(key).read_export()
    random = np.random.default_rng(list(f"{run.path.name}{key}{target}".encode()))
    _, milliseconds, errors = (FILES | COMPRESSED)[key]
    path = run.bench_json(target, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    ok = problem is None
    accuracy = _scored(run, path, key, errors, random) if ok else None
    latency = [
        make.latency(threads, milliseconds, factor, (rounds, block, noise), unstable, random) for threads in (1, 4)
    ]
    BenchDocument(
        status="ok" if ok else "failed",
        problems=() if problem is None else (problem,),
        run_id=document.run_id,
        backbone=document.backbone,
        alpha=document.alpha,
        strategy=document.strategy,
        seed=document.seed,
        format=export.format,
        scheme=export.scheme,
        key=key,
        id=f"{document.run_id}/{key}",
        model=str(run.export(key).path / export.file),
        size_bytes=export.size_bytes,
        gzip_bytes=export.gzip_bytes,
        sha256=export.sha256,
        target=target,
        emulated=emulated,
        session_id=session,
        created="2026-11-21T11:00:00+00:00",
        runtime=make.RUNTIME[export.format],
        protocol=make.protocol(rounds, block),
        latency=tuple(latency) if ok else (),
        memory=make.memory(export.size_bytes) if ok else None,
        accuracy=accuracy,
        control=tuple(make.control(f"{document.run_id}/{key}", threads, block) for threads in (1, 4)),
        environment=EnvironmentRecord(
            before=make.machine(), after=make.machine().model_copy(update={"frequency_khz": 2_050_000})
        ),
        warnings=warnings,
    ).write(path)
    return path


def write_study(folder: Path, cells: Sequence[tuple[RunFolder, CellStatus]], recipe: Recipe | None = None) -> Path:
    """``study.json`` over runs that lie in ``folder/runs``; their test images get the same names.

    Without ``recipe``, the study planned the files that the runs were exported to.
    """
    give_the_same_images(folder)
    planned = dict.fromkeys(export.read_export().key for run, _ in cells for export in run.done_exports())
    StudyDocument(
        name=folder.name,
        created=CREATED,
        recipe=recipe or (recipe_of(export={"files": list(planned)}) if planned else recipe_of()),
        cells=tuple(_cell(folder, run, status) for run, status in cells),
    ).write(folder / "study.json")
    return folder


def _cell(folder: Path, run: RunFolder, status: CellStatus) -> CellRecord:
    document = run.read_run()
    return CellRecord(
        run=run.path.relative_to(folder).as_posix(),
        backbone=document.backbone,
        strategy=document.strategy,
        seed=document.seed,
        arm=document.recipe.arm,
        status=status,
    )


def two_run_study(folder: Path, recipe: Recipe | None = None) -> Path:
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
    return write_study(folder, [(light, "exported"), (heavy, "exported")], recipe)


CLAIM = {
    "text": "MobileNetV2 is less accurate",
    "metric": "accuracy",
    "left": {"backbone": "mobilenetv2"},
    "relation": "below",
    "right": {"backbone": "resnet50v2"},
}


def study_of_seeds(folder: Path, seeds: int = 3, failing: tuple[int, ...] = ()) -> Path:
    """MobileNetV2 and ResNet50V2 with ``seeds`` seeds each, seed by seed; one claim about them.

    MobileNetV2's int8 files of the seeds ``failing`` failed a check and were not measured.
    """
    cells: list[tuple[RunFolder, CellStatus]] = []
    for seed in range(seeds):
        for backbone, accuracy in (("mobilenetv2", 0.84), ("resnet50v2", 0.94)):
            name = f"brain-{backbone}-s{seed}"
            run = write_run(folder / "runs" / name, backbone=backbone, seed=seed, accuracy=accuracy + seed / 100)
            for key in ("tflite-fp32", "tflite-int8"):
                if backbone == "mobilenetv2" and key == "tflite-int8" and seed in failing:
                    change_export(run, key, status="failed", problems=("it is worse",))
                else:
                    write_bench(run, key, session="one")
            cells.append((run, "exported"))
    give_the_same_images(folder)
    return write_study(folder, cells, recipe_of(claims=[CLAIM]))


def leaky_study(folder: Path, recipe: Recipe | None = None) -> Path:
    """The study of two runs with an audit: the first 40 test images of a run leaked, half of them exactly."""
    study = two_run_study(folder, recipe)
    files = np.load(study / "runs" / "brain-mobilenetv2-s0" / "predictions.npz")["files"].tolist()
    leaks = tuple(
        LeakedImage(a=f"Training/{i}.jpg", b=file, distance=0 if i < 20 else 4, exact=i < 20, same_class=True)
        for i, file in enumerate(files[:40])
    )
    (study / "audit").mkdir()
    pictures = []
    for number, path in enumerate((leaks[0].a, leaks[0].b)):
        Image.new("RGB", (112, 112), (200, 30 * number, 0)).save(study / "audit" / f"{number}.jpg")
        pictures.append(AuditPicture(path=path, file=f"audit/{number}.jpg"))
    make.audit(leaks, tuple(pictures)).write(study / "audit.json")
    return study


def _write_predictions(
    run: RunFolder, classes: tuple[str, ...], accuracy: float, n_test: int, random: np.random.Generator
) -> SplitMetrics:
    labels = np.sort(random.integers(0, len(classes), n_test))
    probabilities = predictions(labels, len(classes), accuracy, random)
    names = np.array([f"Testing/{classes[label]}/{i:05}.jpg" for i, label in enumerate(labels)])
    np.savez_compressed(run.predictions, labels=labels, probabilities=probabilities, files=names)
    return SplitMetrics.model_validate(classification_metrics(labels, probabilities, classes))


def _write_history(run: RunFolder, phases: list[str], accuracy: float, random: np.random.Generator) -> None:
    numbers = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second"]
    run.path.mkdir(parents=True, exist_ok=True)
    with run.history.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["stage", "epoch", *numbers])
        for number, phase in enumerate(phases):
            for epoch in range(10):
                reached = accuracy - 0.35 * np.exp(-(number * 10 + epoch) / 3) + random.normal(0, 0.006)
                losses = (1.6 * (1 - reached), 1.9 * (1 - reached))
                row = [losses[0], min(1.0, reached + 0.02), losses[1], reached, 3e-4, 8.6, 530.0]
                writer.writerow([phase, epoch + 1, *(f"{value:.6f}" for value in row)])


def _scored(run: RunFolder, path: Path, key: str, errors: float, random: np.random.Generator) -> AccuracyRecord:
    """The Keras model's predictions with ``errors`` percent of the images turned wrong."""
    with np.load(run.predictions) as stored:
        labels, probabilities, files = stored["labels"], stored["probabilities"].copy(), stored["files"]
    correct = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    turned = random.choice(correct, round(errors * len(labels) / 100), replace=False)
    before = probabilities.argmax(axis=1)
    probabilities[turned] = np.roll(probabilities[turned], 1, axis=1)
    name = f"{key}-predictions.npz"
    np.savez_compressed(path.parent / name, labels=labels, probabilities=probabilities, files=files)
    guesses = probabilities.argmax(axis=1)
    return AccuracyRecord(
        accuracy=float((guesses == labels).mean()),
        n_samples=len(labels),
        n_correct=int((guesses == labels).sum()),
        split="test",
        decoder="Pillow 11.3",
        activation="none",
        agreement_with_keras=float((guesses == before).mean()),
        predictions=name,
    )


def give_the_same_images(folder: Path) -> None:
    """Let the test images of all runs below ``folder`` have the same names, so that their answers pair."""
    for file in folder.rglob("*predictions.npz"):
        with np.load(file) as stored:
            parts = dict(stored)
        parts["files"] = np.array([f"{i:05}.jpg" for i in range(len(parts["files"]))])
        np.savez_compressed(file, **parts)
