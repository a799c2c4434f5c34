"""Folding the head gives the same function, and one that int8 does not ruin."""

from __future__ import annotations

import numpy as np
import pytest

CLASSES, CHANNELS, UNITS = 4, 24, 64


@pytest.fixture
def network():
    return network_with(size=0.01)


def network_with(size: float):
    """A head on plain channel means whose BatchNorm has negative factors and units that hardly vary.

    The features have a magnitude of about 100 times ``size``.
    """
    import keras

    generator = np.random.default_rng(0)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(CHANNELS, 3, activation="relu", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dense(UNITS, activation="relu", name="head_dense")(x)
    x = keras.layers.BatchNormalization(name="head_batchnorm")(x)
    x = keras.layers.Dropout(0.5, name="head_dropout")(x)
    outputs = keras.layers.Dense(CLASSES, activation="softmax", name="probabilities")(x)
    network = keras.Model(image, outputs, name="mobilenetv2")
    conv = network.get_layer("conv")
    conv.set_weights([generator.normal(0, size, conv.kernel.shape), generator.normal(0, 0.5, CHANNELS)])
    dense = network.get_layer("head_dense")
    kernel, bias = generator.normal(0, 0.3, dense.kernel.shape), generator.normal(0, 0.3, UNITS)
    kernel[:, : UNITS // 2], bias[: UNITS // 2] = kernel[:, : UNITS // 2] * 0.01, -1.0  # dead
    dense.set_weights([kernel, bias])
    gamma = generator.normal(0, 1, UNITS)
    hidden = keras.Model(image, dense.output)(pixels(200))
    statistics = np.asarray(hidden).mean(axis=0), np.asarray(hidden).var(axis=0)
    network.get_layer("head_batchnorm").set_weights([gamma, generator.normal(0, 0.3, UNITS), *statistics])
    last = network.get_layer("probabilities")
    last.set_weights([generator.normal(0, 0.5, last.kernel.shape), generator.normal(0, 0.1, CLASSES)])
    return network


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 1, 1, 3)).repeat(8, 1).repeat(8, 2).astype(np.float32)


def test_the_folded_network_is_the_same_function(network):
    from edgekit.export.head_folding import fold_head

    folded = fold_head(network)
    assert [layer.name for layer in folded.layers] == ["image", "conv", "head_pool", "head_dense", "probabilities"]
    assert (np.asarray(network.get_layer("head_batchnorm").gamma) < 0).any()
    images = pixels(50)
    assert np.allclose(folded(images), network(images, training=False), atol=1e-5)


def test_a_network_without_such_a_head_is_left_alone(network):
    import keras

    from edgekit.export.head_folding import fold_head

    plain = keras.Model(network.input, network.get_layer("head_pool").output)
    assert fold_head(plain) is plain


QUANTIZERS = [("tflite", "converter"), ("tflite", "ai-edge-quantizer"), ("onnx", "converter")]


@pytest.mark.parametrize(("file_format", "quantizer"), QUANTIZERS)
def test_units_that_hardly_vary_do_not_ruin_int8(network, file_format, quantizer, tmp_path):
    """Their BatchNorm factor is up to 32 times the others'; folded forward it took the range of the last kernel."""
    given, expected = answers(network, "int8", file_format, quantizer, tmp_path)
    assert np.abs(given - expected).max() < 0.15
    assert (given.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9


@pytest.mark.parametrize(("file_format", "quantizer"), QUANTIZERS)
def test_units_that_hardly_vary_do_not_ruin_dynamic_range(file_format, quantizer, tmp_path):
    """With one scale for the kernel, they took its range, and every other unit became zero."""
    given, expected = answers(network_with(size=1.0), "dynamic", file_format, quantizer, tmp_path)
    assert (given.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9


def answers(network, scheme, file_format, quantizer, tmp_path):
    """Probabilities (N, classes) of the exported file and of the network."""
    from edgekit.export.base import ExportFacts
    from edgekit.export.check.parity import open_exported, predict
    from edgekit.export.makers import MAKERS
    from edgekit.export.network import TrainedNetwork
    from edgekit.recipe import Export

    images = pixels(100).astype(np.uint8)
    labels = [f"class {i}" for i in range(CLASSES)]
    facts = ExportFacts("heads", "run", "mobilenetv2", labels, 8, "stretch")
    settings = Export(quantizer=quantizer)
    maker = MAKERS[file_format].maker(TrainedNetwork(network, 8, labels, ""), images, facts, settings)
    path = tmp_path / f"model.{file_format}"
    path.write_bytes(maker.make(scheme))
    return predict(open_exported(path), images), np.asarray(network(images.astype(np.float32), training=False))
