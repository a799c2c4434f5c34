"""Documents with plausible values, built from their models, so that no fixture has a key that no stage writes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from edgekit.documents.audit import (
    AuditDocument,
    AuditPicture,
    BaselineAccuracy,
    Baselines,
    Duplicates,
    DuplicatesAcross,
    ImageSizes,
    LeakedImage,
    NearDuplicates,
    NearestNeighbourAccuracy,
    ShortcutRecord,
)
from edgekit.documents.bench import MemoryRecord, RuntimeRecord
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
from edgekit.documents.latency import Block, ControlRecord, Latency, MeasuredProcess, ProtocolRecord
from edgekit.documents.machine import MachineEnvironment
from edgekit.documents.run import (
    DatasetRecord,
    ModelRecord,
    PhaseRecord,
    RunDocument,
    TrainingEnvironment,
    WeightsRecord,
)
from edgekit.recipe import Recipe, validate

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


def unfinished_run(run_id: str, recipe: Recipe, classes: tuple[str, ...], n_test: int) -> RunDocument:
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


def phase(name: str) -> PhaseRecord:
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


def export(document: RunDocument, key: str, scale: float) -> ExportDocument:
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
            status="held",
            limit_points=2.0,
            drop_points=1.0,
            lower95_points=-0.5,
            upper95_points=1.8,
            n_samples=100,
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


def protocol(rounds: int, block: int) -> ProtocolRecord:
    return ProtocolRecord(
        name="quick",
        repeats=processes_of(rounds),
        rounds=rounds // processes_of(rounds),
        block_runs=block,
        block_ns=125_000_000,
        warmup_runs=10,
        warmup_ns=100_000_000,
    )


def latency(
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
        processes=in_processes(samples(milliseconds * factor / threads**0.8, *shape, random), milliseconds),
        preprocess_ns=(2_100_000,) * 16,
        postprocess_ns=(21_000,) * 16,
        unstable=unstable,
    )


def control(model: str, threads: int, block: int) -> ControlRecord:
    return ControlRecord(
        model=model,
        threads=threads,
        first=in_processes(samples(4.5, 16, block, 0.01, np.random.default_rng(1)), 4.5),
        second=in_processes(samples(4.5, 16, block, 0.01, np.random.default_rng(2)), 4.5),
    )


def processes_of(rounds: int) -> int:
    """Into how many processes so many rounds are divided."""
    return next(count for count in (4, 2, 1) if rounds % count == 0)


def in_processes(rounds: Rounds, milliseconds: float) -> tuple[MeasuredProcess, ...]:
    """``rounds`` (rounds, runs) as several processes measure them."""
    size = len(rounds) // processes_of(len(rounds))
    return tuple(
        MeasuredProcess(
            number=number,
            load_ns=9_000_000,
            first_ns=int(2e6 * milliseconds),
            warmup_ns=(int(1.1e6 * milliseconds),) * 10,
            blocks=tuple(
                Block(round=place, ns=ns) for place, ns in enumerate(rounds[number * size : (number + 1) * size])
            ),
        )
        for number in range(len(rounds) // size)
    )


def memory(size_bytes: int) -> MemoryRecord:
    return MemoryRecord(
        threads=1,
        baseline_rss_bytes=48_000_000,
        peak_rss_bytes=48_000_000 + 2 * size_bytes,
        model_rss_bytes=2 * size_bytes,
        peak_was_reset=True,
    )


def samples(milliseconds: float, rounds: int, block: int, noise: float, random: np.random.Generator) -> Rounds:
    samples = milliseconds * 1e6 * random.lognormal(0, noise, (rounds, block))
    return tuple(tuple(int(value) for value in row) for row in samples)


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


def audit(leaks: tuple[LeakedImage, ...], pictures: tuple[AuditPicture, ...]) -> AuditDocument:
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
        baselines=Baselines(
            majority=BaselineAccuracy(accuracy=0.3, n_samples=400),
            nearest_neighbour=NearestNeighbourAccuracy(accuracy=0.979, n_samples=400, size=48),
        ),
        pictures=pictures,
    )
