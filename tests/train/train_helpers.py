"""Helpers for the tests of training: small separable images, weights files, recipes, and running a command."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.data import Dataset
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.recipe import Recipe, validate
from edgekit.registry import get_backbone

CLASSES = ("amber", "blue", "green")
COLOURS = {"amber": (200, 150, 40), "blue": (50, 80, 200), "green": (60, 170, 70)}
SIDE = 32
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class TrainedRun:
    folder: RunFolder
    document: RunDocument
    recipe: Recipe


def write_images(folder: Path, counts: dict[str, tuple[int, int, int]], seed: int = 0) -> Path:
    """``{"train": (16, 16, 16), ...}``: that many noisy PNG files of each class in each split."""
    random = np.random.default_rng(seed)
    for split, per_class in counts.items():
        for name, count in zip(CLASSES, per_class):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = np.array(COLOURS[name]) + random.normal(0, 15, (SIDE, SIDE, 3)) + random.normal(0, 8, 3)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / split / name / f"{number}.png")
    return folder


def save_backbone_weights(name: str, alpha: float, path: Path) -> Path:
    """A weights file of the backbone without its top, as a user would provide it."""
    original_backbone(name, alpha).save_weights(path)
    return path


def original_backbone(name: str, alpha: float, side: int = SIDE) -> Any:
    """The backbone of Keras with random kernels, and with BatchNorm fitted to coloured noise as after training.

    Without that the images' signal dies on its way through fifty layers: the features would be the same for every
    image, and no test of them would mean anything. The offset of 2 keeps most of the signal where ReLU and ReLU6 are
    straight, so that the features still tell colours apart.
    """
    import keras

    entry = get_backbone(name)
    keras.utils.set_random_seed(7)
    width = {"alpha": alpha} if entry.alphas else {}
    network = getattr(keras.applications, entry.keras_class)(
        include_top=False, weights=None, input_shape=(side, side, 3), **width
    )
    random = np.random.default_rng(7)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
        layer.beta.assign(random.normal(2, 0.1, layer.beta.shape))
        layer.momentum = 0.0
    if norms:
        network(keras_preprocessing(name)(coloured_noise(24, side=side)), training=True)
    return network


def keras_preprocessing(name: str) -> Any:
    """The function that the documentation of Keras says to call on RGB pixels in 0-255 for this backbone."""
    import keras

    application = getattr(keras.applications, get_backbone(name).keras_class)
    return sys.modules[application.__module__].preprocess_input


def coloured_noise(count: int, seed: int = 1, side: int = SIDE) -> np.ndarray:
    """float32 (count, side, side, 3), 0-255: images with a colour, a coarse and a fine pattern of their own."""
    random = np.random.default_rng(seed)
    coarse = np.kron(random.normal(0, 50, (count, 4, 4, 3)), np.ones((1, -(-side // 4), -(-side // 4), 1)))
    coarse = coarse[:, :side, :side]
    pixels = random.uniform(40, 215, (count, 1, 1, 3)) + coarse + random.normal(0, 20, (count, side, side, 3))
    return pixels.clip(0, 255).round().astype(np.float32)


def recipe(
    images: Path,
    weights: Path | str,
    *,
    strategy: str = "feature-extraction",
    epochs: int = 3,
    seed: int = 0,
    augment: dict[str, Any] | None = None,
    **train: Any,
) -> Recipe:
    """A quick recipe for ``images``: MobileNetV2 at a third of its width, with the last three layers trained.

    No BatchNorm in the head: its statistics would need hundreds of steps.
    """
    return validate(
        {
            "name": "test",
            "data": {"path": str(images), "image_size": SIDE},
            "model": {
                "alpha": 0.35,
                "weights": str(weights),
                "head": {"units": 32, "batchnorm": False, "dropout": 0.2},
            },
            "train": {
                "strategy": strategy,
                "seed": seed,
                "batch_size": 6,
                "augment": augment or {},
                "feature_extraction": {"epochs": epochs, "learning_rate": 1e-3},
                "fine_tuning": {"epochs": epochs, "learning_rate": 3e-4, "last_layers": 3},
                "from_scratch": {"epochs": epochs},
                **train,
            },
        },
        "test",
    )


def changed(original: Recipe, section: str = "train", **settings: Any) -> Recipe:
    """``original`` with other settings in one of its sections."""
    document = original.document()
    document[section] |= settings
    return validate(document, "test")


def history(run: RunFolder) -> list[dict[str, str]]:
    with run.history.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


MEASURED = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
"""The columns of the history that do not depend on the clock."""


def values(rows: list[dict[str, str]]) -> np.ndarray:
    """(epochs, 5): the measured columns."""
    return np.array([[float(row[name]) for name in MEASURED] for row in rows])


def model_weights(run: RunFolder) -> dict[str, np.ndarray]:
    """Every weight of the saved network by its path, without the number of weights that have no name of their own.

    Keras numbers such weights, as in the LayerScale of ConvNeXt, by counting those of the whole process.
    """
    import keras

    network = keras.models.load_model(run.model, compile=False)
    weights = {re.sub(r"/variable_\d+$", "/variable", weight.path): np.asarray(weight) for weight in network.weights}
    assert len(weights) == len(network.weights)
    return weights


def edgekit_here(*arguments: object) -> int:
    """The command line in this process; its exit code."""
    from edgekit.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def edgekit_process(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """``python -m edgekit ARGUMENTS`` with its own process, on the CPU, as from a shell."""
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tiny_network(seed: int = 0, *, plain_head: bool = False) -> Any:
    """A flat network with the layer names of a real one, for three classes: two convolutions, then the usual head.

    A plain head is the last layer alone, which does the same in training as in inference.
    """
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    for number in (1, 2):
        x = layers.Conv2D(8, 4, strides=4, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    if not plain_head:
        x = layers.Dense(8, activation="relu", name="head_dense")(x)
        x = layers.BatchNormalization(name="head_batchnorm")(x)
        x = layers.Dropout(0.3, seed=seed, name="head_dropout")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(x), name="tiny")


def pixels_in_memory(counts: dict[str, tuple[int, int, int]], seed: int = 0) -> tuple[Dataset, np.ndarray]:
    """A dataset of decoded images (N, SIDE, SIDE, 3) without files; its classes overlap."""
    random = np.random.default_rng(seed)
    labels, splits = [], []
    for split, per_class in counts.items():
        for label, count in enumerate(per_class):
            labels += [label] * count
            splits += [split] * count
    colours = np.array([COLOURS[CLASSES[label]] for label in labels])[:, None, None]
    pixels = colours + random.normal(0, 20, (len(labels), SIDE, SIDE, 3)) + random.normal(0, 60, (len(labels), 1, 1, 3))
    names = tuple(str(number) for number in range(len(labels)))
    dataset = Dataset(
        Path("memory"), "memory", CLASSES, names, np.array(labels, np.int32), np.array(splits, "<U5"), names, "memory"
    )
    return dataset, pixels.clip(0, 255).astype(np.uint8)
