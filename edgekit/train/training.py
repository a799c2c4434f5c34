"""Training: turns a recipe into a run folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from numpy import uint8
from numpy.typing import NDArray

from edgekit import __version__
from edgekit.data.dataset import GATE, Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_dataset
from edgekit.data.run_baselines import baselines_of
from edgekit.documents.audit import Baselines, BaselinesDocument
from edgekit.documents.dataset_list import write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import PhaseRecord, RunDocument, TimingRecord, WeightsRecord
from edgekit.errors import InputError
from edgekit.recipe import Recipe, other_work
from edgekit.registry import IMPORTED, get_backbone
from edgekit.support.files import atomic_path, sha256_file, write_text
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress
from edgekit.train.ahead import beside
from edgekit.train.backend import (
    Backend,
    building_on_host,
    environment,
    move_to_accelerator,
    prepare_backend,
)
from edgekit.train.records import dataset_record, model_record
from edgekit.train.same_images import SameImages
from edgekit.train.start_from import check_start
from edgekit.train.times import Times

if TYPE_CHECKING:
    import keras

    from edgekit.train.device_data import DeviceInputs
    from edgekit.train.run_context import RunContext


@dataclass(frozen=True)
class _Prepared:
    """The inputs of training, once everything has been checked.

    ``pixels`` are uint8 (N, H, W, 3), the images of ``dataset``; ``found`` also has images that cannot be decoded.
    """

    found: Dataset
    dataset: Dataset
    pixels: NDArray[uint8]
    backend: Backend
    seconds: float
    """Time spent on the images."""
    uploaded: DeviceInputs | None
    """The images on the accelerator, if there is one."""


def train(recipe: Recipe, run: RunFolder, *, resume: bool = False, progress: Progress = SILENT) -> RunDocument:
    """Train ``recipe`` into the folder ``run`` and return its ``run.json``.

    With ``resume``, an interrupted run continues after its last complete epoch, on exactly the images of its
    ``dataset.csv``, and a finished run is returned as it is. Raises :class:`InputError`, before slow work starts, if
    the recipe, the images, the weights or the folder do not fit, and :class:`EdgekitError` if training diverges.
    """
    times = Times()
    check_writable(run.path)
    with contextlib.ExitStack() as held:
        if run.run_json.is_file():
            held.enter_context(run.lock())
        earlier = _open_run(recipe, run, resume)
        if earlier is not None and earlier.done:
            progress.info(f"{run.path} is already trained")
            return earlier
        prepared = _prepare(recipe, run, earlier, times, progress)
        with times.measure("build"):
            network = _build(recipe, len(prepared.dataset.classes))
        check_writable(run.path, _STORED_BYTES * int(network.count_params()))
        if earlier is None:  # only now, so that a folder is not created for input that is refused
            held.enter_context(run.lock())
            _open_run(recipe, run, resume=False)
        return _train(recipe, run, earlier, prepared, network, times, progress)


_STORED_BYTES = 20
"""Bytes on disk for each weight: the model, and the checkpoint with current weights, best weights and optimizer."""


def _train(
    recipe: Recipe,
    run: RunFolder,
    earlier: RunDocument | None,
    prepared: _Prepared,
    network: keras.Model,
    times: Times,
    progress: Progress,
) -> RunDocument:
    document = _first_document(earlier, recipe, run, prepared, network)
    document.write(run.run_json)  # first: the other files make a run folder only together with it
    write_dataset_csv(run.dataset, prepared.dataset.rows())
    write_text(run.labels, "\n".join(prepared.dataset.classes) + "\n")
    dataset, pixels = prepared.dataset, prepared.pixels
    baselines: Callable[[], Baselines | None] = partial(baselines_of, dataset, pixels, recipe.data.resize)
    if prepared.uploaded is not None:  # the host is idle while an accelerator trains
        baselines = beside(baselines)
    phases, context = _run_phases(recipe, run, network, prepared, times, progress)
    with times.measure("save"):
        save_network(recipe, run, network, len(prepared.dataset.classes))
    train_seconds = sum(phase.seconds + (phase.feature_seconds or 0.0) for phase in phases)
    document = document.model_copy(
        update={
            "stages": phases,
            "warnings": (*document.warnings, *(warning for phase in phases for warning in phase.warnings)),
            "model": document.model.model_copy(update={"keras_size_bytes": run.model.stat().st_size}),
            "timing": TimingRecord(data_seconds=prepared.seconds, train_seconds=train_seconds),
        }
    )
    from edgekit.train.checkpoint import remove_checkpoints
    from edgekit.train.evaluate import evaluate_network

    with times.measure("evaluate"):
        known, maps = context.predictions, context.feature_maps
        document = evaluate_network(document, run, network, dataset, pixels, progress, known, maps)
        BaselinesDocument(fingerprint=prepared.dataset.fingerprint, baselines=baselines()).write(run.baselines)
    files = (run.model, run.labels, run.dataset, run.history, run.predictions)
    with times.measure("save"):
        hashes = {file.name: sha256_file(file) for file in files}
    timing = {"total_seconds": time.perf_counter() - times.started, "profile": times.record()}
    document = document.model_copy(
        update={"status": "done", "timing": document.timing.model_copy(update=timing), "files": hashes}
    )
    document.write(run.run_json)
    remove_checkpoints(run.checkpoint)
    return document


def default_run_folder(recipe: Recipe, runs: Path) -> RunFolder:
    """A folder below ``runs`` that is named after the recipe and does not exist yet."""
    images = Path(recipe.data.path or recipe.data.name or "run").resolve().name
    what = images if recipe.name == "recipe" else recipe.name
    backbone = get_backbone(recipe.model.backbone).slug
    name = f"{what}-{backbone}-{recipe.train.strategy}-s{recipe.train.seed}"
    folder, number = runs / name, 1
    while folder.exists():
        number += 1
        folder = runs / f"{name}-{number}"
    return RunFolder(folder)


def _open_run(recipe: Recipe, run: RunFolder, resume: bool) -> RunDocument | None:
    """The document of the run to resume; ``None`` if the folder is new."""
    if run.is_new():
        return None
    document = run.read_run()
    if not resume:
        state, hint = ("a finished", "") if document.done else ("an unfinished", ", or resume it with --resume")
        raise InputError(
            f"this folder already contains {state} run",
            where=str(run.path),
            hint=f"choose another --run folder{hint}",
        )
    if changed := other_work(document.recipe.document(), recipe.document()):
        raise InputError(
            f"this run was started with a different recipe (settings that differ: {', '.join(changed)})",
            where=str(run.path),
            hint=f"resume it: {run.resume_command}",
        )
    return document


def _prepare(
    recipe: Recipe, run: RunFolder, earlier: RunDocument | None, times: Times, progress: Progress
) -> _Prepared:
    """Check everything that can be checked before training starts, and decode the images."""
    _check_weights_file(recipe)
    if recipe.train.start_from is not None:
        check_start(recipe)
    same = SameImages(run, earlier.dataset) if earlier is not None else None
    started = time.perf_counter()
    with times.measure("data"):
        found = open_dataset(recipe.data, progress=progress)
        if same is not None:
            same.check(found, skip_corrupt=recipe.data.on_corrupt == "skip")
    seconds = time.perf_counter() - started
    with times.measure("import"):
        backend = prepare_backend(recipe.train.device)
    _check_precision(recipe, backend)
    if not backend.on_cpu:  # while it decodes, compiles and trains
        Thread(target=_import_rest, name="edgekit-import", daemon=True).start()
    started = time.perf_counter()
    with times.measure("data"):
        dataset, pixels = decode_dataset(
            found, recipe.data.image_size, recipe.data.resize, recipe.data.on_corrupt, progress
        )
        if same is not None:
            same.check_decoded(dataset)
        seconds += time.perf_counter() - started
        uploaded = _upload(backend, recipe.train.batches, pixels)
    return _Prepared(found, dataset, pixels, backend, seconds, uploaded)


def _import_rest() -> None:
    """Import what logs epochs, scores and draws, which takes seconds."""
    from edgekit.train.evaluate import import_for_evaluation
    from edgekit.train.history_log import import_for_events

    import_for_events()
    import_for_evaluation()


def _upload(backend: Backend, batches: str, pixels: NDArray[uint8]) -> DeviceInputs | None:
    """The images on the accelerator, where they are copied while the network is built."""
    from edgekit.train.device_data import inputs_of
    from edgekit.train.device_engine import engine_of

    engine = engine_of(backend, batches)
    return None if engine is None else inputs_of(engine, pixels)


def _check_weights_file(recipe: Recipe) -> None:
    weights, file = recipe.model.weights, get_backbone(recipe.model.backbone).file
    if file is not None and not expanded(file).is_file():
        raise InputError(
            "the backbone file does not exist",
            where=file,
            hint="give the path of a .keras or .h5 file, or a name of edgekit list backbones",
        )
    if recipe.model.backbone == IMPORTED:
        raise InputError(
            "an imported model cannot be trained", hint="train on it as a backbone: --backbone MODEL.keras"
        )
    if weights not in ("imagenet", "none") and not expanded(weights).is_file():
        raise InputError(
            "the weights file does not exist", where=weights, hint="give the path of a file, or one of: imagenet, none"
        )


def _check_precision(recipe: Recipe, backend: Backend) -> None:
    if recipe.train.precision == "mixed_float16" and backend.on_cpu:
        raise InputError(
            "mixed_float16 requires a GPU, but this run would train on the CPU",
            where="train.precision",
            hint="use --set train.precision=float32",
        )


def _build(recipe: Recipe, n_classes: int) -> keras.Model:
    import keras

    from edgekit.support.frameworks import collector_paused
    from edgekit.train.network import build_network

    keras.config.set_dtype_policy(recipe.train.precision)
    try:
        with collector_paused(), building_on_host():
            network = build_network(
                recipe.model, image_size=recipe.data.image_size, classes=n_classes, seed=recipe.train.seed
            )
    finally:
        keras.config.set_dtype_policy("float32")
    move_to_accelerator(network.variables)
    return network


def _first_document(
    earlier: RunDocument | None, recipe: Recipe, run: RunFolder, prepared: _Prepared, network: keras.Model
) -> RunDocument:
    """The document of a run that starts, or that is resumed from ``earlier``."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return RunDocument(
        status="running",
        run_id=run.path.name if earlier is None else earlier.run_id,
        created=now if earlier is None else earlier.created,
        edgekit_version=__version__,
        recipe=recipe,
        backbone=get_backbone(recipe.model.backbone).name,
        alpha=recipe.model.alpha,
        strategy=recipe.train.strategy,
        seed=recipe.train.seed,
        weights=_weights_record(recipe),
        dataset=dataset_record(prepared.found, prepared.dataset),
        model=model_record(network),
        environment=environment(prepared.backend),
        warnings=_warnings(recipe),
    )


def _weights_record(recipe: Recipe) -> WeightsRecord:
    weights = get_backbone(recipe.model.backbone).file or recipe.model.weights
    if weights in ("imagenet", "none"):
        return WeightsRecord(source=weights)
    return WeightsRecord(source="file", path=weights, sha256=sha256_file(expanded(weights)))


def _warnings(recipe: Recipe) -> tuple[str, ...]:
    if recipe.model.weights != "none" or recipe.train.strategy == "from-scratch":
        return ()
    return (
        f"with weights: none, {recipe.train.strategy} keeps backbone layers at random weights, so accuracy will be "
        "low; the from-scratch strategy trains every layer",
    )


def _run_phases(
    recipe: Recipe, run: RunFolder, network: keras.Model, prepared: _Prepared, times: Times, progress: Progress
) -> tuple[tuple[PhaseRecord, ...], RunContext]:
    """Run every phase of the strategy; their records, and the context with the predictions that they have made."""
    with times.measure("import"):
        from edgekit.train.frozen_layers import check_views
        from edgekit.train.history_log import HistoryLog
        from edgekit.train.outputs import compiled_feature_maps
        from edgekit.train.phases import STRATEGY_PHASES
        from edgekit.train.run_context import RunContext

    with HistoryLog(run.history, run.path / "tensorboard") as history:
        context = RunContext(
            recipe,
            network,
            prepared.dataset,
            prepared.pixels,
            prepared.backend,
            run.checkpoint,
            history.update,
            times=times,
            uploaded=prepared.uploaded,
        )
        check_views(context, progress)
        with times.measure("compile"):
            context.feature_maps = compiled_feature_maps(context)
        phases = tuple(run_one(context, progress) for run_one in STRATEGY_PHASES[recipe.train.strategy])
        if context.predict_rows is not None:
            with times.measure("evaluate"):
                for split in {"test", GATE} & set(prepared.dataset.splits):
                    context.predictions[split] = context.predict_rows(prepared.dataset.indices(split))
        return phases, context


def save_network(recipe: Recipe, run: RunFolder, network: keras.Model, n_classes: int) -> None:
    """Save the network in float32 and without optimizer state, whatever precision it was trained in."""
    import keras

    from edgekit.train.flat_copy import float32_copy
    from edgekit.train.network import build_network

    if recipe.train.precision == "float32":
        plain = keras.Model(network.input, network.output, name=network.name)
    elif get_backbone(recipe.model.backbone).copied:  # its scaling may depend on the weights that it was built with
        plain = float32_copy(network)
    else:
        with building_on_host():
            plain = build_network(
                recipe.model,
                image_size=recipe.data.image_size,
                classes=n_classes,
                seed=recipe.train.seed,
                load_weights=False,
            )
            plain.set_weights(network.get_weights())
    with atomic_path(run.model) as temporary:
        plain.save(temporary)
