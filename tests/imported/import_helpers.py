"""Images, and models as other people make them: plain Keras code that knows nothing of edgekit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIDE = 32
COLOURS = {"amber": (200, 150, 40), "blue": (50, 80, 200), "green": (60, 170, 70)}
PER_SPLIT = {"train": 60, "val": 20, "test": 20}

ORDER = ("green", "amber", "blue")
"""The order in which the stranger numbered the classes."""


def write_photos(root: Path) -> Path:
    random = np.random.default_rng(0)
    for split, count in PER_SPLIT.items():
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.array(colour) + random.normal(0, 30, (SIDE, SIDE, 3)) + random.normal(0, 25, 3)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root


def read_photos(root: Path, classes: tuple[str, ...] = ORDER, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Pixels float32 (N, H, W, 3), 0-255, and labels (N,)."""
    files = [
        (file, label) for label, name in enumerate(classes) for file in sorted((root / split / name).glob("*.png"))
    ]
    pixels = np.stack([np.asarray(Image.open(file)) for file, _ in files]).astype(np.float32)
    return pixels, np.array([label for _, label in files])


def write_stranger(root: Path, path: Path) -> Path:
    """A classifier for pixels in [0, 1] with its own order of the classes, augmentation inside, and logits."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    features = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, strides=2, name="conv"),
            layers.BatchNormalization(momentum=0.5),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2),
            layers.Conv2D(16, 1, activation="silu"),
        ],
        name="features",
    )
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.RandomFlip(),
            features,
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3, name="conv"),
        ],
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    pixels, labels = read_photos(root)
    history = model.fit(pixels / 255, labels, epochs=8, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    model.save(path)
    return path


def noise(count: int = 4, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """uint8 (count, side, side, 3)."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def stir(model: Any) -> Any:
    """``model`` with weights that show a lost or exchanged one: no BatchNorm is like another."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if hasattr(layer, "layers"):
            stir(layer)
        else:
            old = layer.get_weights()
            layer.set_weights([_drawn(random, weight.shape) for weight in old])
    return model


def _drawn(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel that keeps the size of what it is applied to, or the numbers of a BatchNorm or a bias."""
    if len(shape) > 1:
        return random.normal(0, 1.4 / np.sqrt(np.prod(shape[:-1])), shape)
    return random.uniform(0.5, 1.5, shape)


def edgekit_here(*arguments: object) -> int:
    """The command line in this process; its exit code."""
    from edgekit.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)
