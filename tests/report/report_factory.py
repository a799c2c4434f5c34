"""Run and study folders as the other stages leave them, with drawn numbers: documents only, no models.

Every document is built from its model, so a key that a stage does not write cannot creep in.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit.documents.audit import (
    AuditDocument,
    AuditPicture,
    Duplicates,
    DuplicatesAcross,
    ImageSizes,
    LeakedImage,
    NearDuplicates,
    ShortcutRecord,
)
from edgekit.documents.bench import (
    AccuracyRecord,
    BenchDocument,
    ControlRecord,
    EnvironmentRecord,
    Latency,
    MachineEnvironment,
    MemoryRecord,
    ProtocolRecord,
    RuntimeRecord,
)
from edgekit.documents.export import (
    CalibrationRecord,
    Converter,
    ExportDocument,
    ExportTiming,
    GateRecord,
    GoldenRecord,
    InputTensor,
    OutputTensor,
    ParityRecord,
)
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import (
    DatasetRecord,
    ModelRecord,
    PhaseRecord,
    RunDocument,
    SplitMetrics,
    TimingRecord,
    TrainingEnvironment,
    WeightsRecord,
)
from edgekit.documents.study import CellRecord, CellStatus, StudyDocument
from edgekit.recipe import Recipe, validate
from edgekit.stats.classification import classification_metrics

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
CREATED = "2026-11-21T10:00:00+00:00"
RUNTIME = {
    "tflite": RuntimeRecord(name="litert", version="2.3.0", delegate="XNNPACK"),
    "onnx": RuntimeRecord(name="onnxruntime", version="1.31.1", delegate="CPUExecutionProvider"),
}
FILES = {
    # size in bytes, latency in ms with one thread, extra errors in 100 images
    "tflite-fp32": (10_200_000, 7.8, 0.0),
    "tflite-int8": (3_100_000, 4.5, 0.8),
    "onnx-fp32": (10_250_000, 8.9, 0.0),
    "onnx-int8": (3_000_000, 5.6, 1.2),
}
COMPRESSED = {
    "tflite-fp32-clustered": (10_200_000, 7.8, 1.0),
    "tflite-int8-clustered": (3_100_000, 4.5, 1.6),
    "tflite-int8-pruned": (3_100_000, 4.5, 1.4),
}
Rounds = tuple[tuple[int, ...], ...]


def recipe_of(**sections: Any) -> Recipe:
    """A recipe with these sections, everything else by default."""
    return validate({"name": "brain", **sections}, "test")


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
    document = _unfinished(folder.name, recipe, classes, n_test)
    _write_history(run, phases, accuracy, random)
    if finished:
        metrics = _write_predictions(run, classes, accuracy, n_test, random)
        seconds = 86.0 * len(phases) if train_seconds is None else train_seconds
        document = document.model_copy(
            update={
                "status": "done",
                "model": document.model.model_copy(update={"keras_size_bytes": int(10_900_000 * scale)}),
                "stages": tuple(_phase(name) for name in phases),
                "timing": TimingRecord(data_seconds=4.0, train_seconds=seconds, total_seconds=seconds + 30),
                "metrics": {"val": metrics, "test": metrics},
                "accuracy": metrics.accuracy,
                "n_samples": metrics.n_samples,
                "accuracy_ci95": metrics.accuracy_ci95,
            }
        )
        for key in files:
            _export(document, key, scale).write(run.export(key).export_json)
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
    latency = [_latency(threads, milliseconds, factor, (rounds, block, noise), unstable, random) for threads in (1, 4)]
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
        runtime=RUNTIME[export.format],
        protocol=_protocol(rounds, block),
        latency=tuple(latency) if ok else (),
        memory=_memory(export.size_bytes) if ok else None,
        accuracy=accuracy,
        control=tuple(_control(f"{document.run_id}/{key}", threads, block) for threads in (1, 4)),
        environment=EnvironmentRecord(
            before=machine(), after=machine().model_copy(update={"frequency_khz": 2_050_000})
        ),
        warnings=warnings,
    ).write(path)
    return path


def machine() -> MachineEnvironment:
    """A target's machine and state."""
    return MachineEnvironment(
        cpu="Example CPU 9000 @ 2.10GHz",
        cores=4,
        usable_cores=4,
        architecture="x86_64",
        os="Debian GNU/Linux 12 (bookworm)",
        kernel="6.1.0",
        python="3.11.2",
        memory_total_bytes=8_000_000_000,
        versions={"numpy": "2.3.0", "litert": "2.3.0", "onnxruntime": "1.31.1"},
        governor="performance",
        frequency_khz=2_100_000,
        load_average=(0.2, 0.3, 0.4),
        others_cores=0.05,
    )


def write_study(folder: Path, cells: Sequence[tuple[RunFolder, CellStatus]], recipe: Recipe | None = None) -> Path:
    """``study.json`` over runs that lie in ``folder/runs``."""
    StudyDocument(
        name=folder.name,
        created=CREATED,
        recipe=recipe or recipe_of(),
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
    _audit(leaks, tuple(pictures)).write(study / "audit.json")
    return study


def _audit(leaks: tuple[LeakedImage, ...], pictures: tuple[AuditPicture, ...]) -> AuditDocument:
    within = {"train": 3, "test": 1}
    across = (DuplicatesAcross(a="train", b="test", n_files=20, pairs=()),)
    return AuditDocument(
        root="/data/brain-tumor-mri",
        name="brain-tumor-mri",
        layout="train and test folders",
        fingerprint=hashlib.sha256(b"images").hexdigest(),
        n_images=4966,
        splits={"train": 4566, "test": 400},
        classes={split: dict.fromkeys(CLASSES, 100) for split in ("train", "test")},
        largest_class_over_smallest={"train": 1.0, "test": 1.0},
        corrupt=(),
        exact_duplicates=Duplicates(within=within, across=across, groups=()),
        near_duplicates=NearDuplicates(within=within, across=across, groups=(), max_distance=26, hash_bits=256),
        label_conflicts=(),
        leaked_test_images=leaks,
        sizes=ImageSizes(distinct=1, most_common={"224x224": 4966}, width_pixels=None, height_pixels=None),
        modes={"L": 2000, "RGB": 2966},
        formats={"JPEG": 4966},
        shortcuts=(
            ShortcutRecord(
                property="mode",
                accuracy=0.48,
                accuracy_ci95=(0.43, 0.53),
                largest_class=0.28,
                n_images=400,
                values={},
            ),
        ),
        pictures=pictures,
    )


def _unfinished(run_id: str, recipe: Recipe, classes: tuple[str, ...], n_test: int) -> RunDocument:
    """``run.json`` before training is done."""
    return RunDocument(
        status="running",
        run_id=run_id,
        created=CREATED,
        edgekit_version="0.1.0",
        recipe=recipe,
        backbone=recipe.model.backbone,
        alpha=1.0,
        strategy=recipe.train.strategy,
        seed=recipe.train.seed,
        weights=WeightsRecord(source="none"),
        dataset=DatasetRecord(
            name="brain-tumor-mri",
            root="/data/brain-tumor-mri",
            fingerprint=hashlib.sha256(b"images").hexdigest(),
            classes=classes,
            layout="train and test folders; validation taken from train",
            n_files=7019,
            counts={
                split: {name: n // len(classes) for name in classes}
                for split, n in (("train", 4566), ("val", 1142), ("test", n_test))
            },
        ),
        model=ModelRecord(parameters=2_591_300, layers=160, input_shape=(224, 224, 3)),
        environment=TrainingEnvironment(
            python="3.11.2",
            platform="Linux-6.1-x86_64",
            cpu="Example CPU 9000 @ 2.10GHz",
            cores=4,
            usable_cores=4,
            backend="tensorflow",
            gpu=None,
            versions={"keras": "3.15.1", "tensorflow-cpu": "2.21.0"},
        ),
    )


def _phase(name: str) -> PhaseRecord:
    return PhaseRecord.model_validate(
        {
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
    )


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


def _export(document: RunDocument, key: str, scale: float) -> ExportDocument:
    size = int((FILES | COMPRESSED)[key][0] * scale)
    file_format, scheme = key.split("-", 1)
    integer = scheme.startswith("int8")
    n_classes = len(document.dataset.classes)
    return ExportDocument(
        run_id=document.run_id,
        backbone=document.backbone,
        alpha=document.alpha,
        strategy=document.strategy,
        seed=document.seed,
        keras_sha256=hashlib.sha256(document.run_id.encode()).hexdigest(),
        labels=document.dataset.classes,
        resize="stretch",
        format=file_format,
        scheme=scheme,
        file=f"model.{file_format}",
        size_bytes=size,
        gzip_bytes=int(size * (0.78 if integer else 0.92)),
        sha256=hashlib.sha256(f"{document.run_id}{key}".encode()).hexdigest(),
        input=InputTensor(name="images", dtype="uint8", shape=(1, 224, 224, 3), layout="NHWC"),
        output=OutputTensor(name="probabilities", dtype="float32", shape=(1, n_classes)),
        operators={"CONV_2D": 36, "DEPTHWISE_CONV_2D": 17, "ADD": 10},
        integer_only=integer,
        float_operators={},
        parity=ParityRecord(
            split="val",
            n_images=100,
            agreement=0.98 if integer else 1.0,
            n_disagree=2 if integer else 0,
            max_abs_difference=0.13 if integer else 3.1e-6,
            mean_abs_difference=0.01 if integer else 2.0e-7,
            keras_accuracy=0.94,
            accuracy=0.93,
        ),
        gate=GateRecord(
            verdict="held",
            max_drop_points=2.0,
            drop_points=1.0,
            drop_ci95_points=(-0.5, 1.8),
            n_images=100,
            agreement=0.98,
            became_wrong=("Training/1.jpg",),
            became_right=(),
        ),
        golden=GoldenRecord(n_images=4, file="golden.npz"),
        status="ok",
        problems=(),
        warnings=(),
        converter=Converter(name="tensorflow", version="2.21.0"),
        calibration=CalibrationRecord(images=200, seed=0, split="train", per_class=(50,) * 4) if integer else None,
        seconds=12.0,
        timing=ExportTiming(convert_seconds=9.0, check_seconds=3.0),
        peak_rss_bytes=1_200_000_000,
        created="2026-11-21T10:30:00+00:00",
        versions={"tensorflow-cpu": "2.21.0"},
    )


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


def _protocol(rounds: int, block: int) -> ProtocolRecord:
    return ProtocolRecord(
        name="quick",
        repeats=1,
        rounds=rounds,
        block_runs=block,
        block_ns=125_000_000,
        warmup_runs=10,
        warmup_ns=100_000_000,
    )


def _latency(
    threads: int,
    milliseconds: float,
    factor: float,
    shape: tuple[int, int, float],
    unstable: tuple[str, ...],
    random: np.random.Generator,
) -> Latency:
    """``shape``: rounds, runs in a block, noise."""
    return Latency(
        threads=threads,
        threads_effective=0.98 * threads,
        load_ns=9_000_000,
        first_ns=int(2e6 * milliseconds),
        warmup_ns=(int(1.1e6 * milliseconds),) * 10,
        rounds=_rounds(milliseconds * factor / threads**0.8, *shape, random),
        preprocess_ns=(2_100_000,) * 16,
        postprocess_ns=(21_000,) * 16,
        unstable=unstable,
    )


def _control(model: str, threads: int, block: int) -> ControlRecord:
    return ControlRecord(
        model=model,
        threads=threads,
        rounds_a=_rounds(4.5, 16, block, 0.01, np.random.default_rng(1)),
        rounds_b=_rounds(4.5, 16, block, 0.01, np.random.default_rng(2)),
    )


def _memory(size_bytes: int) -> MemoryRecord:
    return MemoryRecord(
        threads=1,
        baseline_rss_bytes=48_000_000,
        peak_rss_bytes=48_000_000 + 2 * size_bytes,
        model_rss_bytes=2 * size_bytes,
        peak_was_reset=True,
    )


def _rounds(milliseconds: float, rounds: int, block: int, noise: float, random: np.random.Generator) -> Rounds:
    samples = milliseconds * 1e6 * random.lognormal(0, noise, (rounds, block))
    return tuple(tuple(int(value) for value in row) for row in samples)


def give_the_same_images(folder: Path) -> None:
    """Let the test images of all runs below ``folder`` have the same names, so that their answers pair."""
    for file in folder.rglob("*predictions.npz"):
        with np.load(file) as stored:
            parts = dict(stored)
        parts["files"] = np.array([f"{i:05}.jpg" for i in range(len(parts["files"]))])
        np.savez_compressed(file, **parts)
