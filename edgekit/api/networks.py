"""Networks: training, importing, evaluating and exporting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.api.folders import AnyPath, path_of, run_folder_of
from edgekit.errors import InputError
from edgekit.support.interrupts import resumable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.documents.export import ExportDocument
    from edgekit.documents.run import RunDocument
    from edgekit.recipe import Recipe


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
        recipe = run_folder_of(run).read_run().recipe
    resolved = resolve_recipe(recipe, changes)
    folder = run_folder_of(run) if run is not None else default_run_folder(resolved, Path("runs"))
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
        labels=path_of(labels),
        scaling=scaling,
        name=name,
        resize=resize,
        image_size=image_size,
        run=path_of(run),
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

    folder = run_folder_of(run)
    evaluate_run(folder, data_root=path_of(data), progress=progress)
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
    folder = run_folder_of(run)
    return export_run(folder, list(files), settings=changes, progress=progress, data_root=path_of(data))
