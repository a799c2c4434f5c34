"""Dynamic-range files of networks whose kernels have channels of very different size."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.export.base import ExportFacts
from edgekit.export.check.parity import open_exported, predict
from edgekit.export.makers import MAKERS
from edgekit.export.network import TrainedNetwork
from edgekit.recipe import Export

SIDE, CHANNELS, LABELS = 16, 48, ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def network():
    """The depthwise kernel of one channel is 500 times as large as the others, and its input 500 times as small."""
    import keras

    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(CHANNELS, 3, activation="relu", name="first")(image)
    x = keras.layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = keras.layers.Conv2D(CHANNELS, 1, activation="relu", name="pointwise")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    network = keras.Model(image, keras.layers.Dense(len(LABELS), activation="softmax", name="probabilities")(x))
    sizes = np.ones(CHANNELS)
    sizes[0] = 500
    first, depthwise, last = (network.get_layer(name) for name in ("first", "depthwise", "probabilities"))
    first.set_weights([generator.normal(0, 0.2, first.kernel.shape) / sizes, np.zeros(CHANNELS)])
    depthwise.set_weights([generator.normal(0, 1, (3, 3, CHANNELS, 1)) * sizes[:, np.newaxis], np.zeros(CHANNELS)])
    pool = keras.Model(image, network.get_layer("pool").output)
    features = np.asarray(pool(pixels(200).astype(np.float32)))
    last_kernel = generator.normal(0, 1, last.kernel.shape) / (features.std(axis=0) + 1)[:, np.newaxis]
    last.set_weights([last_kernel, -features.mean(axis=0) @ last_kernel])
    return network


def pixels(count: int) -> np.ndarray:
    """Images of 4x4 squares, each of one colour."""
    return np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3), np.uint8).repeat(4, 1).repeat(4, 2)


@pytest.mark.parametrize("file_format", ["tflite", "onnx"])
def test_a_channel_with_a_large_kernel_does_not_ruin_the_others(network, file_format, tmp_path):
    images = pixels(100)
    facts = ExportFacts("depthwise", "run", "mobilenetv2", LABELS, SIDE, "stretch")
    maker = MAKERS[file_format].maker(TrainedNetwork(network, SIDE, LABELS, ""), images, facts, Export())
    path = tmp_path / f"model.{file_format}"
    path.write_bytes(maker.make("dynamic"))
    given = predict(open_exported(path), images).argmax(axis=1)
    expected = np.asarray(network(images.astype(np.float32), training=False)).argmax(axis=1)
    assert len(np.unique(expected)) == len(LABELS)
    assert (given == expected).mean() >= 0.6  # 0.3 with one scale for the depthwise kernel
