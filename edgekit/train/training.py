"""The train stage: a recipe in, a run folder out."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgekit import __version__
from edgekit.data.dataset import Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_dataset
from edgekit.documents.base import write_json
from edgekit.documents.dataset_list import write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.recipe import Recipe, other_work, validate
from edgekit.support.files import atomic_path, sha256_file, write_text
from edgekit.support.progress import SILENT, Progress
from edgekit.train.backend import Backend, environment, prepare_backend
from edgekit.train.same_images import SameImages, skipped_images
from edgekit.train.start_from import check_start


def train(recipe: Recipe, run: RunFolder, *, resume: bool = False, progress: Progress = SILENT) -> dict[str, Any]:
    """Train ``recipe`` into ``run`` and return its ``run.json``.

    With ``resume`` an interrupted run goes on after its last finished epoch; a finished one is returned as it is.
    Raises :class:`InputError` before slow work where recipe, images, weights or folder do not fit; a resumed run
    takes exactly the images of its ``dataset.csv``.
    """
    started = time.perf_counter()
    document = _open_run(recipe, run, resume)
    if document.get("status") == "done":
        progress.info(f"{run.path} is already trained")
        return document
    _check_weights_file(recipe)
    if recipe.train.start_from is not None:
        check_start(recipe)
    same = SameImages(run, document) if document else None
    found = open_dataset(recipe.data, progress=progress)
    if same is not None:
        same.check(found, skip_corrupt=recipe.data.on_corrupt == "skip")
    importing = time.perf_counter()
    backend = prepare_backend(recipe.train.device)
    imported = time.perf_counter()
    _check_precision(recipe, backend)
    dataset, pixels = decode_dataset(
        found, recipe.data.image_size, recipe.data.resize, recipe.data.on_corrupt, progress
    )
    if same is not None:
        same.check_decoded(dataset)
    data_seconds = time.perf_counter() - started - (imported - importing)
    network = _network(recipe, len(dataset.classes))
    document = _describe(document, recipe, run, dataset, network, backend)
    document["dataset"]["corrupt"] = skipped_images(found, dataset)
    write_json(run.run_json, document)  # first: what follows makes a run folder only together with it
    write_dataset_csv(run.dataset, dataset.rows())
    write_text(run.labels, "\n".join(dataset.classes) + "\n")
    stages, known = _run_stages(recipe, run, network, dataset, pixels, backend, progress)
    train_seconds = sum(stage["seconds"] + stage.get("feature_seconds", 0.0) for stage in stages)
    _save_network(recipe, run, network, len(dataset.classes))
    document["stages"] = stages
    document["model"]["keras_size_bytes"] = run.model.stat().st_size
    document["timing"] = {"data_seconds": data_seconds, "train_seconds": train_seconds}
    from edgekit.train.checkpoint import remove_checkpoints
    from edgekit.train.evaluate import evaluate_network

    document = evaluate_network(document, run, network, dataset, pixels, progress, known)
    document["timing"]["total_seconds"] = time.perf_counter() - started
    document["status"] = "done"
    document["files"] = {
        file.name: sha256_file(file) for file in (run.model, run.labels, run.dataset, run.history, run.predictions)
    }
    write_json(run.run_json, document)
    remove_checkpoints(run.checkpoint)
    return document


def default_run_folder(recipe: Recipe, runs: Path) -> RunFolder:
    """A folder below ``runs`` that is named after the recipe and does not exist yet."""
    data = (
        recipe.name if recipe.name != "recipe" else Path(recipe.data.path or recipe.data.name or "run").resolve().name
    )
    name = f"{data}-{recipe.model.backbone}-{recipe.train.strategy}-s{recipe.train.seed}"
    number = 1
    while (runs / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return RunFolder(runs / (name if number == 1 else f"{name}-{number}"))


def _open_run(recipe: Recipe, run: RunFolder, resume: bool) -> dict[str, Any]:
    """The document of a run to go on with, or an empty one for a new folder."""
    if not run.path.exists() or (run.path.is_dir() and not any(run.path.iterdir())):
        return {}
    document = run.read()
    if not resume:
        state = "finished" if document.get("status") == "done" else "unfinished"
        raise InputError(
            f"this folder already holds {'a' if state == 'finished' else 'an'} {state} run",
            where=str(run.path),
            hint="choose another --run folder" + ("" if state == "finished" else ", or go on with --resume"),
        )
    its = validate(document["recipe"], str(run.run_json)).document()  # settings younger than the run: their defaults
    if changed := other_work(its, recipe.document()):
        raise InputError(
            f"this run was started with another recipe; different: {', '.join(changed)}",
            where=str(run.path),
            hint=f"go on as it was started: edgekit train --run {run.path} --resume",
        )
    return document


def _check_weights_file(recipe: Recipe) -> None:
    weights = recipe.model.weights
    if weights not in ("imagenet", "none") and not Path(weights).expanduser().is_file():
        raise InputError(
            "the weights file does not exist", where=weights, hint="give a path, or one of: imagenet, none"
        )


def _check_precision(recipe: Recipe, backend: Backend) -> None:
    if recipe.train.precision == "mixed_float16" and backend.on_cpu:
        raise InputError(
            "mixed_float16 needs a GPU, and this run would train on the CPU",
            where="train.precision",
            hint="use precision float32 here",
        )


def _network(recipe: Recipe, n_classes: int) -> Any:
    import keras

    from edgekit.support.frameworks import collector_paused
    from edgekit.train.network import build_network

    keras.config.set_dtype_policy(recipe.train.precision)
    try:
        with collector_paused():
            return build_network(
                recipe.model, image_size=recipe.data.image_size, classes=n_classes, seed=recipe.train.seed
            )
    finally:
        keras.config.set_dtype_policy("float32")


def _describe(
    document: dict[str, Any], recipe: Recipe, run: RunFolder, dataset: Dataset, network: Any, backend: Backend
) -> dict[str, Any]:
    from edgekit.train.macs import multiply_accumulates

    weights = recipe.model.weights
    is_file = weights not in ("imagenet", "none")
    notes = []
    if weights == "none" and recipe.train.strategy != "from-scratch":
        notes.append(
            f"{recipe.train.strategy} keeps backbone layers at random weights (weights: none): "
            "expect little; from-scratch trains them"
        )
    return {
        "status": "running",
        "run_id": document.get("run_id", run.path.name),
        "created": document.get("created", datetime.now(timezone.utc).isoformat(timespec="seconds")),
        "edgekit_version": __version__,
        "recipe": recipe.document(),
        "backbone": recipe.model.backbone,
        "alpha": recipe.model.alpha,
        "strategy": recipe.train.strategy,
        "seed": recipe.train.seed,
        "weights": {
            "source": "file" if is_file else weights,
            "path": weights if is_file else None,
            "sha256": sha256_file(Path(weights).expanduser()) if is_file else None,
        },
        "dataset": {
            "name": dataset.name,
            "root": str(dataset.root),
            "fingerprint": dataset.fingerprint,
            "classes": list(dataset.classes),
            "layout": dataset.layout,
            "n_files": len(dataset),
            "counts": dataset.counts(),
        },
        "model": {
            "parameters": int(network.count_params()),
            "macs": multiply_accumulates(network),
            "layers": len(network.layers),
            "input_shape": list(network.input.shape[1:]),
        },
        "environment": environment(backend),
        "warnings": notes,
    }


def _run_stages(
    recipe: Recipe, run: RunFolder, network: Any, dataset: Dataset, pixels: Any, backend: Backend, progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from edgekit.train.history import HistoryLog
    from edgekit.train.phases import STRATEGY_STAGES, Material

    with HistoryLog(run.history, run.path / "tensorboard") as history:
        material = Material(recipe, network, dataset, pixels, backend, run.checkpoint, history.update)
        return [stage(material, progress) for stage in STRATEGY_STAGES[recipe.train.strategy]], material.answers


def _save_network(recipe: Recipe, run: RunFolder, network: Any, n_classes: int) -> None:
    """Save in float32, without optimizer state, whatever precision trained it."""
    import keras

    from edgekit.train.network import build_network

    plain = network
    if recipe.train.precision != "float32":
        plain = build_network(
            recipe.model,
            image_size=recipe.data.image_size,
            classes=n_classes,
            seed=recipe.train.seed,
            load_weights=False,
        )
        plain.set_weights(network.get_weights())
    else:
        plain = keras.Model(network.input, network.output, name=network.name)
    with atomic_path(run.model) as temporary:
        plain.save(temporary)
