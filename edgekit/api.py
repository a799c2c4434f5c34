"""The Python API: the commands of ``edgekit`` as functions that return the documents they write.

Each function does what the command of the same name does, with the same defaults. Import them from :mod:`edgekit`::

    import edgekit

    run = edgekit.train(data="photos", backbone="mobilenetv2", run="runs/photos")
    edgekit.export(run, files=["tflite-int8"])

An expected failure raises :class:`edgekit.EdgekitError` or one of its subclasses. The functions print
nothing; each takes a ``progress``, which receives its messages while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import EdgekitError, InputError
from edgekit.support.interrupts import resumable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.bench.predict import Prediction
    from edgekit.documents.audit import AuditDocument
    from edgekit.documents.bench import BenchResult
    from edgekit.documents.export import ExportDocument
    from edgekit.documents.folders import RunFolder
    from edgekit.documents.report import ReportDocument
    from edgekit.documents.run import RunDocument
    from edgekit.documents.study import StudyDocument
    from edgekit.recipe import Recipe
    from edgekit.study.runner import StudyResult

AnyPath = str | Path


@dataclass(frozen=True)
class BenchOutcome:
    """The results of a benchmark."""

    results: tuple[BenchResult, ...]
    """One for each file and target."""
    errors: Mapping[str, EdgekitError]
    """Why a target measured nothing, by its name. Empty with a single target, whose error is raised."""


def train(
    recipe: Recipe | AnyPath | None = None,
    *,
    data: AnyPath | None = None,
    backbone: str | None = None,
    strategy: str | None = None,
    weights: str | None = None,
    image_size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, object] | None = None,
    run: AnyPath | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> RunDocument:
    """Train one model on a folder of labelled images.

    Args:
        recipe: A recipe, the path of a recipe file, or the name of a shipped recipe. Default: a recipe's defaults.
        data: Folder of labelled images.
        backbone: Name of the backbone.
        strategy: ``feature-extraction``, ``fine-tuning`` or ``from-scratch``.
        weights: ``imagenet``, ``none`` or the path of a Keras weights file.
        image_size: Side in pixels that images are resized to.
        epochs: Epochs of every phase.
        batch_size: Images per step.
        seed: Seed of all random choices.
        settings: Any recipe settings by dotted key, e.g. ``{"train.label_smoothing": 0.1}``. They take precedence.
        run: Folder for the result. Default: a new one in ``runs/``.
        resume: Resume the interrupted run in ``run``.

    Returns:
        The ``run.json`` of the finished run.

    Raises:
        InputError: The recipe, images, weights or run folder cannot be used. Raised before training starts.
    """
    from edgekit.documents.folders import RunFolder
    from edgekit.recipe.resolve import resolve_recipe, training_settings
    from edgekit.train.training import default_run_folder
    from edgekit.train.training import train as train_run

    changes = training_settings(
        data=data,
        backbone=backbone,
        strategy=strategy,
        weights=weights,
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    ) | dict(settings or {})
    if resume and run is None:
        raise InputError("resume=True needs the folder of the run to resume", hint="pass it as run=")
    if resume and run is not None and recipe is None and not changes:
        recipe = RunFolder(Path(run)).read_run().recipe
    resolved = resolve_recipe(recipe, changes)
    folder = RunFolder(Path(run)) if run is not None else default_run_folder(resolved, Path("runs"))
    with resumable(folder.run_json, folder.resume_command, progress):
        train_run(resolved, folder, resume=resume, progress=progress)
    return folder.read_run()


def import_model(
    model: AnyPath,
    *,
    data: AnyPath,
    scaling: str | None = None,
    labels: AnyPath | None = None,
    name: str | None = None,
    resize: str | None = None,
    image_size: int | None = None,
    settings: Mapping[str, object] | None = None,
    run: AnyPath | None = None,
    check: bool = True,
    progress: Progress = SILENT,
) -> RunDocument:
    """Make a run folder from a Keras classifier that was trained elsewhere.

    Args:
        model: A ``.keras`` or ``.h5`` file, or a SavedModel folder that Keras 2 wrote. No code in it is run.
        data: Folder of labelled images of its classes.
        scaling: How the model's training scaled the pixels: ``none`` (0-255, or scaled by the model itself),
            ``unit`` [0, 1], ``symmetric`` [-1, 1], ``imagenet``, ``caffe``, or ``"MEAN,STD"``. It becomes a part of
            the network. Without it, each is tried on labelled images, and the error says which fits best.
        labels: File with the class names in the order of the model's outputs: one on each line, or JSON. Default: the
            image folders in alphabetical order, as Keras numbers them.
        name: Name of the model in reports. Default: that of the file.
        resize: How images become square: ``stretch``, ``crop`` or ``pad``.
        image_size: Side of the images in pixels, for a model that takes any size.
        settings: Settings of the recipe by dotted key, e.g. ``{"data.split.test": 0.3}``.
        run: Folder for the result. Default: a new one in ``runs/``.
        check: Refuse a scaling or an order of the labels that another one clearly beats.

    Returns:
        The ``run.json`` of the run, with the accuracy of the model on the test images.

    Raises:
        InputError: The model, labels or images cannot be used, or the scaling is not given.
        CheckFailed: Another scaling or order of the labels clearly fits the images better.
    """
    from edgekit.train.imported.importing import import_model as make_run
    from edgekit.train.imported.options import ImportOptions

    options = ImportOptions(
        model=expanded(model),
        data=expanded(data),
        labels=_path(labels),
        scaling=scaling,
        name=name,
        resize=resize,
        image_size=image_size,
        run=_path(run),
        settings=settings,
        check=check,
    )
    folder = options.folder
    make_run(options, progress)
    return folder.read_run()


def evaluate(run: RunDocument | AnyPath, *, data: AnyPath | None = None, progress: Progress = SILENT) -> RunDocument:
    """Score a run's Keras model again on its validation and test images.

    Args:
        run: A finished run: its folder, or its document.
        data: Where the run's images are now, if they have moved.

    Returns:
        The new ``run.json``.

    Raises:
        InputError: The run, its model or its images are missing or have changed.
    """
    from edgekit.train.evaluate import evaluate as evaluate_run

    folder = _run_folder(run)
    evaluate_run(folder, data_root=None if data is None else str(data), progress=progress)
    return folder.read_run()


def export(
    run: RunDocument | AnyPath,
    *,
    files: Sequence[str] = (),
    max_drop: float | None = None,
    repair: bool = False,
    settings: Mapping[str, object] | None = None,
    data: AnyPath | None = None,
    progress: Progress = SILENT,
) -> list[ExportDocument]:
    """Export a trained run to TFLite and ONNX files, and verify each against the Keras model.

    Args:
        run: A finished run: its folder, or its document.
        files: Names of exports, e.g. ``["tflite-int8", "onnx-fp32"]``. Default: those of the run's recipe.
        max_drop: Points of accuracy that an exported file may lose.
        repair: Keep the most sensitive layers of a failing int8 file in float.
        settings: Other settings of the recipe's export section by dotted key, e.g.
            ``{"export.calibration.images": 500}``.
        data: Where the run's images are now, if they have moved.

    Returns:
        The ``export.json`` of each file.

    Raises:
        InputError: The run or a setting is invalid. Raised before anything is converted.
        CheckFailed: A file failed a check. All files are written; the ``export.json`` of each has its status.
    """
    from edgekit.export.pipeline import export_run

    changes = dict(settings or {})
    if max_drop is not None:
        changes["export.max_drop"] = max_drop
    if repair:
        changes["export.repair"] = True
    folder = _run_folder(run)
    return export_run(
        folder, list(files), settings=changes, progress=progress, data_root=None if data is None else Path(data)
    )


def bench(
    models: RunDocument | AnyPath | Sequence[RunDocument | AnyPath],
    *,
    targets: str | Sequence[str] = "local",
    protocol: str | None = None,
    threads: Sequence[int] | None = None,
    data: AnyPath | None = None,
    images: int | None = None,
    runtime: str | None = None,
    sustained_s: float | None = None,
    profile: bool = False,
    pin: bool = False,
    rate_hz: float | None = None,
    latency: bool = True,
    labels: AnyPath | None = None,
    scaling: str | None = None,
    resize: str | None = None,
    filter: str | None = None,
    preset: str | None = None,
    image_size: str | None = None,
    output: str | None = None,
    activation: str | None = None,
    out: AnyPath | None = None,
    progress: Progress = SILENT,
) -> BenchOutcome:
    """Measure latency, memory, size and accuracy of exported files, all in one session.

    An interrupted call keeps every finished block and every scored image; the same call continues it.

    Args:
        models: Runs, whose exported files are measured, or ``.tflite`` and ``.onnx`` files.
        targets: Name of a target, or several names.
        protocol: ``quick``, ``standard``, ``full`` or ``check``. Default: the recipe's, else ``standard``.
        threads: Thread counts; 0 is all cores. Default: the recipe's, else 1 and 0.
        data: Where the run's images are now. For a third-party model: a folder of classes to score it on.
        images: Score on at most this many test images; 0 measures no accuracy.
        runtime: Runtime to use.
        sustained_s: Also run each file continuously for this many seconds.
        profile: Also measure the time of each kind of operator.
        pin: Keep each process to as many cores as it has threads, where the target allows it.
        rate_hz: Start so many runs per second of each file, as a camera would. Default: one after the other.
        latency: If false, only score the test images. Calling this again without it measures the rest.
        labels: For a third-party model: file with its class names (one per line, JSON or CSV).
        scaling: For a third-party model: input scaling.
        resize: For a third-party model: how images are resized.
        filter: For a third-party model: filter for resizing, such as ``bicubic``.
        preset: For a third-party model: preprocessing of a known source, such as ``teachable-machine``.
        image_size: For a third-party model with a dynamic input: ``224``, or ``224x160`` (height x width).
        output: For a third-party model with several outputs: name or number of the one with the scores.
        activation: For a third-party model: ``softmax``, ``sigmoid`` or ``none``. Default: read from the file.
        out: For a third-party model: folder for the results. Default: beside the model.

    Raises:
        InputError: A model or a setting is invalid. Raised before anything is measured.
        TargetError: No target could be reached or prepared.
    """
    from edgekit.bench.multi_target import bench_targets
    from edgekit.bench.settings import BenchOptions
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.documents.run import RunDocument

    options = BenchOptions(
        protocol=protocol,
        threads=None if threads is None else tuple(threads),
        data=_path(data),
        images=images,
        runtime=runtime,
        sustained_s=sustained_s,
        profile=profile,
        pin=pin,
        rate_hz=rate_hz,
        latency=latency,
        third_party=ThirdPartyOptions(
            _path(labels), scaling, resize, _path(out), filter, image_size, output, activation, preset
        ),
    )
    chosen = [models] if isinstance(models, str | Path | RunDocument) else models
    paths = [folder_of(one) for one in chosen]
    names = [targets] if isinstance(targets, str) else list(targets)
    results, errors = bench_targets(paths, names, options, progress)
    return BenchOutcome(tuple(results), errors)


def compare(
    recipe: Recipe | AnyPath,
    *,
    data: AnyPath | None = None,
    settings: Mapping[str, object] | None = None,
    out: AnyPath | None = None,
    targets: str | Sequence[str] = "local",
    jobs: int = 1,
    retries: int = 1,
    executor: str = "local",
    mlflow: str | None = None,
    latency: bool = True,
    quiet: bool = True,
    progress: Progress = SILENT,
) -> StudyResult:
    """Run or resume a study: train, export and measure every backbone, strategy, arm and seed of a recipe.

    Each step runs in its own process, so the study survives a step that crashes and can be killed and resumed.

    Args:
        recipe: A recipe, the path of a recipe file, or the name of a shipped recipe.
        data: Folder of labelled images.
        settings: Other recipe settings by dotted key.
        out: Study folder. Default: ``studies/`` and the recipe's name.
        targets: Name of a target, or several names.
        jobs: Cells to train at the same time.
        retries: How often a failed cell is retried.
        executor: ``local``, or ``ray`` for a Ray cluster with a shared disk.
        latency: If false, only score the exported files. Calling this again without it measures the rest.
        mlflow: Address of an MLflow server to log every cell to.
        quiet: Whether to hide the progress of the study's processes on stderr.

    Raises:
        EdgekitError: No cell succeeded.
        InputError: The recipe is incompatible with the study in ``out``, or another process is working on it.
        TargetError: A target is unknown.
    """
    from edgekit.recipe.resolve import resolve_recipe, training_settings
    from edgekit.study.runner import run_study

    resolved = resolve_recipe(recipe, training_settings(data=data) | dict(settings or {}))
    return run_study(
        resolved,
        Path("studies") / resolved.name if out is None else Path(out),
        targets=[targets] if isinstance(targets, str) else list(targets),
        jobs=jobs,
        retries=retries,
        executor=executor,
        mlflow=mlflow,
        latency=latency,
        quiet=quiet,
        progress=progress,
    )


def report(
    folder: RunDocument | StudyDocument | AnyPath | Sequence[RunDocument | StudyDocument | AnyPath],
    *,
    claims: Recipe | AnyPath | None = None,
    constraints: Mapping[str, float] | None = None,
    out: AnyPath | None = None,
    progress: Progress = SILENT,
) -> ReportDocument:
    """Write the report of a run, a study, or several runs.

    Args:
        folder: A run or a study: its folder, or its document. Also a folder that contains runs, or several of these.
        claims: A recipe whose claims are judged instead of those of the run or study.
        constraints: What the recommended exported file must meet: ``{"latency_ms": 30, "size_mb": 5}``. Names are
            ``latency_ms``, ``size_mb``, ``memory_mb``, ``points_lost`` and ``threads``.
        out: Folder for the report. By default ``report`` in the folder of the run, study or runs.

    Returns:
        The document of ``report.json``, with the paths of the written files as ``report_html`` and ``report_json``.

    Raises:
        InputError: The folder is neither a run nor a study, or its documents cannot be read.
    """
    from edgekit.recipe import constraint_of
    from edgekit.recipe.resolve import resolve_recipe
    from edgekit.report.build import build_report

    judged = None if claims is None else resolve_recipe(claims)
    if isinstance(folder, Sequence) and not isinstance(folder, str):
        folders = [folder_of(entry) for entry in folder]
    else:
        folders = [folder_of(folder)]
    asked = None if constraints is None else constraint_of(constraints)
    return build_report(folders, out=_path(out), claims=judged, constraint=asked, progress=progress)


def predict(
    model: AnyPath,
    images: AnyPath | Sequence[AnyPath],
    *,
    target: str = "local",
    runtime: str | None = None,
    labels: AnyPath | None = None,
    scaling: str | None = None,
    resize: str | None = None,
    filter: str | None = None,
    preset: str | None = None,
    image_size: str | None = None,
    output: str | None = None,
    activation: str | None = None,
    progress: Progress = SILENT,
) -> list[Prediction]:
    """Classify images with an exported file.

    Args:
        model: A ``.tflite`` or ``.onnx`` file.
        images: An image file or a folder of images, or several. An image that cannot be read is left out, with a
            warning.
        target: Name of the target to run on.
        runtime: Runtime to use.
        labels, scaling, resize, filter, preset, image_size, output, activation: For a third-party model, as in
            :func:`bench`.

    Returns:
        For each image that can be read, every class with its probability, the most probable first.

    Raises:
        InputError: The model cannot be read, an image is missing, no image can be read, or the scaling of a third-party
            model is unknown.
    """
    from edgekit.bench.predict import predict as classify
    from edgekit.bench.third_party import ThirdPartyOptions

    files = [images] if isinstance(images, str | Path) else images
    predictions = classify(
        Path(model),
        [Path(image) for image in files],
        third_party=ThirdPartyOptions(
            _path(labels), scaling, resize, None, filter, image_size, output, activation, preset
        ),
        runtime=runtime,
        target=target,
        progress=progress,
    )
    for image, reason in predictions.unreadable.items():
        progress.warn(f"{image} cannot be read: {reason}")
    return predictions.found


def audit(
    data: AnyPath, *, labels_from: str = "auto", near_bits: int | None = None, progress: Progress = SILENT
) -> AuditDocument:
    """Audit an image folder: duplicates within and across splits, label conflicts, corrupt files and shortcuts.

    Args:
        data: Folder of labelled images.
        labels_from: Where the labels are, as ``data.labels_from`` in a recipe.
        near_bits: Largest number of differing bits, of 256, in near duplicates. Default: 26.

    Raises:
        InputError: The folder does not contain images in class folders.
    """
    from edgekit.data.audit.duplicates import NEAR_BITS
    from edgekit.data.audit.summary import audit_folder

    bits = NEAR_BITS if near_bits is None else near_bits
    return audit_folder(Path(data), labels_from=labels_from, near_bits=bits, progress=progress).document()


def load_run(folder: AnyPath) -> RunDocument:
    """Read the ``run.json`` of a run folder; :class:`InputError` if it is not one."""
    return _run_folder(folder).read_run()


def load_study(folder: AnyPath) -> StudyDocument:
    """Read the ``study.json`` of a study folder; :class:`InputError` if it is not one."""
    from edgekit.documents.study import read_study

    return read_study(expanded(folder))


def _run_folder(run: RunDocument | AnyPath) -> RunFolder:
    from edgekit.documents.folders import RunFolder

    return RunFolder(folder_of(run))


def folder_of(value: RunDocument | StudyDocument | AnyPath) -> Path:
    """A path, or the folder that a document was read from."""
    if isinstance(value, str | Path):
        return expanded(value)
    if value.read_from is None:
        raise InputError("this document was not read from a file", hint="pass the folder instead")
    return value.read_from.parent


def _path(value: AnyPath | None) -> Path | None:
    return None if value is None else Path(value)
