"""Dynamic-range files of networks in which one large kernel that does not matter decides the scale of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.export.base import ExportFacts
from edgekit.export.check.parity import open_exported, predict
from edgekit.export.makers import MAKERS
from edgekit.export.network import TrainedNetwork
from edgekit.recipe import Export

SIDE, CHANNELS, LABELS = 16, 48, ["a", "b", "c", "d"]
LARGE = 500


@pytest.mark.parametrize("file_format", ["tflite", "onnx"])
def test_a_channel_with_a_large_depthwise_kernel_does_not_ruin_the_others(file_format, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(CHANNELS, 3, activation="relu", name="first")(image)
    x = keras.layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = keras.layers.Conv2D(CHANNELS, 1, activation="relu", name="pointwise")(x)
    network = with_classes(image, keras.layers.GlobalAveragePooling2D(name="features")(x))
    first, depthwise = network.get_layer("first"), network.get_layer("depthwise")
    sizes = np.ones(CHANNELS)
    sizes[0] = LARGE
    first.set_weights([np.asarray(first.kernel) / sizes, np.zeros(CHANNELS)])
    depthwise.set_weights([np.asarray(depthwise.kernel) * sizes[:, np.newaxis], np.zeros(CHANNELS)])
    assert same_classes(network, file_format, tmp_path) >= 0.6  # 0.3 with one scale for the depthwise kernel


@pytest.mark.parametrize("file_format", ["tflite", "onnx"])
def test_a_large_unit_does_not_ruin_the_others(file_format, tmp_path):
    """A person's own network, with a unit that is never active."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(CHANNELS, 3, activation="relu")(image))
    network = with_classes(image, keras.layers.Dense(64, activation="relu", name="features")(x))
    hidden = network.get_layer("features")
    kernel = np.asarray(hidden.kernel)
    kernel[:, 0] = -LARGE * np.abs(kernel[:, 0])
    hidden.set_weights([kernel, np.zeros(64)])
    assert same_classes(network, file_format, tmp_path) >= 0.9


def with_classes(image: Any, features: Any) -> Any:
    import keras

    last = keras.layers.Dense(len(LABELS), activation="softmax", name="probabilities")
    return keras.Model(image, last(features), name="own")


def set_last_layer(network: Any) -> None:
    """Let it tell images apart by how their features differ from the mean."""
    import keras

    last = network.get_layer("probabilities")
    found = np.asarray(keras.Model(network.input, network.get_layer("features").output)(pixels(200).astype(np.float32)))
    kernel = np.random.default_rng(0).normal(0, 1, last.kernel.shape) / (found.std(axis=0) + 1)[:, np.newaxis]
    last.set_weights([kernel, -found.mean(axis=0) @ kernel])


def same_classes(network: Any, file_format: str, folder: Any) -> float:
    """Share of 100 images that the dynamic-range file classifies like the network."""
    set_last_layer(network)
    images = pixels(100)
    facts = ExportFacts("own", "run", "mobilenetv2", LABELS, SIDE, "stretch")
    maker = MAKERS[file_format].maker(TrainedNetwork(network, SIDE, LABELS, ""), images, facts, Export())
    path = folder / f"model.{file_format}"
    path.write_bytes(maker.make("dynamic"))
    given = predict(open_exported(path), images).argmax(axis=1)
    expected = np.asarray(network(images.astype(np.float32), training=False)).argmax(axis=1)
    assert len(np.unique(expected)) == len(LABELS)
    return float((given == expected).mean())


def pixels(count: int) -> np.ndarray:
    """Images of 4x4 squares, each of one colour."""
    return np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3), np.uint8).repeat(4, 1).repeat(4, 2)
