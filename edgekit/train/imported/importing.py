"""``edgekit import``: from a Keras model to a finished run folder."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgekit import __version__
from edgekit.data.dataset import Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_dataset
from edgekit.data.splits import stratified_choice
from edgekit.device.failures import DeviceError
from edgekit.device.scaling import SCALINGS, Scaling, parse_scaling
from edgekit.documents.dataset_list import write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.history import write_history
from edgekit.documents.labels_file import read_labels_file
from edgekit.documents.run import ImportRecord, RunDocument, TimingRecord, WeightsRecord
from edgekit.errors import CheckFailed, InputError
from edgekit.recipe import Recipe, apply_settings, validate
from edgekit.registry import IMPORTED
from edgekit.support.files import atomic_path, sha256_file, write_text
from edgekit.support.os_errors import ROOM, check_writable
from edgekit.support.progress import SILENT, Progress
from edgekit.train.backend import Backend, environment, prepare_backend
from edgekit.train.imported.judgement import judge
from edgekit.train.imported.labels import folder_order, match_labels
from edgekit.train.imported.options import ImportOptions
from edgekit.train.keras_files.model_file import OpenedModel, file_kind, open_keras_model
from edgekit.train.records import dataset_record, model_record

if TYPE_CHECKING:
    import keras

    from edgekit.train.imported.ends import InputForm, OutputForm
    from edgekit.train.imported.trials import Trials

TRIED_IMAGES = 160
"""Labelled training images that scalings and the order of the labels are tried on."""

VERIFIED_IMAGES = 32
SEED = 0


@dataclass(frozen=True)
class _Images:
    """The labelled images: ``pixels`` uint8 (N, H, W, 3) of ``dataset``, whose classes are in the model's order."""

    found: Dataset
    dataset: Dataset
    pixels: NDArray[np.uint8]
    seconds: float


def import_model(options: ImportOptions, progress: Progress = SILENT) -> RunDocument:
    """Make a run folder from the model in ``options`` and return its ``run.json``.

    Raises :class:`InputError`, before slow work starts, if the model, the images or the labels cannot be used, and if
    the scaling is not given: its hint is the command with the best one. Raises :class:`CheckFailed` if another scaling
    or order of the labels clearly fits the images better.
    """
    started = time.perf_counter()
    run = options.folder
    _check_folder(run)
    scaling = None if options.scaling is None else _scaling(options.scaling)
    file_kind(options.model)
    labels = None if options.labels is None else read_labels_file(options.labels)
    # Only the images and settings matter; the size follows from the model.
    found = open_dataset(_recipe(options, 224).data, progress=progress)
    backend = prepare_backend("cpu")
    opened, form, output = _open(options)
    classes = (
        folder_order(found.classes, output.classes, options.data)
        if labels is None
        else match_labels(labels, found.classes, options.data)
    )
    if len(classes) != output.classes:
        raise InputError(
            f"the model has {output.classes} classes, and there are {len(classes)} labels",
            where=str(options.labels or options.data),
        )
    recipe = _recipe(options, form.side)
    images = _read_images(recipe, found, classes, progress)
    trials = _try(opened, form, output, images, options, scaling, progress)
    judge(trials, images.dataset, options, labels is not None, progress)
    assert options.scaling is not None and scaling is not None  # judge raises where it is not given
    check_writable(run.path, 2 * (_size(options.model) + ROOM))
    with run.lock():
        _check_folder(run)
        return _write(
            _Import(options, recipe, run, opened, form, output, scaling, images, trials, backend), started, progress
        )


def _size(model: Path) -> int:
    files = [file for file in model.rglob("*") if file.is_file()] if model.is_dir() else [model]
    return sum(file.stat().st_size for file in files)


def _check_folder(run: RunFolder) -> None:
    """The folder has to be new, empty, or that of an import that was interrupted, which is started again."""
    check_writable(run.path)
    if run.run_json.is_file():
        earlier = run.read_run()
        if earlier.imported is not None and not earlier.done:
            return
    if not run.is_new():
        raise InputError(
            "this folder is not empty", where=str(run.path), hint="choose another --run folder, or remove it"
        )


def _scaling(text: str) -> Scaling:
    try:
        return parse_scaling(text)
    except DeviceError as error:
        raise InputError(str(error), where="--scaling") from None


def _recipe(options: ImportOptions, side: int) -> Recipe:
    document = Recipe().document()
    apply_settings(
        document,
        {
            "name": options.title,
            "data.path": str(options.data),
            "data.image_size": side,
            "model.backbone": IMPORTED,
            "model.weights": "none",
            **({} if options.resize is None else {"data.resize": options.resize}),
            **(options.settings or {}),
        },
    )
    return validate(document, "edgekit import")


def _open(options: ImportOptions) -> tuple[OpenedModel, InputForm, OutputForm]:
    from edgekit.train.imported.ends import input_form, output_form

    opened = open_keras_model(options.model)
    form = input_form(opened.model, options.image_size, options.model)
    return opened, form, output_form(opened.model, options.model)


def _read_images(recipe: Recipe, found: Dataset, classes: list[str], progress: Progress) -> _Images:
    started = time.perf_counter()
    data = recipe.data
    dataset, pixels = decode_dataset(found, data.image_size, data.resize, data.on_corrupt, progress)
    ordered = Dataset.from_rows(dataset.rows(), dataset.root, dataset.name, classes, dataset.layout)
    ordered = replace(ordered, pixel_range=dataset.pixel_range)
    return _Images(found, ordered, pixels, time.perf_counter() - started)


def _try(
    opened: OpenedModel,
    form: InputForm,
    output: OutputForm,
    images: _Images,
    options: ImportOptions,
    given: Scaling | None,
    progress: Progress,
) -> Trials:
    from edgekit.train.imported.ends import seen_outputs
    from edgekit.train.imported.network import predictor, refuse_scaling, scale_pixels, suits
    from edgekit.train.imported.trials import try_scalings

    candidates = {name: scaling for name, scaling in SCALINGS.items() if suits(scaling, form)}
    if given is not None and options.scaling is not None:
        if not suits(given, form):
            raise refuse_scaling(options.scaling, form)
        candidates = {options.scaling: given, **candidates} if options.check else {options.scaling: given}
    positions = tried_images(images.dataset)
    pixels = np.asarray(images.pixels[positions])
    outputs = predictor(opened.model)

    def predict(scaling: Scaling) -> NDArray[np.float32]:
        values = outputs(scale_pixels(pixels, scaling, form))
        return seen_outputs(output, values).probabilities(values)

    with progress.bar("trying scalings", len(candidates)) as bar:

        def advance(name: str) -> None:
            bar.note(name)
            bar.advance()

        trials = try_scalings(candidates, predict, images.dataset.labels[positions], advance)
    if not trials.by_scaling or (options.scaling is not None and options.scaling not in trials.by_scaling):
        raise CheckFailed(
            "the model returns NaN or infinity for real images",
            where=str(options.model),
            hint="its weights are damaged, or its training diverged",
        )
    return trials


def tried_images(dataset: Dataset) -> NDArray[np.int64]:
    """Positions of the labelled images that scalings are tried on: training images, every class in proportion."""
    members = dataset.indices("train")
    return members[stratified_choice(dataset.labels[members], TRIED_IMAGES, SEED)]


@dataclass(frozen=True)
class _Import:
    """Everything that a run folder is made from."""

    options: ImportOptions
    recipe: Recipe
    run: RunFolder
    opened: OpenedModel
    form: InputForm
    output: OutputForm
    scaling: Scaling
    images: _Images
    trials: Trials
    backend: Backend


def _write(job: _Import, started: float, progress: Progress) -> RunDocument:
    """Make the network, verify it, and write the run folder; ``run.json`` is complete when everything else is."""
    from edgekit.train.evaluate import evaluate_network, load_network
    from edgekit.train.imported.ends import seen_outputs
    from edgekit.train.imported.network import imported_network, predictor, scale_pixels, verify_network

    pixels = np.asarray(job.images.pixels[tried_images(job.images.dataset)[:VERIFIED_IMAGES]])
    outputs = predictor(job.opened.model)(scale_pixels(pixels, job.scaling, job.form))
    output = seen_outputs(job.output, outputs)
    made = imported_network(job.opened.model, "imported", job.scaling, job.form, output)
    difference = verify_network(made.network, output.probabilities(outputs), pixels, job.options.model)
    for change in made.changes:
        progress.info(change)
    dataset = job.images.dataset
    document = _document(job, made.network, made.changes, output, difference)
    run = job.run
    document.write(run.run_json)
    write_dataset_csv(run.dataset, dataset.rows())
    write_text(run.labels, "\n".join(dataset.classes) + "\n")
    write_history(run.history, [])
    with atomic_path(run.model) as temporary:
        made.network.save(temporary)
    document = document.model_copy(
        update={"model": document.model.model_copy(update={"keras_size_bytes": run.model.stat().st_size})}
    )
    document = evaluate_network(document, run, load_network(run), dataset, job.images.pixels, progress)
    files = (run.model, run.labels, run.dataset, run.history, run.predictions)
    document = document.model_copy(
        update={
            "status": "done",
            "timing": document.timing.model_copy(update={"total_seconds": time.perf_counter() - started}),
            "files": {file.name: sha256_file(file) for file in files},
        }
    )
    document.write(run.run_json)
    return document


def _document(
    job: _Import, network: keras.Model, changes: tuple[str, ...], output: OutputForm, difference: float
) -> RunDocument:
    options, dataset, digest = job.options, job.images.dataset, sha256_path(job.options.model)
    assert options.scaling is not None
    return RunDocument(
        status="running",
        run_id=job.run.path.resolve().name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgekit_version=__version__,
        recipe=job.recipe,
        backbone=options.title,
        strategy=IMPORTED,
        seed=SEED,
        weights=WeightsRecord(source="file", path=str(options.model), sha256=digest),
        dataset=dataset_record(job.images.found, dataset),
        model=model_record(network),
        environment=environment(job.backend),
        warnings=_warnings(dataset),
        timing=TimingRecord(data_seconds=job.images.seconds),
        imported=ImportRecord(
            file=options.model.name,
            format=job.opened.format,
            sha256=digest,
            keras_version=job.opened.keras_version,
            scaling=options.scaling,
            mean=job.scaling.mean,
            std=job.scaling.std,
            bgr=job.scaling.bgr,
            labels="folders" if options.labels is None else "file",
            output=output.description,
            changes=changes,
            max_abs_difference=difference,
            tried_images=job.trials.n_images,
            tried={name: trial.accuracy for name, trial in job.trials.by_scaling.items()},
        ),
    )


def _warnings(dataset: Dataset) -> tuple[str, ...]:
    if not any(part.startswith("test: ") for part in dataset.layout.split("; ")):
        return ()
    return (
        "edgekit drew the test images from the whole folder; if the model was trained on some of them, its accuracy "
        "here is too high. Put images that it was not trained on into a test folder",
    )


def sha256_path(path: Path) -> str:
    """SHA-256 of a file, or of the files of a SavedModel folder and their names."""
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\n{sha256_file(file)}\n".encode())
    return digest.hexdigest()
