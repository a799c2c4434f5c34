"""Run folders as `edgekit train` leaves them, without training for more than seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit import __version__
from edgekit.documents.dataset_list import DatasetRow, write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import DatasetRecord, ModelRecord, RunDocument, TrainingEnvironment, WeightsRecord
from edgekit.recipe import Recipe, validate
from edgekit.registry import BACKBONES
from edgekit.support.files import sha256_file, write_text

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (200, 50, 40)}
PER_SPLIT = {"train": 20, "val": 8, "test": 2}
SIDE = 32


def make_run(path: Path, backbone: str, *, alpha: float = 1.0, steps: int = 0) -> RunFolder:
    """A finished run in ``path``; without ``steps`` its weights are random, BatchNorm statistics included."""
    import keras

    from edgekit.train.network import build_network

    run, side = RunFolder(path), max(SIDE, BACKBONES[backbone].min_image_size)
    recipe = validate(
        {
            "data": {"path": str(path / "images"), "image_size": side},
            "model": {"backbone": backbone, "alpha": alpha, "weights": "none"},
            "train": {"strategy": "from-scratch"},
            "export": {"calibration": {"images": 51}, "parity_images": 21},
        },
        "test",
    )
    rows = _write_images(path / "images")
    network = build_network(recipe.model, image_size=side, classes=len(COLOURS), seed=0)
    if steps:
        _train(network, path / "images", rows, steps)
    else:
        _stir(network)
    network.save(run.model)
    document = _document(run, recipe, network, rows)
    keras.backend.clear_session()
    write_text(run.labels, "".join(f"{name}\n" for name in COLOURS))
    write_dataset_csv(run.dataset, rows)
    document.write(run.run_json)
    return run


def _write_images(root: Path) -> list[DatasetRow]:
    generator = np.random.default_rng(0)
    rows = []
    for split, count in PER_SPLIT.items():
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                noise = generator.normal(0, 25, (SIDE, SIDE, 3))
                file = root / split / name / f"{number}.png"
                Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(file)
                rows.append(DatasetRow(file.relative_to(root).as_posix(), name, split, sha256_file(file)))
    return rows


def _train(network: Any, root: Path, rows: list[DatasetRow], steps: int) -> None:
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8  # the statistics of a few steps
    rate = 2e-4 if network.name.startswith("vgg") else 3e-3  # VGG16 has no BatchNorm: a higher rate does not learn
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", jit_compile=False)
    chosen = [row for row in rows if row.split == "train"]
    pixels = np.stack([np.asarray(Image.open(root / row.path)) for row in chosen]).astype(np.float32)
    labels = np.array([list(COLOURS).index(row.label) for row in chosen])
    generator = np.random.default_rng(0)
    for _ in range(steps):
        batch = generator.choice(len(labels), 24, replace=False)
        network.train_on_batch(pixels[batch], labels[batch])


def _stir(network: Any) -> None:
    """Biases and BatchNorms that are not the neutral ones of a new network, so that a lost one shows."""
    generator = np.random.default_rng(0)
    for variable in network.weights:
        kind = variable.path.rsplit("/", 1)[-1]
        if kind in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.7, 1.4, variable.shape))
        elif kind in ("beta", "bias", "moving_mean"):
            variable.assign(generator.normal(0, 0.1, variable.shape))


def _document(run: RunFolder, recipe: Recipe, network: Any, rows: list[DatasetRow]) -> RunDocument:
    """What `edgekit train` would have written, without metrics."""
    counts = {split: dict.fromkeys(COLOURS, number) for split, number in PER_SPLIT.items()}
    return RunDocument(
        status="done",
        run_id=f"colours-{recipe.model.backbone}",
        created="2026-01-01T00:00:00+00:00",
        edgekit_version=__version__,
        recipe=recipe,
        backbone=recipe.model.backbone,
        alpha=recipe.model.alpha,
        strategy="from-scratch",
        seed=0,
        weights=WeightsRecord(source="none"),
        dataset=DatasetRecord(
            name="images",
            root=str(run.path / "images"),
            fingerprint="0" * 64,
            classes=tuple(COLOURS),
            layout="splits",
            n_files=len(rows),
            counts=counts,
        ),
        model=ModelRecord(parameters=network.count_params(), layers=len(network.layers), input_shape=(SIDE, SIDE, 3)),
        environment=TrainingEnvironment(
            python="3.11", platform="test", cpu=None, cores=None, backend="tensorflow", gpu=None, versions={}
        ),
        files={run.model.name: sha256_file(run.model)},
    )


def change_run(run: RunFolder, **values: object) -> None:
    """Replace fields of ``run.json``."""
    run.read_run().model_copy(update=values).write(run.run_json)


def replace_model(run: RunFolder, network: Any) -> None:
    """Store another network in the run."""
    network.save(run.model)
    change_run(run, files={run.model.name: sha256_file(run.model)})
